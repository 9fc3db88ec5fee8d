use super::*;

#[test]
fn steps_groups_cells_and_rounds() {
    let plan = good(
        r#"
        [plan]
        name = "p"
        [vars]
        rounds = 10
        names = ["one", "two"]
        [steps.first]
        command = { args = ["true"] }
        [steps.volumes]
        needs = ["first"]
        for-each = "${vars.names}"
        [steps.volumes.steps.make]
        command = { args = ["echo", "${item}"] }
        [steps.volumes.steps.check]
        needs = ["make"]
        command = { args = ["echo", "${steps.make.stdout}"] }
        [steps.restart]
        needs = ["volumes"]
        repeat = { times = "${vars.rounds}" }
        sleep = { for = "1s", because = "round ${string(round)}" }
        [steps.tidy]
        when = "always"
        command = { args = ["rm", "${steps.volumes['one'].make.stdout}", "${steps.restart.took}"] }
        "#,
    );
    insta::assert_snapshot!(outline(&plan), @r"
    first command
    volumes cells <- first
      volumes[one] group
        volumes[one]/make command
        volumes[one]/check command <- volumes[one]/make
      volumes[two] group
        volumes[two]/make command
        volumes[two]/check command <- volumes[two]/make
    restart repeat <- volumes
      restart[01] sleep
      restart[02] sleep <- restart[01]
      restart[03] sleep <- restart[02]
      restart[04] sleep <- restart[03]
      restart[05] sleep <- restart[04]
      restart[06] sleep <- restart[05]
      restart[07] sleep <- restart[06]
      restart[08] sleep <- restart[07]
      restart[09] sleep <- restart[08]
      restart[10] sleep <- restart[09]
    tidy command <- first, volumes, restart
    ");
}

#[test]
fn outputs_after_a_repeat_are_the_last_rounds() {
    use crate::expr::Shared;
    let plan = good(
        r#"
        plan.name = "p"
        [steps.a]
        repeat.times = 3
        steps.one.command.args = ["x"]
        [steps.b]
        needs = ["a"]
        for-each = 2
        command.args = ["${steps.a.one.stdout}"]
        [steps.c]
        needs = ["b"]
        command.args = ["${steps.b[1].stdout}"]
        "#,
    );
    let outputs = |id: &crate::id::StepId| Some(Shared::from(serde_json::json!({ "stdout": id.as_str() })));
    let seen = |id: &str| {
        let step = plan.walk().into_iter().find(|step| step.id.as_str() == id).unwrap();
        let env = step.scope.env(&Shared::from(serde_json::json!({})), &outputs);
        let Body::Verb(verb) = &step.body else { panic!("a verb") };
        let super::super::Verb::Command(command) = verb.as_ref() else { panic!("a command") };
        command.args.get(&env).unwrap().concat()
    };
    assert_eq!([seen("b[0]"), seen("c")], ["a[03]/one", "b[1]"]);
}

#[test]
fn requirements_may_have_sentences_and_a_plan_outputs() {
    let plan = good(
        "[plan]\nname = 'p'\n[plan.covers]\nR1 = 'one'\n'R1.1' = 'more of it'\n\
         [steps.a]\nfor-each = 2\ncovers = ['R1.1']\ncommand = { args = ['x'] }\n[outputs]\nn = '${1 + 1}'",
    );
    assert_eq!(plan.covers, ["R1", "R1.1"]);
    assert_eq!(plan.sentences["R1.1"], "more of it");
    assert!(plan.outputs.is_some());
    let covered = crate::plan::coverage(&plan);
    assert!(covered["R1"].is_empty());
    assert_eq!(covered["R1.1"].steps, ["a"], "cells are not named one by one");
}
