//! What controllers want written, and how it is asked of an API server.

use http::Request;
use http::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};

use super::key::Key;
use super::kind::Kind;
use super::object::Object;

/// One request that changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub(super) kind: Kind,
    pub(super) act: Act,
    /// Codes that are as good as success, such as 404 for a deletion.
    forgives: &'static [u16],
    /// An event to tell once it is done; `{}` in its message is the name of what was written.
    pub(super) tells: Option<Box<Write>>,
    /// How it goes together with its neighbours in a round.
    pub(super) pace: Pace,
    /// How many questions are asked before, each of which takes as long as a write.
    pub(super) questions: u32,
    /// Not done if an object of this uid is at this path: asked right before, whatever the cache says.
    pub(super) unless: Option<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Create {
        namespace: String,
        object: Value,
    },
    Replace {
        key: Key,
        part: &'static str,
        object: Value,
    },
    Patch {
        key: Key,
        part: &'static str,
        form: Form,
        body: Value,
    },
    Delete {
        key: Key,
        options: Value,
    },
    /// The deletion of all objects of a kind in a namespace.
    Clear {
        namespace: String,
        options: Value,
    },
    Post {
        key: Key,
        part: &'static str,
        body: Value,
    },
    /// An event about an object: never a reason to retry.
    Event {
        about: Value,
        kind: &'static str,
        reason: String,
        message: String,
    },
}

/// How a write goes together with its neighbours of the same pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// One after another.
    #[default]
    Alone,
    /// All of them at once.
    AtOnce,
    /// One, then two, then four: as controllers make pods (`slowStartBatch`), so that a refusal is met early.
    SlowStart,
}

/// How a patch is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 7396.
    Merge,
    /// Kubernetes' own, for built-in kinds.
    Strategic,
    /// RFC 6902.
    Json,
}

impl Write {
    fn of(kind: &Kind, act: Act) -> Self {
        Self { kind: kind.clone(), act, forgives: &[], tells: None, pace: Pace::Alone, questions: 0, unless: None }
    }

    /// Creates an object, in the namespace that its metadata names.
    pub fn create(kind: &Kind, mut object: Value) -> Self {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.as_ref().into();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        Self::of(kind, Act::Create { namespace, object })
    }

    /// Writes a whole object back; refused if it has changed since it was read.
    pub fn update(kind: &Kind, object: Value) -> Self {
        Self::of(kind, Act::Replace { key: key_of(&object), part: "", object })
    }

    /// Writes an object's status back; refused if the object has changed since it was read.
    pub fn update_status(kind: &Kind, object: Value) -> Self {
        Self::of(kind, Act::Replace { key: key_of(&object), part: "/status", object })
    }

    /// Patches an object.
    pub fn patch(kind: &Kind, key: Key, form: Form, body: Value) -> Self {
        Self::of(kind, Act::Patch { key, part: "", form, body })
    }

    /// Patches an object's status.
    pub fn patch_status(kind: &Kind, key: Key, form: Form, body: Value) -> Self {
        Self::of(kind, Act::Patch { key, part: "/status", form, body })
    }

    /// Deletes exactly this object, not another of its name. That it has gone already is well.
    pub fn delete(kind: &Kind, object: &Object) -> Self {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": object.uid()}});
        Self::of(kind, Act::Delete { key: object.key(), options }).forgiving(&[404, 409])
    }

    /// Deletes all objects of a kind in a namespace. That there is no such deletion of a kind is well.
    pub(super) fn clear(kind: &Kind, namespace: &str) -> Self {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        Self::of(kind, Act::Clear { namespace: namespace.to_owned(), options }).forgiving(&[404, 405])
    }

    /// The same deletion with a grace period.
    #[must_use]
    pub fn with_grace(self, seconds: i64) -> Self {
        self.with_option("gracePeriodSeconds", seconds.into())
    }

    /// The same deletion with a propagation policy.
    #[must_use]
    pub fn with_propagation(self, policy: &str) -> Self {
        self.with_option("propagationPolicy", policy.into())
    }

    fn with_option(mut self, name: &str, value: Value) -> Self {
        if let Act::Delete { options, .. } = &mut self.act {
            options[name] = value;
        }
        self
    }

    /// Puts a pod on a node.
    pub fn bind(pod: &Object, node: &str) -> Self {
        let body = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
            "target": {"kind": "Node", "name": node},
        });
        Self::of(&Kind::POD, Act::Post { key: pod.key(), part: "/binding", body })
    }

    /// Asks for a pod's eviction, which a disruption budget may refuse.
    pub fn evict(pod: &Object) -> Self {
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": pod.name(), "namespace": pod.namespace()},
        });
        Self::of(&Kind::POD, Act::Post { key: pod.key(), part: "/eviction", body })
    }

    /// Replaces the finalizers in a namespace's specification.
    pub(super) fn finalize(namespace: Value) -> Self {
        let act = Act::Replace { key: key_of(&namespace), part: "/finalize", object: namespace };
        Self::of(&Kind::NAMESPACE, act).forgiving(&[404])
    }

    /// An event: `kind` is `Normal` or `Warning`. The same again is counted, not repeated.
    pub fn event(about: &Object, kind: &'static str, reason: &str, message: impl Into<String>) -> Self {
        let about = json!({
            "kind": about.text("/kind"), "namespace": about.namespace(), "name": about.name(), "uid": about.uid(),
            "apiVersion": about.text("/apiVersion"), "resourceVersion": about.text("/metadata/resourceVersion"),
        });
        Self::of(&Kind::EVENT, Act::Event { about, kind, reason: reason.to_owned(), message: message.into() })
    }

    /// The same write, but not if that object is still there: the server is asked right before, as the
    /// garbage collector does, whose cache of owners may lag behind that of what they own.
    #[must_use]
    pub fn unless_there(mut self, kind: &Kind, key: &Key, uid: &str) -> Self {
        self.unless = Some((kind.object(key), uid.to_owned()));
        self
    }

    /// The same write, together with its neighbours in a round.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same write, with so many questions asked before it.
    #[must_use]
    pub fn asking(mut self, questions: u32) -> Self {
        self.questions = questions;
        self
    }

    /// The same write, after which an event is told while the controller goes on. `{}` in its message is
    /// the name of what was written, as in `Created pod: web-x7k2p`: only the server knows a generated one.
    #[must_use]
    pub fn telling(mut self, about: &Object, reason: &str, message: &str) -> Self {
        self.tells = Some(Box::new(Self::event(about, "Normal", reason, message)));
        self
    }

    /// The event of a write that made something of this name.
    pub(super) fn told(&self, name: &str) -> Option<Self> {
        let mut event = Self::clone(self.tells.as_ref()?);
        if let Act::Event { message, .. } = &mut event.act {
            *message = message.replace("{}", name);
        }
        Some(event)
    }

    /// Whether it makes something.
    pub(super) fn creates(&self) -> bool {
        matches!(self.act, Act::Create { .. })
    }

    /// The same event, about a field of the object such as `spec.containers{db}`.
    #[must_use]
    pub fn about_field(mut self, path: String) -> Self {
        if let Act::Event { about, .. } = &mut self.act {
            about["fieldPath"] = path.into();
        }
        self
    }

    /// The same, taking these codes for success.
    #[must_use]
    pub fn forgiving(mut self, codes: &'static [u16]) -> Self {
        self.forgives = codes;
        self
    }

    /// Whether a refusal with this code is as good as success.
    pub(super) fn forgives(&self, code: u16) -> bool {
        self.forgives.contains(&code)
    }

    /// The request; an event has none of its own.
    pub(super) fn request(&self, agent: &str) -> Option<Request<Vec<u8>>> {
        let (method, path, content, body) = match &self.act {
            Act::Create { namespace, object } => ("POST", self.kind.collection(namespace), "application/json", object),
            Act::Replace { key, part, object } => {
                ("PUT", format!("{}{part}", self.kind.object(key)), "application/json", object)
            }
            Act::Patch { key, part, form, body } => {
                ("PATCH", format!("{}{part}", self.kind.object(key)), form.content_type(), body)
            }
            Act::Delete { key, options } => ("DELETE", self.kind.object(key), "application/json", options),
            Act::Clear { namespace, options } => {
                ("DELETE", self.kind.collection(namespace), "application/json", options)
            }
            Act::Post { key, part, body } => {
                ("POST", format!("{}{part}", self.kind.object(key)), "application/json", body)
            }
            Act::Event { .. } => return None,
        };
        Some(request(method, &path, agent, content, body.to_string().into_bytes()))
    }
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// A request by an actor of this name.
pub(super) fn request(method: &str, path: &str, agent: &str, content: &str, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(path).header(USER_AGENT, agent);
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, content);
    }
    request.body(body).expect("paths are made of names that the API server took, and agents are plain words")
}

fn key_of(object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    Key::new(text("namespace"), text("name"))
}
