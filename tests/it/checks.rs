//! Checks over time on the embedded API server, in virtual time: real plans, the real recorder,
//! what is said and how it ends.

use std::time::Duration;

use lariat::cli::Exit;
use lariat::event::{EventKind, Outcome, Verdict};
use lariat::sim::{Effect, Ending, Matching, Rule, Verb};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;
use tokio::time::sleep;

use crate::support::embedded::World;

const WORK: &str = "
    [objects.maps]
    resource = 'configmaps'
    [steps.work]
    sleep = { for = '10s', because = 'the script beside it acts' }
    [steps.after]
    needs = ['work']
    patch = { resource = 'configmaps', name = 'a', merge = { data = { state = 'bad' } } }
";

const NEVER_BAD: &str = "
    [checks.never-bad]
    during = 'work'
    never = { on = 'maps', that = 'o.data.state == \"bad\"' }
";

fn plan(checks: &str) -> String {
    format!("{WORK}{checks}")
}

async fn millis(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_later_step_does_is_outside_the_window() {
    let world = World::new();
    world.map("a", "good");
    let told = world.run(&plan(NEVER_BAD), async {}).await;
    assert_eq!((told.verdict, told.check("never-bad")), (Verdict::Pass, Outcome::Passed), "{}", told.text());
    let order = told.order();
    let place = |line: &str| order.iter().position(|said| said == line).unwrap_or_else(|| panic!("{line}: {order:?}"));
    assert!(place("armed never-bad") < place("start work"));
    assert!(place("work passed") < place("start after"));
}

#[tokio::test(start_paused = true)]
async fn a_flip_of_five_milliseconds_is_seen() {
    let world = World::new();
    world.map("a", "good");
    let told = world
        .run(&plan(NEVER_BAD), async {
            millis(3_000).await;
            world.change("a", "bad");
            millis(5).await;
            world.change("a", "good");
        })
        .await;
    assert_eq!((told.verdict, told.check("never-bad")), (Verdict::Fail, Outcome::Failed));
    let finding = told.finding("never-bad");
    assert_eq!(finding.moments.len(), 1, "{finding:?}");
    assert_eq!(finding.moments[0].at.0 / 1_000, 3_000);
    assert!(finding.moments[0].diff.iter().any(|line| line.starts_with('-') && line.contains("good")), "{finding:?}");
    let violated = told.events.iter().find(|event| matches!(event.kind, EventKind::CheckViolated { .. }));
    assert_eq!(violated.expect("it was said").at.0 / 1_000, 3_000, "it is said when it is seen");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_flips_are_seen_a_thousand_times() {
    let world = World::new();
    world.map("a", "good");
    let checks = "
        [checks.flips]
        during = 'work'
        count = { on = 'maps', that = 'o.data.state == \"bad\"', at-least = 1000, at-most = 1000 }
        [checks.shown]
        during = 'work'
        judge = 'report'
        never = { on = 'maps', that = 'o.data.state == \"bad\"' }
    ";
    let text = plan(checks).replace("for = '10s'", "for = '9m'");
    let told = world
        .run(&text, async {
            let mut chance = ChaCha8Rng::seed_from_u64(7);
            for _ in 0..1000 {
                millis(u64::from(chance.next_u32() % 1000)).await;
                world.change("a", "bad");
                millis(5).await;
                world.change("a", "good");
            }
        })
        .await;
    assert_eq!((told.verdict, told.check("flips")), (Verdict::Pass, Outcome::Passed), "{}", told.text());
    assert_eq!(told.check("shown"), Outcome::Failed, "a report is judged, and decides nothing");
}

#[tokio::test(start_paused = true)]
async fn what_lived_for_two_milliseconds_was_there() {
    let world = World::new();
    world.map("a", "good");
    let checks = "
        [objects.strangers]
        resource = 'secrets'
        [checks.nobody]
        during = 'work'
        never = { on = 'strangers', min = 0 }
    ";
    let stranger = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "ns" } });
    let told = world
        .run(&plan(checks), async {
            millis(4_000).await;
            world.api.put(stranger).expect("it is a secret");
            millis(2).await;
            assert!(world.api.remove("secret", "ns", "s"));
        })
        .await;
    assert_eq!((told.verdict, told.check("nobody")), (Verdict::Fail, Outcome::Failed), "{}", told.text());
    let nobody = World::new();
    nobody.map("a", "good");
    assert_eq!(nobody.run(&plan(checks), async {}).await.verdict, Verdict::Pass, "`min = 0` is written");
    let without = checks.replace(", min = 0", "");
    let told = nobody.run(&plan(&without), async {}).await;
    assert_eq!(told.verdict, Verdict::Inconclusive, "a mistyped label is not green: {}", told.text());
}

/// Nobody can be reached for a while, and what a watch then asks for may be forgotten.
async fn outage(world: &World, forgotten: bool, meanwhile: impl FnOnce()) {
    let refuse = world.api.fault(Rule::always(Matching::default(), Effect::Refuse));
    world.api.drop_watches("configmaps", &Ending::Cut);
    millis(1_000).await;
    meanwhile();
    if forgotten {
        world.api.compact();
    }
    millis(1_000).await;
    drop(refuse);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_resumes_has_missed_nothing() {
    let world = World::new();
    world.map("a", "good");
    let told = world
        .run(&plan(NEVER_BAD), async {
            millis(3_000).await;
            outage(&world, false, || {}).await;
        })
        .await;
    assert_eq!((told.verdict, told.check("never-bad")), (Verdict::Pass, Outcome::Passed), "{}", told.text());
    assert!(told.events.iter().any(|event| matches!(event.kind, EventKind::WatchLate { .. })), "{}", told.text());

    let told = world
        .run(&plan(NEVER_BAD), async {
            millis(3_000).await;
            outage(&world, false, || {
                world.change("a", "bad");
                world.change("a", "good");
            })
            .await;
        })
        .await;
    assert_eq!(told.check("never-bad"), Outcome::Failed, "what came late came: {}", told.text());
}

#[tokio::test(start_paused = true)]
async fn a_gap_puts_a_pass_in_doubt_and_no_failure() {
    let gap = |world: &World| {
        let world = world.clone();
        async move {
            millis(3_000).await;
            outage(&world, true, || {
                world.change("a", "bad");
                world.change("a", "good");
            })
            .await;
        }
    };
    let world = World::new();
    world.map("a", "good");
    let told = world.run(&plan(NEVER_BAD), gap(&world)).await;
    assert_eq!(
        (told.verdict, told.check("never-bad")),
        (Verdict::Inconclusive, Outcome::Inconclusive),
        "{}",
        told.text()
    );
    assert_eq!(Exit::of(told.verdict, None).code(), 3);
    let finding = told.finding("never-bad");
    assert!(finding.blind.iter().any(|blind| blind.gap) && !finding.wanted.is_empty(), "{finding:?}");

    let world = World::new();
    world.map("a", "good");
    let told = world
        .run(&plan(NEVER_BAD), async {
            millis(1_000).await;
            world.change("a", "bad");
            gap(&world).await;
        })
        .await;
    assert_eq!((told.verdict, told.check("never-bad")), (Verdict::Fail, Outcome::Failed), "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_forbidden_does_nothing_or_measures_nothing() {
    let world = World::new();
    world.map("a", "good");
    let no = Rule::always(Matching::verb(Verb::List).on("secrets"), Effect::Answer { code: 403, retry_after: 0 });
    let _guard = world.api.fault(no);
    let checks = "
        [objects.strangers]
        resource = 'secrets'
        [checks.nobody]
        during = 'after'
        never = { on = 'strangers', min = 0 }
    ";
    let told = world.run(&plan(checks), async {}).await;
    assert_eq!(told.verdict, Verdict::Error, "{}", told.text());
    assert_eq!(world.state("a"), "good", "the step did nothing");
    let told = world.run(&plan(&checks.replace("during", "judge = 'report'\nduring")), async {}).await;
    assert_eq!((told.verdict, world.state("a").as_str()), (Verdict::Pass, "bad"), "{}", told.text());
    assert!(told.finding("nobody").message.starts_with("not measured"), "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn each_round_has_its_own_verdict() {
    let world = World::new();
    world.map("a", "good");
    let text = "
        [objects.maps]
        resource = 'configmaps'
        [steps.r]
        repeat = { times = 3 }
        [steps.r.steps.rest]
        sleep = { for = '10s', because = 'the script beside it acts' }
        [checks.never-bad]
        during = 'r'
        never = { on = 'maps', that = 'o.data.state == \"bad\"' }
    ";
    let flip = async |at: u64| {
        millis(at).await;
        world.change("a", "bad");
        millis(5).await;
        world.change("a", "good");
    };
    let told = world.run(text, flip(15_000)).await;
    let each = ["never-bad[01]", "never-bad[02]", "never-bad[03]"].map(|check| told.check(check));
    assert_eq!(each, [Outcome::Passed, Outcome::Failed, Outcome::Passed], "{}", told.text());
    let told = world.run(&text.replace("times = 3", "times = 3, stop-on-failure = true"), flip(15_000)).await;
    let each = ["never-bad[01]", "never-bad[02]", "never-bad[03]"].map(|check| told.check(check));
    assert_eq!(each, [Outcome::Passed, Outcome::Failed, Outcome::Skipped], "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn the_whole_run_is_watched_up_to_its_clean_up() {
    let world = World::new();
    world.map("a", "good");
    let checks = "
        [checks.there]
        constant = { on = 'maps', value = 'o.metadata.uid' }
        [steps.tidy]
        when = 'always'
        delete = { resource = 'configmaps', name = 'a' }
    ";
    let told = world.run(&plan(checks), async {}).await;
    assert_eq!((told.verdict, told.check("there")), (Verdict::Pass, Outcome::Passed), "{}", told.text());
}

#[tokio::test(start_paused = true)]
async fn a_recovery_in_time_and_one_that_comes_too_late() {
    let checks = "
        [checks.back]
        during = 'work'
        recovers = { on = 'maps', that = 'o.data.state == \"good\"', within = '3s' }
    ";
    for (away, outcome) in [(2_000, Outcome::Passed), (5_000, Outcome::Failed)] {
        let world = World::new();
        world.map("a", "good");
        let told = world
            .run(&plan(checks), async {
                millis(2_000).await;
                world.change("a", "bad");
                millis(away).await;
                world.change("a", "good");
            })
            .await;
        assert_eq!(told.check("back"), outcome, "{}", told.text());
    }
}
