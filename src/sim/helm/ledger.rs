use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};

use super::record::Record;

/// How many revisions are kept: helm's `--history-max`.
const HISTORY: usize = 10;

/// A release's revisions, each a secret, as helm's default storage has them.
#[derive(Clone)]
pub(super) struct Ledger {
    secrets: Api<Secret>,
}

impl Ledger {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace) }
    }

    /// All revisions of a release, the oldest first.
    pub(super) async fn history(&self, release: &str) -> Result<Vec<Record>, String> {
        let query = ListParams::default().labels(&format!("name={release},owner=helm"));
        let found = self
            .secrets
            .list(&query)
            .await
            .map_err(|error| format!("query: failed to query with labels: {}", plain(&error)))?;
        let mut records: Vec<Record> = found.items.iter().filter_map(read).collect();
        records.sort_by_key(|record| record.version);
        Ok(records)
    }

    /// Stores a new revision, and forgets those that are too old.
    pub(super) async fn create(&self, record: &Record) -> Result<(), String> {
        let old = self.history(&record.name).await?;
        let deployed = old.iter().rev().find(|record| record.info.status == "deployed").map(|record| record.version);
        let mut over = (old.len() + 1).saturating_sub(HISTORY);
        for record in old.iter().filter(|record| Some(record.version) != deployed) {
            if over == 0 {
                break;
            }
            self.remove(record).await?;
            over -= 1;
        }
        let secret = secret(record);
        self.secrets
            .create(&PostParams::default(), &secret)
            .await
            .map(drop)
            .map_err(|error| format!("create: failed to create: {}", plain(&error)))
    }

    /// Stores what became of a revision.
    pub(super) async fn update(&self, record: &Record) -> Result<(), String> {
        self.secrets
            .replace(&key(record), &PostParams::default(), &secret(record))
            .await
            .map(drop)
            .map_err(|error| format!("update: failed to update: {}", plain(&error)))
    }

    /// Forgets a revision.
    pub(super) async fn remove(&self, record: &Record) -> Result<(), String> {
        match self.secrets.delete(&key(record), &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(format!("delete: failed to delete release {}: {}", record.name, plain(&error))),
        }
    }
}

/// An API error as client-go words it; what lies below any other.
pub(super) fn plain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => crate::text::causes(other),
    }
}

fn key(record: &Record) -> String {
    format!("sh.helm.release.v1.{}.v{}", record.name, record.version)
}

fn read(secret: &Secret) -> Option<Record> {
    let data = &secret.data.as_ref()?.get("release")?.0;
    let mut record = Record::decode(data)?;
    let labels = secret.metadata.labels.clone().unwrap_or_default();
    let own = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];
    record.labels = labels.into_iter().filter(|(key, _)| !own.contains(&key.as_str())).collect();
    Some(record)
}

fn secret(record: &Record) -> Secret {
    let mut labels = record.labels.clone();
    let own = [
        ("name", record.name.clone()),
        ("owner", "helm".to_owned()),
        ("status", record.info.status.clone()),
        ("version", record.version.to_string()),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
    if let Ok(moment) = record.info.last_deployed.parse::<jiff::Timestamp>() {
        labels.insert("modifiedAt".to_owned(), moment.as_second().to_string());
    }
    Secret {
        metadata: ObjectMeta { name: Some(key(record)), labels: Some(labels), ..ObjectMeta::default() },
        type_: Some("helm.sh/release.v1".to_owned()),
        data: Some([("release".to_owned(), ByteString(record.encode()))].into()),
        ..Secret::default()
    }
}
