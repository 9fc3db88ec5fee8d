//! `OpenAPI` v3, as much of it as kubectl and helm need: the schemas of all kinds, and which
//! of them take a patch with which parameters.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::kinds;
use super::resource::{Registry, Resource, api_version};
use super::status::Refusal;
use super::typed;

/// `/openapi/v3`: where each group version's document is.
pub(crate) fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for resource in registry.all() {
        let path = document_path(&resource.group, &resource.version);
        let url = format!("/openapi/v3/{path}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub(crate) fn document(registry: &Registry, path: &str) -> Result<Value, Refusal> {
    let served: Vec<&Arc<Resource>> =
        registry.all().filter(|resource| document_path(&resource.group, &resource.version) == path).collect();
    if served.is_empty() {
        return Err(Refusal::no_such_path());
    }
    let mut paths = Map::new();
    let mut names = Vec::new();
    let mut own = Map::new();
    for resource in served {
        match resource.definition() {
            Some(definition) => {
                let (name, schema) = custom(resource, &definition.schema);
                own.insert(name, schema);
            }
            None => names.extend(kinds::schema_name(resource)),
        }
        let base = document_path(&resource.group, &resource.version);
        let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("/{base}{namespace}/{}/{{name}}", resource.plural);
        paths.insert(path, json!({"patch": patch(resource)}));
    }
    let mut schemas = typed::schemas_of(names.into_iter());
    schemas.extend(own);
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.4"}, "paths": paths, "components": {"schemas": schemas},
    }))
}

/// The schema of a custom resource as clients read it, under the name that the real server gives it.
fn custom(resource: &Resource, schema: &Value) -> (String, Value) {
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    let name = format!("{}.{}.{}", parts.join("."), resource.version, resource.kind);
    let mut schema = schema.clone();
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    (name, schema)
}

fn document_path(group: &str, version: &str) -> String {
    let root = if group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", api_version(group, version))
}

fn patch(resource: &Resource) -> Value {
    let parameter =
        |name: &str, kind: &str| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}});
    json!({
        "parameters": [
            parameter("dryRun", "string"),
            parameter("fieldManager", "string"),
            parameter("fieldValidation", "string"),
            parameter("force", "boolean"),
        ],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": resource.group, "version": resource.version, "kind": resource.kind,
        },
    })
}
