use std::time::Duration;

use semver::Version;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{Ended, HelmError, Hook, Release, StartError};
use crate::event::Class;
use crate::text;

/// How much of helm's error stream is kept.
const LINES: usize = 20;

/// What helm was asked to do: what its answer is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) verb: &'static str,
    pub(super) release: &'a str,
    pub(super) chart: Option<&'a str>,
}

impl std::fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`helm {} {}`", self.verb, self.release)
    }
}

/// Why helm did not do it, before it is known which hook is to blame.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    class: Class,
    message: String,
    stderr: String,
}

/// Refusals that are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The cluster could not be reached before anything was done.
    Unreached,
    /// A hook failed or took too long.
    Hooks,
    /// There is no release of that name.
    NoRelease,
    /// Anything else.
    Other,
}

impl From<Refusal> for HelmError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { kind, class, message, stderr } = refusal;
        Self { class, message, stderr, passing: kind == Kind::Unreached }
    }
}

impl Refusal {
    pub(super) fn new(class: Class, message: String) -> Self {
        Self { kind: Kind::Other, class, message, stderr: String::new() }
    }

    /// The binary could not be started.
    pub(super) fn not_started(error: &StartError) -> Self {
        Self::new(error.class(), format!("helm can't be run: {error}"))
    }

    /// We ended it, since the run is being cut short.
    pub(super) fn cut_short(asked: &Asked<'_>, ended: &Ended) -> Self {
        Self { stderr: stderr(ended), ..Self::new(Class::Cancelled, format!("{asked} was cut short")) }
    }

    /// We ended it, since its time was over.
    pub(super) fn too_late(asked: &Asked<'_>, ended: &Ended, most: Duration) -> Self {
        let message = format!("{asked} did not end within {}", text::duration(most));
        Self { kind: Kind::Hooks, stderr: stderr(ended), ..Self::new(Class::Timeout, message) }
    }

    /// It ended by itself, and not well.
    pub(super) fn of(asked: &Asked<'_>, ended: &Ended) -> Self {
        let stderr = stderr(ended);
        let Some(said) = complaint(&ended.stderr.text()) else {
            let class = if ended.code() < 128 { Class::Refused } else { Class::Broken };
            let message = format!("{asked} ended with {} and said nothing", ended.how());
            return Self { stderr, ..Self::new(class, message) };
        };
        Self { stderr, ..Self::judged(asked, &said) }
    }

    /// The same for a sentence without a process.
    fn said(asked: &Asked<'_>, sentence: &str) -> Self {
        let said = complaint(&format!("Error: {sentence}\n")).unwrap_or_default();
        Self::judged(asked, &said)
    }

    fn judged(asked: &Asked<'_>, said: &str) -> Self {
        let (kind, class, advice) = judge(said, asked);
        Self { kind, class, message: format!("{asked}: {said}{advice}"), stderr: String::new() }
    }

    /// There is no release of that name.
    pub(super) fn no_release(asked: &Asked<'_>) -> Self {
        let message = format!("{asked}: there is no release `{}`", asked.release);
        Self { kind: Kind::NoRelease, ..Self::new(Class::Missing, message) }
    }

    /// Puts the hooks that did not succeed in front: helm does not always name them.
    pub(super) fn name_hooks(&mut self, release: &Release) {
        let blamed: Vec<String> = release
            .hooks
            .iter()
            .filter(|hook| !matches!(hook.phase.as_str(), "" | "Succeeded"))
            .map(|hook| format!("`{}` ({}, {})", hook.name, hook.kind, hook.events.join(" ")))
            .collect();
        if !blamed.is_empty() {
            let noun = if blamed.len() == 1 { "hook" } else { "hooks" };
            self.message = format!("{noun} {} did not succeed: {}", text::and(&blamed), self.message);
        }
    }
}

/// What a helm that is not the binary was asked for, and why it did not do it: read as the
/// binary's words are, so that a step can't tell them apart.
#[derive(Clone, Copy, Debug)]
pub struct HelmSaid<'a> {
    /// The command, such as `upgrade`.
    pub verb: &'static str,
    /// The release.
    pub release: &'a str,
    /// The chart, for commands that take one.
    pub chart: Option<&'a str>,
}

impl HelmSaid<'_> {
    /// The error that a complaint is, given the release as it is left.
    pub fn complaint(&self, complaint: &str, left: Option<&Release>, cancelled: bool) -> HelmError {
        let asked = Asked { verb: self.verb, release: self.release, chart: self.chart };
        if cancelled {
            return Refusal::new(Class::Cancelled, format!("{asked} was cut short")).into();
        }
        let mut refusal = Refusal::said(&asked, complaint);
        if let Some(left) = left.filter(|_| refusal.kind == Kind::Hooks) {
            refusal.name_hooks(left);
        }
        refusal.into()
    }
}

/// The last lines of the error stream that say more than the complaint, which is the
/// message already: what hooks printed, in helm 4 as log lines.
fn stderr(ended: &Ended) -> String {
    let all = ended.stderr.text();
    let before = complaint_at(&all).map_or(all.as_str(), |at| &all[..at]);
    let lines: Vec<String> = before
        .lines()
        .filter(|line| !line.trim().is_empty())
        .flat_map(|line| match line.strip_prefix("level=") {
            None => vec![line.to_owned()],
            Some(logged) => logged.strip_prefix("INFO msg=").map(unquoted).unwrap_or_default(),
        })
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The lines of a text that Go has put in quotes.
fn unquoted(text: &str) -> Vec<String> {
    let text: String = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    text.lines().map(str::to_owned).collect()
}

/// Helm's own sentence: what follows `Error:`, without what helm 4 logs beside it.
fn complaint(stderr: &str) -> Option<String> {
    let from = complaint_at(stderr)?;
    let lines = stderr[from + "Error: ".len()..].lines().map(|line| line.trim().trim_start_matches("* "));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("level=")).collect();
    let said = lines.join("; ").replace("1 error occurred:; ", "");
    let outcomes = ["INSTALLATION FAILED: ", "UPGRADE FAILED: "];
    let said = outcomes.iter().find_map(|outcome| said.strip_prefix(outcome)).unwrap_or(&said);
    (!said.is_empty()).then(|| said.to_owned())
}

/// Where helm's own sentence begins.
fn complaint_at(stderr: &str) -> Option<usize> {
    stderr.rfind("\nError: ").map(|at| at + 1).or_else(|| stderr.starts_with("Error: ").then_some(0))
}

/// What a sentence of helm's means, and what to try. The texts are those of helm 3.10 to 4.3.
fn judge(said: &str, asked: &Asked<'_>) -> (Kind, Class, String) {
    let has = |any: &[&str]| any.iter().any(|text| said.contains(text));
    let release = asked.release;
    let chart = asked.chart.unwrap_or_default();
    let plain = |class| (Kind::Other, class, String::new());
    let advise = |class, advice: String| (Kind::Other, class, advice);
    if has(&["hooks failed:", "failed pre-install: ", "failed post-install: ", "warning: Hook "]) {
        let class = if has(TIMES) { Class::Timeout } else { Class::Refused };
        return (Kind::Hooks, class, String::new());
    }
    if has(&["release: not found"]) {
        return (Kind::NoRelease, Class::Missing, String::new());
    }
    if has(&["ubernetes cluster unreachable"]) {
        // Helm asks for the server's version before it does anything.
        return if has(&["Unauthorized", "provide credentials", "ou must be logged in"]) {
            plain(Class::Forbidden)
        } else if has(&["does not exist", "exec: "]) {
            plain(Class::Missing)
        } else {
            (Kind::Unreached, Class::Unreachable, String::new())
        };
    }
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        return advise(
            Class::Refused,
            format!("; if none is, an earlier one was cut short, and `helm rollback {release}` frees the release"),
        );
    }
    if has(&["cannot re-use a name that is still in use", "cannot reuse a name that is still in use"]) {
        return advise(Class::Refused, "; uninstall it first, or use `helm-upgrade` with `install = true`".to_owned());
    }
    if has(&["has no deployed releases"]) {
        return advise(Class::Missing, "; `install = true` installs it where it is not there".to_owned());
    }
    if has(&["repo "]) && said.ends_with("not found") {
        return advise(
            Class::Missing,
            format!(
                "; `{chart}` is no folder or file beside the plan either (`helm repo add` makes a repository known)"
            ),
        );
    }
    if has(&["is forbidden: User ", "Unauthorized", "401 Unauthorized", "403 Forbidden"]) {
        return plain(Class::Forbidden);
    }
    if has(TIMES) {
        return plain(Class::Timeout);
    }
    if has(CONNECTIONS) {
        return plain(Class::Unreachable);
    }
    if has(&["no such file or directory", "404 Not Found", "not found in", "no cached repo found", "not found: "]) {
        return plain(Class::Missing);
    }
    if has(&["unknown flag", "unknown shorthand flag"]) {
        return plain(Class::Broken);
    }
    plain(Class::Refused)
}

const TIMES: &[&str] = &["timed out waiting for the condition", "context deadline exceeded"];

const CONNECTIONS: &[&str] = &[
    "connection refused",
    "connection reset",
    "no route to host",
    "network is unreachable",
    "no such host",
    "i/o timeout",
    "TLS handshake timeout",
    "http2: client connection lost",
    "unexpected EOF",
    ": EOF",
];

/// Reads the answer to `helm version --template {{.Version}}`.
pub(super) fn version(ended: &Ended) -> Result<Version, Refusal> {
    let printed = ended.stdout.text();
    let version = printed.trim().strip_prefix('v').and_then(|text| Version::parse(text).ok());
    version.filter(|_| ended.code() == 0).ok_or_else(|| {
        let shown = if printed.trim().is_empty() { ended.stderr.text() } else { printed };
        let message = format!("`helm version` did not tell its version, but printed {}", quote(&shown));
        Refusal::new(Class::Broken, message)
    })
}

/// Reads a release that `install`, `upgrade` or `status` printed.
pub(super) fn release(asked: &Asked<'_>, ended: &Ended) -> Result<Release, Refusal> {
    let printed = ended.stdout.text();
    let read: Option<RawRelease> = read(&printed);
    let Some(raw) = read else {
        let shown = quote(&printed);
        let message = format!("{asked} ended well and printed {shown} where the release as JSON was expected");
        return Err(Refusal::new(Class::Broken, message));
    };
    Ok(raw.into())
}

/// Adds what `history --max 1` knows and `status` does not.
pub(super) fn add_chart(release: &mut Release, ended: &Ended) {
    let revisions: Vec<RawRevision> = serde_json::from_str(&ended.stdout.text()).unwrap_or_default();
    if let Some(last) = revisions.into_iter().next_back() {
        release.chart = last.chart;
        release.app_version = last.app_version;
    }
}

/// Adds the labels that `get metadata` of helm 4 tells, without helm's own.
pub(super) fn add_labels(release: &mut Release, ended: &Ended) {
    let metadata: RawMetadata = serde_json::from_str(&ended.stdout.text()).unwrap_or_default();
    let own = ["createdAt", "modifiedAt", "name", "owner", "status", "version"];
    let labels = metadata.labels.into_iter().filter(|(key, _)| !own.contains(&key.as_str()));
    release.labels = labels.filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect();
}

/// The JSON in an answer. Some versions print a hook's log before it.
fn read<T: serde::de::DeserializeOwned>(printed: &str) -> Option<T> {
    let starts = printed.match_indices('{').map(|(at, _)| at);
    let mut starts = starts.filter(|&at| at == 0 || printed[..at].ends_with('\n'));
    starts.find_map(|at| serde_json::from_str(&printed[at..]).ok())
}

/// The beginning of a text, on one line, in ticks.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        _ if line.is_empty() => "nothing".to_owned(),
        Some((cut, _)) => format!("`{}…`", &line[..cut]),
        None => format!("`{line}`"),
    }
}

#[derive(Deserialize)]
struct RawRelease {
    name: String,
    #[serde(default)]
    namespace: String,
    version: u64,
    info: RawInfo,
    #[serde(default)]
    manifest: String,
    #[serde(default)]
    hooks: Option<Vec<RawHook>>,
    #[serde(default)]
    chart: Option<RawChart>,
}

#[derive(Deserialize)]
struct RawInfo {
    status: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    notes: String,
}

#[derive(Deserialize)]
struct RawHook {
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    last_run: Option<RawRun>,
}

#[derive(Deserialize)]
struct RawRun {
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct RawChart {
    metadata: RawChartMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawChartMetadata {
    name: String,
    version: String,
    #[serde(default)]
    app_version: String,
}

#[derive(Deserialize)]
struct RawRevision {
    #[serde(default)]
    chart: String,
    #[serde(default)]
    app_version: String,
}

#[derive(Default, Deserialize)]
struct RawMetadata {
    #[serde(default)]
    labels: serde_json::Map<String, Value>,
}

impl From<RawRelease> for Release {
    fn from(raw: RawRelease) -> Self {
        let metadata = raw.chart.map(|chart| chart.metadata);
        let (chart, app_version) = metadata.map_or_else(Default::default, |metadata| {
            (format!("{}-{}", metadata.name, metadata.version), metadata.app_version)
        });
        let hooks = raw.hooks.unwrap_or_default().into_iter().map(|hook| Hook {
            name: hook.name,
            kind: hook.kind,
            events: hook.events,
            phase: hook.last_run.map(|run| run.phase).unwrap_or_default(),
        });
        Self {
            name: raw.name,
            namespace: raw.namespace,
            revision: raw.version,
            status: raw.info.status,
            description: raw.info.description,
            chart,
            app_version,
            notes: raw.info.notes,
            manifest: raw.manifest,
            hooks: hooks.collect(),
            labels: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Captured;

    #[test]
    fn what_helm_says_has_a_class() {
        use Class::{Forbidden, Missing, Refused, Timeout, Unreachable};
        let asked = Asked { verb: "upgrade", release: "r", chart: Some("repo/c") };
        let cases = [
            (
                Refused,
                "post-upgrade hooks failed: resource Job/n/gadget-after not ready. status: Failed, message: Job Failed. failed: 1/1",
            ),
            (
                Refused,
                "post-upgrade hooks failed: 1 error occurred:\n\t* job gadget-after failed: BackoffLimitExceeded\n\n",
            ),
            (
                Refused,
                "failed post-install: resource Job/n/after not ready. status: Failed, message: Job Failed. failed: 1/1",
            ),
            (Timeout, "pre-upgrade hooks failed: 1 error occurred:\n\t* timed out waiting for the condition\n"),
            (
                Timeout,
                "pre-upgrade hooks failed: resource Job/n/before not ready. status: InProgress, message: Job in progress\ncontext deadline exceeded",
            ),
            (Refused, "another operation (install/upgrade/rollback) is in progress"),
            (Refused, "release name check failed: cannot reuse a name that is still in use"),
            (Refused, "cannot re-use a name that is still in use"),
            (Missing, "\"nope\" has no deployed releases"),
            (Missing, "uninstall: Release not loaded: nope: release: not found"),
            (Missing, "repo lab not found"),
            (Missing, "open /nonesuch.yaml: no such file or directory"),
            (Missing, "Kubernetes cluster unreachable: context \"nope\" does not exist"),
            (
                Unreachable,
                "kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused",
            ),
            (
                Unreachable,
                "looks like \"http://127.0.0.1:1/\" is not a valid chart repository or cannot be reached: Get \"http://127.0.0.1:1/index.yaml\": dial tcp 127.0.0.1:1: connect: connection refused",
            ),
            (
                Forbidden,
                "query: failed to query with labels: secrets is forbidden: User \"nobody\" cannot list resource \"secrets\" in API group \"\" in the namespace \"n\"",
            ),
            (Refused, "pods \"x\" is forbidden: exceeded quota: small"),
            (Refused, "release has no 99 version"),
            (Refused, "admission webhook \"validator.longhorn.io\" denied the request: no"),
        ];
        for (class, said) in cases {
            let said =
                complaint(&format!("level=WARN msg=\"upgrade failed\"\nError: UPGRADE FAILED: {said}\n")).unwrap();
            assert_eq!(judge(&said, &asked).1, class, "{said}");
        }
    }

    #[test]
    fn the_complaint_is_one_line_without_the_log() {
        let said = complaint(
            "level=INFO msg=\"Error: from a hook\"\nError: early\nError: UPGRADE FAILED: post-upgrade hooks failed: 1 error occurred:\n\t* job a failed: X\n\n\n",
        );
        assert_eq!(said.as_deref(), Some("post-upgrade hooks failed: job a failed: X"));
        assert_eq!(complaint("nothing of the kind\n"), None);
    }

    #[test]
    fn what_hooks_printed_is_kept() {
        let ended = |stderr: &str| Ended {
            status: None,
            cancelled: false,
            stdout: Captured::of(b""),
            stderr: Captured::of(stderr.as_bytes()),
        };
        let four = "level=INFO msg=\"one\\ntwo \\\"x\\\"\"\nlevel=WARN msg=\"upgrade failed\" name=r\nError: UPGRADE FAILED: no\n";
        assert_eq!(stderr(&ended(four)), "one\ntwo \"x\"");
        assert_eq!(stderr(&ended("one\n\ntwo\nError: no\n\nmore\n")), "one\ntwo");
        assert_eq!(stderr(&ended("warning\n")), "warning");
    }

    #[test]
    fn json_is_found_behind_a_log() {
        let read = |text| read::<Value>(text);
        assert_eq!(read("{\"a\":1}"), Some(serde_json::json!({ "a": 1 })));
        assert_eq!(read("a log\n{ not json\n{\"a\":1}\n"), Some(serde_json::json!({ "a": 1 })));
        assert_eq!(read("Release \"x\" has been upgraded. Happy Helming!"), None);
    }
}
