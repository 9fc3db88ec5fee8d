//! Which lists of the built-in kinds are maps, and which maps are one value.
//!
//! From the struct tags and markers of `k8s.io/api` v0.34. The names of these
//! fields mean the same wherever they stand; where they do not (`ports`), the
//! field around them decides.

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Items are objects told apart by these keys. The first is the strategic merge key,
    /// all together are the keys of server-side apply.
    Map(&'static [Key]),
    /// Items are values; each is there or not.
    Set,
    /// One value as a whole.
    Atomic,
}

/// A field that tells items apart, and what it is when left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) default: Option<&'static str>,
}

const fn key(name: &'static str) -> Key {
    Key { name, default: None }
}

const PROTOCOL: Key = Key { name: "protocol", default: Some("TCP") };
const MOUNT_PATH: &[Key] = &[key("mountPath")];
const DEVICE_PATH: &[Key] = &[key("devicePath")];
const SPREAD: &[Key] = &[key("topologyKey"), key("whenUnsatisfiable")];
const UID: &[Key] = &[key("uid")];
const SERVICE_PORT: &[Key] = &[key("port"), PROTOCOL];
const CONTAINER_PORT: &[Key] = &[key("containerPort"), PROTOCOL];
const NAME: &[Key] = &[key("name")];
const TYPE: &[Key] = &[key("type")];
const IP: &[Key] = &[key("ip")];

/// The kind of a list by the names on the way to it, the innermost last (`["spec", "containers"]`).
pub(crate) fn list_kind(path: &[&str]) -> ListKind {
    let (around, last) = match path {
        [.., around, last] => (*around, *last),
        [last] => ("", *last),
        [] => return ListKind::Atomic,
    };
    match (around, last) {
        (
            _,
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "env"
            | "imagePullSecrets"
            | "volumes"
            | "schedulingGates"
            | "resourceClaims"
            | "resourceClaimStatuses"
            | "allocatedResourcesStatus"
            | "matchConditions",
        )
        | ("", "secrets" | "webhooks")
        | ("spec", "drivers" | "variables")
        | ("resources", "claims") => ListKind::Map(NAME),
        (_, "conditions") | ("status", "addresses") => ListKind::Map(TYPE),
        (_, "hostAliases" | "podIPs" | "hostIPs") => ListKind::Map(IP),
        (_, "volumeMounts") => ListKind::Map(MOUNT_PATH),
        (_, "volumeDevices") => ListKind::Map(DEVICE_PATH),
        (_, "topologySpreadConstraints") => ListKind::Map(SPREAD),
        ("metadata", "ownerReferences") => ListKind::Map(UID),
        ("spec", "ports") => ListKind::Map(SERVICE_PORT),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => ListKind::Map(CONTAINER_PORT),
        ("metadata", "finalizers") | ("spec", "podCIDRs" | "volumeLifecycleModes") => ListKind::Set,
        _ => ListKind::Atomic,
    }
}

/// Whether an object by the names on the way to it is owned as a whole: selectors and references.
/// A volume's `claimRef` is the one reference whose fields are owned one by one.
pub(crate) fn is_atomic_map(path: &[&str]) -> bool {
    match path {
        [.., "service", "port"] => true,
        [.., last] => matches!(
            *last,
            "selector"
                | "nodeSelector"
                | "labelSelector"
                | "namespaceSelector"
                | "objectSelector"
                | "podSelector"
                | "secretKeyRef"
                | "configMapKeyRef"
                | "fieldRef"
                | "resourceFieldRef"
                | "secretRef"
                | "configMapRef"
                | "imagePullSecrets"
                | "ownerReferences"
                | "regarding"
                | "related"
                | "involvedObject"
                | "targetRef"
                | "roleRef"
                | "dataSource"
        ),
        [] => false,
    }
}

/// Whether a field is a dictionary, whose entries come and go, and not a structure.
pub(crate) fn is_dictionary(name: &str) -> bool {
    matches!(
        name,
        "labels"
            | "annotations"
            | "data"
            | "binaryData"
            | "stringData"
            | "limits"
            | "requests"
            | "overhead"
            | "capacity"
            | "allocatable"
            | "allocatedResources"
            | "allocatedResourceStatuses"
            | "parameters"
            | "hard"
            | "used"
            | "disruptedPods"
            | "attributes"
            | "volumeAttributes"
            | "attachmentMetadata"
    )
}
