//! Longhorn's admission webhooks: what they refuse, and what they fill in (longhorn.md 6.6).
//!
//! A pure function of the request and of what the API has; it is up while a manager serves it.

use serde_json::{Value, json};

use super::gate::{Gate, Service};
use super::known::Known;
use super::name::FINALIZER;
use super::setting::{self, Rule};
use super::{kind, name, volume};
use crate::sim::{Kind, Review};

/// Under which the backends of the mutating webhook are asked.
pub(super) const MUTATION: &str = "/v1/webhook/mutation";
/// Under which the backends of the validating webhook are asked.
pub(super) const VALIDATION: &str = "/v1/webhook/validation";
const SERVICE: &str = "longhorn-admission-webhook";

/// The annotation with which managers write settings that users may not.
pub(super) const FROM_LONGHORN: &str = "longhorn.io/update-setting-from-longhorn";

/// Where one of the webhooks answers.
pub(super) fn service<'a>(namespace: &'a str, path: &'a str) -> Service<'a> {
    Service { namespace, name: SERVICE, port: 9502, path }
}

/// The two configurations, as a manager writes them when its webhook starts.
pub(super) fn configurations(namespace: &str, gate: &dyn Gate) -> [(Kind, Value); 2] {
    let of = |name: &str, webhook: &str, path: &str, operations: Value| {
        json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": webhook, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
                "matchPolicy": "Exact", "timeoutSeconds": 10,
                "clientConfig": gate.address(&service(namespace, path)),
                "rules": [{
                    "apiGroups": ["longhorn.io"], "apiVersions": ["v1beta2"], "operations": operations,
                    "resources": [
                        "backingimages", "backingimagemanagers", "backingimagedatasources", "volumes", "engines",
                        "replicas", "engineimages", "instancemanagers", "settings", "nodes", "volumeattachments",
                    ],
                    "scope": "Namespaced",
                }],
            }],
        })
    };
    let kind = |plural: &str, kind: &str| Kind::new("admissionregistration.k8s.io", "v1", plural, kind, false);
    [
        (
            kind("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
            of("longhorn-webhook-mutator", "mutator.longhorn.io", MUTATION, json!(["CREATE", "UPDATE"])),
        ),
        (
            kind("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
            of(
                "longhorn-webhook-validator",
                "validator.longhorn.io",
                VALIDATION,
                json!(["CREATE", "UPDATE", "DELETE"]),
            ),
        ),
    ]
}

/// What the mutating webhook makes of a request.
pub(super) fn mutate(request: &Value, known: &Known) -> Review {
    let object = &request["object"];
    let creates = request["operation"] == "CREATE";
    let mut changed = object.clone();
    if object["metadata"]["deletionTimestamp"].is_null()
        && object["kind"] != "Setting"
        && object["kind"] != "InstanceManager"
    {
        let finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|own| own == FINALIZER) {
            changed["metadata"]["finalizers"] = finalizers.into_iter().chain([json!(FINALIZER)]).collect();
        }
    }
    match object["kind"].as_str().unwrap_or_default() {
        "BackingImage" if creates => image(&mut changed, known),
        "BackingImageManager" if changed["spec"]["backingImages"].is_null() => {
            changed["spec"]["backingImages"] = json!({});
        }
        "Volume" if creates => volume::filled(&mut changed, known),
        _ => {}
    }
    if changed == *object {
        return Review::Allowed;
    }
    let patch = json_patch::diff(object, &changed);
    Review::Patched(serde_json::to_value(patch).expect("a patch is JSON"))
}

fn image(changed: &mut Value, known: &Known) {
    let labels = &mut changed["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[name::COMPONENT] = "backing-image".into();
    labels[name::MANAGED_BY.0] = name::MANAGED_BY.1.into();
    let spec = &mut changed["spec"];
    if spec["minNumberOfCopies"].as_i64().unwrap_or_default() == 0 {
        spec["minNumberOfCopies"] = known.number(setting::MIN_COPIES).into();
    }
    if spec["dataEngine"].as_str().unwrap_or_default().is_empty() {
        spec["dataEngine"] = "v1".into();
    }
    for (field, empty) in [("diskFileSpecMap", json!({})), ("disks", json!({})), ("checksum", json!(""))] {
        if spec[field].is_null() {
            spec[field] = empty;
        }
    }
    if let Some(parameters) = spec["sourceParameters"].as_object_mut() {
        for value in parameters.values_mut() {
            if let Some(text) = value.as_str() {
                *value = text.trim().into();
            }
        }
    }
}

/// What the validating webhook says to a request.
pub(super) fn validate(request: &Value, known: &Known) -> Review {
    let operation = request["operation"].as_str().unwrap_or_default();
    let plural = request["resource"]["resource"].as_str().unwrap_or_default();
    let (object, old) = (&request["object"], &request["oldObject"]);
    let said = match (plural, operation) {
        ("backingimages", "CREATE" | "UPDATE") => valid_image(object, old, operation == "CREATE"),
        ("backingimages", "DELETE") => deletable(old, known),
        ("settings", "CREATE" | "UPDATE") => valid_setting(object, old, operation == "CREATE"),
        ("settings", "DELETE") => known_setting(old),
        ("volumes", "CREATE") => volume::valid(object, known),
        ("volumeattachments", "CREATE" | "UPDATE") => volume::valid_attachment(object, old),
        ("engineimages", "DELETE") => volume::deletable_engine_image(old, known),
        _ => Ok(()),
    };
    match said {
        Ok(()) => Review::Allowed,
        Err(message) => Review::Denied { code: 400, message },
    }
}

fn valid_image(object: &Value, old: &Value, creates: bool) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let spec = &object["spec"];
    let well_named = name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_.-".contains(letter));
    if creates && !well_named {
        return Err(format!("invalid name {name}"));
    }
    let checksum = spec["checksum"].as_str().unwrap_or_default();
    if !checksum.is_empty() && (checksum.len() != 128 || !checksum.chars().all(|digit| digit.is_ascii_hexdigit())) {
        return Err(format!("the checksum {checksum} is not a SHA-512 checksum"));
    }
    if spec["minNumberOfCopies"].as_i64().is_some_and(|copies| copies < 1) {
        return Err("minNumberOfCopies should be larger than 0".to_owned());
    }
    if creates && spec["dataEngine"] == "v2" {
        return Err("backing image with data engine v2 is not supported".to_owned());
    }
    if spec["sourceType"] == "download" {
        let url = spec["sourceParameters"]["url"].as_str().unwrap_or_default();
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let Some(rest) = rest else {
            return Err(format!(
                "invalid parameter map for download: the URL {url:?} is empty or not of http or https"
            ));
        };
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        if host == "localhost" || host.starts_with("127.") {
            return Err(format!("the URL {url} is a loopback address, which is not allowed"));
        }
    }
    for field in ["dataEngine", "secret", "secretNamespace"] {
        if !creates && !old["spec"][field].is_null() && old["spec"][field] != spec[field] {
            return Err(format!("changing {field} of backing image {name} is not supported"));
        }
    }
    Ok(())
}

fn deletable(old: &Value, known: &Known) -> Result<(), String> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let used = known.list(&kind::REPLICA).iter().any(|replica| replica.label(name::REPLICA_IMAGE) == Some(name));
    if used { Err(format!("cannot delete backing image {name} since there are replicas using it")) } else { Ok(()) }
}

fn valid_setting(object: &Value, old: &Value, creates: bool) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let Some(definition) = setting::definition(name) else {
        return Err(format!("setting {name} is not supported"));
    };
    let value = object["value"].as_str().unwrap_or_default();
    let own_hand = !object["metadata"]["annotations"][FROM_LONGHORN].is_null();
    if definition.rule == Rule::ReadOnly && !own_hand && (creates || old["value"] != object["value"]) {
        return Err(format!("setting {name} is read-only"));
    }
    if value.is_empty() && definition.default.is_empty() { Ok(()) } else { definition.check(value) }
}

fn known_setting(old: &Value) -> Result<(), String> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    match setting::definition(name) {
        Some(_) => Err(format!("setting {name} can not be deleted")),
        None => Ok(()),
    }
}
