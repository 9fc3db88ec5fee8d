//! Attachment tickets: who wants a volume where, and who wins.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::BACKOFF;
use super::draft::Draft;
use super::kind;
use super::post::Post;
use super::site::time;
use super::timing::RESYNC;
use crate::sim::{Cache, Controller, Key, Object, Round, Runs, Trigger};

/// The controller. Its keys are volumes, whose names their attachments share.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-volume-attachment-controller",
        triggers: vec![Trigger::itself(kind::ATTACHMENT), Trigger::itself(kind::VOLUME), Trigger::known(kind::NODE)],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(post.clone())
}

/// The priority of a kind of ticket.
fn priority(kind: &str) -> i64 {
    match kind {
        "volume-restore-controller" | "volume-expansion-controller" => 2000,
        "longhorn-api" => 1000,
        "csi-attacher" | "salvage-controller" | "share-manager-controller" => 900,
        _ => 800,
    }
}

fn reconcile(key: &Key, cache: &Cache, post: &mut Post, now: Timestamp) -> Round {
    let Some(attachment) = cache.of(&kind::ATTACHMENT, key).filter(|own| own.namespace() == post.namespace) else {
        return Round::idle();
    };
    let mut draft = Draft::of(&kind::ATTACHMENT, attachment);
    let volume = cache.get(&kind::VOLUME, &post.namespace, attachment.text("/spec/volume"));
    let Some(volume) = volume.filter(|own| !own.is_terminating()) else {
        if attachment.is_terminating() {
            draft.set("/metadata/finalizers", Value::Array(Vec::new()));
        }
        return Round::writes(draft.writes());
    };
    if volume.text("/status/ownerID") != post.node {
        return Round::idle();
    }
    let mut moved = Draft::of(&kind::VOLUME, volume);
    let tickets = attachment.at("/spec/attachmentTickets");
    let wanted = wanted(tickets);
    let node = volume.text("/spec/nodeID");
    match wanted {
        // It is left where a ticket of lower rank had it, before another node gets it.
        _ if !node.is_empty() && wanted.is_none_or(|ticket| ticket["nodeID"] != node) => {
            moved.set("/spec/nodeID", "");
            moved.set("/spec/disableFrontend", false);
        }
        Some(ticket) if node.is_empty() && is_at_rest(volume) => {
            let parameter = |name: &str| ticket["parameters"][name].as_str().unwrap_or_default();
            moved.set("/spec/nodeID", ticket["nodeID"].clone());
            moved.set("/spec/disableFrontend", parameter("disableFrontend") == "true");
            moved.set("/spec/lastAttachedBy", parameter("lastAttachedBy"));
        }
        _ => {}
    }
    let statuses = tickets.as_object().into_iter().flatten().map(|(id, ticket)| {
        (id.clone(), status(ticket, volume, attachment.at("/status/attachmentTicketStatuses").get(id), now))
    });
    draft.set("/status/attachmentTicketStatuses", Value::Object(statuses.collect::<Map<_, _>>()));
    let mut writes = moved.writes();
    writes.extend(draft.writes());
    Round::writes(writes)
}

/// The ticket that wins: the highest priority, on a tie the smallest id.
fn wanted(tickets: &Value) -> Option<&Value> {
    let all = tickets.as_object()?.iter();
    let rank = |(id, ticket): &(&String, &Value)| {
        (Reverse(priority(ticket["type"].as_str().unwrap_or_default())), (*id).clone())
    };
    all.min_by_key(rank).map(|(_, ticket)| ticket)
}

fn is_at_rest(volume: &Object) -> bool {
    volume.text("/status/state") == "detached"
}

fn status(ticket: &Value, volume: &Object, before: Option<&Value>, now: Timestamp) -> Value {
    let here = volume.text("/status/state") == "attached" && ticket["nodeID"] == volume.text("/status/currentNodeID");
    let frontend = ticket["parameters"]["disableFrontend"] == "true";
    let fits = frontend == volume.flag("/spec/disableFrontend");
    let satisfied = here && fits;
    let reason = if here && !fits { "AttachedWithIncompatibleParameters" } else { "" };
    let word = if satisfied { "True" } else { "False" };
    let old = before.map(|own| &own["conditions"][0]).filter(|own| own["status"] == word);
    let since = old.map_or_else(|| time(now).into(), |own| own["lastTransitionTime"].clone());
    json!({
        "id": ticket["id"], "satisfied": satisfied, "generation": ticket["generation"].as_i64().unwrap_or_default(),
        "conditions": [{
            "type": "Satisfied", "status": word, "reason": reason, "message": "", "lastProbeTime": "",
            "lastTransitionTime": since,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_wins_then_the_smallest_id() {
        let ticket = |kind: &str, node: &str| json!({"type": kind, "nodeID": node});
        let cases = [
            (json!({}), None),
            (json!({"b": ticket("csi-attacher", "n1"), "a": ticket("longhorn-api", "n2")}), Some("n2")),
            (json!({"a": ticket("csi-attacher", "n1"), "b": ticket("longhorn-api", "n2")}), Some("n2")),
            (json!({"b": ticket("csi-attacher", "n1"), "a": ticket("csi-attacher", "n2")}), Some("n2")),
            (
                json!({"b": ticket("snapshot-controller", "n1"), "z": ticket("volume-expansion-controller", "n3")}),
                Some("n3"),
            ),
        ];
        for (tickets, node) in cases {
            assert_eq!(wanted(&tickets).map(|ticket| ticket["nodeID"].as_str().unwrap()), node, "{tickets}");
        }
    }
}
