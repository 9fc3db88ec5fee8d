use std::sync::{Arc, OnceLock};

use cel::common::value::CowVal;
use cel::context::VariableResolver;
use serde_json::Value;

use super::node::Node;

/// The name under which the present moment is bound, as RFC 3339 text, for
/// `age(o)`. No source can spell it.
pub const NOW: &str = "@now";

/// How many layers may lie over each other before they are made one.
const MAX_LAYERS: usize = 16;

/// What names mean during one evaluation.
///
/// It never changes under its holders and is cheap to clone; a name bound
/// later hides the same name bound before.
#[derive(Debug, Clone, Default)]
pub struct Env {
    top: Arc<Layer>,
}

#[derive(Debug, Clone, Default)]
struct Layer {
    below: Option<Arc<Layer>>,
    depth: usize,
    names: Vec<(Box<str>, Shared)>,
}

impl Env {
    /// Nothing is bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a value; it is converted when the first expression asks for it, and then kept.
    #[must_use]
    pub fn with(self, name: &str, value: Value) -> Self {
        self.with_shared(name, Shared::from(value))
    }

    /// Binds a value that others use too.
    #[must_use]
    pub fn with_shared(mut self, name: &str, value: Shared) -> Self {
        if let Some(layer) = Arc::get_mut(&mut self.top) {
            layer.put(name, value);
            return self;
        }
        let mut layer = if self.top.depth < MAX_LAYERS {
            Layer { depth: self.top.depth + 1, below: Some(self.top), names: Vec::new() }
        } else {
            self.top.flat()
        };
        layer.put(name, value);
        Self { top: Arc::new(layer) }
    }

    /// An environment over this one, to be bound further without copying what is here.
    #[must_use]
    pub fn child(&self) -> Self {
        self.clone()
    }

    /// What a name means here.
    ///
    /// Members that were `null` are gone if the value came from an expression.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).map(Shared::value)
    }

    fn find(&self, name: &str) -> Option<&Shared> {
        let mut layer = &*self.top;
        loop {
            if let Some((_, value)) = layer.names.iter().find(|(held, _)| **held == *name) {
                return Some(value);
            }
            layer = layer.below.as_deref()?;
        }
    }
}

impl Layer {
    fn put(&mut self, name: &str, value: Shared) {
        match self.names.iter_mut().find(|(held, _)| **held == *name) {
            Some((_, held)) => *held = value,
            None => self.names.push((name.into(), value)),
        }
    }

    /// This layer and all below it as one.
    fn flat(&self) -> Layer {
        let mut flat = Layer::default();
        let mut layers = vec![self];
        while let Some(below) = layers.last().and_then(|layer| layer.below.as_deref()) {
            layers.push(below);
        }
        for (name, value) in layers.into_iter().rev().flat_map(|layer| &layer.names) {
            flat.put(name, value.clone());
        }
        flat
    }
}

impl VariableResolver for Env {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.find(variable).map(|shared| CowVal::Borrowed(shared.node().as_val()))
    }
}

/// A value that was converted once and can be bound in many environments.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Held>);

/// Whichever side was there first makes the other when it is asked for.
#[derive(Debug, Default)]
struct Held {
    json: OnceLock<Value>,
    node: OnceLock<Node>,
}

impl Shared {
    /// Converts a value now and keeps no copy of the JSON.
    pub fn new(value: &Value) -> Self {
        Self::of(Node::of(value))
    }

    /// A list of values that are shared themselves: nothing is copied.
    pub fn list(items: impl IntoIterator<Item = Shared>) -> Self {
        Self::of(Node::items(items.into_iter().map(|item| item.node().clone())))
    }

    /// A map of values that are shared themselves: nothing is copied. Members that are null are left out.
    pub fn map<'k>(members: impl IntoIterator<Item = (&'k str, Shared)>) -> Self {
        let members = members.into_iter().map(|(key, value)| (key, value.node().clone()));
        Self::of(Node::fields(members.filter(|(_, node)| !matches!(node, Node::Null))))
    }

    /// The members of a map, sorted by key; none if it is something else.
    pub fn members(&self) -> impl Iterator<Item = (&str, Shared)> {
        self.node().members().iter().map(|(key, node)| (key.inner(), Self::of(node.clone())))
    }

    /// The elements of a list; none if it is something else.
    pub fn elements(&self) -> impl Iterator<Item = Shared> {
        self.node().elements().iter().map(|node| Self::of(node.clone()))
    }

    /// The value as JSON.
    pub fn value(&self) -> &Value {
        self.0.json.get_or_init(|| self.node().to_json().unwrap_or_default())
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.node(), Node::Null)
    }

    pub(super) fn of(node: Node) -> Self {
        let held = Held::default();
        let _ = held.node.set(node);
        Self(Arc::new(held))
    }

    pub(super) fn node(&self) -> &Node {
        self.0.node.get_or_init(|| self.0.json.get().map_or(Node::Null, Node::of))
    }
}

impl From<Value> for Shared {
    fn from(value: Value) -> Self {
        let held = Held::default();
        let _ = held.json.set(value);
        Self(Arc::new(held))
    }
}
