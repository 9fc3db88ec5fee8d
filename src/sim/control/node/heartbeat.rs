//! A node's heartbeat: its lease, and its status.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::queue::Backoff;
use super::super::timing;
use super::super::write::{Form, Write};
use super::machines::Machines;
use super::worker::host_ip;

/// The controller of a kubelet that looks after its node; its only key is the node.
pub(super) fn heartbeat(machines: &Machines, node: &str) -> Box<dyn Runs> {
    let number = machines.lock().machines.get(node).map_or(1, |machine| machine.number);
    Controller {
        name: "kubelet-node",
        triggers: vec![
            Trigger::on_fields(Kind::NODE, format!("metadata.name={node}"), |change, _| vec![change.after.key()]),
            Trigger::on_fields(Kind::LEASE, format!("metadata.name={node}"), |change, _| {
                let new = change.before.is_none() || change.deleted;
                if new { vec![Key::alone(change.after.name())] } else { Vec::new() }
            }),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory { number, reported: None })
}

struct Memory {
    number: usize,
    /// When this process last wrote the node's status.
    reported: Option<Timestamp>,
}

const LEASES: &str = "kube-node-lease";

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let mut round = Round::idle();
    let Some(node) = cache.of(&Kind::NODE, key) else {
        return Round::writes(vec![Write::create(&Kind::NODE, object(&key.name, memory.number, now))]);
    };
    let stale = memory.reported.is_none_or(|at| seconds(at, now) >= timing::NODE_REPORTED.as_secs_f64());
    if stale || !node.is("Ready") {
        memory.reported = Some(now);
        let conditions: Vec<Value> = conditions(now)
            .into_iter()
            .map(|mut condition| {
                let before = node.condition(condition["type"].as_str().unwrap_or_default());
                if let Some(before) = before.filter(|before| before["status"] == condition["status"]) {
                    condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
                }
                condition
            })
            .collect();
        let body = json!({"status": {"conditions": conditions}});
        round.writes.push(Write::patch_status(&Kind::NODE, key.clone(), Form::Strategic, body));
    }
    let renewed = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    match cache.get(&Kind::LEASE, LEASES, &key.name) {
        None => {
            let lease = json!({
                "metadata": {
                    "name": key.name, "namespace": LEASES,
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": key.name, "uid": node.uid()}],
                },
                "spec": {
                    "holderIdentity": key.name, "leaseDurationSeconds": timing::LEASE_LASTS, "renewTime": renewed,
                },
            });
            round.writes.push(Write::create(&Kind::LEASE, lease));
        }
        Some(lease) => {
            let last = lease.time("/spec/renewTime").unwrap_or(Timestamp::UNIX_EPOCH);
            let due = timing::LEASE_RENEWED.as_secs_f64() - seconds(last, now);
            if due > 0.0 {
                return round.look_again(std::time::Duration::from_secs_f64(due));
            }
            let mut renewal = lease.to_value();
            renewal["spec"]["renewTime"] = renewed.into();
            round.writes.push(Write::update(&Kind::LEASE, renewal));
        }
    }
    round.look_again(timing::LEASE_RENEWED)
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn conditions(now: Timestamp) -> Vec<Value> {
    let text = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    .into_iter()
    .map(|(kind, status, reason, message)| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": text, "lastTransitionTime": text,
        })
    })
    .collect()
}

/// A node as its kubelet registers it, ready.
pub(in crate::sim) fn object(name: &str, number: usize, now: Timestamp) -> Value {
    let capacity = json!({
        "cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "200Gi", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
            },
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {"podCIDR": format!("10.244.{number}.0/24"), "podCIDRs": [format!("10.244.{number}.0/24")]},
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "conditions": conditions(now),
            "addresses": [
                {"type": "InternalIP", "address": host_ip(number)}, {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "containerd://1.6.20",
                "kernelVersion": "6.18.0", "kubeProxyVersion": "", "kubeletVersion": "v1.34.4", "machineID": "",
                "operatingSystem": "linux", "osImage": "Lariat embedded cluster", "systemUUID": "",
            },
        },
    })
}
