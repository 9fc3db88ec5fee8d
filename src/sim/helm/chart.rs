use std::fmt;
use std::path::Path;
use std::sync::Arc;

use semver::Version;
use serde_json::Value;

use crate::cluster::ChartRequest;

/// What a chart's templates make of values, or what `fail` says in one of them.
pub type Templates = dyn Fn(&Rendering<'_>) -> Result<Rendered, String> + Send + Sync;

/// A chart as the stand-in knows it: what its templates would make of values.
#[derive(Clone)]
pub struct Chart {
    /// Its name, such as `longhorn`.
    pub name: String,
    /// Its version, such as `1.12.1`.
    pub version: String,
    /// The version of the application in it.
    pub app_version: String,
    /// What its `values.yaml` says.
    pub values: Value,
    /// What stands in its folder `crds`: made before an install, never changed afterwards.
    pub crds: Vec<Value>,
    /// Its templates.
    pub render: Arc<Templates>,
}

/// What a chart's templates see.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// `.Release.Name`.
    pub release: &'a str,
    /// `.Release.Namespace`.
    pub namespace: &'a str,
    /// `.Release.Revision`.
    pub revision: u64,
    /// `.Release.IsUpgrade`.
    pub is_upgrade: bool,
    /// `.Chart.Version`.
    pub version: &'a str,
    /// `.Chart.AppVersion`.
    pub app_version: &'a str,
    /// `.Values`: the chart's with the user's over them.
    pub values: &'a Value,
}

/// What templates make.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// Every object, hooks among them by their annotation `helm.sh/hook`.
    pub objects: Vec<Value>,
    /// `NOTES.txt`, filled in.
    pub notes: String,
}

impl fmt::Debug for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.version)
    }
}

/// The charts that an embedded cluster knows.
#[derive(Clone, Debug, Default)]
pub struct Charts(Vec<Arc<Chart>>);

impl Charts {
    /// Makes a chart known, in place of one of the same name and version.
    pub fn add(&mut self, chart: Chart) {
        self.0.retain(|known| (&known.name, &known.version) != (&chart.name, &chart.version));
        self.0.push(Arc::new(chart));
    }

    /// The chart that a request names, or a sentence that says which ones there are.
    pub(super) fn find(&self, request: &ChartRequest) -> Result<Arc<Chart>, String> {
        let (name, version) = named(request);
        let mut of_name: Vec<&Arc<Chart>> = self.0.iter().filter(|chart| chart.name == name).collect();
        of_name.sort_by_key(|chart| Version::parse(chart.version.trim_start_matches('v')).ok());
        let found = match &version {
            Some(version) => of_name.iter().find(|chart| same(&chart.version, version)),
            // Without a version helm takes the newest.
            None => of_name.last(),
        };
        found.map(|chart| Arc::clone(chart)).ok_or_else(|| {
            let known: Vec<String> = self.0.iter().map(|chart| format!("`{}-{}`", chart.name, chart.version)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { crate::text::and(&known) };
            let wanted = version.map_or_else(|| name.clone(), |version| format!("{name}-{version}"));
            format!(
                "the chart `{}` ({wanted}) is not known to the embedded cluster, which has {known}; a real cluster takes any chart: name one with `--context`",
                request.chart
            )
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_start_matches('v') == other.trim_start_matches('v')
}

/// Name and version of the chart that is meant: a folder's own `Chart.yaml` says it, an
/// archive's file name, else the last word of `repo/name` or `oci://…/name`.
fn named(request: &ChartRequest) -> (String, Option<String>) {
    let path = Path::new(&request.chart);
    if let Some((name, version)) = described(path) {
        return (name, Some(version));
    }
    let last = request.chart.rsplit('/').next().unwrap_or_default().trim_end_matches(".tgz");
    if request.version.is_some() {
        return (last.to_owned(), request.version.clone());
    }
    let split = last.match_indices('-').find_map(|(at, _)| {
        let version = &last[at + 1..];
        Version::parse(version.trim_start_matches('v')).is_ok().then(|| (last[..at].to_owned(), version.to_owned()))
    });
    split.map_or_else(|| (last.to_owned(), None), |(name, version)| (name, Some(version)))
}

fn described(folder: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(folder.join("Chart.yaml")).ok()?;
    let chart: Value = serde_saphyr::from_str(&text).ok()?;
    Some((chart["name"].as_str()?.to_owned(), chart["version"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charts(versions: &[&str]) -> Charts {
        let mut charts = Charts::default();
        for version in versions {
            charts.add(Chart {
                name: "store".into(),
                version: (*version).into(),
                app_version: (*version).into(),
                values: Value::Null,
                crds: Vec::new(),
                render: Arc::new(|_| Ok(Rendered::default())),
            });
        }
        charts
    }

    #[test]
    fn a_chart_is_found_as_helm_would() {
        let charts = charts(&["1.10.0", "1.9.0"]);
        let find = |chart: &str, version: Option<&str>| {
            let request =
                ChartRequest { chart: chart.into(), version: version.map(str::to_owned), ..ChartRequest::default() };
            charts.find(&request).map(|chart| chart.version.clone())
        };
        for (chart, version, found) in [
            ("repo/store", None, "1.10.0"),
            ("repo/store", Some("1.9.0"), "1.9.0"),
            ("repo/store", Some("v1.9.0"), "1.9.0"),
            ("oci://example.com/charts/store", Some("1.9.0"), "1.9.0"),
            ("/charts/store-1.9.0.tgz", None, "1.9.0"),
            ("./store-1.10.0", None, "1.10.0"),
        ] {
            assert_eq!(find(chart, version).as_deref(), Ok(found), "{chart} {version:?}");
        }
        insta::assert_snapshot!(find("repo/store", Some("2.0.0")).unwrap_err(), @"the chart `repo/store` (store-2.0.0) is not known to the embedded cluster, which has `store-1.10.0` and `store-1.9.0`; a real cluster takes any chart: name one with `--context`");
    }
}
