//! Endpoints: the addresses of the pods behind each service, in the old form and the new.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::select;
use super::super::write::Write;

/// The controller.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    let owned = |change: &super::super::cache::Change, _: &Cache| {
        let name = change.after.label("kubernetes.io/service-name").unwrap_or_else(|| change.after.name());
        vec![Key::new(change.after.namespace(), name)]
    };
    Controller {
        name: "endpoint-controller",
        triggers: vec![
            Trigger::itself(Kind::SERVICE),
            Trigger::on(Kind::POD, |change, cache| {
                let parts = [
                    "/metadata/labels",
                    "/status/podIP",
                    "/status/conditions",
                    "/status/phase",
                    "/metadata/deletionTimestamp",
                ];
                if !parts.iter().any(|part| change.touches(part)) {
                    return Vec::new();
                }
                let services = cache.within(&Kind::SERVICE, change.after.namespace());
                services.filter(|service| change.states().any(|pod| selects(service, pod))).map(Object::key).collect()
            }),
            Trigger::on(Kind::ENDPOINTS, owned),
            Trigger::on(Kind::ENDPOINT_SLICE, owned),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn selects(service: &Object, pod: &Object) -> bool {
    let selector = service.at("/spec/selector");
    selector.as_object().is_some_and(|terms| !terms.is_empty())
        && select::has_labels(selector, pod.at("/metadata/labels"))
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), _: Timestamp) -> Round {
    let service = cache.of(&Kind::SERVICE, key).filter(|service| !service.is_terminating());
    let slice = cache
        .within(&Kind::ENDPOINT_SLICE, &key.namespace)
        .find(|slice| slice.label("kubernetes.io/service-name") == Some(&key.name));
    let old = cache.of(&Kind::ENDPOINTS, key);
    let Some(service) =
        service.filter(|service| service.at("/spec/selector").as_object().is_some_and(|own| !own.is_empty()))
    else {
        // Slices go with their owner; the older kind has none.
        let gone = cache.of(&Kind::SERVICE, key).is_none();
        return Round::writes(
            old.filter(|_| gone).map(|old| Write::delete(&Kind::ENDPOINTS, old)).into_iter().collect(),
        );
    };
    let pods: Vec<&Object> = cache
        .within(&Kind::POD, &key.namespace)
        .filter(|pod| selects(service, pod) && !pod.text("/status/podIP").is_empty())
        .filter(|pod| !["Succeeded", "Failed"].contains(&pod.text("/status/phase")))
        .collect();
    let mut writes = Vec::new();
    let endpoints: Vec<Value> = pods.iter().map(|pod| endpoint(pod, service)).collect();
    let ports: Vec<Value> = service
        .items("/spec/ports")
        .iter()
        .map(|port| json!({
            "name": port["name"].as_str().unwrap_or_default(), "protocol": port["protocol"].as_str().unwrap_or("TCP"),
            "port": target(port, pods.first().copied()),
        }))
        .collect();
    match slice {
        None => writes.push(Write::create(
            &Kind::ENDPOINT_SLICE,
            json!({
                "metadata": {
                    "generateName": format!("{}-", key.name), "namespace": key.namespace,
                    "labels": {
                        "kubernetes.io/service-name": key.name,
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    },
                    "ownerReferences": [Kind::SERVICE.owner(service.name(), service.uid())],
                },
                "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
            }),
        )),
        Some(slice) => {
            if slice.items("/endpoints") != endpoints || slice.items("/ports") != ports {
                let mut changed = slice.to_value();
                changed["endpoints"] = endpoints.into();
                changed["ports"] = ports.clone().into();
                writes.push(Write::update(&Kind::ENDPOINT_SLICE, changed));
            }
        }
    }
    let address = |pod: &&&Object| {
        json!({
            "ip": pod.text("/status/podIP"), "nodeName": pod.text("/spec/nodeName"),
            "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
        })
    };
    let serves = |pod: &&&Object| is_ready(pod, service);
    let ready: Vec<Value> = pods.iter().filter(serves).map(|pod| address(&pod)).collect();
    let unready: Vec<Value> =
        pods.iter().filter(|pod| !serves(pod) && !pod.is_terminating()).map(|pod| address(&pod)).collect();
    let mut subset = json!({});
    for (field, list) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if !list.is_empty() {
            subset[field] = list.into();
        }
    }
    let mut subsets = Vec::new();
    if subset.as_object().is_some_and(|fields| !fields.is_empty()) {
        subset["ports"] = ports.into();
        subsets.push(subset);
    }
    match old {
        None => writes.push(Write::create(
            &Kind::ENDPOINTS,
            json!({
                "metadata": {
                    "name": key.name, "namespace": key.namespace,
                    "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"},
                },
                "subsets": subsets,
            }),
        )),
        Some(old) => {
            if old.items("/subsets") != subsets {
                let mut changed = old.to_value();
                changed["subsets"] = subsets.into();
                writes.push(Write::update(&Kind::ENDPOINTS, changed));
            }
        }
    }
    Round::writes(writes)
}

fn is_ready(pod: &Object, service: &Object) -> bool {
    service.flag("/spec/publishNotReadyAddresses") || pod.is("Ready") && !pod.is_terminating()
}

fn endpoint(pod: &Object, service: &Object) -> Value {
    json!({
        "addresses": [pod.text("/status/podIP")],
        "conditions": {"ready": is_ready(pod, service), "serving": pod.is("Ready"), "terminating": pod.is_terminating()},
        "nodeName": pod.text("/spec/nodeName"),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    })
}

/// The port in the pods that a service's port leads to.
fn target(port: &Value, pod: Option<&Object>) -> Value {
    match &port["targetPort"] {
        Value::String(name) => {
            let containers = pod.map(|pod| pod.items("/spec/containers")).unwrap_or_default().iter();
            let mut ports = containers.flat_map(|own| own["ports"].as_array().into_iter().flatten());
            ports.find(|own| own["name"] == name.as_str()).map_or(Value::Null, |own| own["containerPort"].clone())
        }
        Value::Null => port["port"].clone(),
        number => number.clone(),
    }
}
