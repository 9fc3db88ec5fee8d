//! What the server serves, as data: built-in kinds and those of definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::builtin;
use super::object::Object;
use super::schema::Rules;

/// One resource in one version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether `metadata.generation` counts changes of the specification.
    pub(crate) generation: bool,
    pub(crate) subresources: Vec<Subresource>,
    pub(crate) origin: Origin,
}

/// Where a resource comes from: the real server treats the two differently in many small ways.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// Compiled into the server.
    Builtin,
    /// From a definition.
    Definition(Arc<Definition>),
}

/// What a definition says of one version of its resource.
#[derive(Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) schema: Value,
    pub(crate) rules: Rules,
    pub(crate) scale: Option<Scale>,
    pub(crate) columns: Vec<Column>,
    /// Paths that field selectors may name.
    pub(crate) selectable: Vec<String>,
    /// What clients of a version are told that is on its way out.
    pub(crate) warning: Option<String>,
    /// The schema of the version in which objects are kept.
    pub(crate) storage: Value,
    /// Whether objects may have been kept by another schema than this one.
    pub(crate) varied: bool,
    /// Whether the definition is being deleted, and takes no new objects.
    pub(crate) terminating: bool,
}

/// A column that a definition gives to tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// Where a custom resource keeps its replicas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

/// A path below an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subresource {
    Status,
    Scale,
    Log,
    Exec,
    Attach,
    PortForward,
    Proxy,
    Eviction,
    Binding,
    EphemeralContainers,
    Resize,
    Finalize,
    Approval,
    Token,
}

impl Subresource {
    const ALL: [Self; 14] = [
        Self::Status,
        Self::Scale,
        Self::Log,
        Self::Exec,
        Self::Attach,
        Self::PortForward,
        Self::Proxy,
        Self::Eviction,
        Self::Binding,
        Self::EphemeralContainers,
        Self::Resize,
        Self::Finalize,
        Self::Approval,
        Self::Token,
    ];

    /// The word in the path.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::Eviction => "eviction",
            Self::Binding => "binding",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Finalize => "finalize",
            Self::Approval => "approval",
            Self::Token => "token",
        }
    }

    /// The subresource of a word in a path.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sub| sub.word() == word)
    }
}

/// What objects are kept under: all versions of a resource share one drawer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Drawer {
    pub(crate) group: String,
    pub(crate) plural: String,
}

impl Resource {
    /// `plural`, or `plural.group`: the name in error texts.
    pub(crate) fn group_resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Kind`, or `Kind.group`.
    pub(crate) fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// `version`, or `group/version`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Where its objects are kept.
    pub(crate) fn drawer(&self) -> Drawer {
        Drawer { group: builtin::drawer_group(&self.group, &self.plural).to_owned(), plural: self.plural.clone() }
    }

    /// Whether this is the built-in resource of this group and plural.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Whether it comes from a definition.
    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.origin, Origin::Definition(_))
    }

    /// What its definition says, if it comes from one.
    pub(crate) fn definition(&self) -> Option<&Definition> {
        match &self.origin {
            Origin::Builtin => None,
            Origin::Definition(definition) => Some(definition),
        }
    }

    /// Whether it has a subresource.
    pub(crate) fn has(&self, sub: Subresource) -> bool {
        self.subresources.contains(&sub)
    }
}

/// `version`, or `group/version`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Everything that is served now.
#[derive(Debug)]
pub(crate) struct Registry {
    builtin: Vec<Arc<Resource>>,
    /// By the name of the definition, so that a changed definition replaces its own.
    custom: BTreeMap<String, Vec<Arc<Resource>>>,
}

impl Registry {
    /// The built-in kinds.
    pub(crate) fn new() -> Self {
        Self { builtin: builtin::resources().into_iter().map(Arc::new).collect(), custom: BTreeMap::new() }
    }

    /// All resources: built-in ones as listed, then custom ones by their definitions' names.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.builtin.iter().chain(self.custom.values().flatten())
    }

    /// A resource by its path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.all().find(|r| r.group == group && r.version == version && r.plural == plural).cloned()
    }

    /// A resource by what an object says of itself.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.all().find(|r| r.kind == kind && r.api_version() == api_version).cloned()
    }

    /// A resource as a person names it: kind, plural, singular or short name, optionally `.group`.
    pub(crate) fn by_word(&self, word: &str) -> Option<Arc<Resource>> {
        let (name, group) = match word.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (word, None),
        };
        let named = |r: &Resource| {
            r.kind == name || r.plural == name || r.singular == name || r.short_names.iter().any(|short| short == name)
        };
        self.all().find(|r| named(r) && group.is_none_or(|group| r.group == group)).cloned()
    }

    /// A resource that the definition of this name defines.
    pub(crate) fn defined_by(&self, definition: &str) -> Option<Arc<Resource>> {
        self.custom.get(definition)?.first().cloned()
    }

    /// Which name of a definition another definition of its group has already, as a reason and a sentence.
    pub(crate) fn clash(&self, definition: &Object) -> Option<(&'static str, String)> {
        let text = |field: &str| definition.at(&["spec", "names", field]).and_then(Value::as_str).unwrap_or_default();
        let group = definition.at(&["spec", "group"]).and_then(Value::as_str).unwrap_or_default();
        let others = || {
            let others = self.custom.iter().filter(|(name, _)| *name != definition.name());
            others.flat_map(|(_, resources)| resources).filter(|resource| resource.group == group)
        };
        let in_use = |name: &str| format!("{name:?} is already in use");
        if others().any(|other| other.kind == text("kind")) {
            return Some(("ListKindConflict", in_use(text("listKind"))));
        }
        let singular = text("singular");
        others().any(|other| other.singular == singular).then(|| ("SingularConflict", in_use(singular)))
    }

    /// Serves what a definition defines, in place of what it defined before.
    pub(crate) fn define(&mut self, definition: &Object) {
        let before = self.custom.get(definition.name());
        // Once objects have been kept by another schema, every object shown is made to fit its own.
        let schema_of = |resource: &Arc<Resource>| resource.definition().map(|definition| definition.schema.clone());
        let known: Vec<Option<Value>> = before.into_iter().flatten().map(schema_of).collect();
        let varied = before.into_iter().flatten().any(|r| r.definition().is_some_and(|definition| definition.varied));
        let mut resources = defined_by(definition, false);
        let changed = before.is_some() && resources.iter().map(|r| r.definition().map(|d| d.schema.clone())).ne(known);
        if varied || changed {
            resources = defined_by(definition, true);
        }
        self.custom.insert(definition.name().to_owned(), resources.into_iter().map(Arc::new).collect());
    }

    /// Serves no longer what the definition of this name defined.
    pub(crate) fn forget(&mut self, definition: &str) {
        self.custom.remove(definition);
    }
}

/// The resources that a definition defines, one for each served version, the preferred first.
fn defined_by(definition: &Object, varied: bool) -> Vec<Resource> {
    let text = |path: &[&str]| definition.at(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |path: &[&str]| -> Vec<String> {
        let list = definition.at(path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let kind = text(&["spec", "names", "kind"]);
    let singular = match text(&["spec", "names", "singular"]) {
        empty if empty.is_empty() => kind.to_lowercase(),
        singular => singular,
    };
    let versions = definition.at(&["spec", "versions"]).and_then(Value::as_array);
    let schema_of = |version: &Value| version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let storage = versions.into_iter().flatten().find(|version| version["storage"] == true);
    let storage = storage.map(schema_of).unwrap_or_default();
    let varied = varied || versions.into_iter().flatten().any(|version| schema_of(version) != storage);
    let group = text(&["spec", "group"]);
    let mut resources: Vec<Resource> = versions
        .into_iter()
        .flatten()
        .filter(|version| version["served"] == true)
        .map(|version| {
            let scale = version.pointer("/subresources/scale").map(|scale| Scale {
                spec: scale["specReplicasPath"].as_str().unwrap_or_default().to_owned(),
                status: scale["statusReplicasPath"].as_str().unwrap_or_default().to_owned(),
                selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
            });
            let mut subresources = Vec::new();
            if version.pointer("/subresources/status").is_some() {
                subresources.push(Subresource::Status);
            }
            if scale.is_some() {
                subresources.push(Subresource::Scale);
            }
            let schema = schema_of(version);
            let name = version["name"].as_str().unwrap_or_default().to_owned();
            let own = || format!("{group}/{name} {kind} is deprecated");
            let origin = Definition {
                rules: Rules::of(&schema),
                scale,
                columns: columns(version),
                selectable: paths(&version["selectableFields"]),
                warning: (version["deprecated"] == true)
                    .then(|| version["deprecationWarning"].as_str().map_or_else(own, str::to_owned)),
                varied,
                storage: storage.clone(),
                schema,
                terminating: definition.is_terminating(),
            };
            Resource {
                group: group.clone(),
                version: name,
                kind: kind.clone(),
                plural: text(&["spec", "names", "plural"]),
                singular: singular.clone(),
                short_names: texts(&["spec", "names", "shortNames"]),
                categories: texts(&["spec", "names", "categories"]),
                namespaced: text(&["spec", "scope"]) == "Namespaced",
                generation: true,
                subresources,
                origin: Origin::Definition(Arc::new(origin)),
            }
        })
        .collect();
    resources.sort_by_key(|resource| std::cmp::Reverse(priority(&resource.version)));
    resources
}

/// The columns of a version, besides the name that all tables begin with.
fn columns(version: &Value) -> Vec<Column> {
    let text = |column: &Value, field: &str| column[field].as_str().unwrap_or_default().to_owned();
    let given = version["additionalPrinterColumns"].as_array();
    given
        .into_iter()
        .flatten()
        .map(|column| Column {
            name: text(column, "name"),
            kind: text(column, "type"),
            format: text(column, "format"),
            description: text(column, "description"),
            priority: column["priority"].as_i64().unwrap_or_default(),
            path: text(column, "jsonPath"),
        })
        .collect()
}

/// The paths of selectable fields as selectors name them: without the dot in front.
fn paths(fields: &Value) -> Vec<String> {
    let paths = fields.as_array().into_iter().flatten().filter_map(|field| field["jsonPath"].as_str());
    paths.map(|path| path.trim_start_matches('.').to_owned()).collect()
}

/// How Kubernetes orders versions: stable before beta before alpha, higher numbers first.
pub(crate) fn priority(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    if let Some(major) = number(rest) {
        return (3, major, 0);
    }
    for (rank, word) in [(2, "beta"), (1, "alpha")] {
        if let Some((major, minor)) = rest.split_once(word)
            && let (Some(major), Some(minor)) = (number(major), number(minor))
        {
            return (rank, major, minor);
        }
    }
    (0, 0, 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_found_as_people_name_them() {
        let registry = Registry::new();
        for (word, plural) in [
            ("Pod", "pods"),
            ("po", "pods"),
            ("deploy", "deployments"),
            ("daemonset.apps", "daemonsets"),
            ("crd", "customresourcedefinitions"),
            ("events.events.k8s.io", "events"),
        ] {
            assert_eq!(registry.by_word(word).map(|r| r.plural.clone()).as_deref(), Some(plural), "{word}");
        }
        assert!(registry.by_word("pods.apps").is_none());
    }

    #[test]
    fn a_definition_serves_its_versions_the_preferred_first() {
        let mut registry = Registry::new();
        let definition = Object::new(json!({
            "metadata": {"name": "disks.store.example"},
            "spec": {
                "group": "store.example", "scope": "Namespaced",
                "names": {"kind": "Disk", "plural": "disks", "shortNames": ["dk"]},
                "versions": [
                    {"name": "v1beta1", "served": true, "storage": false},
                    {"name": "v1alpha1", "served": false, "storage": false},
                    {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}},
                ],
            },
        }))
        .unwrap();
        registry.define(&definition);
        assert_eq!(registry.by_word("dk").unwrap().version, "v1");
        assert!(registry.find("store.example", "v1", "disks").unwrap().has(Subresource::Status));
        assert!(!registry.find("store.example", "v1beta1", "disks").unwrap().has(Subresource::Status));
        assert!(registry.find("store.example", "v1alpha1", "disks").is_none());
        registry.forget("disks.store.example");
        assert!(registry.by_word("dk").is_none());
    }
}
