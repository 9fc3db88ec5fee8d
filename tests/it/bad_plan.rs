//! A wrong plan gets a clear sentence and exit code 2, and nothing is left behind.

use crate::support::Bench;

/// A plan with these steps.
fn plan(rest: &str) -> String {
    format!("[plan]\nname = \"wrong\"\n\n{rest}")
}

#[track_caller]
fn refused(plan: &str, told: &[&str]) {
    let bench = Bench::with(plan);
    bench.lariat(["check", "plan.toml"]).expect(2, told);
    bench.lariat(["run", "plan.toml"]).expect(2, told);
    assert!(!bench.path().join("reports").exists(), "a wrong plan leaves no run folder");
}

#[test]
fn an_empty_plan() {
    refused("", &["plan.toml"]);
    refused("# nothing\n", &["plan.toml"]);
}

#[test]
fn a_plan_that_is_not_utf8() {
    let bench = Bench::new();
    bench.write("plan.toml", b"[plan]\nname = \"\xff\"\n");
    bench.lariat(["check", "plan.toml"]).expect(2, &["plan.toml", "UTF-8"]);
}

#[test]
fn a_plan_that_is_a_folder_or_not_there() {
    let bench = Bench::new();
    bench.write("folder/plan.toml", "");
    bench.lariat(["check", "folder"]).expect(2, &["folder"]);
    bench.write("restart.toml", "");
    bench.lariat(["check", "restrat.toml"]).expect(2, &["restrat.toml", "restart.toml"]);
}

#[test]
fn a_megabyte_of_brackets() {
    for bracket in ["[", "{", "a = [", "a = { b = "] {
        let bench = Bench::with(&bracket.repeat((1 << 20) / bracket.len() - 10));
        bench.lariat(["check", "plan.toml"]).expect(2, &["plan.toml"]);
    }
    let bench = Bench::with(&"[".repeat(2 << 20));
    bench.lariat(["check", "plan.toml"]).expect(2, &["plan.toml"]);
}

#[test]
fn a_cycle_names_all_its_members() {
    refused(
        &plan(
            "[steps.a]\nneeds = [\"c\"]\ncommand = { args = [\"true\"] }\n\
             [steps.b]\nneeds = [\"a\"]\ncommand = { args = [\"true\"] }\n\
             [steps.c]\nneeds = [\"b\"]\ncommand = { args = [\"true\"] }\n",
        ),
        &["a -> ", "b", "c"],
    );
}

#[test]
fn a_part_that_includes_itself() {
    let bench = Bench::with(&plan("[steps.a]\npart = { file = \"part.toml\" }\n"));
    bench.write("part.toml", "[plan]\nname = \"part\"\n[steps.b]\npart = { file = \"other.toml\" }\n");
    bench.write("other.toml", "[plan]\nname = \"other\"\n[steps.c]\npart = { file = \"part.toml\" }\n");
    bench.lariat(["check", "plan.toml"]).expect(2, &["part.toml", "other.toml"]);
}

#[test]
fn two_verbs_in_one_step_or_none() {
    refused(
        &plan("[steps.a]\ncommand = { args = [\"true\"] }\nsleep = { for = \"1s\", because = \"x\" }\n"),
        &["command", "sleep"],
    );
    refused(&plan("[steps.a]\nabout = \"nothing\"\n"), &["`a`"]);
}

#[test]
fn names_that_nothing_has() {
    let command =
        |text: &str| plan(&format!("[vars]\nrounds = 1\n[steps.a]\ncommand = {{ args = [\"echo\", \"{text}\"] }}\n"));
    refused(&command("${vars.ruonds}"), &["ruonds", "rounds"]);
    refused(&command("${steps.b.stdout}"), &["`b`"]);
    refused(&command("${nothing.at.all}"), &["nothing"]);
    refused(
        &plan(
            "[steps.a]\ncommand = { args = [\"true\"] }\n\
             [steps.b]\nneeds = [\"a\"]\ncommand = { args = [\"echo\", \"${steps.a.stdut}\"] }\n",
        ),
        &["stdut", "stdout"],
    );
    refused(&plan("[steps.a]\nwait = { on = \"pods\" }\n"), &["`pods`"]);
    refused(&plan("[objects.a]\nresource = \"pdos\"\n[steps.a]\nwait = { on = \"a\" }\n"), &["pdos", "pods"]);
}

#[test]
fn an_expression_that_would_overflow_a_parser() {
    for source in
        ["(".repeat(4000), "!".repeat(4000), "1+".repeat(2000) + "1", "[".repeat(4000), "a.".repeat(2000) + "a"]
    {
        let bench = Bench::with(&plan(&format!(
            "[objects.a]\nresource = \"pods\"\n[steps.a]\nwait = {{ on = \"a\", that = \"{source}\" }}\n"
        )));
        bench.lariat(["check", "plan.toml"]).expect(2, &["plan.toml"]);
    }
}

#[test]
fn a_flag_that_names_nothing() {
    let bench = Bench::with(&plan("[vars]\nrounds = 1\n[steps.install]\ncommand = { args = [\"true\"] }\n"));
    bench.lariat(["run", "plan.toml", "--only", "instal"]).expect(2, &["instal", "install"]);
    bench.lariat(["run", "plan.toml", "--skip", "nothing"]).expect(2, &["nothing"]);
    bench.lariat(["run", "plan.toml", "--set", "ruonds=2"]).expect(2, &["ruonds", "rounds"]);
    bench.lariat(["run", "plan.toml", "--set", "rounds"]).expect(2, &["--set"]);
    bench.lariat(["run", "plan.toml", "--jobs", "0"]).expect(2, &["--jobs"]);
    bench.lariat(["run", "plan.toml", "--timeout", "5"]).expect(2, &["--timeout"]);
}
