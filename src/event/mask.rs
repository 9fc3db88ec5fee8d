use serde_json::Value;

use super::{Body, Event, EventKind};

/// Hides secret values and whatever looks like a token, before an event is
/// written or shown anywhere.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Longest first, so that a secret inside another leaves nothing of the longer one.
    secrets: Vec<String>,
}

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// The shortest text that is taken for a secret: hiding every `1` would make a
/// report unreadable and hide nothing.
const SHORTEST: usize = 4;

impl Mask {
    /// Hides these values wherever they occur.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|s| s.len() >= SHORTEST).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        self.masked(text).unwrap_or_else(|| text.to_owned())
    }

    /// The text without secrets; `None` if there are none in it.
    fn masked(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for secret in &self.secrets {
            let text = masked.as_deref().unwrap_or(text);
            if text.contains(secret.as_str()) {
                masked = Some(text.replace(secret.as_str(), HIDDEN));
            }
        }
        let hidden = hide_tokens(masked.as_deref().unwrap_or(text));
        hidden.or(masked)
    }

    /// The event without secrets. Structure is kept: only strings change.
    ///
    /// A recorded object is masked where it stands: there are thousands of them a second.
    #[must_use]
    pub fn event(&self, mut event: Event) -> Event {
        if let EventKind::ObjectSeen(seen) = &mut event.kind {
            let (Body::Whole(value) | Body::Patch(value)) = &mut seen.body;
            self.value(value);
            return event;
        }
        let Ok(mut json) = serde_json::to_value(&event.kind) else {
            return event;
        };
        if self.value(&mut json)
            && let Ok(kind) = serde_json::from_value(json)
        {
            return Event { kind, ..event };
        }
        event
    }

    /// Masks every string inside; says whether one changed.
    fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let masked = self.masked(text);
                let changed = masked.as_ref().is_some_and(|masked| masked != text);
                if let Some(masked) = masked {
                    *text = masked;
                }
                changed
            }
            Value::Array(items) => items.iter_mut().fold(false, |changed, item| self.value(item) | changed),
            Value::Object(map) => map.values_mut().fold(false, |changed, item| self.value(item) | changed),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Replaces JSON Web Tokens (three base64url parts, the first beginning with
/// `{"` in base64, `eyJ`) and what follows `Bearer `. `None` if there is nothing of the kind.
fn hide_tokens(text: &str) -> Option<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | '/');
    let mut rest = text;
    let mut out = String::new();
    while let Some((at, keep)) = next_token(rest) {
        let tail = &rest[at + keep..];
        let end = tail.find(|c| !is_token(c)).unwrap_or(tail.len());
        out.push_str(&rest[..at + keep]);
        let looks_secret = if keep > 0 { end >= SHORTEST } else { tail[..end].matches('.').count() == 2 };
        out.push_str(if looks_secret { HIDDEN } else { &tail[..end] });
        rest = &tail[end..];
    }
    (!out.is_empty()).then(|| out + rest)
}

/// Where the next suspicious text begins, and how much of it stays visible.
fn next_token(text: &str) -> Option<(usize, usize)> {
    let jwt = text.find("eyJ").map(|at| (at, 0));
    let bearer = text.find("Bearer ").map(|at| (at, "Bearer ".len()));
    [jwt, bearer].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Elapsed;
    use crate::event::{How, Seen, WatchId};

    #[test]
    fn secrets_and_tokens_are_hidden() {
        let mask = Mask::new(["hunter22".into(), "hunter22-long".into(), "1".into()]);
        for (text, masked) in [
            ("a hunter22-long b hunter22", "a *** b ***"),
            ("step 1 of 1", "step 1 of 1"),
            ("Authorization: Bearer abc.def-123 ok", "Authorization: Bearer *** ok"),
            ("t=eyJhbGciOi.eyJzdWIi.c2ln;", "t=***;"),
            ("the eyJ prefix alone, eyJa.b", "the eyJ prefix alone, eyJa.b"),
            ("ünïcode Bearer é", "ünïcode Bearer é"),
        ] {
            assert_eq!(mask.text(text), masked, "{text}");
        }
    }

    #[test]
    fn an_event_keeps_its_shape() {
        let mask = Mask::new(["hunter22".into()]);
        let event = Event { seq: 3, at: Elapsed(1), kind: EventKind::Warned { message: "pass hunter22".into() } };
        let EventKind::Warned { message } = mask.event(event).kind else { panic!("the kind changed") };
        assert_eq!(message, "pass ***");
    }

    #[test]
    fn a_recorded_object_is_masked_inside() {
        let mask = Mask::new(["hunter22".into()]);
        let object = serde_json::json!({ "data": { "a": ["x hunter22"], "b": "Bearer abcdef", "c": 1 } });
        let seen = Seen {
            watch: WatchId(0),
            how: How::Added,
            namespace: String::new(),
            name: "n".into(),
            uid: "u".into(),
            version: "1".into(),
            arrived: Elapsed(0),
            body: Body::Patch(object),
        };
        let event = mask.event(Event { seq: 0, at: Elapsed(0), kind: EventKind::ObjectSeen(Box::new(seen)) });
        let EventKind::ObjectSeen(seen) = event.kind else { panic!("the kind changed") };
        let Body::Patch(value) = seen.body else { panic!("the body changed") };
        assert_eq!(value.to_string(), r#"{"data":{"a":["x ***"],"b":"Bearer ***","c":1}}"#);
    }
}
