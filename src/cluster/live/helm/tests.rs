use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;

/// A folder with a shell script in helm's place. Each case of it is one command;
/// the arguments of every call are kept.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new(cases: &str) -> Self {
        Self::with_version("v4.3.1", cases)
    }

    fn with_version(version: &str, cases: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "#!/bin/sh\nhere={here}\necho \"$*\" >>$here/calls\necho \"$KUBECONFIG\" >$here/kubeconfig\n\
             case $1 in\nversion) echo '{version}' ;;\n{cases}\n*) echo \"Error: unexpected $*\" >&2; exit 1 ;;\nesac\n",
            here = folder.path().display(),
        );
        let path = folder.path().join("helm");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn binary(&self) -> Binary {
        let kubeconfig = vec!["/kube/one".into(), "/kube/two".into()];
        Binary::new(self.folder.path().join("helm"), kubeconfig, "lab".to_owned(), &self.folder.path().join("cache"))
    }

    fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.replace(&*self.folder.path().to_string_lossy(), "DIR")
    }

    /// What was asked of helm, but for its version.
    fn calls(&self) -> String {
        let calls = self.read("calls");
        calls.lines().filter(|call| !call.starts_with("version")).collect::<Vec<_>>().join("\n")
    }
}

const STATUS: &str = r#"status) cat <<'END'
{"name":"gadget","namespace":"lab","version":5,"manifest":"kind: X\n","info":{"status":"failed","description":"Upgrade failed"},
 "hooks":[{"name":"before","kind":"Job","events":["pre-upgrade"],"last_run":{"phase":"Succeeded"}},
          {"name":"after","kind":"Job","events":["post-upgrade","post-rollback"],"last_run":{"phase":"Failed"}},
          {"name":"later","kind":"Job","events":["post-delete"],"last_run":{"phase":""}}]}
END
;;
history) echo '[{"revision":5,"chart":"gadget-2.0.0","app_version":"2.0"}]' ;;
get) echo '{"labels":{"lariat.dev/run":"r1","name":"gadget","owner":"helm","status":"failed","version":"5","modifiedAt":"1"}}' ;;"#;

fn call() -> HelmCall {
    HelmCall {
        namespace: "lab".to_owned(),
        timeout: Duration::from_secs(30),
        no_hooks: false,
        cancel: CancellationToken::new(),
    }
}

fn gadget() -> ChartRequest {
    ChartRequest { release: "gadget".to_owned(), chart: "/charts/gadget".to_owned(), ..ChartRequest::default() }
}

async fn refused(cases: &str) -> String {
    let error = Fake::new(cases).binary().upgrade(&gadget(), &call()).await.expect_err("helm refuses");
    format!("{}: {}", error.class, error.message)
}

#[tokio::test]
async fn a_binary_that_is_no_helm_or_an_old_one() {
    let said = async |binary: Binary| {
        let error = binary.version().await.expect_err("it is of no use");
        format!("{}: {}", error.class, error.message)
    };
    let missing = Binary::new("no-such-helm".into(), Vec::new(), "lab".to_owned(), &std::env::temp_dir());
    insta::assert_snapshot!(said(missing).await, @"missing: helm can't be run: `no-such-helm` is not there; install it, or write the whole path of it");
    insta::assert_snapshot!(said(Fake::with_version("v3.9.4", "").binary()).await, @"missing: helm v3.9.4 is too old; 3.10 or newer is needed");
    insta::assert_snapshot!(said(Fake::with_version("Client: &version.Version{SemVer:\"v2.16.1\"}", "").binary()).await, @r#"broken: `helm version` did not tell its version, but printed `Client: &version.Version{SemVer:"v2.16.1"}`"#);
    insta::assert_snapshot!(said(Fake::with_version("", "").binary()).await, @"broken: `helm version` did not tell its version, but printed nothing");
    assert_eq!(Fake::with_version("v3.10.0+g1", "").binary().version().await.unwrap(), "v3.10.0+g1");
}

#[tokio::test]
async fn an_install_says_all_that_is_wanted() {
    let answer = r#"install) echo 'a log of a hook'; echo '{"name":"gadget","namespace":"lab","version":1,"manifest":"m",
        "info":{"status":"deployed","description":"Install complete","notes":"n"},
        "chart":{"metadata":{"name":"gadget","version":"1.0.0","appVersion":"1.0"}}}' ;;"#;
    let request = ChartRequest {
        version: Some("1.0.0".to_owned()),
        values: vec!["/values/a.yaml".into()],
        set: vec![("a.b".to_owned(), json!({ "c": [1, "x,y"] })), ("d".to_owned(), json!("text"))],
        labels: vec![("lariat.dev/run".to_owned(), "r1".to_owned())],
        ..gadget()
    };
    let fake = Fake::new(answer);
    let release = fake.binary().install(&request, &call()).await.unwrap();
    insta::assert_snapshot!(fake.calls(), @r#"install gadget /charts/gadget --output json --kube-context lab --namespace lab --timeout 28s --wait=hookOnly --create-namespace --version 1.0.0 --values /values/a.yaml --set-json a.b={"c":[1,"x,y"]} --set-json d="text" --labels lariat.dev/run=r1"#);
    assert_eq!(fake.read("kubeconfig"), "/kube/one:/kube/two\n");
    assert_eq!((release.revision, release.status.as_str(), release.notes.as_str()), (1, "deployed", "n"));
    assert_eq!((release.chart.as_str(), release.app_version.as_str()), ("gadget-1.0.0", "1.0"));
    assert_eq!(release.labels, request.labels);

    let old = Fake::with_version("v3.10.0", answer);
    old.binary().install(&request, &HelmCall { no_hooks: true, ..call() }).await.unwrap();
    insta::assert_snapshot!(old.calls(), @r#"install gadget /charts/gadget --output json --kube-context lab --namespace lab --timeout 28s --no-hooks --create-namespace --version 1.0.0 --values /values/a.yaml --set-json a.b={"c":[1,"x,y"]} --set-json d="text""#);
}

#[tokio::test]
async fn an_upgrade_a_rollback_and_an_uninstall() {
    let cases = format!(
        "upgrade) echo '{{\"name\":\"gadget\",\"version\":5,\"info\":{{\"status\":\"deployed\"}}}}' ;;\nrollback) echo 'Rollback was a success!' ;;\nuninstall) ;;\n{STATUS}"
    );
    let fake = Fake::new(&cases);
    let binary = fake.binary();
    let request = ChartRequest {
        chart: "gadget".to_owned(),
        repo: Some("https://charts.example.org".to_owned()),
        install: true,
        reuse_values: true,
        ..gadget()
    };
    binary.upgrade(&request, &call()).await.unwrap();
    let back = binary.rollback("gadget", Some(3), &call()).await.unwrap();
    assert!(binary.uninstall("gadget", &call()).await.unwrap());
    insta::assert_snapshot!(fake.calls(), @"
    upgrade gadget gadget --output json --kube-context lab --namespace lab --timeout 28s --wait=hookOnly --create-namespace --install --reuse-values --repo https://charts.example.org
    rollback gadget 3 --kube-context lab --namespace lab --timeout 28s --wait=hookOnly
    status gadget --output json --kube-context lab --namespace lab
    history gadget --max 1 --output json --kube-context lab --namespace lab
    get metadata gadget --output json --kube-context lab --namespace lab
    uninstall gadget --kube-context lab --namespace lab --timeout 28s --wait=hookOnly
    ");
    assert_eq!((back.chart.as_str(), back.app_version.as_str()), ("gadget-2.0.0", "2.0"));
    assert_eq!(back.labels, [("lariat.dev/run".to_owned(), "r1".to_owned())]);
}

#[tokio::test]
async fn a_release_that_is_not_there() {
    let fake = Fake::new("status|uninstall) echo 'Error: release: not found' >&2; exit 1 ;;");
    let binary = fake.binary();
    assert_eq!(binary.status("gadget", &call()).await.unwrap(), None);
    assert!(!binary.uninstall("gadget", &call()).await.unwrap());
}

#[tokio::test]
async fn a_failed_hook_is_named() {
    let cases = format!(
        "upgrade) echo 'Error: UPGRADE FAILED: post-upgrade hooks failed: 1 error occurred:\n\t* timed out waiting for the condition\n' >&2; exit 1 ;;\n{STATUS}"
    );
    insta::assert_snapshot!(refused(&cases).await, @"timeout: hook `after` (Job, post-upgrade post-rollback) did not succeed: `helm upgrade gadget`: post-upgrade hooks failed: timed out waiting for the condition");
}

#[tokio::test]
async fn what_helm_refuses() {
    let fail = |text: &str| format!("upgrade) printf '%s\\n' '{text}' >&2; exit 1 ;;");
    insta::assert_snapshot!(refused(&fail("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress")).await, @"refused: `helm upgrade gadget`: another operation (install/upgrade/rollback) is in progress; if none is, an earlier one was cut short, and `helm rollback gadget` frees the release");
    insta::assert_snapshot!(refused(&fail("Error: cannot reuse a name that is still in use")).await, @"refused: `helm upgrade gadget`: cannot reuse a name that is still in use; uninstall it first, or use `helm-upgrade` with `install = true`");
    insta::assert_snapshot!(refused(&fail("Error: kubernetes cluster unreachable: Get \"https://x/version\": dial tcp 127.0.0.1:1: connect: connection refused")).await, @r#"unreachable: `helm upgrade gadget`: kubernetes cluster unreachable: Get "https://x/version": dial tcp 127.0.0.1:1: connect: connection refused"#);
    insta::assert_snapshot!(refused("upgrade) exit 3 ;;").await, @"refused: `helm upgrade gadget` ended with exit code 3 and said nothing");
    insta::assert_snapshot!(refused("upgrade) kill -9 $$ ;;").await, @"broken: `helm upgrade gadget` ended with signal SIGKILL and said nothing");
    insta::assert_snapshot!(refused("upgrade) echo 'Release has been upgraded. Happy Helming!' ;;").await, @"broken: `helm upgrade gadget` ended well and printed `Release has been upgraded. Happy Helming!` where the release as JSON was expected");
    insta::assert_snapshot!(refused("upgrade) ;;").await, @"broken: `helm upgrade gadget` ended well and printed nothing where the release as JSON was expected");
}

#[tokio::test]
async fn only_what_did_nothing_is_passing() {
    let passing = async |text: &str| {
        let fake = Fake::new(&format!("upgrade) echo 'Error: {text}' >&2; exit 1 ;;"));
        fake.binary().upgrade(&gadget(), &call()).await.unwrap_err().passing
    };
    assert!(passing("Kubernetes cluster unreachable: Get x: connect: connection refused").await);
    assert!(!passing("UPGRADE FAILED: could not get x: connect: connection refused").await);
    assert!(!passing("Kubernetes cluster unreachable: context \"x\" does not exist").await);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let fake = Fake::new(&format!("upgrade) sleep 1000 ;;\n{STATUS}"));
    let call = HelmCall { timeout: Duration::from_millis(300), ..call() };
    let error = fake.binary().upgrade(&gadget(), &call).await.unwrap_err();
    insta::assert_snapshot!(format!("{}: {}", error.class, error.message), @"timeout: hook `after` (Job, post-upgrade post-rollback) did not succeed: `helm upgrade gadget` did not end within 0.3s");
}

#[tokio::test]
async fn a_cancelled_command_is_ended_and_nothing_more_is_asked() {
    let fake = Fake::new(&format!("upgrade) echo started >$here/started; sleep 1000 ;;\n{STATUS}"));
    let (binary, call, request) = (fake.binary(), call(), gadget());
    let cancel = async {
        while fake.read("started").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        call.cancel.cancel();
    };
    let (result, ()) = tokio::join!(binary.upgrade(&request, &call), cancel);
    let error = result.unwrap_err();
    insta::assert_snapshot!(format!("{}: {}", error.class, error.message), @"cancelled: `helm upgrade gadget` was cut short");
    assert_eq!(fake.calls().lines().count(), 1);
}
