//! The handle by which tests, controllers and the embedded cluster hold the server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::{Clock, Elapsed};

use super::admission::Webhook;
use super::call::Shape;
use super::door::{self, Listener};
use super::fault::Rule;
use super::ledger::{Request, Verb};
use super::object::{Object, time_text};
use super::program::{Kubelets, LogLine, Program};
use super::resource::{Drawer, Resource};
use super::server::Server;
use super::show;
use super::state::{StandIns, State, name_of};
use super::status::Refusal;
use super::store::{Ending, Name};

/// An embedded API server. Clones are the same server; it ends with the last of them and
/// of its clients.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// use k8s_openapi::api::core::v1::Pod;
/// use lariat::sim::{Answer, Api, Effect, Exec, Matching, Options, Rule, Verb};
///
/// let api = Api::new(Options::new());
/// api.load(
///     "{apiVersion: v1, kind: Pod, metadata: {name: db}, \
///      spec: {nodeName: n1, containers: [{name: db, image: 'db:1'}]}}",
/// )
/// .unwrap();
/// api.program("db", |exec: &Exec| Answer::prints(exec.command.join(" ")));
///
/// let pods: kube::Api<Pod> = kube::Api::default_namespaced(api.client());
/// let _guard = api.fault(Rule::next(1, Matching::verb(Verb::Get), Effect::Answer { code: 503, retry_after: 0 }));
/// assert!(pods.get("db").await.is_err());
/// assert!(pods.get("db").await.is_ok());
/// assert_eq!(api.requests_of(Verb::Get, "pods").len(), 2);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Api {
    server: Arc<Server>,
}

/// What a server begins with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything that is by chance: uids, generated names, lifetimes of watches.
    pub seed: u64,
    /// Time, for every timestamp in objects. On a paused runtime it is virtual.
    pub clock: Clock,
    /// How many changes the history holds before it is compacted.
    pub history: usize,
    /// What the server does in place of missing actors.
    pub stand_ins: StandIns,
}

impl Options {
    /// Seed 1, virtual 2026-01-01T00:00:00Z as the start, a history of 10,000 changes, the usual stand-ins.
    pub fn new() -> Self {
        let start = jiff::Timestamp::from_second(1_767_225_600).expect("the beginning of 2026 is a time");
        Self { seed: 1, clock: Clock::starting_at(start), history: 10_000, stand_ins: StandIns::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// A server that other processes can reach, until this is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    _listener: Listener,
}

/// Takes a fault away when dropped.
#[derive(Debug)]
#[must_use = "the fault is in place for as long as its guard lives"]
pub struct Guard {
    server: Arc<Server>,
    rule: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.server.with(|state| state.rules.remove(self.rule));
    }
}

impl Api {
    /// A server with the four namespaces that are always there and nothing else.
    pub fn new(options: Options) -> Self {
        let state = State::new(options.seed, options.history, options.stand_ins, options.clock.now());
        Self { server: Server::new(state, options.clock) }
    }

    /// A client with a connection in memory for each request: everything works, exec too.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(door::connection(self.server.clone(), None), "default")
    }

    /// As [`Self::client`], for an actor that is to be told from others: its name is the user
    /// agent in [`Self::requests`], what a rule can match, and the default field manager.
    pub fn client_as(&self, agent: &'static str) -> kube::Client {
        let agent = http::HeaderValue::from_static(agent);
        kube::Client::new(door::connection(self.server.clone(), Some(agent)), "default")
    }

    /// A client that calls the handler without a connection: three times as quick, but no exec.
    pub fn direct_client(&self) -> kube::Client {
        kube::Client::new(door::direct(self.server.clone()), "default")
    }

    /// Opens a loopback port for other processes: kubectl, helm, Lariat itself.
    ///
    /// Other processes live in real time. On a paused runtime virtual time jumps while they
    /// run, so serve from one that is not paused, or beside [`keep_pace`](crate::clock::keep_pace).
    pub async fn serve(&self) -> io::Result<Served> {
        self.serve_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address of one's choice. Nobody is asked who they are, so it should be a loopback one.
    pub async fn serve_at(&self, address: SocketAddr) -> io::Result<Served> {
        let listener = Listener::open(self.server.clone(), address).await?;
        Ok(Served { address: listener.address, _listener: listener })
    }

    /// The server's time.
    pub fn clock(&self) -> Clock {
        self.server.clock()
    }

    /// Creates or replaces an object, status included, past every check: the hand of a test's set-up.
    ///
    /// Its namespace is made if it is missing, and a namespaced object without one goes to `default`.
    /// Uid, creation time and generation are filled in where they are left out.
    pub fn put(&self, object: Value) -> Result<Value, Refusal> {
        let now = self.clock().now();
        let object = Object::new(object).ok_or_else(|| Refusal::bad_request("an object was expected"))?;
        self.server.with(|state| {
            let resource = state
                .registry
                .of_kind(object.api_version(), object.kind())
                .ok_or_else(|| Refusal::unknown_kind(object.api_version(), object.kind()))?;
            let stored = state.set_up(&resource, object, now);
            Ok(show::object(&stored, &resource, Shape::Whole))
        })
    }

    /// [`Self::put`] for every document of a YAML text.
    pub fn load(&self, yaml: &str) -> Result<(), Refusal> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(yaml).map_err(|error| Refusal::bad_request(format!("not YAML: {error}")))?;
        documents
            .into_iter()
            .filter(|document| !document.is_null())
            .try_for_each(|document| self.put(document).map(drop))
    }

    /// One object, by a word for its kind as kubectl takes it (`Pod`, `deploy`, `volumes.longhorn.io`);
    /// the namespace is empty for kinds that are in none.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.server.with(|state| {
            let resource = state.registry.by_word(kind)?;
            let object = state.store.get(&resource.drawer(), &key(namespace, name))?;
            Some(show::object(object, &resource, Shape::Whole))
        })
    }

    /// The objects of a kind, in one namespace or, if it is empty, in all.
    pub fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        self.server.with(|state| {
            let Some(resource) = state.registry.by_word(kind) else {
                return Vec::new();
            };
            let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
            let objects = state.store.list(&resource.drawer(), namespace);
            objects.iter().map(|object| show::object(object, &resource, Shape::Whole)).collect()
        })
    }

    /// Changes an object in place, status included, past every check. False if it is not there.
    pub fn change(&self, kind: &str, namespace: &str, name: &str, act: impl FnOnce(&mut Value)) -> bool {
        let now = self.clock().now();
        self.server.with(|state| {
            let Some((resource, object)) = find(state, kind, namespace, name) else {
                return false;
            };
            let mut value = object.value();
            act(&mut value);
            let changed = Object::new(value).filter(|changed| *changed != *object);
            if let Some(changed) = changed {
                state.commit(&resource, key(namespace, name), changed, now);
            }
            true
        })
    }

    /// Removes an object at once, whatever its finalizers or grace. False if it is not there.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.server.with(|state| {
            let Some((resource, _)) = find(state, kind, namespace, name) else {
                return false;
            };
            state.discard(&resource, &key(namespace, name)).is_some()
        })
    }

    /// Every request so far, oldest first. Those that were refused a connection are not among them.
    pub fn requests(&self) -> Vec<Request> {
        self.server.with(|state| state.ledger.requests().to_vec())
    }

    /// The requests of one verb on one resource (its plural), oldest first.
    pub fn requests_of(&self, verb: Verb, resource: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.verb == verb && request.resource == resource).collect()
    }

    /// How many watches of a resource (its plural, without its group) are open.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.server.with(|state| state.store.open_watches(resource))
    }

    /// Puts a fault in place, until its guard is dropped.
    pub fn fault(&self, rule: Rule) -> Guard {
        let rule = self.server.with(|state| state.rules.add(rule, None));
        Guard { server: self.server.clone(), rule }
    }

    /// The same, telling of each request that it strikes.
    pub fn fault_told(&self, rule: Rule, tell: mpsc::UnboundedSender<Request>) -> Guard {
        let rule = self.server.with(|state| state.rules.add(rule, Some(tell)));
        Guard { server: self.server.clone(), rule }
    }

    /// The server is gone for a while, as when it restarts: open watches and commands break
    /// off, nobody connects.
    /// It is back at that time, or when the guard is dropped.
    pub fn outage(&self, lasts: Duration) -> Guard {
        self.drop_watches("", &Ending::Cut);
        self.server.with(|state| state.outages.send_modify(|count| *count += 1));
        let from = self.clock().elapsed();
        self.fault(Rule::outage(from, Elapsed::from(from.duration() + lasts)))
    }

    /// Ends the open watches of a kind, or all of them with an empty word, in this way.
    pub fn drop_watches(&self, kind: &str, ending: &Ending) {
        self.server.with(|state| {
            let drawer = state.registry.by_word(kind).map(|resource| resource.drawer());
            state.store.end_watches(drawer.as_ref(), ending);
        });
    }

    /// Ends the open watches of a resource by its plural, or all of them with an empty one; the answer is how many.
    pub fn end_watches(&self, plural: &str, ending: &Ending) -> usize {
        self.server.with(|state| state.store.end_watches_of(plural, ending))
    }

    /// Forgets the history: whoever asks for a version before the present gets 410.
    pub fn compact(&self) {
        self.server.with(|state| state.store.compact(state.store.revision()));
    }

    /// The revision of the last change, as `resourceVersion` counts.
    pub fn revision(&self) -> u64 {
        self.server.with(|state| state.store.revision())
    }

    /// Answers exec in all containers of an image, named with or without its tag.
    pub fn program(&self, image: &str, program: impl Program + 'static) {
        self.server.with(|state| state.programs.in_image(image, Arc::new(program)));
    }

    /// Answers exec in one pod.
    pub fn pod_program(&self, namespace: &str, pod: &str, program: impl Program + 'static) {
        self.server.with(|state| state.programs.in_pod(namespace, pod, Arc::new(program)));
    }

    /// Who runs the pods from now on, and answers for their containers.
    pub fn kubelets(&self, kubelets: impl Kubelets + 'static) {
        self.server.with(|state| state.programs.kubelets = Some(Arc::new(kubelets)));
    }

    /// Brings up the backend of webhooks that name this address: `NAMESPACE/SERVICE`, with or without the
    /// path that a webhook names, or a URL.
    ///
    /// A webhook whose backend nobody brought up fails as one whose server is down.
    pub fn webhook(&self, address: &str, webhook: impl Webhook + 'static) {
        self.server.with(|state| state.backends.up(address, Arc::new(webhook)));
    }

    /// Takes the backend at an address down.
    pub fn webhook_down(&self, address: &str) {
        self.server.with(|state| state.backends.down(address));
    }

    /// Prints a line into the log of all containers of a pod.
    pub fn print(&self, namespace: &str, pod: &str, text: &str) {
        let line = LogLine { container: None, at: self.clock().now(), text: text.to_owned() };
        self.server.with(|state| state.programs.print(namespace, pod, line));
    }
}

impl Served {
    /// A kubeconfig for this server, with one context of this name.
    pub fn kubeconfig(&self, context: &str) -> String {
        let address = self.address;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
             clusters:\n- name: {context}\n  cluster:\n    server: http://{address}\n\
             contexts:\n- name: {context}\n  context:\n    cluster: {context}\n    user: {context}\n    namespace: default\n\
             users:\n- name: {context}\n  user: {{}}\n"
        )
    }

    /// Writes that kubeconfig to a file.
    pub fn write_kubeconfig(&self, path: &Path, context: &str) -> io::Result<()> {
        std::fs::write(path, self.kubeconfig(context))
    }
}

fn key(namespace: &str, name: &str) -> Name {
    Name { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn find(state: &State, kind: &str, namespace: &str, name: &str) -> Option<(Arc<Resource>, Arc<Object>)> {
    let resource = state.registry.by_word(kind)?;
    let object = state.store.get(&resource.drawer(), &key(namespace, name))?.clone();
    Some((resource, object))
}

impl State {
    /// Keeps an object as a test's set-up gives it.
    fn set_up(&mut self, resource: &Resource, mut object: Object, now: jiff::Timestamp) -> Arc<Object> {
        if !resource.namespaced {
            object.set_meta("namespace", None);
        } else if object.namespace().is_empty() {
            object.set_meta("namespace", Some("default".into()));
        }
        let namespace = object.namespace().to_owned();
        if !namespace.is_empty() {
            self.make_namespace(&namespace, now);
        }
        let drawer: Drawer = resource.drawer();
        let name = name_of(&object);
        let old = self.store.get(&drawer, &name).cloned();
        let kept = |field: &str| old.as_ref().and_then(|old| old.meta(field).cloned());
        let uid = kept("uid").unwrap_or_else(|| self.chance.uid().into());
        let mut fill = |field: &str, value: Value| {
            if object.meta(field).is_none() {
                object.set_meta(field, Some(value));
            }
        };
        fill("uid", uid);
        fill("creationTimestamp", kept("creationTimestamp").unwrap_or_else(|| time_text(now).into()));
        if resource.generation {
            fill("generation", kept("generation").unwrap_or_else(|| 1.into()));
        }
        self.commit(resource, name, object, now)
    }
}
