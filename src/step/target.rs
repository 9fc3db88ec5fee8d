use kube::Api;
use kube::core::{ApiResource, DynamicObject};

use super::ask::ask;
use super::{Error, StepContext};
use crate::event::Class;
use crate::plan::{Query, Resource, Text};

/// The objects that a verb acts on: those of a selection, or the one that is named.
pub(super) struct Targets {
    /// Requests for this kind, in the objects' namespaces.
    pub(super) kind: Kind,
    /// What is asked to see them all.
    pub(super) query: Query,
    /// The objects.
    pub(super) objects: Vec<Target>,
    /// Whether they come from a selection.
    pub(super) selected: bool,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Known if it was selected: then only this very object is meant.
    pub(super) uid: Option<String>,
}

/// How a verb names what it acts on.
pub(super) struct Named<'a> {
    pub(super) on: Option<&'a String>,
    pub(super) resource: Option<&'a Text>,
    pub(super) name: Option<&'a Text>,
    pub(super) namespace: Option<&'a Text>,
}

impl Targets {
    /// Finds the objects. A named one is not asked for: its verb will see.
    pub(super) async fn find(named: Named<'_>, ctx: &StepContext) -> Result<Self, Error> {
        if let Some(on) = named.on {
            let id = &ctx.selection(on).id;
            let query = ctx.recorder.query(id).clone();
            let tracks = ask(ctx, &format!("LIST {}", query.resource), || ctx.recorder.list(id)).await?;
            let objects = tracks.into_iter().map(|(key, track)| Target {
                namespace: key.namespace,
                name: key.name,
                uid: Some(track.uid),
            });
            let objects = objects.collect();
            return Ok(Self { kind: Kind::find(&query.resource, ctx).await?, query, objects, selected: true });
        }
        let resource = ctx.get_opt(named.resource)?.unwrap_or_default();
        let resource = Resource::parse(&resource).map_err(|said| Error::new(Class::Broken, said))?;
        let name = ctx.get_opt(named.name)?.unwrap_or_default();
        let kind = Kind::find(&resource, ctx).await?;
        let namespace = if kind.namespaced { ctx.namespace(named.namespace)? } else { String::new() };
        let query =
            Query { resource, namespace: namespace.clone(), name: Some(name.clone()), labels: None, fields: None };
        Ok(Self { kind, query, objects: vec![Target { namespace, name, uid: None }], selected: false })
    }
}

/// A kind of object as the server serves it.
#[derive(Clone)]
pub(super) struct Kind {
    client: kube::Client,
    resource: ApiResource,
    pub(super) namespaced: bool,
}

impl Kind {
    /// Looks a kind up; one that is not served is missing.
    pub(super) async fn find(resource: &Resource, ctx: &StepContext) -> Result<Self, Error> {
        let served = ask(ctx, &format!("look up {resource}"), || ctx.recorder.served(resource)).await?;
        let served = served.ok_or_else(|| {
            Error::new(Class::Missing, format!("the API server has no `{resource}`"))
                .expected("the kind, or the definition (CRD) that brings it, to be installed before this step")
        })?;
        let api_version = if resource.group.is_empty() {
            served.version.clone()
        } else {
            format!("{}/{}", resource.group, served.version)
        };
        let resource = ApiResource {
            group: resource.group.clone(),
            version: served.version,
            api_version,
            kind: served.kind,
            plural: resource.plural.clone(),
        };
        Ok(Self { client: ctx.client()?, resource, namespaced: served.namespaced })
    }

    /// Requests for objects of this kind in one namespace.
    pub(super) fn api(&self, namespace: &str) -> Api<DynamicObject> {
        if self.namespaced && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &self.resource)
        } else {
            Api::all_with(self.client.clone(), &self.resource)
        }
    }

    /// An object as kubectl names it: `daemonsets.apps/gadget-node`.
    pub(super) fn called(&self, name: &str) -> String {
        let ApiResource { group, plural, .. } = &self.resource;
        if group.is_empty() { format!("{plural}/{name}") } else { format!("{plural}.{group}/{name}") }
    }
}
