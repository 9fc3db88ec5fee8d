//! Plans in a few lines, played by a script, and what the frontier made of it.

use std::fmt::Write as _;

use super::graph::tests::graph;
use super::{CleanUp, Frontier, Graph, Move, Rules, StepIx};
use crate::event::{CancelReason, Outcome, SkipReason};
use crate::id::CheckId;

/// Plays a script on a plan. Its words: `a` passes, `a=failed` (or any other
/// outcome), `a^` is up, `!failfast`, `!int`, `!int2` cancel, `a!` runs out of time,
/// `a?` violates a check.
/// Containers open and close at once. What happens is written after each word.
fn play(plan: &str, script: &str) -> String {
    play_with(plan, |_, _| {}, script)
}

fn play_with(plan: &str, rules: impl FnOnce(&Graph, &mut Rules), script: &str) -> String {
    let graph = graph(plan);
    let mut chosen = Rules::default();
    rules(&graph, &mut chosen);
    let mut frontier = Frontier::new(&graph, &chosen);
    let mut lines = vec![format!("begin: {}", happened(&graph, &mut frontier))];
    for word in script.split_whitespace() {
        let find = |name: &str| {
            let found = graph.all().find(|&step| graph.node(step).id.as_str() == name);
            found.unwrap_or_else(|| panic!("no step {name}"))
        };
        if let Some(how) = word.strip_prefix('!') {
            match how {
                "failfast" => frontier.cancel(CancelReason::FailFast, CleanUp::Kept),
                "int" => frontier.cancel(CancelReason::Interrupt, CleanUp::Kept),
                _ => frontier.cancel(CancelReason::SecondSignal, CleanUp::Dropped),
            }
        } else if let Some(name) = word.strip_suffix('!') {
            frontier.halt(find(name), CancelReason::Deadline, CleanUp::Kept);
        } else if let Some(name) = word.strip_suffix('?') {
            frontier.violated(find(name), &CheckId::new(None, "claim"));
        } else if let Some(name) = word.strip_suffix('^') {
            assert!(frontier.up(find(name)));
        } else {
            let (name, outcome) = word.split_once('=').unwrap_or((word, "passed"));
            frontier.settled(find(name), outcome_named(outcome));
        }
        lines.push(format!("{word}: {}", happened(&graph, &mut frontier)));
    }
    if frontier.is_over() {
        lines.push(format!("over: {}", frontier.verdict().0));
    }
    lines.join("\n")
}

fn outcome_named(name: &str) -> Outcome {
    [Outcome::Failed, Outcome::Errored, Outcome::Inconclusive, Outcome::Cancelled, Outcome::Passed]
        .into_iter()
        .find(|outcome| outcome.word() == name)
        .expect("an outcome")
}

fn happened(graph: &Graph, frontier: &mut Frontier) -> String {
    let id = |step: StepIx| graph.node(step).id.as_str();
    let mut said = Vec::new();
    while let Some(next) = frontier.next_move() {
        match next {
            Move::Open(step) => {
                said.push(format!("open {}", id(step)));
                frontier.opened(step);
            }
            Move::Start(step) => {
                said.push(format!("start {}", id(step)));
                frontier.started(step);
            }
            Move::Up(step) => said.push(format!("up {}", id(step))),
            Move::Skip(step, reason) => {
                said.push(format!("skip {} ({})", id(step), short(&reason)));
            }
            Move::Stop(step, reason) => said.push(format!("stop {} ({reason:?})", id(step))),
            Move::Close { step, outcome, by } => {
                let by = by.map_or(String::new(), |by| format!(" by {}", id(by)));
                said.push(format!("close {} {outcome}{by}", id(step)));
                frontier.settled(step, outcome);
            }
        }
    }
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

fn short(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Need { step, outcome } => format!("{step} {outcome}"),
        SkipReason::If { .. } => "if".into(),
        SkipReason::Flag { flag } => flag.clone(),
        SkipReason::NoCells => "no cells".into(),
        SkipReason::NothingFailed => "nothing failed".into(),
        SkipReason::RoundFailed { step } => format!("round {step}"),
        SkipReason::RoundViolated { check } => format!("check {check}"),
        SkipReason::Group { step } => format!("in {step}"),
        SkipReason::Cancelled { by } => format!("{by:?}"),
    }
}

fn leave_out(name: &'static str) -> impl FnOnce(&Graph, &mut Rules) {
    move |graph, rules| {
        let step = graph.all().find(|&step| graph.node(step).id.as_str() == name);
        let flag = SkipReason::Flag { flag: format!("--skip {name}") };
        rules.left_out.insert(step.unwrap(), flag);
    }
}

#[test]
fn equals_start_in_file_order_and_needs_hold_back() {
    let plan = "
        b sleep
        a sleep
        d sleep needs=b,a
        c sleep needs=b";
    insta::assert_snapshot!(play(plan, "b a c d"), @r"
    begin: start b, start a
    b: start c
    a: start d
    c: -
    d: -
    over: pass
    ");
}

#[test]
fn a_failure_skips_what_needs_it_and_clean_up_runs() {
    let plan = "
        install sleep
        verify sleep needs=install
        later sleep needs=verify
        beside sleep
        logs sleep failed
        remove sleep always needs=verify
        tidy sleep always";
    insta::assert_snapshot!(play(plan, "install=failed remove beside logs=errored tidy"), @r"
    begin: start install, start beside
    install=failed: skip verify (install failed), skip later (verify skipped), start remove
    remove: -
    beside: start logs, start tidy
    logs=errored: -
    tidy: -
    over: fail
    ");
    insta::assert_snapshot!(play(plan, "install verify remove later beside tidy"), @r"
    begin: start install, start beside
    install: start verify
    verify: start later, start remove
    remove: -
    later: -
    beside: skip logs (nothing failed), start tidy
    tidy: -
    over: pass
    ");
}

#[test]
fn a_skip_waits_for_everything_it_needs() {
    // Clean-up after `both` must not run beside `slow`.
    let plan = "
        quick sleep
        slow sleep
        both sleep needs=quick,slow
        tidy sleep always needs=both";
    insta::assert_snapshot!(play(plan, "quick=failed slow tidy"), @r"
    begin: start quick, start slow
    quick=failed: -
    slow: skip both (quick failed), start tidy
    tidy: -
    over: fail
    ");
}

#[test]
fn what_is_left_out_by_choice_passes_its_needs_on() {
    let plan = "
        a sleep
        g group needs=a
        g/x sleep
        g/y sleep needs=x
        c sleep needs=g";
    insta::assert_snapshot!(play_with(plan, leave_out("g"), "a c"), @r"
    begin: start a
    a: skip g (--skip g), skip g/x (--skip g), skip g/y (--skip g), start c
    c: -
    over: pass
    ");
    insta::assert_snapshot!(play_with(plan, leave_out("g"), "a=failed"), @r"
    begin: start a
    a=failed: skip g (a failed), skip g/x (in g), skip g/y (in g), skip c (g skipped)
    over: fail
    ");
}

#[test]
fn rounds_follow_each_other() {
    let plan = "
        r repeat
        r[1] group
        r[1]/kill sleep
        r[1]/back sleep needs=kill
        r[2] group needs=r[1]
        r[2]/kill sleep
        r[2]/back sleep needs=kill
        r[3] sleep needs=r[2]
        after sleep needs=r";
    let stop = |graph: &Graph, rules: &mut Rules| {
        rules.stop_on_failure.insert(graph.children(None)[0]);
    };
    insta::assert_snapshot!(play(plan, "r[1]/kill=failed r[2]/kill r[2]/back r[3]"), @r"
    begin: open r, open r[1], start r[1]/kill
    r[1]/kill=failed: skip r[1]/back (r[1]/kill failed), close r[1] failed by r[1]/kill, open r[2], start r[2]/kill
    r[2]/kill: start r[2]/back
    r[2]/back: close r[2] passed, start r[3]
    r[3]: close r failed by r[1]/kill, skip after (r failed)
    over: fail
    ");
    insta::assert_snapshot!(play_with(plan, stop, "r[1]/kill r[1]/back=inconclusive"), @r"
    begin: open r, open r[1], start r[1]/kill
    r[1]/kill: start r[1]/back
    r[1]/back=inconclusive: close r[1] inconclusive by r[1]/back, skip r[2] (round r[1]), skip r[2]/kill (in r[2]), skip r[2]/back (in r[2]), skip r[3] (round r[1]), close r inconclusive by r[1]/back, skip after (r inconclusive)
    over: inconclusive
    ");
}

#[test]
fn a_violated_check_ends_the_rounds_and_changes_no_outcome() {
    let plan = "
        r repeat
        r[1] group
        r[1]/a sleep
        r[2] group needs=r[1]
        r[2]/a sleep
        r[3] group needs=r[2]
        r[3]/a sleep
        after sleep needs=r
        tidy sleep always";
    let stop = |graph: &Graph, rules: &mut Rules| {
        rules.stop_on_failure.insert(graph.children(None)[0]);
    };
    insta::assert_snapshot!(play_with(plan, stop, "r[1]? r[1]/a tidy"), @r"
    begin: open r, open r[1], start r[1]/a
    r[1]?: -
    r[1]/a: close r[1] passed, skip r[2] (check claim), skip r[2]/a (in r[2]), skip r[3] (check claim), skip r[3]/a (in r[3]), close r inconclusive by r[2], skip after (r inconclusive), start tidy
    tidy: -
    over: inconclusive
    ");
    assert_eq!(
        play(plan, "r[1]? r[1]/a r[2]/a r[3]/a after tidy").lines().last(),
        Some("over: pass"),
        "without `stop-on-failure` a check skips nothing"
    );
}

#[test]
fn what_is_postponed_counts_as_not_begun() {
    let graph = graph("g group\ng/a sleep\nb sleep\nc sleep needs=b");
    let [g, _, b, c] = [0, 1, 2, 3].map(StepIx::new);
    let mut frontier = Frontier::new(&graph, &Rules::default());
    assert_eq!([frontier.next_move(), frontier.next_move()], [Some(Move::Open(g)), Some(Move::Start(b))]);
    frontier.postpone(g);
    frontier.postpone(b);
    assert_eq!(frontier.next_move(), None);
    frontier.resume(b);
    frontier.resume(g);
    assert_eq!([frontier.next_move(), frontier.next_move()], [Some(Move::Open(g)), Some(Move::Start(b))]);
    frontier.postpone(g);
    frontier.cancel(CancelReason::Interrupt, CleanUp::Kept);
    frontier.resume(g);
    let by = || SkipReason::Cancelled { by: CancelReason::Interrupt };
    let left: Vec<Move> = std::iter::from_fn(|| frontier.next_move()).collect();
    let a = StepIx::new(1);
    assert_eq!(left, [g, a, b, c].map(|step| Move::Skip(step, by())), "none of them has begun");
    assert!(frontier.is_over());
}

#[test]
fn cells_run_side_by_side_and_none_is_a_choice() {
    let plan = "
        v cells
        v[one] sleep
        v[two] sleep
        none cells needs=v
        after sleep needs=none";
    insta::assert_snapshot!(play(plan, "v[two] v[one] after"), @r"
    begin: open v, start v[one], start v[two]
    v[two]: -
    v[one]: close v passed, skip none (no cells), start after
    after: -
    over: pass
    ");
    insta::assert_snapshot!(play(plan, "v[two]=errored v[one]=failed"), @r"
    begin: open v, start v[one], start v[two]
    v[two]=errored: -
    v[one]=failed: close v failed by v[one], skip none (v failed), skip after (none skipped)
    over: fail
    ");
}

#[test]
fn a_background_step_is_there_once_up_and_ends_with_another() {
    let plan = "
        io sleep until=upgrade
        upgrade sleep needs=io
        after sleep needs=upgrade
        tidy sleep always";
    insta::assert_snapshot!(play(plan, "io^ upgrade io after tidy"), @r"
    begin: start io
    io^: start upgrade
    upgrade: stop io (Until), start after
    io: -
    after: start tidy
    tidy: -
    over: pass
    ");
    // A failure after up takes back no need and counts.
    insta::assert_snapshot!(play(plan, "io^ io=failed upgrade after tidy"), @r"
    begin: start io
    io^: start upgrade
    io=failed: -
    upgrade: start after
    after: start tidy
    tidy: -
    over: fail
    ");
    insta::assert_snapshot!(play(plan, "io=failed tidy"), @r"
    begin: start io
    io=failed: skip upgrade (io failed), skip after (upgrade skipped), start tidy
    tidy: -
    over: fail
    ");
    insta::assert_snapshot!(play_with(plan, leave_out("upgrade"), "io^"), @r"
    begin: start io
    io^: skip upgrade (--skip upgrade), stop io (Until), start after
    ");
}

#[test]
fn what_was_to_run_beside_a_step_and_never_did_is_no_pass() {
    let plan = "
        slow sleep
        io sleep needs=slow until=quick
        quick sleep";
    insta::assert_snapshot!(play(plan, "quick slow"), @r"
    begin: start slow, start quick
    quick: -
    slow: skip io (Until)
    over: inconclusive
    ");
}

#[test]
fn a_background_part_is_up_when_all_in_it_passed_or_is_up() {
    let plan = "
        io cells until=upgrade
        io[1] group
        io[1]/make sleep
        io[1]/run sleep needs=make
        io[1]/tidy sleep always
        upgrade sleep needs=io
        after sleep needs=io,upgrade";
    insta::assert_snapshot!(play(plan, "io[1]/make io[1]/run^ upgrade io[1]/run io[1]/tidy after"), @r"
    begin: open io, open io[1], start io[1]/make
    io[1]/make: start io[1]/run
    io[1]/run^: up io, start upgrade
    upgrade: stop io[1]/run (Until), start after
    io[1]/run: start io[1]/tidy
    io[1]/tidy: close io[1] passed, close io passed
    after: -
    over: pass
    ");
    // Its step ended before it was up.
    let plan = "
        io group until=other
        io/make sleep
        io/run sleep needs=make
        other sleep";
    insta::assert_snapshot!(play(plan, "other io/make=cancelled"), @r"
    begin: open io, start io/make, start other
    other: stop io/make (Until)
    io/make=cancelled: skip io/run (Until), close io inconclusive
    over: inconclusive
    ");
}

#[test]
fn a_background_repeat_is_up_after_its_first_round() {
    let plan = "
        chaos repeat until=load
        chaos[1] sleep until=load
        chaos[2] sleep needs=chaos[1] until=load
        chaos[3] sleep needs=chaos[2] until=load
        load sleep needs=chaos";
    insta::assert_snapshot!(play(plan, "chaos[1] load chaos[2]=cancelled"), @r"
    begin: open chaos, start chaos[1]
    chaos[1]: up chaos, start chaos[2], start load
    load: stop chaos[2] (Until)
    chaos[2]=cancelled: skip chaos[3] (Until), close chaos passed
    over: pass
    ");
    insta::assert_snapshot!(play(plan, "chaos[1] chaos[2]=failed load chaos[3]=cancelled"), @r"
    begin: open chaos, start chaos[1]
    chaos[1]: up chaos, start chaos[2], start load
    chaos[2]=failed: start chaos[3]
    load: stop chaos[3] (Until)
    chaos[3]=cancelled: close chaos failed by chaos[2]
    over: fail
    ");
}

#[test]
fn a_group_is_up_through_what_runs_beside_a_step_outside() {
    let plan = "
        g group
        g/io sleep until=/load
        g/check sleep
        load sleep needs=g
        tidy sleep always needs=g";
    insta::assert_snapshot!(play(plan, "g/io^ g/check load g/io tidy"), @r"
    begin: open g, start g/io, start g/check
    g/io^: -
    g/check: up g, start load
    load: stop g/io (Until)
    g/io: close g passed, start tidy
    tidy: -
    over: pass
    ");
}

#[test]
fn a_step_that_runs_until_the_clean_up_does_not_block_it() {
    let plan = "
        io sleep until=tidy
        work sleep needs=io
        tidy sleep always";
    insta::assert_snapshot!(play(plan, "io^ work tidy io"), @r"
    begin: start io
    io^: start work
    work: start tidy
    tidy: stop io (Until)
    io: -
    over: pass
    ");
}

#[test]
fn a_first_signal_keeps_clean_up_and_a_second_does_not() {
    let plan = "
        a sleep
        b sleep needs=a
        g group needs=b
        g/x sleep
        tidy sleep always needs=b
        logs sleep failed
        last sleep always";
    insta::assert_snapshot!(play(plan, "!int a=cancelled tidy last"), @r"
    begin: start a
    !int: stop a (Interrupt)
    a=cancelled: skip b (Interrupt), skip g (Interrupt), skip g/x (Interrupt), skip logs (nothing failed), start tidy, start last
    tidy: -
    last: -
    over: cancelled
    ");
    insta::assert_snapshot!(play(plan, "!int a=cancelled !int2 tidy=cancelled last=cancelled"), @r"
    begin: start a
    !int: stop a (Interrupt)
    a=cancelled: skip b (Interrupt), skip g (Interrupt), skip g/x (Interrupt), skip logs (nothing failed), start tidy, start last
    !int2: stop tidy (SecondSignal), stop last (SecondSignal)
    tidy=cancelled: -
    last=cancelled: -
    over: cancelled
    ");
}

#[test]
fn fail_fast_names_the_failed_need_where_there_is_one() {
    let plan = "
        a sleep
        b sleep needs=a
        c sleep
        d sleep needs=c
        logs sleep failed";
    insta::assert_snapshot!(play(plan, "a=failed !failfast c=cancelled logs"), @r"
    begin: start a, start c
    a=failed: skip b (a failed)
    !failfast: stop c (FailFast)
    c=cancelled: skip d (FailFast), start logs
    logs: -
    over: fail
    ");
}

#[test]
fn a_group_that_runs_out_of_time_ends_what_is_inside_and_keeps_its_clean_up() {
    let plan = "
        g group
        g/x sleep
        g/y sleep needs=x
        g/tidy sleep always
        after sleep needs=g
        beside sleep";
    insta::assert_snapshot!(play(plan, "g! g/x=cancelled g/tidy beside"), @r"
    begin: open g, start g/x, start beside
    g!: stop g/x (Deadline)
    g/x=cancelled: skip g/y (Deadline), start g/tidy
    g/tidy: close g cancelled by g/x, skip after (g cancelled)
    beside: -
    over: cancelled
    ");
}

#[test]
fn ten_thousand_steps_settle() {
    let mut plan = String::new();
    for i in 0..5_000 {
        writeln!(plan, "wide-{i} sleep").unwrap();
        let need = if i == 0 { String::new() } else { format!("needs=chain-{}", i - 1) };
        writeln!(plan, "chain-{i} sleep {need}").unwrap();
    }
    plan.push_str("tidy sleep always\n");
    let graph = graph(&plan);
    let mut frontier = Frontier::new(&graph, &Rules::default());
    let mut started = Vec::new();
    while !frontier.is_over() {
        while let Some(Move::Start(step)) = frontier.next_move() {
            frontier.started(step);
            started.push(step);
        }
        let step = started.pop().expect("something runs until it is over");
        frontier.settled(step, Outcome::Passed);
    }
    assert!(graph.all().all(|step| frontier.outcome(step) == Some(Outcome::Passed)));
}
