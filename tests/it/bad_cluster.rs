//! A cluster that can't be used gets a clear sentence and the right exit code.

use std::net::TcpListener;

use crate::support::Bench;

const PLAN: &str = "[plan]\nname = \"look\"\nnamespace = \"default\"\n\
    [objects.pods]\nresource = \"pods\"\n[steps.look]\ntimeout = \"5s\"\nwait = { on = \"pods\", min = 0 }\n";

/// A kubeconfig with one context `lab` that leads to an address.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{ name: c, cluster: {{ server: \"{server}\" }} }}]\n\
         users: [{{ name: u, user: {{ {user} }} }}]\n\
         contexts: [{{ name: lab, context: {{ cluster: c, user: u }} }}]\n\
         current-context: lab\n"
    )
}

#[test]
fn without_a_context_the_embedded_cluster_is_used_and_no_other() {
    let bench = Bench::with(PLAN);
    bench.write(".kube/config", kubeconfig("http://127.0.0.1:1", ""));
    bench.lariat(["run", "plan.toml"]).expect(0, &["on the embedded cluster", "seed 1", "simulated"]);
    bench.lariat(["run", "plan.toml", "--kubeconfig", ".kube/config"]).expect(2, &["--context"]);
}

#[test]
fn a_kubeconfig_that_is_missing_or_wrong() {
    let bench = Bench::with(PLAN);
    bench.lariat(["run", "plan.toml", "--context", "lab"]).expect(2, &["kubeconfig"]);
    bench.lariat(["run", "plan.toml", "--context", "lab", "--kubeconfig", "nowhere"]).expect(2, &["nowhere"]);
    bench.write("broken", "{ this is: [no yaml");
    bench.lariat(["run", "plan.toml", "--context", "lab", "--kubeconfig", "broken"]).expect(2, &["broken"]);
}

#[test]
fn a_context_that_is_not_there() {
    let bench = Bench::with(PLAN);
    bench.write("config", kubeconfig("http://127.0.0.1:1", ""));
    bench.lariat(["run", "plan.toml", "--context", "lba", "--kubeconfig", "config"]).expect(2, &["lba", "lab"]);
}

#[test]
fn a_closed_port() {
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it has an address").port();
    let bench = Bench::with(PLAN);
    bench.write("config", kubeconfig(&format!("http://127.0.0.1:{port}"), ""));
    bench
        .lariat(["run", "plan.toml", "--context", "lab", "--kubeconfig", "config"])
        .expect(4, &[&format!("127.0.0.1:{port}"), "refused"]);
}

#[test]
fn a_plan_that_harms_needs_a_word() {
    let api = lariat::sim::Api::new(lariat::sim::Options::new());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    let served = runtime.block_on(api.serve()).expect("a port is free");
    let bench = Bench::with(
        "[plan]\nname = \"harm\"\nnamespace = \"default\"\n[objects.pods]\nresource = \"pods\"\n[steps.kill]\npod-kill = { on = \"pods\" }\n",
    );
    served.write_kubeconfig(&bench.path().join("config"), "lab").expect("a file can be written");
    let args = ["run", "plan.toml", "--context", "lab", "--kubeconfig", "config"];
    bench.lariat(args).expect(2, &["harm = true", "--yes", "`kill`"]);
    assert!(!bench.path().join("reports").exists());
    // Allowed, it kills nobody, and that is a failure.
    bench.lariat(args.iter().chain(&["--yes"])).expect(1, &["nobody was killed"]);
    bench.write("lariat.toml", "[contexts.lab]\nkubeconfig = \"config\"\nharm = true\n");
    bench.lariat(["run", "plan.toml", "--context", "lab"]).expect(1, &["nobody was killed"]);
    bench.write("lariat.toml", "[contexts.lab]\nhram = true\n");
    bench.lariat(["run", "plan.toml", "--context", "lab"]).expect(2, &["hram"]);
    drop(served);
}

#[test]
fn a_dry_run_asks_nothing() {
    let bench = Bench::with(PLAN);
    bench
        .lariat(["run", "plan.toml", "--context", "nowhere", "--dry-run=client"])
        .expect(0, &["look", "nothing was touched"]);
    assert!(!bench.path().join("reports").exists());
}
