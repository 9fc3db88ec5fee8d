//! What tables show of the built-in kinds, as the real server's printers have it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::object::Object;
use super::resource::Resource;
use super::table::{age, human};

type Cells = fn(&Row<'_>) -> Vec<Value>;

/// The kinds with columns of their own here; others show name and time of creation.
const KINDS: &[(&str, &str, Cells)] = &[
    ("", "pods", pod),
    ("", "nodes", node),
    ("", "namespaces", namespace),
    ("", "services", service),
    ("", "configmaps", config_map),
    ("", "secrets", secret),
    ("", "serviceaccounts", service_account),
    ("", "persistentvolumeclaims", claim),
    ("", "persistentvolumes", volume),
    ("", "events", event),
    ("", "replicationcontrollers", replica_set),
    ("events.k8s.io", "events", event),
    ("apps", "deployments", deployment),
    ("apps", "daemonsets", daemon_set),
    ("apps", "statefulsets", stateful_set),
    ("apps", "replicasets", replica_set),
    ("apps", "controllerrevisions", revision),
    ("batch", "jobs", job),
    ("batch", "cronjobs", cron_job),
    ("policy", "poddisruptionbudgets", budget),
    ("storage.k8s.io", "storageclasses", storage_class),
    ("storage.k8s.io", "volumeattachments", attachment),
    ("coordination.k8s.io", "leases", lease),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", webhooks),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", webhooks),
    ("scheduling.k8s.io", "priorityclasses", priority_class),
];

fn printer(resource: &Resource) -> Option<Cells> {
    let own = |(group, plural, _): &&(&str, &str, Cells)| resource.is(group, plural);
    KINDS.iter().find(own).map(|(_, _, cells)| *cells)
}

/// Whether a kind has columns of its own here.
pub(crate) fn are_known(resource: &Resource) -> bool {
    printer(resource).is_some()
}

/// The cells of an object's row.
pub(crate) fn of(object: &Object, resource: &Resource, now: Timestamp) -> Vec<Value> {
    printer(resource).map_or_else(Vec::new, |cells| cells(&Row { object, now }))
}

/// What a row says besides its cells: that a pod has ended.
pub(crate) fn conditions(object: &Object, resource: &Resource) -> Value {
    if !resource.is("", "pods") {
        return Value::Null;
    }
    let ended = |reason: &str, message: &str| json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]);
    match object.at(&["status", "phase"]).and_then(Value::as_str) {
        Some("Succeeded") => ended("Succeeded", "The pod has completed successfully."),
        Some("Failed") => ended("Failed", "The pod failed."),
        _ => Value::Null,
    }
}

struct Row<'a> {
    object: &'a Object,
    now: Timestamp,
}

impl Row<'_> {
    fn name(&self) -> Value {
        self.object.name().into()
    }

    fn age(&self) -> Value {
        age(self.object.meta_text("creationTimestamp"), self.now).into()
    }

    fn text(&self, path: &[&str]) -> &str {
        self.object.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn or<'b>(&'b self, path: &[&str], other: &'b str) -> &'b str {
        match self.text(path) {
            "" => other,
            text => text,
        }
    }

    fn number(&self, path: &[&str]) -> i64 {
        self.object.at(path).and_then(Value::as_i64).unwrap_or_default()
    }

    fn list(&self, path: &[&str]) -> &[Value] {
        self.object.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn count(&self, path: &[&str]) -> usize {
        match self.object.at(path) {
            Some(Value::Object(fields)) => fields.len(),
            Some(Value::Array(items)) => items.len(),
            _ => 0,
        }
    }

    /// The names and images of a template's containers.
    fn containers(&self, path: &[&str]) -> [Value; 2] {
        let containers = self.list(path);
        let joined = |field: &str| -> Value {
            let words: Vec<&str> = containers.iter().filter_map(|container| container[field].as_str()).collect();
            words.join(",").into()
        };
        [joined("name"), joined("image")]
    }

    fn template(&self) -> [Value; 2] {
        self.containers(&["spec", "template", "spec", "containers"])
    }

    fn status(&self) -> &str {
        if self.object.is_terminating() { "Terminating" } else { self.text(&["status", "phase"]) }
    }
}

/// Labels in one word, in their order.
fn labels(labels: Option<&Value>) -> String {
    let Some(labels) = labels.and_then(Value::as_object).filter(|labels| !labels.is_empty()) else {
        return "<none>".to_owned();
    };
    let mut words: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    words.sort();
    words.join(",")
}

/// A label selector in one word.
fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return "<none>".to_owned() };
    let mut words = Vec::new();
    if selector["matchLabels"].as_object().is_some_and(|labels| !labels.is_empty()) {
        words.push(labels(selector.get("matchLabels")));
    }
    for term in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = term["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = term["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        words.push(match term["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if words.is_empty() { "<none>".to_owned() } else { words.join(",") }
}

fn pod(row: &Row<'_>) -> Vec<Value> {
    let spec = row.list(&["spec", "containers"]);
    let statuses = row.list(&["status", "containerStatuses"]);
    let inits = row.list(&["status", "initContainerStatuses"]);
    let total = spec.len();
    let phase = row.text(&["status", "phase"]);
    let mut reason = row.or(&["status", "reason"], phase).to_owned();
    let conditions = row.list(&["status", "conditions"]);
    let condition = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind);
    if condition("PodScheduled").is_some_and(|condition| condition["reason"] == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut reason);
    }
    let mut restarts: i64 = inits.iter().map(|status| status["restartCount"].as_i64().unwrap_or_default()).sum();
    let mut last = latest(inits);
    let initializing = initializing(row, inits);
    let mut ready = 0;
    if let Some(why) = &initializing {
        reason.clone_from(why);
    }
    if initializing.is_none() || condition("Initialized").is_some_and(|condition| condition["status"] == "True") {
        restarts = statuses.iter().map(|status| status["restartCount"].as_i64().unwrap_or_default()).sum();
        last = latest(statuses);
        let mut runs = false;
        for status in statuses.iter().rev() {
            let state = &status["state"];
            if let Some(why) = state["waiting"]["reason"].as_str().filter(|why| !why.is_empty()) {
                why.clone_into(&mut reason);
            } else if state.get("terminated").is_some_and(Value::is_object) {
                reason = ended(&state["terminated"]);
            } else if status["ready"] == true && state.get("running").is_some_and(Value::is_object) {
                runs = true;
                ready += 1;
            }
        }
        if reason == "Completed" && runs {
            let is_ready = condition("Ready").is_some_and(|condition| condition["status"] == "True");
            if is_ready { "Running" } else { "NotReady" }.clone_into(&mut reason);
        }
    }
    if row.object.is_terminating() {
        if row.text(&["status", "reason"]) == "NodeLost" {
            "Unknown".clone_into(&mut reason);
        } else if !["Failed", "Succeeded"].contains(&phase) {
            "Terminating".clone_into(&mut reason);
        }
    }
    let shown = match last {
        Some(last) if restarts > 0 => format!("{restarts} ({} ago)", human(row.now.as_second() - last.as_second())),
        _ => restarts.to_string(),
    };
    let gates = row.list(&["spec", "readinessGates"]);
    let passed = gates.iter().filter(|gate| {
        gate["conditionType"].as_str().and_then(condition).is_some_and(|condition| condition["status"] == "True")
    });
    let gates = if gates.is_empty() { "<none>".to_owned() } else { format!("{}/{}", passed.count(), gates.len()) };
    vec![
        row.name(),
        format!("{ready}/{total}").into(),
        reason.into(),
        shown.into(),
        row.age(),
        row.or(&["status", "podIP"], "<none>").into(),
        row.or(&["spec", "nodeName"], "<none>").into(),
        row.or(&["status", "nominatedNodeName"], "<none>").into(),
        gates.into(),
    ]
}

/// When a container last ended and was started anew.
fn latest(statuses: &[Value]) -> Option<Timestamp> {
    let ends = statuses.iter().filter_map(|status| status.pointer("/lastState/terminated/finishedAt")?.as_str());
    ends.filter_map(|text| text.parse().ok()).max()
}

/// Why a pod is still with its init containers, if it is.
fn initializing(row: &Row<'_>, statuses: &[Value]) -> Option<String> {
    let total = row.count(&["spec", "initContainers"]);
    for (number, status) in statuses.iter().enumerate() {
        let state = &status["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if state.get("terminated").is_some_and(Value::is_object) {
            return Some(format!("Init:{}", ended(&state["terminated"])));
        }
        let waits = state["waiting"]["reason"].as_str().filter(|why| !["", "PodInitializing"].contains(why));
        return Some(match waits {
            Some(why) => format!("Init:{why}"),
            None => format!("Init:{number}/{total}"),
        });
    }
    None
}

fn ended(terminated: &Value) -> String {
    if let Some(why) = terminated["reason"].as_str().filter(|why| !why.is_empty()) {
        return why.to_owned();
    }
    match terminated["signal"].as_i64() {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or_default()),
    }
}

fn node(row: &Row<'_>) -> Vec<Value> {
    let ready = row.list(&["status", "conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if row.object.at(&["spec", "unschedulable"]).is_some_and(|off| off == true) {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<&str> = Vec::new();
    for (key, value) in row.object.meta("labels").and_then(Value::as_object).into_iter().flatten() {
        match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => roles.push(role),
            _ if key == "kubernetes.io/role" => roles.extend(value.as_str()),
            _ => {}
        }
    }
    roles.sort_unstable();
    let roles = if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") };
    let address = |kind: &str| {
        let addresses = row.list(&["status", "addresses"]).iter();
        let found = addresses.filter(|address| address["type"] == kind).find_map(|address| address["address"].as_str());
        Value::from(found.unwrap_or("<none>"))
    };
    let info = |field: &str| Value::from(row.or(&["status", "nodeInfo", field], "<unknown>"));
    vec![
        row.name(),
        status.into(),
        roles.into(),
        row.age(),
        row.text(&["status", "nodeInfo", "kubeletVersion"]).into(),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn namespace(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.text(&["status", "phase"]).into(), row.age()]
}

fn service(row: &Row<'_>) -> Vec<Value> {
    let kind = row.text(&["spec", "type"]);
    let joined = |path: &[&str], field: Option<&str>| {
        let items = row.list(path).iter();
        let words: Vec<&str> = items.filter_map(|item| field.map_or(item, |field| &item[field]).as_str()).collect();
        words.join(",")
    };
    let outside = joined(&["spec", "externalIPs"], None);
    let balanced = ["ip", "hostname"].map(|field| joined(&["status", "loadBalancer", "ingress"], Some(field))).concat();
    let outside = match kind {
        "ExternalName" => row.text(&["spec", "externalName"]).to_owned(),
        "LoadBalancer" if !balanced.is_empty() => balanced,
        "LoadBalancer" if outside.is_empty() => "<pending>".to_owned(),
        _ if outside.is_empty() => "<none>".to_owned(),
        _ => outside,
    };
    let ports: Vec<String> = row
        .list(&["spec", "ports"])
        .iter()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_i64() {
                Some(own) if own > 0 => format!("{}:{own}/{protocol}", port["port"]),
                _ => format!("{}/{protocol}", port["port"]),
            }
        })
        .collect();
    let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
    vec![
        row.name(),
        kind.into(),
        row.or(&["spec", "clusterIP"], "<none>").into(),
        outside.into(),
        ports.into(),
        row.age(),
        labels(row.object.at(&["spec", "selector"])).into(),
    ]
}

fn config_map(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), (row.count(&["data"]) + row.count(&["binaryData"])).into(), row.age()]
}

fn secret(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.text(&["type"]).into(), row.count(&["data"]).into(), row.age()]
}

fn service_account(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.count(&["secrets"]).into(), row.age()]
}

/// Access modes as people shorten them.
fn modes(modes: &[Value]) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    let has = |wanted: &&str| modes.iter().any(|mode| short(mode) == *wanted);
    ["RWO", "ROX", "RWX", "RWOP"].into_iter().filter(has).collect::<Vec<_>>().join(",")
}

fn claim(row: &Row<'_>) -> Vec<Value> {
    let volume = row.text(&["spec", "volumeName"]);
    let bound = !volume.is_empty();
    let capacity = if bound { row.text(&["status", "capacity", "storage"]) } else { "" };
    let modes = if bound { modes(row.list(&["status", "accessModes"])) } else { String::new() };
    vec![
        row.name(),
        row.status().into(),
        volume.into(),
        capacity.into(),
        modes.into(),
        row.text(&["spec", "storageClassName"]).into(),
        row.or(&["spec", "volumeAttributesClassName"], "<unset>").into(),
        row.age(),
        row.or(&["spec", "volumeMode"], "<unset>").into(),
    ]
}

fn volume(row: &Row<'_>) -> Vec<Value> {
    let claim = match row.text(&["spec", "claimRef", "name"]) {
        "" => String::new(),
        name => format!("{}/{name}", row.text(&["spec", "claimRef", "namespace"])),
    };
    vec![
        row.name(),
        row.text(&["spec", "capacity", "storage"]).into(),
        modes(row.list(&["spec", "accessModes"])).into(),
        row.text(&["spec", "persistentVolumeReclaimPolicy"]).into(),
        row.status().into(),
        claim.into(),
        row.text(&["spec", "storageClassName"]).into(),
        row.or(&["spec", "volumeAttributesClassName"], "<unset>").into(),
        row.text(&["status", "reason"]).into(),
        row.age(),
        row.or(&["spec", "volumeMode"], "<unset>").into(),
    ]
}

/// Events of both groups: what one calls `involvedObject` and `message` is `regarding` and `note` in the other.
fn event(row: &Row<'_>) -> Vec<Value> {
    let either = |one: &[&str], other: &[&str]| match row.text(one) {
        "" => row.text(other).to_owned(),
        text => text.to_owned(),
    };
    let since = |text: &str| age(text, row.now);
    let first = match either(&["firstTimestamp"], &["deprecatedFirstTimestamp"]).as_str() {
        "" => since(row.text(&["eventTime"])),
        time => since(time),
    };
    let last = match either(&["lastTimestamp"], &["deprecatedLastTimestamp"]).as_str() {
        "" => first.clone(),
        time => since(time),
    };
    let series = row.object.at(&["series"]).filter(|series| series.is_object());
    let count = match series {
        Some(series) => series["count"].as_i64().unwrap_or_default(),
        None => row.number(&["count"]).max(row.number(&["deprecatedCount"])),
    };
    let last = series.and_then(|series| series["lastObservedTime"].as_str()).map_or(last, since);
    let kind = either(&["involvedObject", "kind"], &["regarding", "kind"]).to_lowercase();
    let name = either(&["involvedObject", "name"], &["regarding", "name"]);
    let object = if name.is_empty() { kind } else { format!("{kind}/{name}") };
    let component = match either(&["source", "component"], &["deprecatedSource", "component"]) {
        empty if empty.is_empty() => either(&["reportingComponent"], &["reportingController"]),
        component => component,
    };
    let host = match either(&["source", "host"], &["deprecatedSource", "host"]) {
        empty if empty.is_empty() => row.text(&["reportingInstance"]).to_owned(),
        host => host,
    };
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    vec![
        last.into(),
        row.text(&["type"]).into(),
        row.text(&["reason"]).into(),
        object.into(),
        either(&["involvedObject", "fieldPath"], &["regarding", "fieldPath"]).into(),
        source.into(),
        either(&["message"], &["note"]).trim().into(),
        first.into(),
        count.into(),
        row.name(),
    ]
}

fn deployment(row: &Row<'_>) -> Vec<Value> {
    let ready = format!("{}/{}", row.number(&["status", "readyReplicas"]), row.number(&["spec", "replicas"]));
    let [names, images] = row.template();
    vec![
        row.name(),
        ready.into(),
        row.number(&["status", "updatedReplicas"]).into(),
        row.number(&["status", "availableReplicas"]).into(),
        row.age(),
        names,
        images,
        selector(row.object.at(&["spec", "selector"])).into(),
    ]
}

fn daemon_set(row: &Row<'_>) -> Vec<Value> {
    let status = |field: &str| Value::from(row.number(&["status", field]));
    let [names, images] = row.template();
    vec![
        row.name(),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        labels(row.object.at(&["spec", "template", "spec", "nodeSelector"])).into(),
        row.age(),
        names,
        images,
        selector(row.object.at(&["spec", "selector"])).into(),
    ]
}

fn stateful_set(row: &Row<'_>) -> Vec<Value> {
    let ready = format!("{}/{}", row.number(&["status", "readyReplicas"]), row.number(&["spec", "replicas"]));
    let [names, images] = row.template();
    vec![row.name(), ready.into(), row.age(), names, images]
}

fn replica_set(row: &Row<'_>) -> Vec<Value> {
    let [names, images] = row.template();
    let chosen = row.object.at(&["spec", "selector"]);
    let is_plain =
        chosen.is_some_and(|chosen| chosen.get("matchLabels").is_none() && chosen.get("matchExpressions").is_none());
    vec![
        row.name(),
        row.number(&["spec", "replicas"]).into(),
        row.number(&["status", "replicas"]).into(),
        row.number(&["status", "readyReplicas"]).into(),
        row.age(),
        names,
        images,
        if is_plain { labels(chosen) } else { selector(chosen) }.into(),
    ]
}

fn revision(row: &Row<'_>) -> Vec<Value> {
    let owner = row.object.meta("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let mut owner = owner.filter(|owner| owner["controller"] == true).map(|owner| {
        let group =
            owner["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
        let (kind, name) = (owner["kind"].as_str().unwrap_or_default().to_lowercase(), owner["name"].as_str());
        format!("{kind}.{group}/{}", name.unwrap_or_default())
    });
    let owner = owner.next_back().unwrap_or_else(|| "<none>".to_owned());
    vec![row.name(), owner.into(), row.number(&["revision"]).into(), row.age()]
}

fn job(row: &Row<'_>) -> Vec<Value> {
    let succeeded = row.number(&["status", "succeeded"]);
    let parallel = row.number(&["spec", "parallelism"]);
    let completions = match row.object.at(&["spec", "completions"]).and_then(Value::as_i64) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        None => format!("{succeeded}/1"),
    };
    let time = |field: &str| row.text(&["status", field]).parse::<Timestamp>().ok();
    let took = match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => human(end.unwrap_or(row.now).as_second() - start.as_second()),
    };
    let has = |kind: &str| {
        let conditions = row.list(&["status", "conditions"]).iter();
        conditions.filter(|condition| condition["type"] == kind).any(|condition| condition["status"] == "True")
    };
    let status = match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if row.object.is_terminating() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let [names, images] = row.template();
    vec![
        row.name(),
        status.into(),
        completions.into(),
        took.into(),
        row.age(),
        names,
        images,
        selector(row.object.at(&["spec", "selector"])).into(),
    ]
}

fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let last = match row.text(&["status", "lastScheduleTime"]) {
        "" => "<none>".to_owned(),
        time => age(time, row.now),
    };
    let suspended = match row.object.at(&["spec", "suspend"]) {
        Some(Value::Bool(true)) => "True",
        Some(Value::Bool(false)) => "False",
        _ => "<unset>",
    };
    let [names, images] = row.containers(&["spec", "jobTemplate", "spec", "template", "spec", "containers"]);
    vec![
        row.name(),
        row.text(&["spec", "schedule"]).into(),
        row.or(&["spec", "timeZone"], "<none>").into(),
        suspended.into(),
        row.count(&["status", "active"]).into(),
        last.into(),
        row.age(),
        names,
        images,
        selector(row.object.at(&["spec", "jobTemplate", "spec", "selector"])).into(),
    ]
}

fn budget(row: &Row<'_>) -> Vec<Value> {
    let shown = |field: &str| match row.object.at(&["spec", field]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "N/A".to_owned(),
    };
    vec![
        row.name(),
        shown("minAvailable").into(),
        shown("maxUnavailable").into(),
        row.number(&["status", "disruptionsAllowed"]).into(),
        row.age(),
    ]
}

fn storage_class(row: &Row<'_>) -> Vec<Value> {
    let notes = row.object.meta("annotations");
    let is_default = notes.is_some_and(|notes| notes["storageclass.kubernetes.io/is-default-class"] == "true");
    let name = if is_default { format!("{} (default)", row.object.name()) } else { row.object.name().to_owned() };
    vec![
        name.into(),
        row.text(&["provisioner"]).into(),
        row.or(&["reclaimPolicy"], "Delete").into(),
        row.or(&["volumeBindingMode"], "Immediate").into(),
        row.object.at(&["allowVolumeExpansion"]).is_some_and(|grows| grows == true).into(),
        row.age(),
    ]
}

fn attachment(row: &Row<'_>) -> Vec<Value> {
    vec![
        row.name(),
        row.text(&["spec", "attacher"]).into(),
        row.text(&["spec", "source", "persistentVolumeName"]).into(),
        row.text(&["spec", "nodeName"]).into(),
        row.object.at(&["status", "attached"]).is_some_and(|attached| attached == true).into(),
        row.age(),
    ]
}

fn lease(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.text(&["spec", "holderIdentity"]).into(), row.age()]
}

fn webhooks(row: &Row<'_>) -> Vec<Value> {
    vec![row.name(), row.count(&["webhooks"]).into(), row.age()]
}

fn priority_class(row: &Row<'_>) -> Vec<Value> {
    vec![
        row.name(),
        row.number(&["value"]).into(),
        row.object.at(&["globalDefault"]).is_some_and(|global| global == true).into(),
        row.age(),
        row.text(&["preemptionPolicy"]).into(),
    ]
}
