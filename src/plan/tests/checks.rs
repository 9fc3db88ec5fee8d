use super::*;
use crate::expr::Shared;
use crate::plan::{Claim, Edges};
use serde_json::json;

const PLAN: &str = r#"
[plan]
name = "p"
covers = ["C1", "C2", "C3"]
[vars]
rounds = 2
limit = 3
[objects]
pods = { resource = "pods" }
node = { resource = "nodes", name = "n1" }
files = { on = "node", each = "o.status.files" }
[steps.first]
command = { args = ["x"] }
[steps.restart]
needs = ["first"]
repeat = { times = "${vars.rounds}" }
[steps.restart.steps.kill]
command = { args = ["x"] }
[steps.restart.steps.back]
needs = ["kill"]
for-each = ["a", "b"]
command = { args = ["x"] }
[steps.part]
needs = ["restart"]
for-each = 2
part = { file = "parts/inner.toml", with = { name = "n${string(item)}" } }
[steps.last]
needs = ["part"]
command = { args = ["x"] }
[checks.whole]
covers = ["C1"]
about = "at most ${string(vars.limit)}"
count = { on = "pods", at-most = "${vars.limit}", min = 0 }
[checks.per-round]
covers = ["C2"]
during = "restart"
always = { on = "files", that = "o.state == 'ready' || round > 1 || steps.first.code == 0" }
[checks.inside]
covers = ["C2"]
during = "restart/back"
about = "cell ${item} of round ${string(round)}"
recovers = { on = "files", that = "o.state == item", within = "5m" }
[checks.between]
during = { from = "restart", to = "last" }
judge = "report"
transitions = { on = "files", value = "o.state", allow = ["ready -> unknown", "* -> ready"] }
[checks.left]
if = "vars.rounds > 5"
never = { on = "pods" }
[checks.family]
during = "restart"
judge = "report"
part = { file = "parts/family.toml", with = { who = "w${string(round)}", code = "${steps.first.code}" } }
"#;

const INNER: &str = r#"
[vars]
name = { required = true }
[objects]
own = { resource = "pods", name = "${vars.name}" }
[steps.act]
command = { args = ["x"] }
[checks.kept]
constant = { on = "own", value = "o.spec.nodeName" }
[checks.during]
during = "act"
never = { on = "own", that = "start != null && o.metadata.uid != start.metadata.uid" }
"#;

const FAMILY: &str = r#"
[vars]
who = { required = true }
code = 0
[objects]
own = { resource = "pods", name = "${vars.who}" }
[checks.identity]
covers = ["C1", "other"]
sequence = { on = "own", value = "o.phase", seen = ["a", "b"] }
[checks.count]
if = "vars.who != 'w2'"
count = { on = "own", that = "o.code == vars.code", at-least = 1, per-track = true }
"#;

fn plan() -> Plan {
    good_files(&[("plans/p.toml", PLAN), ("plans/parts/inner.toml", INNER), ("plans/parts/family.toml", FAMILY)])
}

#[test]
fn one_for_each_use_cell_and_round() {
    let said: Vec<String> = plan()
        .checks
        .iter()
        .map(|check| {
            let step = |id: &Option<crate::id::StepId>| id.as_ref().map_or("-".to_owned(), ToString::to_string);
            let round = check.round.as_ref().map(|round| format!(" = {} #{}", round.of, round.number));
            let left = check.left_out.as_ref().map(|left| format!(" {left:?}"));
            let judge = if check.judge.is_fail() { "" } else { " (report)" };
            format!(
                "{}: {} on {} [{} .. {}]{judge}{}{}",
                check.id,
                check.claim.operator(),
                check.on,
                step(&check.opens),
                step(&check.closes),
                round.unwrap_or_default(),
                left.unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    part[0]/kept: constant on part[0]/own [part[0] .. part[0]] = part/kept #1
    part[0]/during: never on part[0]/own [part[0]/act .. part[0]/act] = part/during #1
    part[1]/kept: constant on part[1]/own [part[1] .. part[1]] = part/kept #2
    part[1]/during: never on part[1]/own [part[1]/act .. part[1]/act] = part/during #2
    whole: count on pods [- .. -]
    per-round[01]: always on files [restart[01] .. restart[01]] = per-round #1
    per-round[02]: always on files [restart[02] .. restart[02]] = per-round #2
    inside[01][a]: recovers on files [restart[01]/back[a] .. restart[01]/back[a]] = inside #1
    inside[01][b]: recovers on files [restart[01]/back[b] .. restart[01]/back[b]] = inside #2
    inside[02][a]: recovers on files [restart[02]/back[a] .. restart[02]/back[a]] = inside #3
    inside[02][b]: recovers on files [restart[02]/back[b] .. restart[02]/back[b]] = inside #4
    between: transitions on files [restart .. last] (report)
    left: never on pods [- .. -] If("vars.rounds > 5")
    family/identity[01]: sequence on checks.family[01]/own [restart[01] .. restart[01]] (report) = family/identity #1
    family/count[01]: count on checks.family[01]/own [restart[01] .. restart[01]] (report) = family/count #1
    family/identity[02]: sequence on checks.family[02]/own [restart[02] .. restart[02]] (report) = family/identity #2
    family/count[02]: count on checks.family[02]/own [restart[02] .. restart[02]] (report) = family/count #2 If("vars.who != 'w2'")
    "#);
}

#[test]
fn a_check_says_what_is_written() {
    let plan = plan();
    let find = |id: &str| plan.checks.iter().find(|check| check.id.as_str() == id).unwrap();
    let whole = find("whole");
    assert_eq!(whole.about, "at most 3");
    assert_eq!(whole.written, r#"count = { on = "pods", at-most = "${vars.limit}", min = 0 }"#);
    assert_eq!((whole.place.file.as_str(), whole.place.line), ("plans/p.toml", 30));
    assert_eq!(find("inside[02][a]").about, "cell a of round 2");
    assert_eq!(find("family/identity[01]").covers, ["C1"], "a part may know the requirements of others too");
    let Claim::Transitions { edges: Edges::Allow(edges), .. } = &find("between").claim else { panic!("it moves") };
    assert!(edges[0].fits("ready", "unknown") && edges[1].fits("x", "ready") && !edges[0].fits("ready", "failed"));
    let nodes = plan.check_nodes();
    assert_eq!(nodes.len(), plan.checks.len());
}

#[test]
fn a_check_sees_what_had_settled_when_its_window_opened() {
    let plan = plan();
    let find = |id: &str| plan.checks.iter().find(|check| check.id.as_str() == id).unwrap();
    let outputs = |id: &crate::id::StepId| (id.as_str() == "first").then(|| Shared::from(json!({ "code": 7 })));
    let env = find("per-round[02]").scope.env(&Shared::from(json!({})), &outputs);
    assert_eq!(env.get("steps"), Some(&json!({ "first": { "code": 7 } })));
    assert_eq!(env.get("round"), Some(&json!(2)));
    let env = find("inside[02][b]").scope.env(&Shared::from(json!({})), &outputs);
    assert_eq!((env.get("item"), env.get("round")), (Some(&json!("b")), Some(&json!(2))));
    // An argument of a part may come from a step.
    let env = find("family/count[01]").scope.env(&Shared::from(json!({})), &outputs);
    assert_eq!(env.get("vars"), Some(&json!({ "code": 7, "who": "w1" })));
}

#[test]
fn requirements_are_covered_by_checks_too() {
    let covered: Vec<String> = crate::plan::coverage(&plan())
        .iter()
        .map(|(id, covering)| format!("{id}: {} {}", covering.steps.len(), covering.checks.join(", ")))
        .collect();
    assert_eq!(covered, ["C1: 0 whole, family/identity", "C2: 0 per-round, inside", "C3: 0 "]);
}

#[test]
fn mistakes_in_checks() {
    let steps = "[objects]\npods.resource = 'pods'\nfiles = { on = 'pods', each = 'o.m' }\n[steps]\na.command.args = ['x']\nb = { needs = ['a'], command.args = ['x'] }\n";
    let cases = [
        "[checks]\nC = { never.on = 'pods' }\nd = 3\ne = {}",
        "[checks]\nc = { nevr.on = 'pods' }",
        "[checks]\nc = { never.on = 'pods', always = { on = 'pods', that = 'true' } }",
        "[checks]\nc = { never = { on = 'podz', taht = 'x' }, juge = 'fail' }",
        "[checks]\nc = { never.on = 'pods', judge = 'warn', during = 3 }\nd = { never.on = 'pods', during = { from = 'a' } }",
        "[checks]\nc = { never.on = 'pods', during = 'aa' }\nd = { never.on = 'pods', during = { from = 'b', to = 'a' } }",
        "[checks]\nc = { never.on = 'pods', during = 'a/x' }\nd = { never.on = 'pods', during = { from = 'b', to = 'a/x' } }",
        "[checks]\nc = { always = { on = 'pods', that = \"age(o) > duration('1s') && objects.pods.size() > 0 && key == 'x'\" } }",
        "[checks]\nc = { always = { on = 'files', that = 'key == parent.x && strat == o' }, during = 'b' }",
        "[checks]\nc = { always = { on = 'pods', that = 'o.x == steps.a.stdout' } }\nd = { during = 'b', always = { on = 'pods', that = 'steps.a.stdout == steps.b.stdout || steps.a.nope' } }",
        "[checks]\nc = { always = { on = 'pods', that = 'round == item' }, during = 'b', if = 'round == 1' }",
        "[checks]\nc = { transitions = { on = 'pods', value = 'o.x', allow = ['a > b', '${vars.x} -> b'] } }",
        "[checks]\nc = { transitions = { on = 'pods', value = 'o.x' } }\nd = { transitions = { on = 'pods', value = 'o.x', allow = [], forbid = [] } }",
        "[checks]\nc = { count = { on = 'pods' } }\nd = { count = { on = 'pods', at-least = 3, at-most = 2 } }\ne = { sequence = { on = 'pods', value = 'o.x', seen = [] } }",
        "[checks]\nc = { recovers = { on = 'pods', that = 'o.x', within = '5 m m' } }\nd = { recovers = { on = 'pods', that = 'o.x +' } }",
        "[checks]\nc = { part.file = 'nope.toml' }\nd = { always = { on = 'pods', that = 'o.x', min = 'x' } }",
    ];
    let cases: Vec<String> = cases.iter().map(|case| format!("{steps}{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r#"
    9:1 [C] `C` cannot be the name of a check | names are written in lower case with dashes; expressions spell a dash `_`
    10:1 [d] a check is a table, found a whole number
    11:1 [e] `e` claims nothing | a check has exactly one operator, such as `never = { on = "pods" }`, or `part`

    9:7 [nevr] `nevr` is neither a key of a check nor an operator | did you mean `never`?

    9:26 [always] `c` has `never` and `always` | a check has exactly one operator; make two checks of it

    9:30 [taht] there is no key `taht` here | did you mean `that`?
    9:44 [juge] `juge` is neither a key of a check nor an operator | did you mean `judge`?

    9:34 ['warn'] expected `fail` or `report`, found `warn` | there are `fail` and `report`
    9:51 [3] expected a step, or `{ from = "…", to = "…" }`, found a whole number
    10:26 [during] `to` is missing | a window opens before the step `from` acts and closes when the step `to` has settled

    9:35 ['aa'] there is no step `aa` | did you mean `a`?
    10:54 ['a'] `a` has settled before `b` starts: the window would never be open

    9:35 ['a/x'] `a` is no group of this file: there is no step inside it to name
    10:54 ['a/x'] `a/x` is not beside `b` | a window opens and closes with steps of one group; name the group that holds both

    9:38 ["age(o) > duration('1s') && objects.pods.size() > 0 && key == 'x'"] `age` cannot be used in a check: it would hang on when it is asked | `recovers` says how long something may take
    9:66 [objects.pods] a check is about one track at a time: `objects` is for conditions | `parent` is the object that an entry is in, `start` the track as it was when the window opened
    9:93 [key] `key` belongs to the entries of a map, and these are whole objects | a selection with `on` and `each` has entries

    9:59 [strat] nothing is called `strat` here | did you mean `start`?

    9:46 [steps.a.stdout] no step has settled when this window opens, `a` neither | write `during`: then the steps that settle before it may be used
    10:71 [steps.b.stdout] `b` has not settled when the window opens
    10:89 [steps.a.nope] `command` has no output `nope` | did you mean `code`?

    9:39 [round] `round` is the round of a `repeat`, and this is inside none
    9:48 [item] `item` is the cell of a `for-each`, and this is inside none
    9:77 [round] `round` cannot be used here | which steps there are, and what is watched, is known before the run: only `vars` and `item` may be used

    9:60 ['a > b'] `a > b` is no edge; write it like `ready -> unknown`, or `* -> failed` for any value

    9:7 [transitions] which moves? write `allow` or `forbid` | such as `allow = ["ready -> unknown"]`
    10:7 [transitions] `allow` and `forbid` exclude each other | what is not allowed is forbidden

    9:7 [count] how often? write `at-least`, `at-most` or both
    10:7 [count] at least 3 and at most 2 exclude each other
    11:7 [sequence] `seen` names no value

    9:56 ['5 m m'] `5 m m` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`
    10:46 [] the expression ends too early

    9:19 ['nope.toml'] `nope.toml` is not there
    10:51 ['x'] expected a whole number, 0 or more, found the text "x"
    "#);
}

#[test]
fn the_part_of_a_check_has_checks_only() {
    let said = lines(
        &[
            (
                "p.toml",
                "plan.name = 'p'\n[steps.a]\ncommand.args = ['x']\n[checks.c]\npart = { file = 's.toml' }\n[checks.d]\npart = { file = 'n.toml', with = { x = 1 } }",
            ),
            ("s.toml", "[steps.a]\ncommand.args = ['x']"),
            ("n.toml", "[vars]\ny = { required = true }"),
        ],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @r"
    p.toml:5:17 ['s.toml'] `s.toml` has steps, and the part of a check has checks only
    p.toml:7:17 ['n.toml'] `n.toml` has no checks
    p.toml:7:17 ['n.toml'] `n.toml` needs `y` | write `with = { y = … }`
    p.toml:7:36 [x] `n.toml` has no var `x` | did you mean `y`?
    ");
}
