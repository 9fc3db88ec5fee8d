//! What a path asks for. Pure: nothing is looked up here.

use std::collections::BTreeMap;

/// A path of the API, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    Version,
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Resources {
        group: String,
        version: String,
    },
    /// `/openapi/v3`.
    OpenapiIndex,
    /// `/openapi/v3/…`.
    Openapi(String),
    Target(Target),
    Unknown,
}

/// A resource, or one object of it, or something below that object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// Whether the path itself asks for a watch, as the oldest clients do (`/api/v1/watch/pods`).
    pub(crate) watched: bool,
}

impl Route {
    /// Takes a path apart as the real server's request-info resolver does.
    pub(crate) fn of(path: &str) -> Self {
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["version"] => Self::Version,
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["openapi", "v3"] => Self::OpenapiIndex,
            ["openapi", "v3", rest @ ..] => Self::Openapi(rest.join("/")),
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::Resources { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => Self::Resources { group: (*group).to_owned(), version: (*version).to_owned() },
            ["api", version, rest @ ..] => Self::target("", version, rest),
            ["apis", group, version, rest @ ..] => Self::target(group, version, rest),
            _ => Self::Unknown,
        }
    }

    fn target(group: &str, version: &str, rest: &[&str]) -> Self {
        let (watched, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        // `namespaces/x/status` is about the namespace itself, `namespaces/x/pods` about what is in it.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, inner, ..] if !["status", "finalize"].contains(inner) => {
                (Some(*namespace), &rest[2..])
            }
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, sub @ ..] => (plural, Some(*name), Some(sub.join("/"))),
            [] => return Self::Unknown,
        };
        Self::Target(Target {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.map(str::to_owned),
            plural: (*plural).to_owned(),
            name: name.map(str::to_owned),
            subresource,
            watched,
        })
    }
}

/// A query, by key. A key may come several times: `command=sh&command=-c`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    /// The query of a URI.
    pub(crate) fn of(text: &str) -> Self {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(decode_query(key)).or_default().push(decode_query(value));
        }
        Self(map)
    }

    /// The first value of a key; an empty one counts as none, as in Go's decoder of options.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.first().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All values of a key.
    pub(crate) fn texts(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// A switch, by Go's rule: present, and neither `false` nor `0`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(|values| values.first()).is_some_and(|value| !["false", "0"].contains(&value.as_str()))
    }

    /// A number, where it is one.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }
}

fn decode_query(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Undoes percent escapes; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        match Route::of(path) {
            Route::Target(t) => format!(
                "{}/{} ns={} {} name={} sub={}",
                t.group,
                t.version,
                t.namespace.as_deref().unwrap_or("-"),
                t.plural,
                t.name.as_deref().unwrap_or("-"),
                t.subresource.as_deref().unwrap_or("-"),
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_taken_apart_as_the_server_does() {
        for (path, expected) in [
            ("/version", "Version"),
            ("/api", "CoreVersions"),
            ("/apis/apps", r#"Group("apps")"#),
            ("/apis/apps/v1", r#"Resources { group: "apps", version: "v1" }"#),
            ("/api/v1/pods", "/v1 ns=- pods name=- sub=-"),
            ("/api/v1/namespaces", "/v1 ns=- namespaces name=- sub=-"),
            ("/api/v1/namespaces/x", "/v1 ns=- namespaces name=x sub=-"),
            ("/api/v1/namespaces/x/status", "/v1 ns=- namespaces name=x sub=status"),
            ("/api/v1/namespaces/x/pods", "/v1 ns=x pods name=- sub=-"),
            ("/api/v1/namespaces/x/pods/p/log", "/v1 ns=x pods name=p sub=log"),
            ("/apis/apps/v1/namespaces/x/deployments/d%2De", "apps/v1 ns=x deployments name=d-e sub=-"),
            ("/metrics", "Unknown"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }

    #[test]
    fn queries_keep_repeated_keys_and_undo_escapes() {
        let query = Query::of("command=sh&command=-c&command=echo+a%20b&watch=1&follow=false&limit=5&empty=");
        assert_eq!(query.texts("command"), ["sh", "-c", "echo a b"]);
        assert!(query.flag("watch"));
        assert!(!query.flag("follow"));
        assert_eq!(query.number("limit"), Some(5));
        assert_eq!(query.text("empty"), None);
    }
}
