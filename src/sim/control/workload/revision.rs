//! Revisions: what a workload's template was before, by a hash.

use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::write::Write;

/// The label that tells pods of one revision from those of another.
pub(super) const HASH: &str = "controller-revision-hash";

/// A short name for a value. Upstream hashes Go's own notation of it, so the letters differ, their form does not.
pub(super) fn hash(value: &Value, collisions: i64) -> String {
    let mut text = value.to_string();
    if collisions > 0 {
        text += &collisions.to_string();
    }
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string().bytes().map(|digit| char::from(letters[usize::from(digit) % letters.len()])).collect()
}

/// The revisions of an owner: the one of its present template, and the writes that keep them in order.
pub(super) struct History {
    /// The present revision's hash.
    pub(super) hash: String,
    /// The present revision's name.
    pub(super) name: String,
    pub(super) writes: Vec<Write>,
    /// The older revisions, oldest first.
    pub(super) old: Vec<Object>,
}

/// What a revision keeps of its owner's template.
fn data(template: &Value) -> Value {
    let mut template = template.clone();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// Finds the present template among the revisions, or adds it.
pub(super) fn history(owner: &Object, kind: &Kind, cache: &Cache) -> History {
    let template = owner.at("/spec/template");
    let data = data(template);
    let mut known: Vec<Object> = cache.controlled(&Kind::REVISION, owner).cloned().collect();
    known.sort_by_key(|revision| (revision.count("/revision"), revision.name().to_owned()));
    let newest = known.last().map_or(0, |revision| revision.count("/revision"));
    let mut writes = Vec::new();
    let found = known.iter().rposition(|revision| *revision.at("/data") == data);
    let collisions = owner.count("/status/collisionCount");
    let (hash, name) = if let Some(at) = found {
        let revision = known.remove(at);
        if revision.count("/revision") < newest {
            let mut changed = revision.to_value();
            changed["revision"] = (newest + 1).into();
            writes.push(Write::update(&Kind::REVISION, changed));
        }
        (revision.label(HASH).unwrap_or_default().to_owned(), revision.name().to_owned())
    } else {
        let hash = self::hash(template, collisions);
        let name = format!("{}-{hash}", owner.name());
        let mut labels = template["metadata"]["labels"].clone();
        if !labels.is_object() {
            labels = json!({});
        }
        labels[HASH] = hash.clone().into();
        writes.push(Write::create(
            &Kind::REVISION,
            json!({
                "metadata": {
                    "name": name, "namespace": owner.namespace(), "labels": labels,
                    "annotations": owner.at("/metadata/annotations"),
                    "ownerReferences": [kind.owner(owner.name(), owner.uid())],
                },
                "data": data, "revision": newest + 1,
            }),
        ));
        (hash, name)
    };
    History { hash, name, writes, old: known }
}

impl History {
    /// Deletes the oldest revisions that no pod is of, beyond the limit.
    pub(super) fn cleaned(&self, limit: i64, in_use: impl Fn(&str) -> bool) -> Vec<Write> {
        let unused: Vec<&Object> =
            self.old.iter().filter(|revision| !in_use(revision.label(HASH).unwrap_or_default())).collect();
        let excess = unused.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        unused.into_iter().take(excess).map(|revision| Write::delete(&Kind::REVISION, revision)).collect()
    }
}
