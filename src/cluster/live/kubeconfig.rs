use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, Kubeconfig, KubeconfigError};

use super::{ConnectError, certificate};

/// A kubeconfig as kubectl would put it together, and the files it is from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) config: Kubeconfig,
    /// Absolute, in order of precedence.
    pub(super) files: Vec<PathBuf>,
}

/// Reads the given file, or those of KUBECONFIG, or the one in the home folder.
pub(super) fn find(given: Option<&Path>) -> Result<Found, ConnectError> {
    find_in(given, env::var_os("KUBECONFIG").as_deref(), env::home_dir().as_deref())
}

fn find_in(given: Option<&Path>, listed: Option<&OsStr>, home: Option<&Path>) -> Result<Found, ConnectError> {
    let listed: Vec<PathBuf> =
        env::split_paths(listed.unwrap_or_default()).filter(|path| !path.as_os_str().is_empty()).collect();
    let looked: Vec<PathBuf> = match given {
        Some(file) => vec![file.to_owned()],
        None if listed.is_empty() => home.map(|home| home.join(".kube/config")).into_iter().collect(),
        None => listed,
    };
    let mut found = Found { config: Kubeconfig::default(), files: Vec::new() };
    for path in &looked {
        // A list may name files that are not there, as long as one is.
        if let Some(config) = read(path)? {
            found.config = found.config.merge(config).map_err(|error| broken(path, &error))?;
            found.files.push(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        }
    }
    if found.files.is_empty() { Err(ConnectError::FindKubeconfig { looked }) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Option<Kubeconfig>, ConnectError> {
    match Kubeconfig::read_from(path) {
        Ok(config) => Ok(Some(config)),
        Err(KubeconfigError::ReadConfig(source, _)) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(KubeconfigError::ReadConfig(source, path)) => Err(ConnectError::ReadKubeconfig { path, source }),
        Err(error) => Err(broken(path, &error)),
    }
}

fn broken(path: &Path, error: &KubeconfigError) -> ConnectError {
    let reason = match error {
        // Without its drawing of the line, which may hold a token.
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
            let said = error.without_snippet().to_string();
            let said = said.lines().next().unwrap_or_default();
            format!("{}{}", place.unwrap_or_default(), said.split(" at line ").next().unwrap_or_default())
        }
        other => other.to_string(),
    };
    ConnectError::ParseKubeconfig { path: path.to_owned(), reason }
}

/// What a context leads to.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) user: AuthInfo,
    /// Whether the cluster names its own proxy.
    pub(super) has_proxy: bool,
}

impl Found {
    /// Follows a context to its cluster and user: kube would take a user that is
    /// not there for nobody, and be refused much later.
    pub(super) fn context(&self, name: &str) -> Result<Access, ConnectError> {
        let lack =
            |lack: String| ConnectError::ReadContext { context: name.to_owned(), lack, files: self.files.clone() };
        let Some(context) = self.config.contexts.iter().find(|known| known.name == name) else {
            return Err(ConnectError::FindContext {
                context: name.to_owned(),
                files: self.files.clone(),
                known: self.config.contexts.iter().map(|known| known.name.clone()).collect(),
            });
        };
        let context = context.context.as_ref().ok_or_else(|| lack("is empty".to_owned()))?;
        let cluster = self.config.clusters.iter().find(|known| known.name == context.cluster);
        let cluster = cluster.and_then(|cluster| cluster.cluster.as_ref());
        let cluster =
            cluster.ok_or_else(|| lack(format!("names the cluster `{}`, which is not there", context.cluster)))?;
        if cluster.server.as_deref().unwrap_or_default().is_empty() {
            return Err(lack(format!("names the cluster `{}`, which has no `server`", context.cluster)));
        }
        let user = match context.user.as_deref() {
            None | Some("") => AuthInfo::default(),
            Some(user) => {
                let found = self.config.auth_infos.iter().find(|known| known.name == user);
                found
                    .and_then(|user| user.auth_info.clone())
                    .ok_or_else(|| lack(format!("names the user `{user}`, which is not there")))?
            }
        };
        let has_proxy = cluster.proxy_url.as_deref().is_some_and(|url| !url.is_empty());
        Ok(Access { user, has_proxy })
    }
}

impl Access {
    /// When the user's client certificate ends, if there is one that can be read.
    pub(super) fn certificate_ends(&self) -> Option<Timestamp> {
        let pem = match &self.user.client_certificate_data {
            Some(data) => BASE64_STANDARD.decode(data).ok()?,
            None => fs::read(self.user.client_certificate.as_ref()?).ok()?,
        };
        certificate::not_after(&pem)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    const GOOD: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}, {name: bare, cluster: {}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: lab, context: {cluster: c, user: u}}
- {name: nobody, context: {cluster: c}}
- {name: lost-cluster, context: {cluster: x, user: u}}
- {name: lost-user, context: {cluster: c, user: x}}
- {name: bare, context: {cluster: bare, user: u}}
- {name: empty}
";

    /// Reads one kubeconfig of this text and follows one context in it.
    fn check(text: &str, context: &str) -> Result<Access, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        fs::write(&path, text).unwrap();
        let found = find_in(Some(&path), None, None);
        let access = found.and_then(|found| found.context(context));
        access.map_err(|error| error.to_string().replace(&*dir.path().to_string_lossy(), "DIR"))
    }

    fn wrong(text: &str, context: &str) -> String {
        check(text, context).expect_err("it is wrong")
    }

    #[test]
    fn a_context_leads_to_a_cluster_and_a_user() {
        assert!(check(GOOD, "lab").unwrap().user.token.is_some());
        assert!(check(GOOD, "nobody").unwrap().user.token.is_none());
    }

    #[test]
    fn a_wrong_context_says_what_is_wrong() {
        insta::assert_snapshot!(wrong(GOOD, "lap"), @"the kubeconfig `DIR/config` has no context `lap`; it has `lab`, `nobody`, `lost-cluster`, `lost-user`, `bare` and `empty`; did you mean `lab`?");
        insta::assert_snapshot!(wrong(GOOD, "production"), @"the kubeconfig `DIR/config` has no context `production`; it has `lab`, `nobody`, `lost-cluster`, `lost-user`, `bare` and `empty`");
        insta::assert_snapshot!(wrong(GOOD, "lost-cluster"), @"the context `lost-cluster` names the cluster `x`, which is not there; mend it in the kubeconfig `DIR/config`");
        insta::assert_snapshot!(wrong(GOOD, "lost-user"), @"the context `lost-user` names the user `x`, which is not there; mend it in the kubeconfig `DIR/config`");
        insta::assert_snapshot!(wrong(GOOD, "bare"), @"the context `bare` names the cluster `bare`, which has no `server`; mend it in the kubeconfig `DIR/config`");
        insta::assert_snapshot!(wrong(GOOD, "empty"), @"the context `empty` is empty; mend it in the kubeconfig `DIR/config`");
    }

    #[test]
    fn a_file_that_is_no_kubeconfig() {
        insta::assert_snapshot!(wrong("", "lab"), @"the kubeconfig `DIR/config` has no context `lab`; it has none");
        insta::assert_snapshot!(wrong("just text", "lab"), @"the kubeconfig `DIR/config` is not one: line 1, column 1: expected mapping start");
        insta::assert_snapshot!(wrong("contexts: [{name: a", "lab"), @"the kubeconfig `DIR/config` is not one: line 1, column 12: unclosed bracket '{'");
        insta::assert_snapshot!(wrong("contexts: 3", "lab"), @"the kubeconfig `DIR/config` is not one: line 1, column 11: expected sequence start");
        insta::assert_snapshot!(wrong("users: [{name: u, user: {token: [s3cret]}}]", "lab"), @"the kubeconfig `DIR/config` is not one: line 1, column 33: expected string scalar");
        insta::assert_snapshot!(wrong("\u{0}\u{1}", "lab"), @r"the kubeconfig `DIR/config` is not one: line 1, column 1: unexpected character: `\u{0}'");
    }

    #[test]
    fn a_file_that_is_not_there_or_not_readable() {
        let dir = tempfile::tempdir().unwrap();
        let said = |given: Option<&Path>, listed: Option<&OsStr>, home: Option<&Path>| {
            let error = find_in(given, listed, home).expect_err("there is none");
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}").replace(&*dir.path().to_string_lossy(), "DIR")
        };
        let missing = dir.path().join("missing");
        let not_text = dir.path().join("binary");
        fs::write(&not_text, [0xff, 0x00, 0xfe]).unwrap();
        let two = env::join_paths([&missing, &dir.path().join("gone")]).unwrap();
        insta::assert_snapshot!(said(Some(&missing), None, None), @"the kubeconfig `DIR/missing` is not there; name another in `lariat.toml` or in KUBECONFIG");
        insta::assert_snapshot!(said(None, Some(&two), None), @"the kubeconfig `DIR/missing` or `DIR/gone` is not there; name another in `lariat.toml` or in KUBECONFIG");
        insta::assert_snapshot!(said(None, Some("".as_ref()), Some(dir.path())), @"the kubeconfig `DIR/.kube/config` is not there; name another in `lariat.toml` or in KUBECONFIG");
        insta::assert_snapshot!(said(None, None, None), @"the kubeconfig `~/.kube/config` is not there; name another in `lariat.toml` or in KUBECONFIG");
        insta::assert_snapshot!(said(Some(dir.path()), None, None), @"the kubeconfig `DIR` can't be read: Is a directory (os error 21)");
        insta::assert_snapshot!(said(Some(&not_text), None, None), @"the kubeconfig `DIR/binary` can't be read: Invalid UTF-8");
    }

    #[test]
    fn a_list_is_merged_and_the_first_wins() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let one = file("one", "contexts: [{name: a, context: {cluster: first}}]");
        let two =
            file("two", "contexts: [{name: a, context: {cluster: second}}, {name: b, context: {cluster: second}}]");
        let listed = env::join_paths([&one, &dir.path().join("missing"), &two]).unwrap();
        let found = find_in(None, Some(&listed), None).unwrap();
        let clusters: Vec<&str> =
            found.config.contexts.iter().map(|known| known.context.as_ref().unwrap().cluster.as_str()).collect();
        assert_eq!(clusters, ["first", "second"]);
        assert_eq!(found.files, [one, two]);
    }
}
