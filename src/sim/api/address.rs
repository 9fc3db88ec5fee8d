//! Addresses and ports of services.

use serde_json::{Value, json};

use super::object::Object;
use super::state::State;

/// Gives a service what it has not got; what it had before it keeps.
pub(crate) fn give(service: &mut Object, old: Option<&Object>, state: &mut State) {
    let text = |service: &Object, field: &str| {
        service.at(&["spec", field]).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if text(service, "type") == "ExternalName" {
        return;
    }
    if text(service, "clusterIP").is_empty() {
        let kept = old.map(|old| text(old, "clusterIP")).filter(|kept| !kept.is_empty());
        let address = kept.unwrap_or_else(|| state.chance.address());
        service.set_at(&["spec", "clusterIP"], address.into());
    }
    let address = text(service, "clusterIP");
    let mut fill = |field: &str, value: Value| {
        if service.at(&["spec", field]).is_none_or(Value::is_null) {
            let kept = old.and_then(|old| old.at(&["spec", field]).cloned());
            service.set_at(&["spec", field], kept.unwrap_or(value));
        }
    };
    fill("clusterIPs", json!([address]));
    let chooses = |service: &Object| service.at(&["spec", "selector"]).is_some_and(|selector| !selector.is_null());
    // Without a selector nobody knows which families its backends have.
    let both = address == "None" && !chooses(service);
    let mut fill = |field: &str, value: Value| {
        if service.at(&["spec", field]).is_none_or(Value::is_null) {
            let kept = old.and_then(|old| old.at(&["spec", field]).cloned());
            service.set_at(&["spec", field], kept.unwrap_or(value));
        }
    };
    fill("ipFamilies", if both { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) });
    fill("ipFamilyPolicy", json!(if both { "RequireDualStack" } else { "SingleStack" }));
    if ["NodePort", "LoadBalancer"].contains(&text(service, "type").as_str()) {
        let mut ports = service.at(&["spec", "ports"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let known =
            old.and_then(|old| old.at(&["spec", "ports"])).and_then(Value::as_array).cloned().unwrap_or_default();
        for port in ports.iter_mut().filter(|port| port["nodePort"].as_i64().unwrap_or_default() == 0) {
            let kept =
                known.iter().find(|other| other["port"] == port["port"] && other["protocol"] == port["protocol"]);
            let number = kept.and_then(|other| other["nodePort"].as_i64()).unwrap_or_else(|| state.chance.node_port());
            port["nodePort"] = number.into();
        }
        service.set_at(&["spec", "ports"], json!(ports));
    }
}
