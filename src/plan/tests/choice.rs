use super::*;

const PLAN: &str = r#"
plan.name = "p"
[vars]
on = false
[steps.a]
command.args = ["x"]
[steps.b]
needs = ["a"]
repeat.times = 2
steps.one.command.args = ["x"]
steps.out = { needs = ["one"], command.args = ["x"] }
[steps.c]
needs = ["b"]
if = "vars.on"
command.args = ["x"]
[steps.d]
needs = ["c"]
command.args = ["x"]
[steps.tidy]
when = "always"
needs = ["b"]
command.args = ["x"]
[steps.tidy-d]
when = "always"
needs = ["d"]
command.args = ["x"]
[steps.cells]
for-each = ["x", "y"]
if = "item == 'x'"
command.args = ["x"]
"#;

fn with(only: &[&str], skip: &[&str]) -> String {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let settings = Settings { only: owned(only), skip: owned(skip), ..Settings::default() };
    match load_files(&[("p.toml", PLAN)], &settings) {
        Ok(plan) => outline(&plan),
        Err(problems) => {
            assert!(problems.is_usage());
            problems.draw(false)
        }
    }
}

#[test]
fn a_false_if_leaves_out() {
    insta::assert_snapshot!(with(&[], &[]), @r#"
    a command
    b repeat <- a
      b[01] group
        b[01]/one command
        b[01]/out command <- b[01]/one
      b[02] group <- b[01]
        b[02]/one command
        b[02]/out command <- b[02]/one
    c command <- b (If("vars.on"))
    d command <- c
    tidy command <- b
    tidy-d command <- d
    cells cells
      cells[x] command
      cells[y] command (If("item == 'x'"))
    "#);
}

#[test]
fn only_runs_a_step_with_what_it_needs_and_what_cleans_up_after_it() {
    insta::assert_snapshot!(with(&["b/one"], &[]), @r#"
    a command
    b repeat <- a
      b[01] group
        b[01]/one command
        b[01]/out command <- b[01]/one (Flag("--only b/one"))
      b[02] group <- b[01]
        b[02]/one command
        b[02]/out command <- b[02]/one (Flag("--only b/one"))
    c command <- b (If("vars.on"))
    d command <- c (Flag("--only b/one"))
    tidy command <- b
    tidy-d command <- d (Flag("--only b/one"))
    cells cells (Flag("--only b/one"))
      cells[x] command
      cells[y] command (If("item == 'x'"))
    "#);
    insta::assert_snapshot!(with(&["d"], &[]), @r#"
    a command
    b repeat <- a
      b[01] group
        b[01]/one command
        b[01]/out command <- b[01]/one
      b[02] group <- b[01]
        b[02]/one command
        b[02]/out command <- b[02]/one
    c command <- b (If("vars.on"))
    d command <- c
    tidy command <- b
    tidy-d command <- d
    cells cells (Flag("--only d"))
      cells[x] command
      cells[y] command (If("item == 'x'"))
    "#);
}

#[test]
fn skip_leaves_out_by_name_or_id() {
    insta::assert_snapshot!(with(&[], &["b[01]", "tidy", "cells[y]"]), @r#"
    a command
    b repeat <- a
      b[01] group (Flag("--skip b[01]"))
        b[01]/one command
        b[01]/out command <- b[01]/one
      b[02] group <- b[01]
        b[02]/one command
        b[02]/out command <- b[02]/one
    c command <- b (If("vars.on"))
    d command <- c
    tidy command <- b (Flag("--skip tidy"))
    tidy-d command <- d
    cells cells
      cells[x] command
      cells[y] command (If("item == 'x'"))
    "#);
}

#[test]
fn a_name_that_matches_nothing_is_a_mistake() {
    insta::assert_snapshot!(with(&["tydi"], &["nothing-like-it"]), @r"
    error: `--only tydi`: the plan has no such step
     |
     = help: did you mean `tidy`?

    error: `--skip nothing-like-it`: the plan has no such step
     |
     = help: there are `a`, `b`, `c`, `d`, `tidy`, `tidy-d` and `cells`

    2 problems
    ");
}

#[test]
fn vars_are_set_by_the_defaults_type() {
    let plan = "plan.name = 'p'\n[vars]\ntext = 'a'\nnumber = 1\nflag = true\nlist = []\nfree = { env = 'FREE' }\nmade = '${vars.number}'\nhidden = { default = '', secret = true }\n[steps.a]\ncommand.args = ['x']";
    let set = |set: &[(&str, &str)], env: &[(&str, &str)]| {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let settings = Settings { set: pairs(set), env: pairs(env).into_iter().collect(), ..Settings::default() };
        match load_files(&[("p.toml", plan)], &settings) {
            Ok(plan) => format!("{} {:?}", serde_json::Value::Object(plan.vars), plan.secrets),
            Err(problems) => problems.draw(false),
        }
    };
    insta::assert_snapshot!(set(&[("text", "3"), ("number", "7"), ("flag", "false"), ("list", "[1, 'x']"), ("free", "[1]"), ("hidden", "abc")], &[]), @r#"{"text":"3","number":7,"flag":false,"list":[1,"x"],"free":[1],"made":7} [("hidden", "abc")]"#);
    insta::assert_snapshot!(set(&[("made", "x")], &[("FREE", "some words")]), @r#"{"text":"a","number":1,"flag":true,"list":[],"free":"some words","made":"x"} []"#);
    insta::assert_snapshot!(set(&[("number", "x"), ("flag", "1"), ("lsit", "3"), ("list", "3")], &[("FREE", "x")]), @r#"
    error: `--set flag=1`: expected `true` or `false`

    error: `--set list=3`: expected a list such as `["a", "b"]`

    error: `--set lsit=…`: the plan has no var `lsit`
     |
     = help: did you mean `list`?

    error: `--set number=x`: expected a whole number

    4 problems
    "#);
}

#[test]
fn values_come_from_files_too_and_the_files_are_not_kept() {
    let files = [
        ("p.toml", "plan.name = 'p'\n[vars]\na = 1\nb = 'x'\n[steps.a]\ncommand.args = ['x']"),
        ("v.toml", "a = 2\nb = 'y'\n"),
        ("w.toml", "bb = 'z'\n"),
    ];
    let with = |name: &str| Settings {
        vars_files: vec![name.into()],
        set: vec![("b".into(), "z".into())],
        ..Settings::default()
    };
    let plan = load_files(&files, &with("v.toml")).unwrap();
    assert_eq!(serde_json::Value::Object(plan.vars), serde_json::json!({ "a": 2, "b": "z" }));
    assert_eq!(plan.files.len(), 1);
    insta::assert_snapshot!(lines(&files, &with("w.toml")), @"w.toml:1:1 [bb] the plan has no var `bb` | did you mean `b`?");
    insta::assert_snapshot!(lines(&files, &with("u.toml")), @"`u.toml` is not there");
}

#[test]
fn a_namespace_from_the_command_line_stands_for_the_plans_own_and_leaves_a_parts_alone() {
    let files = [
        (
            "p.toml",
            "plan.name = 'p'\nplan.namespace = 'mine'\n[objects.a]\nresource = 'pods'\n[objects.b]\nresource = 'pods'\nnamespace = 'b'\n[steps.part]\npart = { file = 'q.toml' }",
        ),
        ("q.toml", "plan.namespace = 'theirs'\n[objects.c]\nresource = 'pods'\n[steps.s]\nwait = { on = 'c' }"),
    ];
    let namespaces = |namespace: Option<&str>| {
        let settings = Settings { namespace: namespace.map(str::to_owned), ..Settings::default() };
        let plan = load_files(&files, &settings).unwrap();
        let queries = plan.selections.iter().map(|selection| match &selection.source {
            crate::plan::Source::Api(query) => query.namespace.clone(),
            crate::plan::Source::On(_) => unreachable!("every selection asks the server"),
        });
        (plan.namespace.clone(), queries.collect::<Vec<_>>())
    };
    assert_eq!(namespaces(None), ("mine".into(), vec!["mine".into(), "b".into(), "theirs".into()]));
    assert_eq!(namespaces(Some("other")), ("other".into(), vec!["other".into(), "b".into(), "theirs".into()]));
}
