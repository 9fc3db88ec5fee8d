use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Error;
use super::kind;
use super::object::{Object, ObjectKey, number};
use super::query::Address;
use super::stream::{self, Trouble};
use crate::plan::Query;

/// The first wait after a failed request; each further one doubles it.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait between two tries: what a restarted API server is noticed after.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// All objects as of one version.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) objects: Vec<Arc<Object>>,
    pub(super) version: String,
    /// Whether the kind is served at all.
    pub(super) served: bool,
}

/// Which objects there are, as of one version, with the uid and version of each.
#[derive(Clone, Debug)]
pub(super) struct Roll {
    pub(super) entries: BTreeMap<ObjectKey, (String, String)>,
    pub(super) version: String,
}

impl Listing {
    /// Its objects' names, uids and versions.
    pub(super) fn roll(&self) -> Roll {
        let entry = |object: &Arc<Object>| (object.key.clone(), (object.uid.clone(), object.version.clone()));
        Roll { entries: self.objects.iter().map(entry).collect(), version: self.version.clone() }
    }

    /// That of a kind which is not served: a full answer, too.
    pub(super) fn nothing() -> Self {
        Self { objects: Vec::new(), version: "0".to_owned(), served: false }
    }
}

/// Whether a query is for Secrets, whose data is never taken in.
pub(super) fn is_secret(query: &Query) -> bool {
    query.resource.group.is_empty() && query.resource.plural == "secrets"
}

/// One list, page by page. All pages are of one version, or the server says 410.
pub(super) async fn list(client: Client, address: Address, secret: bool) -> Result<Listing, Trouble> {
    let mut objects: BTreeMap<ObjectKey, Arc<Object>> = BTreeMap::new();
    let mut from: Option<String> = None;
    loop {
        let page = page(&stream::bytes(&client, address.list(from.as_deref())).await?, secret)?;
        objects.extend(page.objects.into_iter().map(|object| (object.key.clone(), object)));
        from = page.next;
        if from.is_none() {
            return Ok(Listing { objects: objects.into_values().collect(), version: page.version, served: true });
        }
    }
}

/// One page of a list.
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Object>>,
    pub(super) version: String,
    /// What asks for the next one.
    pub(super) next: Option<String>,
}

/// Reads one page of a list.
pub(super) fn page(bytes: &[u8], secret: bool) -> Result<Page, Error> {
    let page: Written = serde_json::from_slice(bytes).map_err(|error| Error::Undecodable(error.to_string()))?;
    // Built-in kinds leave kind and version out of a list's items; an expression should find them either way.
    let kind = page.kind.as_deref().and_then(|kind| kind.strip_suffix("List")).unwrap_or_default();
    let names = (kind, page.api_version.as_deref().unwrap_or_default());
    let items = page.items.ok_or_else(no_items)?.into_iter();
    let objects = items.map(|item| Ok(Arc::new(Object::read(item.get(), secret, Some(names))?.stale())));
    Ok(Page {
        objects: objects.collect::<Result<_, Error>>()?,
        version: page.metadata.resource_version,
        next: page.metadata.next.filter(|token| !token.is_empty()),
    })
}

/// One list for somebody who follows, tried again while the trouble may pass.
pub(super) async fn patient_list(client: Client, query: Query) -> Result<Listing, Error> {
    let mut wait = FIRST_WAIT;
    loop {
        let trouble = match once(&client, &query).await {
            Ok(listing) => return Ok(listing),
            Err(Trouble::Error(error)) if !error.passes() => return Err(error),
            Err(trouble) => trouble,
        };
        drop(trouble);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One list. That of a kind which is not served is empty.
pub(super) async fn once(client: &Client, query: &Query) -> Result<Listing, Trouble> {
    let Some(served) = kind::served(client, &query.resource).await? else {
        return Ok(Listing::nothing());
    };
    match list(client.clone(), Address::new(query, &served), is_secret(query)).await {
        Err(Trouble::NotServed) => Ok(Listing::nothing()),
        other => other,
    }
}

/// Which objects there are now, tried again while the trouble may pass. A list from before what the
/// watch has shown already proves nothing: that is a trouble too.
pub(super) async fn patient_roll(client: Client, query: Query, least: Option<u64>) -> Result<Roll, Error> {
    let mut wait = FIRST_WAIT;
    loop {
        match roll(&client, &query).await {
            Ok(roll) if number(&roll.version).is_some_and(|version| Some(version) < least) => {}
            Ok(roll) => return Ok(roll),
            Err(Trouble::NotServed) => return Ok(Roll { entries: BTreeMap::new(), version: "0".to_owned() }),
            Err(Trouble::Error(error)) if !error.passes() => return Err(error),
            Err(Trouble::Error(_) | Trouble::Gone) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn roll(client: &Client, query: &Query) -> Result<Roll, Trouble> {
    let served = kind::served(client, &query.resource).await?.ok_or(Trouble::NotServed)?;
    let address = Address::new(query, &served);
    let mut entries = BTreeMap::new();
    let mut from: Option<String> = None;
    loop {
        let bytes = stream::bytes(client, address.roll(from.as_deref())).await?;
        let page: Names = serde_json::from_slice(&bytes).map_err(|error| Error::Undecodable(error.to_string()))?;
        for Named { metadata } in page.items {
            let key = ObjectKey { namespace: metadata.namespace, name: metadata.name };
            entries.insert(key, (metadata.uid, metadata.resource_version));
        }
        match page.metadata.next {
            Some(token) if !token.is_empty() => from = Some(token),
            _ => return Ok(Roll { entries, version: page.metadata.resource_version }),
        }
    }
}

fn no_items() -> Error {
    Error::Undecodable("a list has no items".to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'p> {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'p RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    metadata: PageMetadata,
    /// Of names alone, an API server writes an empty list as null.
    #[serde(deserialize_with = "or_none")]
    items: Vec<Named>,
}

fn or_none<'de, D: Deserializer<'de>>(items: D) -> Result<Vec<Named>, D::Error> {
    Option::deserialize(items).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
}
