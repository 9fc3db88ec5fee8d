use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Chart;
use crate::cluster::{Hook, Release};

/// A release as helm stores it: the fields that helm and its users read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) info: Info,
    chart: StoredChart,
    /// The user's values.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) config: Value,
    /// All objects but the hooks, as YAML.
    pub(super) manifest: String,
    #[serde(default)]
    pub(super) hooks: Vec<HookRecord>,
    pub(super) version: u64,
    pub(super) namespace: String,
    apply_method: String,
    /// Labels of the secret besides helm's own.
    #[serde(skip)]
    pub(super) labels: BTreeMap<String, String>,
}

/// How a release stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Info {
    pub(super) first_deployed: String,
    pub(super) last_deployed: String,
    pub(super) description: String,
    pub(super) status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) notes: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredChart {
    metadata: Metadata,
    #[serde(default)]
    values: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    app_version: String,
}

/// A hook with how it went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HookRecord {
    pub(super) name: String,
    pub(super) kind: String,
    path: String,
    pub(super) manifest: String,
    pub(super) events: Vec<String>,
    pub(super) last_run: LastRun,
    #[serde(default)]
    pub(super) weight: i64,
    #[serde(default)]
    pub(super) delete_policies: Vec<String>,
}

/// How a hook went the last time; empty if it has not run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LastRun {
    #[serde(default)]
    pub(super) started_at: String,
    #[serde(default)]
    pub(super) completed_at: String,
    #[serde(default)]
    pub(super) phase: String,
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

impl Record {
    /// A new revision of a chart, its hooks apart from its objects.
    pub(super) fn new(name: &str, namespace: &str, version: u64, chart: &Chart, objects: &[Value]) -> Self {
        let (hooks, objects): (Vec<&Value>, Vec<&Value>) = objects.iter().partition(|object| events(object).is_some());
        let mut hooks: Vec<HookRecord> = hooks.into_iter().map(|object| HookRecord::of(object, &chart.name)).collect();
        hooks.sort_by(|a, b| (a.weight, &a.name).cmp(&(b.weight, &b.name)));
        let manifest = objects.into_iter().fold(String::new(), |text, object| {
            text + &format!("---\n# Source: {}/templates/{}.yaml\n{}", chart.name, file_of(object), yaml(object))
        });
        let info = Info {
            first_deployed: String::new(),
            last_deployed: String::new(),
            description: String::new(),
            status: String::new(),
            notes: String::new(),
        };
        let metadata = Metadata {
            name: chart.name.clone(),
            version: chart.version.clone(),
            api_version: "v2".to_owned(),
            app_version: chart.app_version.clone(),
        };
        Self {
            name: name.to_owned(),
            info,
            chart: StoredChart { metadata, values: chart.values.clone() },
            config: Value::Null,
            manifest,
            hooks,
            version,
            namespace: namespace.to_owned(),
            apply_method: "ssa".to_owned(),
            labels: BTreeMap::new(),
        }
    }

    /// Its objects, hooks left out.
    pub(super) fn objects(&self) -> Vec<Value> {
        documents(&self.manifest)
    }

    /// The secret's content.
    pub(super) fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a record is plain data");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&json).expect("writing into memory does not fail");
        BASE64.encode(gzip.finish().expect("writing into memory does not fail")).into_bytes()
    }

    /// Reads a secret's content, whoever wrote it.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let gzip = BASE64.decode(data).ok()?;
        let mut json = Vec::new();
        GzDecoder::new(&gzip[..]).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// As helm's commands tell of it.
    pub(super) fn release(&self) -> Release {
        let hooks = self.hooks.iter().map(|hook| Hook {
            name: hook.name.clone(),
            kind: hook.kind.clone(),
            events: hook.events.clone(),
            phase: hook.last_run.phase.clone(),
        });
        let Metadata { name, version, app_version, .. } = &self.chart.metadata;
        Release {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            revision: self.version,
            status: self.info.status.clone(),
            description: self.info.description.clone(),
            chart: format!("{name}-{version}"),
            app_version: app_version.clone(),
            notes: self.info.notes.clone(),
            manifest: self.manifest.clone(),
            hooks: hooks.collect(),
            labels: self.labels.clone().into_iter().collect(),
        }
    }
}

impl HookRecord {
    fn of(object: &Value, chart: &str) -> Self {
        let annotation = |name: &str| object["metadata"]["annotations"][name].as_str().unwrap_or_default();
        let list = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        Self {
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            kind: object["kind"].as_str().unwrap_or_default().to_owned(),
            path: format!("{chart}/templates/{}.yaml", file_of(object)),
            manifest: yaml(object),
            events: list(annotation("helm.sh/hook")),
            last_run: LastRun::default(),
            weight: annotation("helm.sh/hook-weight").parse().unwrap_or(0),
            delete_policies: list(annotation("helm.sh/hook-delete-policy")),
        }
    }

    /// The hook's object.
    pub(super) fn object(&self) -> Value {
        documents(&self.manifest).into_iter().next().unwrap_or_else(|| json!({}))
    }
}

fn events(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"]["helm.sh/hook"].as_str()
}

fn file_of(object: &Value) -> String {
    object["kind"].as_str().unwrap_or_default().to_lowercase()
}

fn yaml(object: &Value) -> String {
    let text = serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string());
    if text.ends_with('\n') { text } else { text + "\n" }
}

fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    all.into_iter().filter(|document| !document.is_null()).collect()
}
