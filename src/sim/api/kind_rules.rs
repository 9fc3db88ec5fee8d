//! What the built-in kinds themselves refuse, as far as plans and their charts meet it.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::object::Object;
use super::quantity;
use super::resource::Resource;
use super::status::Cause;
use super::validate::label_problem;
use crate::expr::Cel;

/// What is wrong with an object of a built-in kind.
pub(crate) fn problems(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if resource.is_custom() {
        return causes;
    }
    let at = |path: &[&str]| object.at(path).cloned().unwrap_or_default();
    let spec = at(&["spec"]);
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => pod(&spec, "spec", &mut causes),
        ("", "podtemplates") => pod(&at(&["template", "spec"]), "template.spec", &mut causes),
        ("", "services") => service(&spec, &mut causes),
        ("", "persistentvolumeclaims") => claim(&spec, &mut causes),
        ("", "events") => event(object, &mut causes),
        ("apps", "controllerrevisions") if object.field("data").is_none() => {
            causes.push(Cause::required("data", "data is mandatory"));
        }
        ("apps", "deployments" | "daemonsets" | "statefulsets" | "replicasets") => {
            workload(&spec, &resource.plural, &mut causes);
        }
        ("batch", "jobs") => job(&spec, "spec", &mut causes),
        ("batch", "cronjobs") => {
            schedule(&spec, &mut causes);
            job(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", &mut causes);
        }
        ("policy", "poddisruptionbudgets") => budget(&spec, &mut causes),
        ("storage.k8s.io", "storageclasses") if object.field("provisioner").is_none_or(|name| name == "") => {
            causes.push(Cause::required("provisioner", ""));
        }
        ("coordination.k8s.io", "leases") => {
            let seconds = &spec["leaseDurationSeconds"];
            if seconds.as_i64().is_some_and(|seconds| seconds <= 0) {
                causes.push(Cause::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
            }
        }
        ("admissionregistration.k8s.io", _) => {
            for (number, webhook) in
                object.field("webhooks").and_then(Value::as_array).into_iter().flatten().enumerate()
            {
                self::webhook(webhook, &format!("webhooks[{number}]"), &mut causes);
            }
        }
        _ => {}
    }
    causes
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn one_of(value: &Value, field: &str, path: &str, known: &[&str], causes: &mut Vec<Cause>) {
    let given = text(value, field);
    if !given.is_empty() && !known.contains(&given) {
        causes.push(Cause::not_supported(format!("{path}.{field}"), &given.into(), known));
    }
}

fn pod(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut volumes: Vec<&str> = Vec::new();
    for (number, volume) in list(spec, "volumes").iter().enumerate() {
        let name = text(volume, "name");
        if volumes.contains(&name) {
            causes.push(Cause::duplicate(format!("{path}.volumes[{number}].name"), &name.into()));
        }
        volumes.push(name);
        source(volume, &format!("{path}.volumes[{number}]"), causes);
    }
    if list(spec, "containers").is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for kind in ["containers", "initContainers"] {
        for (number, each) in list(spec, kind).iter().enumerate() {
            let path = format!("{path}.{kind}[{number}]");
            let name = text(each, "name");
            if !name.is_empty() && names.contains(&name) {
                causes.push(Cause::duplicate(format!("{path}.name"), &name.into()));
            }
            names.push(name);
            container(each, &path, &volumes, causes);
        }
    }
    one_of(spec, "restartPolicy", path, &["Always", "OnFailure", "Never"], causes);
    one_of(spec, "dnsPolicy", path, &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], causes);
}

/// The types of volumes, in the order in which the real server looks for them.
const SOURCES: [&str; 29] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// The name of an iSCSI target.
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^iqn\.\d{4}-\d{2}\.([[:alnum:]\-.]+)(:[^,;*&$|\s]+)$").expect("the pattern is a pattern")
});

/// A volume is of one type.
fn source(volume: &Value, path: &str, causes: &mut Vec<Cause>) {
    let given = SOURCES.iter().filter(|name| !volume[**name].is_null());
    for second in given.skip(1) {
        causes.push(Cause::forbidden(format!("{path}.{second}"), "may not specify more than 1 volume type"));
    }
    let target = text(&volume["iscsi"], "iqn");
    if target.starts_with("iqn") && !QUALIFIED.is_match(target) {
        causes.push(Cause::invalid(format!("{path}.iscsi.iqn"), &target.into(), "must be valid format"));
    }
}

fn container(container: &Value, path: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let name = text(container, "name");
    if name.is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    } else if let Some(why) = label_problem(name) {
        causes.push(Cause::invalid(format!("{path}.name"), &name.into(), &why));
    }
    if text(container, "image").is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    }
    for (number, port) in list(container, "ports").iter().enumerate() {
        let at = format!("{path}.ports[{number}].containerPort");
        match port["containerPort"].as_i64().unwrap_or_default() {
            0 => causes.push(Cause::required(at, "")),
            1..=65_535 => {}
            _ => causes.push(Cause::invalid(at, &port["containerPort"], PORT)),
        }
    }
    for (number, variable) in list(container, "env").iter().enumerate() {
        if text(variable, "name").is_empty() {
            causes.push(Cause::required(format!("{path}.env[{number}].name"), ""));
        }
    }
    for (number, mount) in list(container, "volumeMounts").iter().enumerate() {
        let name = text(mount, "name");
        if !volumes.contains(&name) {
            causes.push(Cause::not_found(format!("{path}.volumeMounts[{number}].name"), &name.into()));
        }
    }
    one_of(container, "imagePullPolicy", path, &["Always", "IfNotPresent", "Never"], causes);
    for (name, request) in container["resources"]["requests"].as_object().into_iter().flatten() {
        let limit = &container["resources"]["limits"][name];
        if let (Some(wanted), Some(most)) = (quantity::amount(request), quantity::amount(limit))
            && wanted > most
        {
            let why = format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or_default());
            causes.push(Cause::invalid(format!("{path}.resources.requests"), request, &why));
        }
    }
}

const PORT: &str = "must be between 1 and 65535, inclusive";

fn workload(spec: &Value, plural: &str, causes: &mut Vec<Cause>) {
    let replicas = &spec["replicas"];
    if replicas.as_i64().is_some_and(|replicas| replicas < 0) {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let kind = plural.trim_end_matches('s');
    if spec["selector"].as_object().is_some_and(serde_json::Map::is_empty) {
        let why = format!("empty selector is invalid for {kind}");
        causes.push(Cause::invalid("spec.selector", &json!({}), &why));
    }
    let template = &spec["template"]["spec"];
    // What a stateful set's pods mount may be the claims that it makes for them.
    let mut whole = template.clone();
    let claims: Vec<Value> =
        list(spec, "volumeClaimTemplates").iter().map(|claim| json!({"name": claim["metadata"]["name"]})).collect();
    if !claims.is_empty() {
        let own = list(template, "volumes")
            .iter()
            .filter(|volume| claims.iter().all(|claim| claim["name"] != volume["name"]));
        let volumes: Vec<Value> = own.cloned().chain(claims.clone()).collect();
        whole["volumes"] = volumes.into();
    }
    pod(&whole, "spec.template.spec", causes);
    let policy = text(template, "restartPolicy");
    if ["OnFailure", "Never"].contains(&policy) {
        causes.push(Cause::not_supported("spec.template.spec.restartPolicy", &policy.into(), &["Always"]));
    }
    let strategy = &spec["strategy"];
    if text(strategy, "type") == "Recreate" && strategy["rollingUpdate"].is_object() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
    }
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    let none = |field: &str| rolling[field] == 0 || rolling[field] == "0" || rolling[field] == "0%";
    if plural == "daemonsets" && none("maxUnavailable") && none("maxSurge") {
        let why = "cannot be 0 when maxSurge is 0";
        causes.push(Cause::required("spec.updateStrategy.rollingUpdate.maxUnavailable", why));
    }
}

fn job(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let template = &spec["template"]["spec"];
    let path = format!("{path}.template.spec");
    pod(template, &path, causes);
    if !["OnFailure", "Never"].contains(&text(template, "restartPolicy")) {
        causes.push(Cause::required(format!("{path}.restartPolicy"), "valid values: \"OnFailure\", \"Never\""));
    }
}

fn schedule(spec: &Value, causes: &mut Vec<Cause>) {
    let schedule = text(spec, "schedule");
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if fields.len() != 5 && !schedule.starts_with('@') {
        let why = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        causes.push(Cause::invalid("spec.schedule", &schedule.into(), &why));
    }
}

fn service(spec: &Value, causes: &mut Vec<Cause>) {
    let ports = list(spec, "ports");
    let headless = text(spec, "clusterIP") == "None" || text(spec, "type") == "ExternalName";
    if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (number, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{number}]");
        if ports.len() > 1 && text(port, "name").is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        }
        for field in ["port", "targetPort"] {
            let value = &port[field];
            if value.as_i64().is_some_and(|number| !(1..=65_535).contains(&number)) {
                causes.push(Cause::invalid(format!("{path}.{field}"), value, PORT));
            }
        }
    }
    one_of(spec, "type", "spec", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], causes);
}

fn claim(spec: &Value, causes: &mut Vec<Cause>) {
    let modes = list(spec, "accessModes");
    if modes.is_empty() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in modes.iter().filter(|mode| !known.contains(&mode.as_str().unwrap_or_default())) {
        causes.push(Cause::not_supported("spec.accessModes", mode, &known));
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

fn event(event: &Object, causes: &mut Vec<Cause>) {
    let about = event.at(&["involvedObject", "namespace"]).and_then(Value::as_str).unwrap_or_default();
    if !about.is_empty() && about != event.namespace() {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid("involvedObject.namespace", &about.into(), why));
    }
}

fn budget(spec: &Value, causes: &mut Vec<Cause>) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let shown = json!({
            "MinAvailable": spec["minAvailable"], "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"],
        });
        causes.push(Cause::invalid("spec", &shown, "minAvailable and maxUnavailable cannot be both set"));
    }
}

fn webhook(webhook: &Value, path: &str, causes: &mut Vec<Cause>) {
    let name = text(webhook, "name");
    if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        causes.push(Cause::invalid(format!("{path}.name"), &name.into(), why));
    }
    for (number, rule) in list(webhook, "rules").iter().enumerate() {
        let path = format!("{path}.rules[{number}]");
        let operations = &rule["operations"];
        if list(rule, "operations").len() > 1 && list(rule, "operations").iter().any(|each| each == "*") {
            let why = "if '*' is present, must not specify other operations";
            causes.push(Cause::invalid(format!("{path}.operations"), operations, why));
        }
        for field in ["apiGroups", "apiVersions", "resources"] {
            if list(rule, field).is_empty() {
                causes.push(Cause::required(format!("{path}.{field}"), ""));
            }
        }
    }
    for (number, condition) in list(webhook, "matchConditions").iter().enumerate() {
        if let Err(mistake) = Cel::compile(text(condition, "expression")) {
            let at = format!("{path}.matchConditions[{number}].expression");
            causes.push(Cause::invalid(at, &condition["expression"], &format!("compilation failed: {mistake}")));
        }
    }
    one_of(webhook, "failurePolicy", path, &["Fail", "Ignore"], causes);
    match webhook["sideEffects"].as_str() {
        None => causes.push(Cause::required(format!("{path}.sideEffects"), "must specify one of None, NoneOnDryRun")),
        Some("None" | "NoneOnDryRun") => {}
        Some(other) => {
            let known = ["None", "NoneOnDryRun"];
            causes.push(Cause::not_supported(format!("{path}.sideEffects"), &other.into(), &known));
        }
    }
    let seconds = &webhook["timeoutSeconds"];
    if seconds.as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        causes.push(Cause::invalid(format!("{path}.timeoutSeconds"), seconds, why));
    }
    let config = &webhook["clientConfig"];
    let at = format!("{path}.clientConfig");
    match (config["url"].as_str(), config["service"].is_object()) {
        (None, false) | (Some(_), true) => {
            causes.push(Cause::required(at, "exactly one of url or service is required"));
        }
        (Some(url), false) if !url.starts_with("https://") => {
            let scheme = url.split(':').next().unwrap_or_default();
            let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
            causes.push(Cause::invalid(format!("{at}.url"), &scheme.into(), why));
        }
        _ => {}
    }
    if list(webhook, "admissionReviewVersions").is_empty() {
        let why = "must specify one of v1, v1beta1";
        causes.push(Cause::required(format!("{path}.admissionReviewVersions"), why));
    }
}
