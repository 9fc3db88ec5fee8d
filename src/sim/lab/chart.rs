use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::{Chart, Rendered, Rendering};

/// The chart `gadget` in a version that the lab has: `1.0.0` or `2.0.0`.
pub(in crate::sim) fn gadget(version: &str) -> Chart {
    Chart {
        name: "gadget".to_owned(),
        version: version.to_owned(),
        app_version: version.to_owned(),
        values: json!({
            "apiServer": {"host": "127.0.0.1", "port": 16443},
            "image": {"repository": "lariat-lab/gadget", "tag": "", "pullPolicy": "IfNotPresent"},
            "tools": {"image": "lariat-lab/tools:1"},
            "readinessDelay": 4,
            "replicas": 1,
            "stepSeconds": 1,
            "gadget": {"name": "gadget", "files": ["one", "two"]},
            "hooks": {"fail": false, "seconds": 1},
        }),
        crds: Vec::new(),
        render: Arc::new(|at: &Rendering<'_>| {
            let mut objects = hooks(at);
            objects.extend(mover(at));
            objects.push(node(at));
            objects.push(definition(at));
            let notes = format!(
                "gadget {} is put in place; `kubectl get gadgets` shows when its data followed.",
                at.app_version
            );
            Ok(Rendered { objects, notes })
        }),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn tag(at: &Rendering<'_>) -> String {
    at.values["image"]["tag"].as_str().filter(|tag| !tag.is_empty()).unwrap_or(at.app_version).to_owned()
}

fn image(at: &Rendering<'_>) -> String {
    format!("{}:{}", text(&at.values["image"]["repository"]), tag(at))
}

fn api(at: &Rendering<'_>) -> Vec<Value> {
    let server = &at.values["apiServer"];
    vec![
        json!({"name": "KUBERNETES_SERVICE_HOST", "value": text(&server["host"])}),
        json!({"name": "KUBERNETES_SERVICE_PORT", "value": text(&server["port"])}),
    ]
}

fn hooks(at: &Rendering<'_>) -> Vec<Value> {
    let job = |name: &str, hook: &str, more: &[(&str, &str)], pod: Value| {
        let mut annotations = json!({
            "helm.sh/hook": hook, "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        });
        for (key, value) in more {
            annotations[*key] = json!(value);
        }
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "labels": {"app": "gadget-hook"}, "annotations": annotations},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": "gadget-hook"}}, "spec": pod}},
        })
    };
    let policy = &at.values["image"]["pullPolicy"];
    let seconds = text(&at.values["hooks"]["seconds"]);
    let before = json!({
        "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "before", "image": image(at), "imagePullPolicy": policy,
            "command": ["sh", "-c", format!("echo \"gadget $(cat /version) may be put in place\"; sleep {seconds}")],
        }],
    });
    let script = if at.values["hooks"]["fail"] == true {
        format!(
            "echo \"gadget {}: the nodes' format cannot be migrated, as hooks.fail asks\" >&2\nexit 1\n",
            at.app_version
        )
    } else {
        let gadget = json!({
            "apiVersion": "lab.lariat.dev/v1", "kind": "Gadget",
            "metadata": {"name": at.values["gadget"]["name"], "namespace": at.namespace},
            "spec": {"version": at.app_version, "files": at.values["gadget"]["files"]},
        });
        format!("kubectl apply --server-side --field-manager=gadget-chart --filename=- <<END\n{gadget}\nEND\n")
    };
    let after = json!({
        "restartPolicy": "Never", "serviceAccountName": "gadget", "hostNetwork": true, "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "after", "image": at.values["tools"]["image"], "imagePullPolicy": policy,
            "env": api(at), "command": ["sh", "-ec", script],
        }],
    });
    vec![
        job("gadget-before", "pre-install,pre-upgrade,pre-rollback", &[], before),
        job(
            "gadget-after",
            "post-install,post-upgrade,post-rollback",
            &[("helm.sh/hook-output-log-policy", "hook-failed")],
            after,
        ),
    ]
}

fn mover(at: &Rendering<'_>) -> Vec<Value> {
    let mut env = api(at);
    env.push(json!({"name": "STEP_SECONDS", "value": text(&at.values["stepSeconds"])}));
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gadget"}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "gadget"},
            "rules": [
                {"apiGroups": ["lab.lariat.dev"], "resources": ["gadgets"], "verbs": ["get", "list", "watch", "create", "update", "patch"]},
                {"apiGroups": ["lab.lariat.dev"], "resources": ["gadgets/status"], "verbs": ["get", "patch"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "gadget"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gadget"},
            "subjects": [{"kind": "ServiceAccount", "name": "gadget", "namespace": at.namespace}],
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gadget-mover"},
            "data": {"move.sh": "# what images.rs does\n"},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "gadget-mover", "labels": {"app": "gadget-mover"}},
            "spec": {
                "replicas": at.values["replicas"], "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": {"app": "gadget-mover"}},
                "template": {
                    "metadata": {"labels": {"app": "gadget-mover"}},
                    "spec": {
                        "serviceAccountName": "gadget", "hostNetwork": true, "terminationGracePeriodSeconds": 2,
                        "containers": [{
                            "name": "mover", "image": at.values["tools"]["image"],
                            "imagePullPolicy": at.values["image"]["pullPolicy"],
                            "command": ["sh", "/etc/gadget/move.sh"], "env": env,
                            "volumeMounts": [{"name": "script", "mountPath": "/etc/gadget"}],
                        }],
                        "volumes": [{"name": "script", "configMap": {"name": "gadget-mover"}}],
                    },
                },
            },
        }),
    ]
}

fn node(at: &Rendering<'_>) -> Value {
    let delay = text(&at.values["readinessDelay"]);
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "gadget-node", "labels": {"app": "gadget-node"}},
        "spec": {
            "selector": {"matchLabels": {"app": "gadget-node"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"app": "gadget-node", "version": tag(at)}},
                "spec": {
                    "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 5,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{
                        "name": "node", "image": image(at), "imagePullPolicy": at.values["image"]["pullPolicy"],
                        "command": ["sh", "-c", format!("httpd -f -p 8080 -h /srv &\nsleep {delay} & wait $!\ntouch /srv/ready\n")],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {
                            "httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1,
                        },
                    }],
                },
            },
        },
    })
}

fn definition(at: &Rendering<'_>) -> Value {
    let second = at.version == "2.0.0";
    let state = json!({"type": "string", "enum": ["pending", "working", "ready"]});
    let mut spec = json!({
        "version": {"type": "string", "minLength": 1},
        "files": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    });
    let mut columns = vec![
        json!({"name": "Version", "type": "string", "jsonPath": ".spec.version"}),
        json!({"name": "State", "type": "string", "jsonPath": ".status.state"}),
        json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}),
    ];
    if second {
        spec["keep"] = json!({"type": "integer", "minimum": 1, "default": 3});
        columns.push(json!({"name": "Keep", "type": "integer", "jsonPath": ".spec.keep", "priority": 1}));
    }
    let files = json!({
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["state"], "properties": {"state": state}},
    });
    let status = json!({
        "state": state, "version": {"type": "string"},
        "observedGeneration": {"type": "integer", "format": "int64"}, "files": files,
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.lab.lariat.dev"},
        "spec": {
            "group": "lab.lariat.dev", "scope": "Namespaced",
            "names": {"kind": "Gadget", "listKind": "GadgetList", "plural": "gadgets", "singular": "gadget", "shortNames": ["gd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "properties": {
                        "spec": {"type": "object", "required": ["version"], "properties": spec},
                        "status": {"type": "object", "properties": status},
                    },
                }},
            }],
        },
    })
}
