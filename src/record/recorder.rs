use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use tokio::sync::mpsc;

use super::desk::{self, Ask};
use super::{Error, Feed, Served, kind, watch};
use crate::check::{Pipeline, Track, TrackKey};
use crate::plan::{Query, Resource, Selection, SelectionId, Source};

/// The selections of one plan, and the watches that serve them. Copies share both.
#[derive(Clone)]
pub struct Recorder {
    selections: Arc<BTreeMap<SelectionId, Selection>>,
    client: Option<Client>,
    desk: mpsc::UnboundedSender<Ask>,
}

impl Recorder {
    /// Opens no watch yet: that happens when somebody follows.
    ///
    /// Must be called inside the runtime that the run uses.
    pub fn new(client: Option<Client>, selections: Vec<Selection>) -> Self {
        let (desk, asks) = mpsc::unbounded_channel();
        if let Some(client) = client.clone() {
            tokio::spawn(desk::run(client, asks, desk.downgrade()));
        }
        let selections = selections.into_iter().map(|selection| (selection.id.clone(), selection)).collect();
        Self { selections: Arc::new(selections), client, desk }
    }

    /// A selection of the plan.
    pub fn selection(&self, id: &SelectionId) -> &Selection {
        self.selections.get(id).expect("every selection that a step names is in the plan")
    }

    /// What the API server is asked for a selection: that of the one it stands on.
    pub fn query(&self, id: &SelectionId) -> &Query {
        self.base(id).0
    }

    /// Whether a selection is exactly what its query gives, without a filter of its own.
    pub fn is_bare(&self, id: &SelectionId) -> bool {
        let selection = self.selection(id);
        matches!(selection.source, Source::Api(_)) && selection.filter.is_none() && selection.each.is_none()
    }

    /// Follows a selection. The feed begins with a list of its own, made after this
    /// call: nothing held from before decides anything.
    pub fn follow(&self, id: &SelectionId) -> Result<Feed, Error> {
        let (query, pipeline) = self.base(id);
        self.open(query.clone(), pipeline)
    }

    /// Follows a query that is no selection of the plan.
    pub fn follow_query(&self, query: Query) -> Result<Feed, Error> {
        self.open(query, Pipeline::default())
    }

    /// How a kind is served now; `None` if it is not.
    pub async fn served(&self, resource: &Resource) -> Result<Option<Served>, Error> {
        kind::served(self.client.as_ref().ok_or(Error::NoCluster)?, resource).await
    }

    fn open(&self, query: Query, pipeline: Pipeline) -> Result<Feed, Error> {
        if self.client.is_none() {
            return Err(Error::NoCluster);
        }
        let (order, updates) = mpsc::unbounded_channel();
        self.desk
            .send(Ask { query, order })
            .map_err(|_| Error::Unreachable("the watches of this run have ended".to_owned()))?;
        Ok(Feed::new(updates, pipeline))
    }

    /// One list now, without a watch.
    pub async fn list(&self, id: &SelectionId) -> Result<Vec<(TrackKey, Track)>, Error> {
        let client = self.client.clone().ok_or(Error::NoCluster)?;
        let (query, pipeline) = self.base(id);
        let objects = watch::once(client, query.clone()).await?;
        Ok(objects.iter().flat_map(|object| pipeline.tracks(&object.as_version())).collect())
    }

    /// One list now of what is no selection of the plan.
    pub async fn list_query(&self, query: &Query) -> Result<Vec<(TrackKey, Track)>, Error> {
        let client = self.client.clone().ok_or(Error::NoCluster)?;
        let objects = watch::once(client, query.clone()).await?;
        let whole = Pipeline::default();
        Ok(objects.iter().flat_map(|object| whole.tracks(&object.as_version())).collect())
    }

    fn base(&self, id: &SelectionId) -> (&Query, Pipeline) {
        let (base, pipeline) = Pipeline::of(self.selection(id), |below| self.selection(below));
        match &base.source {
            Source::Api(query) => (query, pipeline),
            Source::On(_) => unreachable!("a pipeline ends at the API server"),
        }
    }
}
