//! Runs with checks: held, broken, undecided, cut, and only recorded.

use super::{clean_up, install, lab, pods, start};
use crate::clock::Elapsed;
use crate::event::{
    Blind, CheckNode, Difference, Event, EventKind, Finding, How, Lane, Measure, Moment, ObjectName, Outcome, Segment,
    SkipReason, Verdict, WatchId, Watched,
};
use crate::id::{CheckId, StepId};
use crate::view::{RunView, Story, check, moment, watched};

const FILES: u32 = 0;
const PODS: u32 = 1;
const SOURCES: u32 = 2;

/// Six checks in each of these rounds, and two over the whole run.
fn claims(rounds: usize) -> Vec<CheckNode> {
    let mut all = Vec::new();
    let said =
        |node: CheckNode, about: &str, claim: &str| CheckNode { about: about.into(), claim: claim.into(), ..node };
    for round in 1..=rounds {
        let during = format!("restart[{round:02}]");
        let named = |name: &str, operator: &str| check(&format!("{name}[{round:02}]"), operator, &during);
        all.extend([
            said(
                named("no-second-download", "never").covering(&["C5"]),
                "No data source pod is launched.",
                r#"never = { on = "data-source-pods" }"#,
            ),
            said(
                named("file-states", "transitions"),
                "",
                r#"transitions = { on = "files", value = "o.state", allow = ["ready -> unknown", "unknown -> ready"] }"#,
            ),
            said(
                named("back-in-time", "recovers"),
                "Each file is ready again in time.",
                r#"recovers = { on = "files", that = "o.state == 'ready'", within = "20s" }"#,
            ),
            said(
                named("unknown-then-ready", "sequence").covering(&["C6"]).reported(),
                "Whether the short `unknown` shows at all.",
                r#"sequence = { on = "files", value = "o.state", seen = ["unknown", "ready"] }"#,
            ),
        ]);
    }
    all.extend([
        said(
            check("identity", "constant", ""),
            "The image stays the same object.",
            r#"constant = { on = "image", value = "o.status.uuid" }"#,
        ),
        said(
            check("no-crash", "never", "upgrade").covering(&["C8"]),
            "",
            r#"never = { on = "pods", that = "o.status.containerStatuses.exists(c, c.restartCount > 0)" }"#,
        ),
        check("leases", "count", "").reported(),
    ]);
    all
}

fn begin(rounds: usize) -> Story {
    let mut start = start(lab(rounds));
    start.checks = claims(rounds);
    Story::begin(start)
        .watch(FILES, Watched { name: Some("same-image".into()), ..watched("backingimages.longhorn.io", "") }, 1)
        .watch(PODS, watched("pods", "app=gadget-node"), 3)
        .watch(SOURCES, watched("pods", "longhorn.io/component=backing-image-data-source"), 0)
        .arm("identity", &[FILES])
}

fn lane(track: &str, segments: &[(u64, &str, bool)]) -> Lane {
    let segments = segments.iter().map(|(millis, value, bad)| Segment {
        from: Elapsed(millis * 1000),
        value: (*value).into(),
        bad: *bad,
    });
    Lane { track: track.into(), segments: segments.collect(), more: 0 }
}

fn millis(at: Elapsed) -> u64 {
    at.0 / 1000
}

/// How one round went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Held,
    Broken,
    Unseen,
}

/// A round with its checks: the files are unknown for some seconds, and come back.
fn round(story: Story, n: usize, fate: Fate) -> Story {
    let id = |inside: &str| format!("restart[{n:02}]{inside}");
    let named = |name: &str| format!("{name}[{n:02}]");
    let mut story = story
        .arm(&named("no-second-download"), &[SOURCES])
        .arm(&named("file-states"), &[FILES])
        .arm(&named("back-in-time"), &[FILES])
        .arm(&named("unknown-then-ready"), &[FILES])
        .after(30);
    let from = millis(story.now()) - 30;
    story = story
        .group(&id(""))
        .start(&id("/kill"))
        .after(45)
        .note(&id("/kill"), pods(n))
        .pass(&id("/kill"))
        .start(&id("/back"))
        .after(200);
    for _ in 0..3 {
        story = story.see(FILES, How::Modified, "same-image").after(40);
    }
    let unknown = millis(story.now());
    let mut broken = None;
    if fate == Fate::Broken {
        story = story.after(700).see(SOURCES, How::Added, "same-image-ds-7fk2");
        let added = moment(
            story.events().len() as u64 - 1,
            millis(story.now()),
            "backing-image-ds-same-image",
            "appeared",
            &[
                "+ metadata.name: backing-image-ds-same-image",
                "+ metadata.labels.longhorn.io/component: backing-image-data-source",
                "+ spec.nodeName: lab-2",
                "+ status.phase: Pending",
            ],
        );
        story = story.violate(&named("no-second-download"), added.clone());
        broken = Some(added);
    }
    if fate == Fate::Unseen {
        story = story.after(6_000).gap(FILES, 2_100, "410 Gone: the version is too old").late(
            PODS,
            1_400,
            "the connection broke and resumed",
        );
    }
    story = story.after(8_000 + 900 * n as u64);
    for _ in 0..3 {
        story = story.see(FILES, How::Modified, "same-image").after(60);
    }
    let ready = millis(story.now());
    story = story
        .progress(&id("/back"), "2 of 3 ready", &["pod/gadget-node-c: Pending"])
        .after(4_000)
        .pass(&id("/back"))
        .end(&id(""), Outcome::Passed, None)
        .after(15);
    judge(story, n, fate, [from, unknown, ready], broken.as_ref())
}

fn judge(story: Story, n: usize, fate: Fate, [from, unknown, ready]: [u64; 3], broken: Option<&Moment>) -> Story {
    let named = |name: &str| format!("{name}[{n:02}]");
    let now = story.now();
    let found = |message: &str, tracks, versions| Finding {
        message: message.into(),
        tracks,
        versions,
        window: Some((Elapsed(from * 1000), now)),
        ..Finding::default()
    };
    let mut sources = found("nothing of `data-source-pods` was ever there", 0, 0);
    if let Some(broken) = broken {
        sources = found("1 object of `data-source-pods` was there, and none may be", 1, 2);
        let at = millis(broken.at);
        sources.lanes =
            vec![lane(&broken.track, &[(from, "", false), (at, "Pending", true), (at + 2_900, "Running", false)])];
        sources.moments = vec![broken.clone()];
        sources.more = 1;
    }
    let files: Vec<Lane> = (1..=3_u64)
        .map(|node| {
            let back = ready - 60 * (3 - node);
            let segments = [(from, "ready", false), (unknown - 40 * node, "unknown", false), (back, "ready", false)];
            lane(&format!("same-image[lab-{node}]"), &segments)
        })
        .collect();
    let mut states = Finding { lanes: files.clone(), ..found("every change was along an allowed edge", 3, 9) };
    let mut back = found("each of 3 tracks came back within 20s; the longest took 11.2s", 3, 9);
    let mut back_outcome = Outcome::Passed;
    let mut states_outcome = Outcome::Passed;
    if fate == Fate::Unseen {
        let gap = Blind {
            from: Elapsed((unknown + 3_900) * 1000),
            to: Elapsed((unknown + 6_000) * 1000),
            reason: "410 Gone: the version is too old".into(),
            gap: true,
        };
        let why = "no forbidden change was seen, but versions of `files` may be missing for 2.1s";
        let wanted = "a watch without a gap, or the same uid and version of every object before and after it";
        states = Finding { blind: vec![gap.clone()], wanted: wanted.into(), lanes: files, ..found(why, 3, 8) };
        back = Finding {
            blind: vec![gap],
            wanted: wanted.into(),
            ignored: Some((2, "no such key: state".into())),
            ..found(why, 3, 8)
        };
        (states_outcome, back_outcome) = (Outcome::Inconclusive, Outcome::Inconclusive);
    }
    let spells = if n == 2 { Vec::new() } else { vec![Elapsed((ready - unknown) * 1000); 3] };
    let seen = !spells.is_empty();
    let measured = Finding {
        measures: vec![Measure { what: "unknown".into(), spells, more: 0 }],
        ..found(
            if seen { "3 of 3 tracks went that way" } else { "`unknown` was not seen on `same-image[lab-1]`" },
            3,
            9,
        )
    };
    let outcome = |held| if held { Outcome::Passed } else { Outcome::Failed };
    story
        .judge(&named("no-second-download"), outcome(broken.is_none()), sources)
        .judge(&named("file-states"), states_outcome, states)
        .judge(&named("back-in-time"), back_outcome, back)
        .judge(&named("unknown-then-ready"), outcome(seen), measured)
        .after(2)
}

fn confirm(story: Story) -> Story {
    let confirmed =
        |watch, differences| EventKind::WatchConfirmed { watch: WatchId(watch), version: "4990".into(), differences };
    story.and(confirmed(FILES, Vec::new())).and(confirmed(PODS, Vec::new())).and(confirmed(
        SOURCES,
        vec![Difference {
            object: ObjectName { namespace: "gadget-system".into(), name: "backing-image-ds-x".into() },
            say: "the list has version 4981, the watch never showed it".into(),
        }],
    ))
}

/// The checks over the whole run.
fn judge_whole(story: Story) -> Story {
    let now = story.now();
    let steady = Finding {
        message: "1 of 1 tracks never changed".into(),
        tracks: 1,
        versions: 21,
        window: Some((Elapsed(0), now)),
        lanes: vec![lane("same-image", &[(0, "5f1c02de-77aa-4c1e-9b1d-0a014b7e1c2d", false)])],
        ..Finding::default()
    };
    let unseen = Finding {
        message: "not measured: the watch of leases was refused: 403 Forbidden".into(),
        ..Finding::default()
    };
    confirm(story).judge("identity", Outcome::Passed, steady).judge("leases", Outcome::Inconclusive, unseen)
}

fn story(fates: &[Fate]) -> Story {
    let mut story = install(begin(fates.len()));
    for (n, fate) in fates.iter().enumerate() {
        story = round(story, n + 1, *fate);
    }
    story.end("restart", Outcome::Passed, None)
}

fn finish_steps(mut story: Story) -> Story {
    story = story.arm("no-crash", &[PODS]).start("upgrade");
    let from = story.now();
    story = story.after(17_000).pass("upgrade");
    let held = Finding {
        message: "no version of 3 tracks was so".into(),
        tracks: 3,
        versions: 12,
        window: Some((from, story.now())),
        ..Finding::default()
    };
    story
        .judge("no-crash", Outcome::Passed, held)
        .start("verify")
        .after(350)
        .pass("verify")
        .start("rollback")
        .after(9_000)
        .pass("rollback")
}

/// The second round breaks one check, the third can't be decided; the upgrade is not reached.
pub(in crate::report) fn checked() -> Story {
    let story = story(&[Fate::Held, Fate::Broken, Fate::Unseen])
        .start("upgrade")
        .after(3_000)
        .fail(
            "upgrade",
            crate::event::Failure::new(crate::event::Class::Refused, "a hook failed: `pre-upgrade` exited with 1"),
        )
        .leave("no-crash", SkipReason::Need { step: StepId::root("upgrade"), outcome: Outcome::Failed })
        .block("verify", "upgrade", Outcome::Failed)
        .block("rollback", "verify", Outcome::Skipped);
    clean_up(judge_whole(story))
        .finish(Verdict::Fail, "`upgrade` failed: a hook failed; check `no-second-download[02]` was violated")
}

/// Everything held, over ten rounds.
pub(in crate::report) fn held() -> Story {
    clean_up(judge_whole(finish_steps(story(&[Fate::Held; 10]))))
        .finish(Verdict::Pass, "all 25 steps passed and all 32 checks held")
}

/// Nothing was broken, and nothing is proven: a gap.
pub(in crate::report) fn unseen() -> Story {
    clean_up(judge_whole(finish_steps(story(&[Fate::Held, Fate::Unseen])))).finish(
        Verdict::Inconclusive,
        "check `file-states[02]` is inconclusive: versions of `files` may be missing for 2.1s",
    )
}

/// Killed after a violation was seen and before it was judged.
pub(in crate::report) fn violated() -> RunView {
    let story = checked();
    let seen = |event: &Event| matches!(&event.kind, EventKind::CheckViolated { .. });
    let at = story.events().iter().position(seen).expect("the story tells a violation");
    RunView::of(&story.events()[..at + 4]).expect("a prefix is legal")
}

/// Only recorded, with marks, while a person tried things by hand.
pub(in crate::report) fn recorded() -> Story {
    let mut start = start(Vec::new());
    start.plan = "watch".into();
    start.title = "Recorded until stopped".into();
    let mut story = Story::begin(start).watch(FILES, watched("backingimages.longhorn.io", ""), 2).watch(
        PODS,
        watched("pods", ""),
        9,
    );
    for name in ["kill one manager", "and the next"] {
        story = story.after(12_000).and(EventKind::Marked { name: name.into() });
        for _ in 0..20 {
            story = story.after(130).see(PODS, How::Modified, "longhorn-manager-a");
        }
    }
    story
        .late(PODS, 900, "the connection broke and resumed")
        .after(4_000)
        .finish(Verdict::Pass, "recorded until stopped")
}

/// A status that flips a thousand times, and more tracks than a page can draw.
pub(in crate::report) fn flips() -> Story {
    let mut start = start(vec![crate::view::node("flip", "command").about("Flips a status for 5 ms, at random.")]);
    start.checks = vec![check("flips", "count", "flip"), check("many", "always", "flip")];
    let mut story = Story::begin(start)
        .watch(FILES, watched("gadgets.lab", ""), 1)
        .arm("flips", &[FILES])
        .arm("many", &[FILES])
        .start("flip");
    let mut segments = vec![(0, "ready".to_owned(), false)];
    for n in 0..1_000_u64 {
        story = story.after(7 + n * 37 % 90).see(FILES, How::Modified, "gadget-a");
        segments.push((millis(story.now()), "flipped".into(), n == 999));
        story = story.after(5).see(FILES, How::Modified, "gadget-a");
        segments.push((millis(story.now()), "ready".into(), false));
    }
    let now = story.now();
    let segments = segments.iter().map(|(at, value, bad)| (*at, value.as_str(), *bad)).collect::<Vec<_>>();
    let last = moment(
        story.events().len() as u64 - 2,
        millis(now) - 5,
        "gadget-a",
        "ready -> flipped",
        &["- state: ready", "+ state: flipped"],
    );
    let found = |message: &str| Finding {
        message: message.into(),
        tracks: 1,
        versions: 2_001,
        window: Some((Elapsed(0), now)),
        ..Finding::default()
    };
    let flips = Finding {
        lanes: vec![lane("gadget-a", &segments)],
        moments: vec![last.clone()],
        ..found("it came to be `flipped` 1000 times, and 999 are allowed")
    };
    let tracks = (0..200_u64).map(|n| {
        lane(&format!("gadget-{n:03}"), &[(0, "ready", false), (900 * n, &format!("state-{}", n % 40), false)])
    });
    let many =
        Finding { lanes: tracks.collect(), lanes_left_out: 800, ..found("every version of 1000 tracks satisfied it") };
    story
        .violate("flips", last)
        .pass("flip")
        .judge("flips", Outcome::Failed, flips)
        .judge("many", Outcome::Passed, many)
        .finish(Verdict::Fail, "check `flips` was violated: it came to be `flipped` 1000 times, and 999 are allowed")
}

/// As in a cell that is called so: a name alone is checked when a plan is read.
fn odd_id(text: &str, round: &str) -> CheckId {
    CheckId::new(Some(&StepId::root("cell").index(text)), "odd").round(round)
}

/// Checks whose every text is this one.
pub(super) fn told(text: &str) -> Vec<CheckNode> {
    let odd = |id: CheckId, judged: bool| {
        let node = check("x", text, "");
        let node = if judged { node } else { node.reported() };
        CheckNode { id, claim: text.into(), about: text.into(), covers: vec![text.into()], file: text.into(), ..node }
    };
    vec![odd(odd_id(text, "01"), true), odd(odd_id(text, "02"), false), odd(odd_id(text, "03"), true)]
}

/// The end of a run in which these are judged, with this text in every field that takes one.
pub(super) fn tell(story: Story, text: &str) -> Story {
    let id = |round: &str| odd_id(text, round);
    let odd = moment(9, 1, text, text, &[text, &format!("-{text}"), &format!("+{text}")]);
    let odd = Moment { uid: text.into(), version: text.into(), ..odd };
    let now = story.now();
    let asked = Watched { name: Some(text.into()), fields: Some(text.into()), ..watched(text, text) };
    let blind = Blind { from: Elapsed(0), to: now, reason: text.into(), gap: true };
    let finding = Finding {
        message: text.into(),
        moments: vec![odd.clone()],
        blind: vec![blind],
        wanted: text.into(),
        window: Some((Elapsed(0), now)),
        ignored: Some((3, text.into())),
        measures: vec![Measure { what: text.into(), spells: vec![Elapsed(5), Elapsed(7)], more: 2 }],
        lanes: vec![lane(text, &[(0, text, false), (10, "x", true), (11, text, true)])],
        ..Finding::default()
    };
    let judged =
        |check: CheckId, outcome| EventKind::CheckJudged { check, outcome, finding: Box::new(finding.clone()) };
    let armed = |check: CheckId| EventKind::CheckArmed {
        check,
        watches: vec![crate::event::Armed { watch: WatchId(0), version: text.into() }],
    };
    let difference = Difference { object: ObjectName { namespace: text.into(), name: text.into() }, say: text.into() };
    let confirmed =
        EventKind::WatchConfirmed { watch: WatchId(0), version: text.into(), differences: vec![difference] };
    story
        .watch(0, asked, 1)
        .and(armed(id("01")))
        .and(armed(id("02")))
        .and(EventKind::CheckViolated { check: id("01"), moment: Box::new(odd) })
        .gap(0, 1, text)
        .late(0, 1, text)
        .and(confirmed)
        .and(EventKind::Marked { name: text.into() })
        .and(judged(id("01"), Outcome::Failed))
        .and(judged(id("02"), Outcome::Failed))
        .and(judged(id("03"), Outcome::Inconclusive))
}
