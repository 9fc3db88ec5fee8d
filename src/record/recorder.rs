use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::desk::{self, Ask, Desk};
use super::hold::{Leave, Standing};
use super::list;
use super::mailbox::Mailbox;
use super::stream::Trouble;
use super::watch::Order;
use super::{Error, Feed, Hold, Served, Tape, kind};
use crate::check::{Pipeline, Track, TrackKey};
use crate::clock::Clock;
use crate::plan::{Query, Resource, Selection, SelectionId, Source};

/// The selections of one plan, and the watches that serve them. Copies share both.
///
/// Every version that a watch brings goes on the tape before anybody hears of it.
#[derive(Clone)]
pub struct Recorder {
    selections: Arc<BTreeMap<SelectionId, Selection>>,
    client: Option<Client>,
    desk: mpsc::UnboundedSender<Ask>,
    over: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// A broadcast and not a `watch` channel: that one wakes those who listen in an order by chance.
    left: broadcast::Sender<()>,
}

impl Recorder {
    /// Opens no watch yet: that happens when somebody follows or holds. The clock counts
    /// from the run's start.
    ///
    /// Must be called inside the runtime that the run uses.
    pub fn new(client: Option<Client>, selections: Vec<Selection>, tape: Tape, clock: Clock) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (over, ended) = mpsc::unbounded_channel();
        let left = broadcast::Sender::new(1);
        if let Some(client) = client.clone() {
            let desk = Desk { client, tape, clock, asks: asks.downgrade(), left: left.subscribe() };
            tokio::spawn(desk::run(desk, asked, ended));
        }
        let selections = selections.into_iter().map(|selection| (selection.id.clone(), selection)).collect();
        Self { selections: Arc::new(selections), client, desk: asks, over, left }
    }

    /// A recorder without a cluster: nothing can be looked at.
    pub fn idle() -> Self {
        let start = jiff::Timestamp::UNIX_EPOCH;
        Self::new(None, Vec::new(), Tape::nowhere(), Clock::starting_at(start))
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

    /// Keeps a query's watch live, for a check: it is recorded until the hold is dropped.
    pub fn hold(&self, query: Query) -> Result<Hold, Error> {
        let (tell, standing) = watch::channel(Standing::Opening);
        self.ask(query.clone(), Order::Hold(tell))?;
        Ok(Hold::new(query, self.desk.clone(), standing, Leave(self.left.clone())))
    }

    /// The run is over: every open watch makes its closing list, has that on the tape, and ends.
    /// Nothing comes on the tape after this.
    pub fn finish(&self) -> impl Future<Output = ()> + Send + use<> {
        let (done, over) = oneshot::channel();
        let told = self.client.is_some() && self.over.send(done).is_ok();
        async move {
            if told {
                // A desk that is gone has nothing to finish.
                let _ = over.await;
            }
        }
    }

    /// How a kind is served now; `None` if it is not.
    pub async fn served(&self, resource: &Resource) -> Result<Option<Served>, Error> {
        kind::served(self.client.as_ref().ok_or(Error::NoCluster)?, resource).await
    }

    /// One list now, without a watch.
    pub async fn list(&self, id: &SelectionId) -> Result<Vec<(TrackKey, Track)>, Error> {
        let (query, pipeline) = self.base(id);
        self.list_once(query, &pipeline).await
    }

    /// One list now of what is no selection of the plan.
    pub async fn list_query(&self, query: &Query) -> Result<Vec<(TrackKey, Track)>, Error> {
        self.list_once(query, &Pipeline::default()).await
    }

    async fn list_once(&self, query: &Query, pipeline: &Pipeline) -> Result<Vec<(TrackKey, Track)>, Error> {
        let client = self.client.clone().ok_or(Error::NoCluster)?;
        match list::once(&client, query).await {
            Ok(listing) => Ok(listing.objects.iter().flat_map(|object| object.tracks(pipeline)).collect()),
            Err(Trouble::NotServed) => Ok(Vec::new()),
            Err(Trouble::Gone) => Err(Error::Unreachable(
                "the list went on for so long that the API server forgot its version".to_owned(),
            )),
            Err(Trouble::Error(error)) => Err(error),
        }
    }

    fn open(&self, query: Query, pipeline: Pipeline) -> Result<Feed, Error> {
        let (mailbox, letters) = Mailbox::new();
        self.ask(query, Order::Follow(mailbox))?;
        Ok(Feed::new(letters, pipeline, Leave(self.left.clone())))
    }

    fn ask(&self, query: Query, order: Order) -> Result<(), Error> {
        if self.client.is_none() {
            return Err(Error::NoCluster);
        }
        let asked = self.desk.send(Ask { query, order });
        asked.map_err(|_| Error::Unreachable("the watches of this run have ended".to_owned()))
    }

    fn base(&self, id: &SelectionId) -> (&Query, Pipeline) {
        let (base, pipeline) = Pipeline::of(self.selection(id), |below| self.selection(below));
        match &base.source {
            Source::Api(query) => (query, pipeline),
            Source::On(_) => unreachable!("a pipeline ends at the API server"),
        }
    }
}
