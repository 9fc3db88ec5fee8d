use super::*;

fn state(state: &str) -> Value {
    json!({ "state": state })
}

#[test]
fn a_field_that_is_nowhere_is_not_green() {
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(1.0).change("a", state("failed")).at(2.0);
    let condition = check("things", never(Some("o.stat == 'failed'")));
    insta::assert_snapshot!(said(&condition, &story), @"inconclusive: the expression could be evaluated on none of the 2 versions seen; the first error: no such key: `stat`, in `o.stat == 'failed'`");
    let value = check("things", constant("o.stat"));
    insta::assert_snapshot!(said(&value, &story), @"inconclusive: the expression could be evaluated on none of the 2 versions seen; the field was `missing` in all of them");
    // A version that says nothing is ignored and counted; the others decide.
    story.change("a", json!({ "stat": "failed" }));
    let (outcome, finding) = judge(&condition, &story, 3);
    assert_eq!((outcome, finding.ignored.map(|(times, _)| times)), (Outcome::Failed, Some(2)));
}

#[test]
fn start_is_the_track_as_it_was() {
    let mut story = Story::begin(&[("a", json!({ "n": 3 }))]);
    story.at(1.0).change("a", json!({ "n": 4 })).at(2.0).add("b", json!({ "n": 1 })).at(3.0);
    let grows = check("things", always("start == null || o.n >= start.n"));
    assert_eq!(said(&grows, &story), "passed: held on 2 tracks in 3 versions");
    story.change("a", json!({ "n": 2 }));
    assert!(said(&grows, &story).contains("`a` did not hold, 3.0s"));
}

#[test]
fn what_is_missing_for_a_pass_makes_it_inconclusive() {
    let good = check("things", never(Some("o.state == 'failed'")));
    let story = || {
        let mut story = Story::begin(&[("a", state("ready"))]);
        story.at(1.0).change("a", state("unknown")).at(2.0);
        story
    };
    let mut differs = story();
    let object = ObjectName { namespace: "n".to_owned(), name: "b".to_owned() };
    differs.confirm(vec![Difference { object, say: "the list has version 7, the watch never showed it".to_owned() }]);
    let (_, finding) = judged(&good, &differs, 3, 4);
    insta::assert_snapshot!(finding.message, @"the closing list of `things` and its watch do not agree: `b`: the list has version 7, the watch never showed it");
    // A gap after which nothing is different counts only against claims about existence.
    let mut quiet = story();
    quiet.gap(1.5, false);
    assert!(said(&good, &quiet).starts_with("passed"));
    let none = check("red", never(None));
    insta::assert_snapshot!(said(&none, &quiet), @"inconclusive: versions of `red` were not seen from 1.5s to 2.0s into the window: the API server answered 410");
    // A violation that was seen stays a failure.
    let mut gap = story();
    gap.gap(1.5, true).at(3.0).change("a", state("failed"));
    assert!(said(&good, &gap).starts_with("failed"));
}

#[test]
fn versions_above_the_edge_are_outside() {
    let good = check("things", never(Some("o.state == 'failed'")));
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(1.0).change("a", state("unknown")).at(2.0).change("a", state("failed"));
    let closes = story.events.len() - 1;
    story.confirm(Vec::new());
    assert_eq!(judged(&good, &story, 3, closes).0, Outcome::Passed);
    assert_eq!(judged(&good, &story, 3, closes + 1).0, Outcome::Failed);
}

#[test]
fn a_version_that_comes_twice_is_one() {
    let twice = check("things", count(Some("o.state == 'failed'"), Some(1), Some(1), false));
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(1.0).change("a", state("failed"));
    let again = story.events.last().unwrap().kind.clone();
    story.put(again);
    let (outcome, finding) = judge(&twice, &story, 3);
    assert_eq!((outcome, finding.versions), (Outcome::Passed, 2));
}

#[test]
fn a_failure_shows_the_object_before_and_after() {
    let bad = check("files", never(Some("o.state == 'failed'")));
    let files = |state: &str| json!({ "status": { "files": { "x": { "state": state, "progress": 100 } } } });
    let mut story = Story::begin(&[("a", files("ready"))]);
    story.at(1.0).change("a", files("failed")).at(3.0);
    let (_, finding) = judge(&bad, &story, 3);
    let moment = &finding.moments[0];
    assert_eq!((moment.event, moment.version.as_str(), moment.uid.as_str()), (3, "103", "a"));
    insta::assert_snapshot!(moment.diff.join("\n"), @r"
     progress: 100
    -state: ready
    +state: failed
    ");
    let lane = &finding.lanes[0];
    assert_eq!(lane.track, "a[x]");
    let segments: Vec<(u64, &str, bool)> =
        lane.segments.iter().map(|segment| (segment.from.0, segment.value.as_str(), segment.bad)).collect();
    assert_eq!(segments, [(0, "!(o.state == 'failed')", false), (1_000_000, "o.state == 'failed'", true)]);
}

#[test]
fn what_was_measured_is_said() {
    let seen = check("things", allow("o.state", &["* -> *"]));
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(1.0).change("a", state("unknown")).at(1.5).change("a", state("ready")).at(3.0);
    story.change("a", state("unknown")).at(4.0);
    let (_, finding) = judge(&seen, &story, 3);
    let said: Vec<String> = finding
        .measures
        .iter()
        .map(|measure| {
            format!("{} {:?}", measure.what, measure.spells.iter().map(|spell| spell.0 / 1000).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(said, ["ready [1000, 1500]", "unknown [500, 1000]"]);
}

#[test]
fn a_window_that_is_cut_is_cancelled_unless_it_was_violated() {
    let good = check("things", never(Some("o.state == 'failed'")));
    for (state, outcome) in [("unknown", Outcome::Cancelled), ("failed", Outcome::Failed)] {
        let mut court = Court::new(std::slice::from_ref(&good), &selections());
        let mut story = Story::begin(&[("a", json!({ "state": "ready" }))]);
        let armed = Armed { watch: W, version: "101".to_owned() };
        story.put(EventKind::CheckArmed { check: good.id.clone(), watches: vec![armed] });
        for event in &story.events {
            court.take(event);
        }
        court.open(&good.id, Env::new(), Elapsed(0));
        story.at(1.0).change("a", json!({ "state": state }));
        let violated = court.take(story.events.last().unwrap());
        assert_eq!(violated.len(), usize::from(state == "failed"));
        court.cut(&good.id, Elapsed(2_000_000), "interrupted (SIGINT)");
        assert!(court.ready(&good.id));
        let EventKind::CheckJudged { outcome: found, .. } = court.judge(&good.id) else { panic!("it judges") };
        assert_eq!(found, outcome);
    }
}
