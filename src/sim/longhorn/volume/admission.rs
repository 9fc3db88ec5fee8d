//! What the webhooks make of volumes, and what they refuse (longhorn-manager `webhook/resources/volume`).

use serde_json::{Value, json};

use super::super::known::Known;
use super::super::{kind, name, setting};

/// Sizes are rounded up to a multiple of this.
const STEP: i64 = 2 << 20;

/// Fills a new volume in.
pub(in super::super) fn filled(volume: &mut Value, known: &Known) {
    let name = volume["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if !volume["metadata"]["labels"].is_object() {
        volume["metadata"]["labels"] = json!({});
    }
    volume["metadata"]["labels"][name::VOLUME] = name.into();
    volume["metadata"]["labels"][name::MANAGED_BY.0] = name::MANAGED_BY.1.into();
    let spec = &mut volume["spec"];
    let size: i64 = spec["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or_default();
    spec["size"] = ((size + STEP - 1) / STEP * STEP).to_string().into();
    // Whatever was asked for: a new volume has the default engine image.
    spec["image"] = known.text(setting::ENGINE_IMAGE).into();
    if spec["numberOfReplicas"].as_i64().unwrap_or_default() == 0 {
        spec["numberOfReplicas"] = known.number("default-replica-count").into();
    }
    for (field, value) in [
        ("dataLocality", json!("disabled")),
        ("accessMode", json!("rwo")),
        ("dataEngine", json!("v1")),
        ("frontend", json!("blockdev")),
        ("backupTargetName", json!("default")),
        ("backupBlockSize", json!("2097152")),
        ("snapshotMaxCount", json!(250)),
        ("replicaAutoBalance", json!("ignored")),
        ("snapshotDataIntegrity", json!("ignored")),
        ("restoreVolumeRecurringJob", json!("ignored")),
        ("unmapMarkSnapChainRemoved", json!("ignored")),
        ("replicaSoftAntiAffinity", json!("ignored")),
        ("replicaZoneSoftAntiAffinity", json!("ignored")),
        ("replicaDiskSoftAntiAffinity", json!("ignored")),
        ("nodeID", json!("")),
        ("backingImage", json!("")),
    ] {
        if spec[field].is_null() || spec[field] == "" {
            spec[field] = value;
        }
    }
}

/// Whether a volume may be made.
pub(in super::super) fn valid(volume: &Value, known: &Known) -> Result<(), String> {
    let spec = &volume["spec"];
    let name = volume["metadata"]["name"].as_str().unwrap_or_default();
    let replicas = spec["numberOfReplicas"].as_i64().unwrap_or_default();
    if !(1..=20).contains(&replicas) {
        return Err(format!("number of replicas count specified {replicas}, it must be between 1 to 20"));
    }
    let frontend = spec["frontend"].as_str().unwrap_or_default();
    if !["blockdev", "iscsi", ""].contains(&frontend) {
        return Err(format!("invalid volume frontend specified: {frontend}"));
    }
    if spec["migratable"] == true && spec["accessMode"] != "rwx" {
        return Err(format!("migratable volume {name} has to be of access mode rwx"));
    }
    let image = spec["backingImage"].as_str().unwrap_or_default();
    if image.is_empty() {
        return Ok(());
    }
    let Some(found) = known.get(&kind::BACKING_IMAGE, image) else {
        return Err(format!("cannot find backing image {image}: backingimage.longhorn.io \"{image}\" not found"));
    };
    let size: i64 = spec["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or_default();
    if found.count("/status/virtualSize") > size {
        return Err("volume size should be larger than the backing image size".to_owned());
    }
    Ok(())
}

/// Whether an attachment may be written.
pub(in super::super) fn valid_attachment(attachment: &Value, old: &Value) -> Result<(), String> {
    for (id, ticket) in attachment["spec"]["attachmentTickets"].as_object().into_iter().flatten() {
        if ticket["id"] != id.as_str() {
            return Err(format!("the attachment ticket's key {id} and its id {} have to be the same", ticket["id"]));
        }
    }
    if !old.is_null() && old["spec"]["volume"] != attachment["spec"]["volume"] {
        return Err("spec.volume of a volume attachment is immutable".to_owned());
    }
    Ok(())
}

/// Whether an engine image may be deleted.
pub(in super::super) fn deletable_engine_image(image: &Value, known: &Known) -> Result<(), String> {
    let reference = image["spec"]["image"].as_str().unwrap_or_default();
    if known.text(setting::ENGINE_IMAGE) == reference {
        return Err(format!("deleting the default engine image {reference} is not allowed"));
    }
    if image["status"]["refCount"].as_i64().unwrap_or_default() > 0 {
        return Err(format!("deleting engine image {reference} which is in use is not allowed"));
    }
    Ok(())
}
