//! Namespaces on their way out: emptied, then let go.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger, Watches};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::Write;

/// The controller.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "namespace-controller",
        triggers: vec![
            Trigger::itself(Kind::NAMESPACE),
            Trigger {
                watches: Watches::Everything,
                queues: |change, cache| {
                    let namespace = Key::alone(change.after.namespace());
                    let waits = cache.of(&Kind::NAMESPACE, &namespace).is_some_and(Object::is_terminating);
                    if waits { vec![namespace] } else { Vec::new() }
                },
            },
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), _: Timestamp) -> Round {
    let Some(namespace) = cache.of(&Kind::NAMESPACE, key).filter(|namespace| namespace.is_terminating()) else {
        return Round::idle();
    };
    let mut left = false;
    let mut writes = Vec::new();
    // Pods go first, and everything else only when they are gone (`OrderedNamespaceDeletion`, on since
    // v1.34): a network policy, say, protects them to their end.
    let pods = cache.within(&Kind::POD, &key.name).next().is_some();
    for (kind, object) in cache.everything().filter(|(kind, object)| kind.namespaced && object.namespace() == key.name)
    {
        // Kinds that are shown twice, as events are, need one deletion.
        if kind.group == "events.k8s.io" {
            continue;
        }
        left = true;
        if pods && !(kind.group.is_empty() && kind.plural == "pods") {
            continue;
        }
        if !object.is_terminating() {
            writes.push(Write::delete(kind, object).with_propagation("Background"));
        }
    }
    if left {
        return Round::writes(writes).look_again(Duration::from_secs(5));
    }
    if namespace.items("/spec/finalizers").is_empty() {
        return Round::idle();
    }
    let mut emptied = namespace.to_value();
    emptied["spec"]["finalizers"] = json!([]);
    Round::writes(vec![Write::finalize(emptied)])
}
