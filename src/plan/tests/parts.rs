use super::*;
use crate::expr::Shared;
use crate::id::StepId;
use serde_json::json;

const PLAN: &str = r#"
[plan]
name = "p"
namespace = "outer"
include = ["objects.toml"]
[vars]
names = ["one", "two"]
chart = "charts/web"
[steps.small]
command = { args = ["echo"] }
[steps.volumes]
needs = ["small"]
for-each = "${vars.names}"
part = { file = "parts/volume.toml", with = { name = "vol-${item}", digest = "${steps.small.stdout}", chart = "./${vars.chart}" } }
[steps.after]
needs = ["volumes"]
command = { args = ["${steps.volumes['two'].pod}", "${steps.volumes['one'].digest}"] }
"#;

const VOLUME: &str = r#"
[plan]
name = "volume"
namespace = "${vars.space}"
[vars]
name = { required = true }
digest = { required = true }
chart = "./own"
space = "inner"
copy = "${vars.digest}-copy"
label = "name=${vars.name}"
[objects.pods]
resource = "pods"
labels = "${vars.label}"
[objects.files]
on = "pods"
each = "o.status.files"
where = "key != vars.name"
[steps.install]
helm-install = { release = "${vars.name}", chart = "${vars.chart}" }
[steps.group.steps.ready]
wait = { on = "files", that = "o.state == 'ready' && key.startsWith(vars.copy)" }
[outputs]
pod = "${vars.name}-0"
digest = "${vars.copy}"
took = "${steps.group.ready.took}"
"#;

const OBJECTS: &str = "[objects]\nnodes.resource = 'no'\n";

fn plan() -> Plan {
    good_files(&[("plans/p.toml", PLAN), ("plans/parts/volume.toml", VOLUME), ("plans/objects.toml", OBJECTS)])
}

#[test]
fn a_part_is_expanded_in_place() {
    let plan = plan();
    insta::assert_snapshot!(outline(&plan), @r"
    small command
    volumes cells <- small
      volumes[one] group
        volumes[one]/install helm-install
        volumes[one]/group group
          volumes[one]/group/ready wait
      volumes[two] group
        volumes[two]/install helm-install
        volumes[two]/group group
          volumes[two]/group/ready wait
    after command <- volumes
    ");
    let paths: Vec<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["plans/p.toml", "plans/objects.toml", "plans/parts/volume.toml"]);
    let node = plan.nodes().into_iter().find(|node| node.id.as_str() == "volumes[one]/install").unwrap();
    assert_eq!((node.file.as_str(), node.line), ("plans/parts/volume.toml", 19));
}

#[test]
fn selections_carry_the_step_before_their_name_and_inherit_the_namespace() {
    let said: Vec<String> = plan()
        .selections
        .iter()
        .map(|selection| {
            let source = match &selection.source {
                super::super::Source::Api(query) => {
                    format!("{} in {} {:?}", query.resource, query.namespace, query.labels)
                }
                super::super::Source::On(on) => format!("on {on}"),
            };
            format!("{}: {source}", selection.id)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    nodes: nodes in outer None
    volumes[one]/pods: pods in inner Some("name=vol-one")
    volumes[one]/files: on volumes[one]/pods
    volumes[two]/pods: pods in inner Some("name=vol-two")
    volumes[two]/files: on volumes[two]/pods
    "#);
}

fn find<'a>(plan: &'a Plan, id: &str) -> &'a Step {
    plan.walk().into_iter().find(|step| step.id.as_str() == id).unwrap()
}

#[test]
fn arguments_that_use_outputs_are_evaluated_when_a_step_acts() {
    let plan = plan();
    let run = Shared::from(json!({ "id": "r" }));
    let outputs = |id: &StepId| (id.as_str() == "small").then(|| Shared::from(json!({ "stdout": "abc" })));
    let env = find(&plan, "volumes[one]/group/ready").scope.env(&run, &outputs);
    assert_eq!(
        env.get("vars"),
        Some(&json!({
            "chart": "./charts/web", "copy": "abc-copy", "digest": "abc", "label": "name=vol-one", "name": "vol-one", "space": "inner"
        }))
    );
    assert_eq!(env.get("run"), Some(&json!({ "id": "r" })));
    // A step that has not settled is absent, and so is what needs it.
    let env = find(&plan, "volumes[one]/group/ready").scope.env(&run, &|_| None);
    assert_eq!(env.get("vars").unwrap().get("copy"), None);
}

#[test]
fn a_step_sees_only_the_steps_that_it_names() {
    let plan = plan();
    let outputs = |id: &StepId| Some(Shared::from(json!({ "pod": format!("{id}-0") })));
    let env = find(&plan, "after").scope.env(&Shared::from(json!({})), &outputs);
    assert_eq!(
        env.get("steps"),
        Some(&json!({ "volumes": { "one": { "pod": "volumes[one]-0" }, "two": { "pod": "volumes[two]-0" } } }))
    );
    let Body::Group { outputs: Some((form, scope)), .. } = &find(&plan, "volumes[two]").body else { panic!("a group") };
    let ready = |id: &StepId| (id.as_str() != "small").then(|| Shared::from(json!({ "took": id.as_str() })));
    let env = scope.env(&Shared::from(json!({})), &ready);
    assert_eq!(
        env.get("steps"),
        Some(&json!({ "group": { "took": "volumes[two]/group", "ready": { "took": "volumes[two]/group/ready" } } }))
    );
    assert_eq!(form.eval(&env).unwrap_err().to_string(), "no such key: `copy`, in `vars.copy`");
}

#[test]
fn paths_are_relative_to_the_file_that_writes_them() {
    let chart = |plan: &Plan| match &find(plan, "volumes[one]/install").body {
        Body::Verb(verb) => match verb.as_ref() {
            super::super::Verb::HelmInstall(install) => format!("{:?}", install.chart),
            _ => panic!("installs"),
        },
        _ => panic!("a verb"),
    };
    // The part's own default stays as it is; what the caller gives starts at the caller.
    assert_eq!(chart(&plan()), r#"Plain("../charts/web")"#);
}

#[test]
fn a_bad_argument_is_told_at_the_callers_line() {
    let said = lines(
        &[
            ("p.toml", "plan.name = 'p'\n[steps.a]\npart = { file = 'v.toml', with = { nmae = 1 } }"),
            ("v.toml", "[vars]\nname = { required = true }\n[steps.a]\ncommand.args = ['${vars.name}']"),
        ],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @r"
    p.toml:3:17 ['v.toml'] `v.toml` needs `name` | write `with = { name = … }`
    p.toml:3:36 [nmae] `v.toml` has no var `nmae` | did you mean `name`?
    ");
}

#[test]
fn what_must_be_known_before_the_run_cannot_come_from_a_step() {
    let said = lines(
        &[
            (
                "p.toml",
                "plan.name = 'p'\n[steps.a]\ncommand.args = ['x']\n[steps.b]\nneeds = ['a']\npart = { file = 'v.toml', with = { n = '${steps.a.stdout}' } }",
            ),
            (
                "v.toml",
                "[vars]\nn = 1\nm = '${vars.n}'\n[objects]\npods = { resource = 'pods', name = '${vars.m}' }\n[steps.a]\nfor-each = '${vars.n}'\ncommand.args = ['x']\n[steps.b]\nif = 'vars.n == 1'\ncommand.args = ['x']",
            ),
        ],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @r"
    v.toml:5:39 [vars.m] `m` is known only during the run, and this must be known before | it was given `${vars.n}` | in the part that `b` uses (p.toml:6)
    v.toml:7:15 [vars.n] `n` is known only during the run, and this must be known before | it was given `${steps.a.stdout}` | in the part that `b` uses (p.toml:6)
    v.toml:10:7 [vars.n] `n` is known only during the run, and this must be known before | it was given `${steps.a.stdout}` | in the part that `b` uses (p.toml:6)
    ");
}

#[test]
fn a_part_that_includes_itself_is_told_with_the_whole_way() {
    let part = |file: &str| format!("plan.name = 'p'\n[steps.a]\npart.file = '{file}'");
    let said = lines(
        &[("a.toml", &part("sub/b.toml")), ("sub/b.toml", &part("../c.toml")), ("c.toml", &part("sub/../sub/b.toml"))],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @"c.toml:3:13 ['sub/../sub/b.toml'] a part includes itself: sub/b.toml -> c.toml -> sub/b.toml | rounds are made with `repeat`, copies with `for-each`");
}

#[test]
fn what_is_wrong_inside_a_part_is_told_once_with_where_it_is_used() {
    let said = lines(
        &[
            (
                "p.toml",
                "plan.name = 'p'\n[steps.a]\nfor-each = 3\npart = { file = 'v.toml', with = { n = 'x' } }\n[steps.b]\npart.file = 'w.toml'\n[steps.c]\npart.file = 'w.toml'",
            ),
            ("v.toml", "[vars]\nn = 1\n[steps.a]\nrepeat.times = '${vars.n}'\ncommand.args = ['x']"),
            ("w.toml", "[steps.a]\ncommand.args = 3"),
        ],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @r#"
    p.toml:4:40 ['x'] `v.toml` takes a number as `n`, found "x"
    w.toml:2:16 [3] expected a list, found the number 3
    "#);
}

#[test]
fn included_files_have_objects_only() {
    let said = lines(
        &[
            (
                "p.toml",
                "plan = { name = 'p', include = ['o.toml', 'o.toml', 'x.toml'] }\n[objects]\na.resource = 'pods'\n[steps.a]\ncommand.args = ['x']",
            ),
            (
                "o.toml",
                "[objects]\na = { resource = 'pods', where = 'o.x == vars.y' }\n[steps.a]\ncommand.args = ['x']",
            ),
        ],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @r"
    p.toml:1:43 ['o.toml'] `a` is also in a file that is included before
    p.toml:1:53 ['x.toml'] `x.toml` is not there
    p.toml:3:1 [a] `a` is also in an included file | give one of them another name
    o.toml:3:2 [steps] an included file has `[objects]` and nothing else | what has steps is a part: `part = { file = … }`
    ");
}

#[test]
fn objects_of_a_yaml_file_are_read_at_once() {
    let plan = "plan.name = 'p'\n[vars]\nname = 'x'\n[steps.a]\napply.file = 'm.yaml'";
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata: { name: \"${vars.name}\" }\n---\napiVersion: v1\nkind: Secret\n";
    let good = good_files(&[("p.toml", plan), ("m.yaml", yaml)]);
    assert_eq!(good.files.len(), 2);
    let Body::Verb(verb) = &good.steps[0].body else { panic!("a verb") };
    let super::super::Verb::Apply(apply) = verb.as_ref() else { panic!("applies") };
    let documents = &apply.file.as_ref().unwrap().documents;
    let env = good.steps[0].scope.known();
    assert_eq!(documents[0].0.eval(&env).unwrap()["metadata"]["name"], "x");
    assert_eq!(documents.len(), 2);

    let said = |yaml: &str| lines(&[("p.toml", plan), ("m.yaml", yaml)], &Settings::default());
    insta::assert_snapshot!(
        [
            said("apiVersion: v1\nkind: Pod\nmetadata: { name: \"${vars.nmae}\" }\ndata: ${steps.x}\n"),
            said("kind: Pod\n---\n- 1\n"),
            said("a: [1\nb: 2\n"),
            said(""),
        ]
        .concat(), @r"
    m.yaml:3:22 [vars.nmae] there is no var `nmae` | did you mean `name`?
    m.yaml:4:9 [steps.x] there is no step `x` | did you mean `a`?
    m.yaml:1:1 [] the object has no `apiVersion`
    m.yaml:3:1 [] an object is a table, found a list
    m.yaml:2:2 [] illegal placement of ':' indicator
    p.toml:5:14 ['m.yaml'] there is no object in `m.yaml`
    ");
}
