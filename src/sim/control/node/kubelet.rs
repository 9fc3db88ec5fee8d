//! The kubelet: a node's process that makes containers of pods and tells of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::process::Bell;
use super::super::queue::Backoff;
use super::super::write::{Form, Write};
use super::machines::Machines;
use super::pod_status;
use super::worker::{Ground, Setup, Worker};
use super::{KUBELET, heartbeat};

/// The controllers of one node's kubelet. Its process's host must be the node's name.
///
/// Containers live on the machine, not in the process: they go on when it is killed, and a new
/// process finds them. Hand the process's bell to [`Machines`] with [`ring`] so that programs can
/// wake it.
pub fn kubelet(machines: &Machines, node: &str) -> Vec<Box<dyn Runs>> {
    let pods = Controller {
        name: KUBELET,
        triggers: vec![
            Trigger::on_fields(Kind::POD, format!("spec.nodeName={node}"), |change, _| vec![change.after.key()]),
            Trigger::known(Kind::CONFIG_MAP),
            Trigger::known(Kind::SECRET),
            Trigger::on(Kind::CLAIM, |_, _| Vec::new()),
            Trigger::known(Kind::VOLUME),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    };
    let memory = Memory { machines: machines.clone(), node: node.to_owned() };
    vec![pods.with(memory), heartbeat::heartbeat(machines, node)]
}

/// Lets the programs on a node wake its kubelet, and its new kubelet go on with what runs there.
pub(in crate::sim) fn ring(machines: &Machines, node: &str, bell: &Bell) {
    let mut hall = machines.lock();
    if let Some(machine) = hall.machines.get_mut(node) {
        machine.bell = Some(bell.clone());
        for worker in machine.pods.values() {
            bell.ring(KUBELET, &worker.key());
        }
    }
}

/// What a kubelet holds: all else is on the machine.
struct Memory {
    machines: Machines,
    node: String,
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let mut hall = memory.machines.lock();
    let hall = &mut *hall;
    let Some(machine) = hall.machines.get_mut(&memory.node) else {
        return Round::idle();
    };
    let shown = cache.of(&Kind::POD, key).filter(|pod| pod.text("/spec/nodeName") == memory.node);
    if let Some(pod) = shown
        && !machine.pods.contains_key(pod.uid())
        && !is_over(pod)
    {
        machine.pods.insert(pod.uid().to_owned(), Worker::new(pod.clone(), now));
    }
    let mut round = Round::idle();
    let mut printed = false;
    let uids: Vec<String> =
        machine.pods.iter().filter(|(_, worker)| worker.key() == *key).map(|(uid, _)| uid.clone()).collect();
    for uid in uids {
        let mut worker = machine.pods.remove(&uid).expect("it was found in the line above");
        let shown = shown.filter(|pod| pod.uid() == uid);
        worker.sees(shown, now);
        let mut ground = Ground {
            node: &memory.node,
            images: &mut machine.images,
            programs: &hall.programs,
            unknown: &hall.unknown,
            chance: &mut machine.chance,
            attach: hall.attach.as_ref(),
            disk: &machine.disk,
            next_ip: &mut machine.next_ip,
            number: machine.number,
            bell: machine.bell.clone(),
            ailments: &hall.ailments,
        };
        let lines: usize = worker.vessels.iter().map(|vessel| vessel.log.len()).sum();
        let due = worker.advance(&mut ground, cache, now);
        printed |= lines != worker.vessels.iter().map(|vessel| vessel.log.len()).sum::<usize>();
        if let Some(at) = due {
            round = round.look_at(now, at);
        }
        tell(&mut worker, shown, machine.number, now, &mut round);
        let over = shown.is_none() && worker.is_down();
        if !over {
            machine.pods.insert(uid, worker);
        }
    }
    if printed {
        memory.machines.tell_printed();
    }
    round
}

/// A pod that was over before this kubelet saw it.
fn is_over(pod: &Object) -> bool {
    ["Succeeded", "Failed"].contains(&pod.text("/status/phase"))
}

/// Writes what there is to tell of a pod: events, its status if that differs, and at last its end.
fn tell(worker: &mut Worker, shown: Option<&Object>, number: usize, now: Timestamp, round: &mut Round) {
    for (container, (kind, reason, message)) in std::mem::take(&mut worker.says) {
        let message = if reason == "BackOff" && message.starts_with("Back-off restarting") {
            format!("{message} in pod {}_{}({})", worker.pod.name(), worker.pod.namespace(), worker.pod.uid())
        } else {
            message
        };
        let event = Write::event(&worker.pod, kind, reason, message);
        round.writes.push(match container {
            Some(container) => {
                let init = worker.vessels.iter().any(|vessel| vessel.init && vessel.name == container);
                event.about_field(format!("spec.{}{{{container}}}", if init { "initContainers" } else { "containers" }))
            }
            None => event,
        });
    }
    let Some(pod) = shown else { return };
    // A kubelet that was just started anew, or a force deletion: nothing to tell any more.
    if pod.is_terminating() && pod.number("/metadata/deletionGracePeriodSeconds") == Some(0) && !worker.is_down() {
        return;
    }
    let status = pod_status::status(worker, number, now);
    let mut changed = serde_json::Map::new();
    for (field, value) in status.as_object().into_iter().flatten() {
        let known = pod.at("/status").get(field).unwrap_or(&Value::Null);
        if field == "conditions" {
            let differing: Vec<Value> = value
                .as_array()
                .into_iter()
                .flatten()
                .filter(|condition| {
                    !says_the_same(condition, pod.condition(condition["type"].as_str().unwrap_or_default()))
                })
                .map(|condition| whole(condition, pod.condition(condition["type"].as_str().unwrap_or_default())))
                .collect();
            if !differing.is_empty() {
                changed.insert(field.clone(), differing.into());
            }
        } else if known != value {
            changed.insert(field.clone(), value.clone());
        }
    }
    if !changed.is_empty() {
        let body = json!({"metadata": {"uid": pod.uid()}, "status": changed});
        let patch = Write::patch_status(&Kind::POD, pod.key(), Form::Strategic, body);
        round.writes.push(patch.forgiving(&[404, 409]));
    }
    if worker.setup == Setup::Down && pod.is_terminating() {
        round.writes.push(Write::delete(&Kind::POD, pod).with_grace(0));
    }
}

/// Whether two conditions say the same: a null in a patch takes its field away.
fn says_the_same(new: &Value, old: Option<&Value>) -> bool {
    let fields = ["status", "reason", "message", "lastTransitionTime", "observedGeneration"];
    old.is_some_and(|old| fields.iter().all(|field| new[*field] == old[*field]))
}

/// A condition as a patch that takes away what the one before had more.
fn whole(condition: &Value, before: Option<&Value>) -> Value {
    let mut whole = condition.clone();
    for field in ["reason", "message"] {
        if whole.get(field).is_none() && before.is_some_and(|before| before.get(field).is_some()) {
            whole[field] = Value::Null;
        }
    }
    whole
}
