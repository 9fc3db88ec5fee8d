use http::Request;

use crate::plan::{Query, Resource};

/// How many objects are asked for at once: kubectl's and client-go's default
/// (`client-go/tools/pager`, `defaultPageSize`).
const PAGE: u32 = 500;

/// How long the server is asked to hold a watch. It may end it earlier.
const WATCH_SECONDS: u32 = 290;

/// What asks for metadata alone, and takes whole objects of a server that does not know it.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// The requests that serve one query, once the kind's version and scope are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    path: String,
    selectors: String,
}

/// A kind as the server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The version of its group, the preferred one if it has the kind.
    pub version: String,
    /// Its name in manifests, such as `DaemonSet`.
    pub kind: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

impl Address {
    pub(super) fn new(query: &Query, served: &Served) -> Self {
        let Resource { group, plural } = &query.resource;
        let root = if group.is_empty() {
            format!("/api/{}", served.version)
        } else {
            format!("/apis/{group}/{}", served.version)
        };
        let namespace = if served.namespaced && !query.namespace.is_empty() {
            format!("/namespaces/{}", escape(&query.namespace))
        } else {
            String::new()
        };
        let by_name = query.name.as_ref().map(|name| format!("metadata.name={name}"));
        let fields: Vec<&str> = [by_name.as_deref(), query.fields.as_deref()].into_iter().flatten().collect();
        let mut selectors = String::new();
        if let Some(labels) = &query.labels {
            selectors += &format!("&labelSelector={}", escape(labels));
        }
        if !fields.is_empty() {
            selectors += &format!("&fieldSelector={}", escape(&fields.join(",")));
        }
        Self { path: format!("{root}{namespace}/{plural}"), selectors }
    }

    /// One page of a list. Without a resource version: the most recent state, not a cache's.
    pub(super) fn list(&self, from: Option<&str>) -> Request<Vec<u8>> {
        let from = from.map(|token| format!("&continue={}", escape(token))).unwrap_or_default();
        get(&format!("{}?limit={PAGE}{}{from}", self.path, self.selectors))
    }

    /// One page of a list that has only the objects' metadata.
    pub(super) fn roll(&self, from: Option<&str>) -> Request<Vec<u8>> {
        let mut request = self.list(from);
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(METADATA));
        request
    }

    /// A list as of exactly one version, out of the store and not a cache.
    pub(super) fn exact(&self, version: u64) -> Request<Vec<u8>> {
        let Self { path, selectors } = self;
        get(&format!("{path}?limit={PAGE}&resourceVersion={version}&resourceVersionMatch=Exact{selectors}"))
    }

    /// A watch from a version on, with bookmarks.
    pub(super) fn watch(&self, version: &str) -> Request<Vec<u8>> {
        get(&format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}{}",
            self.path,
            escape(version),
            self.selectors
        ))
    }
}

/// What a group serves; the core group has one version.
pub(super) fn group(resource: &Resource) -> Request<Vec<u8>> {
    get(&format!("/apis/{}", resource.group))
}

/// The kinds of one version of a group.
pub(super) fn kinds(resource: &Resource, version: &str) -> Request<Vec<u8>> {
    if resource.group.is_empty() {
        get(&format!("/api/{version}"))
    } else {
        get(&format!("/apis/{}/{version}", resource.group))
    }
}

fn get(uri: &str) -> Request<Vec<u8>> {
    Request::get(uri).body(Vec::new()).expect("an escaped path is a URI")
}

/// Percent-encodes everything but unreserved characters.
fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes text");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_what_is_selected() {
        let query = Query {
            resource: Resource { group: "longhorn.io".into(), plural: "nodes".into() },
            namespace: "longhorn-system".into(),
            name: Some("n1".into()),
            labels: Some("app in (a,b)".into()),
            fields: Some("spec.x!=1".into()),
        };
        let address =
            Address::new(&query, &Served { version: "v1beta2".into(), kind: "Node".into(), namespaced: true });
        assert_eq!(
            address.list(None).uri().to_string(),
            "/apis/longhorn.io/v1beta2/namespaces/longhorn-system/nodes?limit=500&labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=metadata.name%3Dn1%2Cspec.x%21%3D1"
        );
        let everywhere = Address::new(
            &Query {
                resource: Resource { group: String::new(), plural: "nodes".into() },
                labels: None,
                fields: None,
                name: None,
                ..query
            },
            &Served { version: "v1".into(), kind: "Node".into(), namespaced: false },
        );
        assert_eq!(
            everywhere.watch("12").uri().to_string(),
            "/api/v1/nodes?watch=true&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion=12"
        );
    }
}
