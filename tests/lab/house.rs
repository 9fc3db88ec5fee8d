//! What the lab promises to every other test of this lane.

use std::process::Command;

/// What a command of the lab prints; its failure is the test's.
fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig"))
        .output()
        .expect("`just lab-test` puts the lab's programs on PATH");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("kubectl and helm print UTF-8")
}

#[test]
fn three_nodes_are_ready() {
    let _steady = crate::steadily();
    let ready = output_of(
        "kubectl",
        &[
            "--context=lab",
            "get",
            "nodes",
            "--output",
            r#"jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}"#,
        ],
    );
    assert_eq!(ready.trim(), "n1=True n2=True n3=True");
}

#[test]
fn the_chart_differs_by_version_and_by_the_failing_hook() {
    let image = |chart: &str| {
        output_of("helm", &["template", "gadget", chart, "--values", "helm-values/lab.yaml"])
            .lines()
            .filter_map(|line| line.trim().strip_prefix("image: lariat-lab/gadget:"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(image("lab/charts/gadget-1.0.0"), ["1.0.0", "1.0.0"]);
    assert_eq!(image("lab/charts/gadget-2.0.0"), ["2.0.0", "2.0.0"]);
    let failing = output_of("helm", &["template", "gadget", "lab/charts/gadget-2.0.0", "--set", "hooks.fail=true"]);
    assert!(failing.contains("exit 1"));
    assert!(!failing.contains("kind: Gadget\n"), "a hook that fails registers nothing");
}
