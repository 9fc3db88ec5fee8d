use super::*;

fn state(state: &str) -> Value {
    json!({ "state": state })
}

fn files(entries: &Value) -> Value {
    json!({ "status": { "files": entries } })
}

#[test]
fn never() {
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(2.0).change("a", state("failed")).at(2.005).change("a", state("ready")).at(9.0);
    let bad = check("things", super::never(Some("o.state == 'failed'")));
    insta::assert_snapshot!(said(&bad, &story), @"failed: what must never hold did: `a` held, 2.0s into the window");
    let good = check("things", super::never(Some("o.state == 'gone'")));
    insta::assert_snapshot!(said(&good, &story), @"passed: held on 1 track in 3 versions");
    let none = check("red", super::never(None));
    insta::assert_snapshot!(said(&none, &story), @"inconclusive: `red` has selected nothing in this run, so that a mistyped selector would look the same");
    let zero = Check { min: Some(Setting::Plain(0)), ..none.clone() };
    insta::assert_snapshot!(said(&zero, &story), @"passed: nothing was selected");
    story.add("b", json!({ "colour": "red" })).at(9.5).delete("b");
    insta::assert_snapshot!(said(&none, &story), @"failed: what must never be selected was: `b` appeared, 9.0s into the window");
}

#[test]
fn what_never_exists_may_have_existed_before() {
    let mut story = Story::begin(&[("a", json!({ "colour": "red" }))]);
    story.at(1.0).delete("a").at(2.0).change("x", state("ready")).at(3.0);
    let none = check("red", super::never(None));
    let (outcome, finding) = judge(&none, &story, 4);
    assert_eq!((outcome, finding.message.as_str()), (Outcome::Passed, "nothing was selected"));
}

#[test]
fn always() {
    let mut story = Story::begin(&[("a", files(&json!({ "x": { "state": "ready" }, "y": { "state": "ready" } })))]);
    story.at(1.0).change("a", files(&json!({ "x": { "state": "ready" } })));
    let ready = check("files", super::always("o.state == 'ready'"));
    // What vanished has no version that could be wrong.
    insta::assert_snapshot!(said(&ready, &story), @"passed: held on 2 tracks in 3 versions");
    let three = Check { min: Some(Setting::Plain(3)), ..ready.clone() };
    insta::assert_snapshot!(said(&three, &story), @"inconclusive: 2 tracks seen of the 3 that there must be at least");
    story.at(2.0).change("a", files(&json!({ "x": { "state": "unknown" } })));
    story.at(3.0).change("a", files(&json!({ "x": { "state": "failed" } })));
    insta::assert_snapshot!(said(&ready, &story), @"failed: what must always hold did not: `a[x]` did not hold, 2.0s into the window");
}

#[test]
fn transitions() {
    let mut story = Story::begin(&[("a", files(&json!({ "x": { "state": "ready" } })))]);
    story.at(1.0).change("a", files(&json!({ "x": { "state": "unknown" } })));
    story.at(2.0).change("a", files(&json!({})));
    story.at(3.0).change("a", files(&json!({ "x": { "state": "ready" }, "y": { "state": "pending" } })));
    let edges = ["ready -> unknown", "unknown -> missing", "missing -> ready"];
    let on_files = |edges: &[&str]| check("files", allow("o.state", edges));
    insta::assert_snapshot!(said(&on_files(&edges), &story), @"failed: a value moved as it must not: `a[y]` `missing -> pending`, 3.0s into the window");
    let more = ["ready -> unknown", "unknown -> missing", "missing -> *"];
    insta::assert_snapshot!(said(&on_files(&more), &story), @"passed: held on 2 tracks in 4 versions");
    let forbidden = check("files", forbid("o.state", &["* -> missing"]));
    insta::assert_snapshot!(said(&forbidden, &story), @"failed: a value moved as it must not: `a[x]` `unknown -> missing`, 2.0s into the window");
}

#[test]
fn while_nobody_looked_any_allowed_way_may_have_been_taken() {
    let story = |to: &str| {
        let mut story = Story::begin(&[("a", state("one"))]);
        story.at(2.0).thing(How::Listed, "a", "a", state(to)).listed(&[]).gap(1.0, true);
        story
    };
    let chain = check("things", allow("o.state", &["one -> two", "two -> three"]));
    insta::assert_snapshot!(said(&chain, &story("three")), @"inconclusive: versions of `things` were not seen from 1.0s to 2.0s into the window: the API server answered 410");
    insta::assert_snapshot!(said(&chain, &story("four")), @"failed: a value moved as it must not: `a` `one -> four`, 2.0s into the window");
    let forbidden = check("things", forbid("o.state", &["two -> three"]));
    assert!(said(&forbidden, &story("three")).starts_with("inconclusive"));
    let entered = check("things", forbid("o.state", &["* -> three"]));
    assert!(said(&entered, &story("three")).starts_with("failed"));
}

#[test]
fn constant() {
    let mut story = Story::begin(&[("a", state("one")), ("b", state("two"))]);
    story.at(1.0).change("a", state("one")).at(1.5).add("c", state("three"));
    let same = check("things", super::constant("o.state"));
    insta::assert_snapshot!(said(&same, &story), @"passed: held on 3 tracks in 4 versions");
    let mut replaced = story.clone();
    replaced.at(2.0).thing(How::Modified, "a", "another", state("one"));
    insta::assert_snapshot!(said(&same, &replaced), @"failed: what must stay the same did not: `a` was replaced by another object, 2.0s into the window");
    let mut gone = story.clone();
    gone.at(2.0).delete("b");
    insta::assert_snapshot!(said(&same, &gone), @"failed: what must stay the same did not: `b` gone, 2.0s into the window");
    story.at(2.0).change("b", json!({}));
    insta::assert_snapshot!(said(&same, &story), @"failed: what must stay the same did not: `b` `two -> missing`, 2.0s into the window");
}

#[test]
fn sequence() {
    let mut story = Story::begin(&[("a", state("ready")), ("b", state("ready"))]);
    story.at(1.0).change("a", state("unknown")).at(2.0).change("a", state("odd")).at(3.0).change("a", state("ready"));
    let seen = check("things", super::sequence("o.state", &["unknown", "ready"]));
    insta::assert_snapshot!(said(&seen, &story), @"failed: `unknown` was not seen on `b`");
    story.at(4.0).delete("b");
    insta::assert_snapshot!(said(&seen, &story), @"passed: held on 2 tracks in 5 versions");
    story.at(5.0).delete("a");
    let again = check("things", super::sequence("o.state", &["ready", "unknown", "ready", "gone"]));
    insta::assert_snapshot!(said(&again, &story), @"inconclusive: every track was gone before it had seen all of the values on `a` and 1 other track");
}

#[test]
fn recovers() {
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(10.0).change("a", state("unknown")).at(40.0).change("a", state("ready")).at(60.0);
    let within = |seconds| check("things", super::recovers("o.state == 'ready'", seconds));
    insta::assert_snapshot!(said(&within(31), &story), @"passed: held on 1 track in 3 versions");
    insta::assert_snapshot!(said(&within(29), &story), @"failed: what stopped holding did not hold again in time (within 29.0s): `a` stopped holding, and did not hold again in time, 10.0s into the window");
    story.change("a", state("failed")).at(70.0);
    insta::assert_snapshot!(said(&within(31), &story), @"inconclusive: it did not hold when the window closed, for 10.0s of the 31.0s it may take on `a`");
    story.at(100.0);
    assert!(said(&within(31), &story).starts_with("failed"));
    story.at(69.0).delete("a").at(200.0);
    assert!(said(&within(31), &story).starts_with("passed"), "a deleted object ends its obligations");
}

#[test]
fn a_late_watch_puts_times_in_doubt() {
    let within = check("things", super::recovers("o.state == 'ready'", 20));
    // It stood still from 12 to 40: it may have been ready at 12 already.
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(10.0).change("a", state("unknown")).at(40.0).change("a", state("ready")).late(12.0).at(300.0);
    insta::assert_snapshot!(said(&within, &story), @"inconclusive: a watch stood still meanwhile, so that it can't be told whether it held again within 20.0s on `a`");
    // It may have stopped at 12 already.
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(30.0).change("a", state("unknown")).late(12.0).at(40.0).change("a", state("ready")).at(300.0);
    assert!(said(&within, &story).starts_with("inconclusive"));
    // Too long in either case.
    let mut story = Story::begin(&[("a", state("ready"))]);
    story.at(30.0).change("a", state("unknown")).late(12.0).at(60.0).change("a", state("ready")).at(300.0);
    assert!(said(&within, &story).starts_with("failed"));
}

#[test]
fn count() {
    let mut story = Story::begin(&[("a", state("failed")), ("b", state("ready"))]);
    for (at, to) in [(1.0, "ready"), (2.0, "failed"), (3.0, "failed"), (4.0, "ready"), (5.0, "failed")] {
        story.at(at).change("a", state(to));
    }
    story.at(6.0).change("b", state("failed"));
    let of = |least, most, each| check("things", super::count(Some("o.state == 'failed'"), least, most, each));
    // The one at the start is not counted.
    insta::assert_snapshot!(said(&of(Some(3), Some(3), false), &story), @"passed: held on 2 tracks in 8 versions");
    insta::assert_snapshot!(said(&of(None, Some(2), false), &story), @"failed: it was counted too often: `b` counted 3 times, at most 2 allowed, 6.0s into the window");
    insta::assert_snapshot!(said(&of(Some(4), None, false), &story), @"failed: counted 3, at least 4 wanted");
    insta::assert_snapshot!(said(&of(Some(2), Some(2), true), &story), @"failed: counted 1, at least 2 on each track wanted on `b`");
    story.at(7.0).delete("b").at(8.0).add("b", json!({})).at(9.0).thing(How::Modified, "b", "other", json!({}));
    let existed = check("things", super::count(None, Some(2), Some(2), false));
    insta::assert_snapshot!(said(&existed, &story), @"passed: held on 2 tracks in 10 versions");
}

#[test]
fn a_sign_that_came_late_proves_only_what_was_before() {
    let within = check("things", super::recovers("o.state == 'ready'", 20));
    let mut story = Story::begin(&[("a", state("ready")), ("b", state("ready"))]);
    story.at(10.0).change("a", state("unknown")).at(40.0).change("b", state("odd")).late(12.0);
    // The watch goes on, and its backlog has the recovery.
    story.at(40.5).change("a", state("ready")).change("b", state("ready")).at(100.0);
    insta::assert_snapshot!(said(&within, &story), @"inconclusive: a watch stood still meanwhile, so that it can't be told whether it held again within 20.0s on `a` and 1 other track");
}
