//! Runs on the embedded cluster: no context, no set-up, virtual time.

use crate::support::Bench;

const PLAN: &str = r#"
[plan]
name      = "small"
namespace = "store"

[objects.pods]
resource = "pods"
labels   = "app=db"

[steps.namespace]
apply = { object = { apiVersion = "v1", kind = "Namespace", metadata = { name = "store" } } }

[steps.db]
needs = ["namespace"]

[steps.db.apply.object]
apiVersion = "apps/v1"
kind       = "Deployment"
metadata   = { name = "db" }

[steps.db.apply.object.spec]
replicas = 3
selector = { matchLabels = { app = "db" } }
template = { metadata = { labels = { app = "db" } }, spec = { containers = [{ name = "db", image = "example/db:1" }] } }

[steps.up]
needs   = ["db"]
timeout = "20m"
wait    = { on = "pods", that = "ready(o)", count = 3, stable = "10m" }

[steps.kill]
needs    = ["up"]
pod-kill = { on = "pods", which = 1 }

[steps.back]
needs = ["kill"]
wait  = { on = "pods", that = "ready(o) && !(o.metadata.uid in steps.kill.uids)", count = 3 }
"#;

#[test]
fn minutes_pass_at_once_and_the_same_seed_gives_the_same_journal() {
    let bench = Bench::with(PLAN);
    let run = |seed: &str| {
        bench
            .lariat(["run", "plan.toml", "--seed", seed])
            .expect(0, &["on the embedded cluster", "10m", "simulated", &format!("seed {seed}")]);
        bench.latest("small", "events.jsonl")
    };
    let (first, again, other) = (run("7"), run("7"), run("8"));
    assert!(first == again, "the same seed gave another journal");
    assert_ne!(first, other);
    assert!(bench.latest("small", "report.html").contains("embedded cluster"));
    assert!(bench.latest("small", "junit.xml").contains("small.embedded"));
    bench.lariat(["cleanup", "small"]).expect(0, &["nothing is left"]);
}

/// A whole plan of ours: charts, hooks, every node, all that was recorded of them. Two at once, so that what
/// else the machine does is another thing for each.
#[test]
fn whole_plans_give_the_same_journal_to_the_same_seed() {
    for (plan, sets) in [("restart", &[][..]), ("same-image", &["--set", "rounds=1"])] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("plans/{plan}.toml"));
        let journal = || {
            let bench = Bench::new();
            bench.lariat(["run", &path.to_string_lossy(), "--seed", "3"].iter().chain(sets));
            bench.latest(plan, "events.jsonl")
        };
        let (one, other) = std::thread::scope(|scope| {
            let beside = scope.spawn(journal);
            let here = journal();
            (here, beside.join().expect("a run ends"))
        });
        assert!(one.contains("run-finished"), "{plan}");
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{plan}: the same seed gave another journal");
        assert_eq!(one.len(), other.len(), "{plan}");
    }
}

#[test]
fn what_the_embedded_cluster_does_not_have_is_said() {
    let step = |verb: &str| {
        format!(
            "[plan]\nname = \"p\"\n[objects.pods]\nresource = \"pods\"\n[steps.s]\n{verb}\n[steps.look]\nwait = {{ on = \"pods\", min = 0 }}\n"
        )
    };
    let says = |verb: &str, code: i32, told: &[&str]| {
        Bench::with(&step(verb)).lariat(["run", "plan.toml"]).expect(code, told);
    };
    says("download = { url = \"https://example.com/x.img\" }", 4, &["https://example.com/x.img", "--context"]);
    says(
        "helm-install = { release = \"r\", chart = \"repo/unheard-of\" }",
        1,
        &["repo/unheard-of", "gadget-1.0.0", "--context"],
    );
    let unserved = "apply = { object = { apiVersion = \"flowcontrol.apiserver.k8s.io/v1\", kind = \"FlowSchema\", \
                    metadata = { name = \"x\" } } }";
    says(unserved, 4, &["the API server has no kind `FlowSchema` in `flowcontrol.apiserver.k8s.io/v1`", "(CRD)"]);
    says("command = { args = [\"true\"] }", 4, &["embedded"]);
    let unserved = step("sleep = { for = \"1s\", because = \"x\" }")
        .replace("resource = \"pods\"", "resource = \"flowschemas.flowcontrol.apiserver.k8s.io\"");
    Bench::with(&unserved).lariat(["run", "plan.toml"]).expect(
        4,
        &["the embedded cluster has no `flowschemas.flowcontrol.apiserver.k8s.io`", "--context", "0s simulated"],
    );
    says("http = { url = \"http://127.0.0.1:9/\" }", 4, &["time is virtual on this cluster", "--context"]);
}

#[test]
fn what_the_embedded_cluster_downloads_has_no_content_to_write() {
    let same_image = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/same-image.toml");
    let sets = ["--set", "rounds=1", "--set", "volumes=0", "--set", "air_gapped=true"];
    let ran = Bench::new().lariat([&["run", same_image][..], &sets].concat());
    ran.expect(4, &["image-server/fill", "has a size and a digest and no content", "`--context`"]);
}
