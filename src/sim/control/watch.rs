//! One kind followed for a process: listed, watched, resumed, listed again.

use std::time::Duration;

use futures::StreamExt;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::chance::{Chance, Span};
use super::kind::Kind;
use super::lean::{Lean, LeanList};
use super::object::Object;
use super::write::request;

/// What a watch tells its process.
#[derive(Debug)]
pub(super) enum Word {
    /// Everything there is, as of a revision.
    Listed { kind: Kind, revision: u64, objects: Vec<Object> },
    /// One change.
    Told { kind: Kind, object: Object, deleted: bool },
    /// Nothing more up to this revision.
    Marked { kind: Kind, revision: u64 },
    /// The kind is not served, or no longer.
    NotServed { kind: Kind },
    /// All kinds that are served, for triggers on everything.
    Served { kinds: Vec<Kind> },
}

/// What is followed.
#[derive(Clone)]
pub(super) struct Following {
    pub(super) client: kube::Client,
    pub(super) agent: String,
    pub(super) kind: Kind,
    pub(super) fields: Option<String>,
}

/// How long a watch is asked to live (client-go's reflector: 5 to 10 minutes).
const LIFETIME: Span = Span::millis(300_000, 600_000);

/// The waits after failures (client-go's reflector: 0.8 s, doubled up to 30 s; its jitter is left out).
const FIRST_WAIT: Duration = Duration::from_millis(800);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Following {
    /// Follows the kind until nobody listens.
    pub(super) async fn follow(self, mut chance: Chance, inbox: UnboundedSender<Word>) {
        let mut wait = FIRST_WAIT;
        while !inbox.is_closed() {
            match self.list().await {
                Ok((revision, objects)) => {
                    let word = Word::Listed { kind: self.kind.clone(), revision, objects };
                    if inbox.send(word).is_err() {
                        return;
                    }
                    self.watch(revision, &mut chance, &inbox, &mut wait).await;
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    // Whoever listens has gone if this can't be told: the loop ends by itself.
                    let _ = inbox.send(Word::NotServed { kind: self.kind.clone() });
                }
                // Whatever it was, it is tried again.
                Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn list(&self) -> Result<(u64, Vec<Object>), kube::Error> {
        let selector = self.fields.as_ref().map(|fields| format!("?fieldSelector={}", encoded(fields)));
        let path = format!("{}{}", self.kind.everywhere(), selector.unwrap_or_default());
        let list: LeanList = self.client.request(request("GET", &path, &self.agent, "", Vec::new())).await?;
        let revision = list.metadata["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok((revision, list.items.into_iter().map(|item| self.named(item)).collect()))
    }

    /// Watches from a revision on, over and over, until a new list is needed.
    async fn watch(&self, mut revision: u64, chance: &mut Chance, inbox: &UnboundedSender<Word>, wait: &mut Duration) {
        loop {
            let selector = self.fields.as_ref().map(|fields| format!("&fieldSelector={}", encoded(fields)));
            let seconds = chance.draw(LIFETIME).as_secs();
            let path = format!(
                "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={revision}{}",
                self.kind.everywhere(),
                selector.unwrap_or_default()
            );
            let opened = self.client.request_events::<Lean>(request("GET", &path, &self.agent, "", Vec::new())).await;
            let mut heard = false;
            match opened {
                Ok(events) => {
                    let mut events = Box::pin(events);
                    while let Some(event) = events.next().await {
                        let word = match event {
                            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                                revision = revision_of(&object.0);
                                Word::Told { kind: self.kind.clone(), object: self.named(object), deleted: false }
                            }
                            Ok(WatchEvent::Deleted(object)) => {
                                revision = revision_of(&object.0);
                                Word::Told { kind: self.kind.clone(), object: self.named(object), deleted: true }
                            }
                            Ok(WatchEvent::Bookmark(mark)) => {
                                revision = mark.metadata.resource_version.parse().unwrap_or(revision);
                                Word::Marked { kind: self.kind.clone(), revision }
                            }
                            Ok(WatchEvent::Error(_)) => return,
                            Err(_) => break,
                        };
                        heard = true;
                        if inbox.send(word).is_err() {
                            return;
                        }
                    }
                }
                Err(kube::Error::Api(status)) if [404, 410].contains(&status.code) => return,
                Err(_) => {}
            }
            if heard {
                *wait = FIRST_WAIT;
            } else {
                tokio::time::sleep(*wait).await;
                *wait = (*wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    /// The object with its kind, which items of lists do not say.
    fn named(&self, Lean(mut object): Lean) -> Object {
        if object["kind"].is_null() {
            object["kind"] = self.kind.kind.as_ref().into();
            object["apiVersion"] = self.kind.api_version().into();
        }
        Object::new(object)
    }
}

/// How often discovery is asked for kinds that came or went (the garbage collector's resync).
const REDISCOVER: Duration = Duration::from_secs(30);

/// Asks for all kinds that can be listed and watched, again and again.
pub(super) async fn discover(client: kube::Client, agent: String, inbox: UnboundedSender<Word>) {
    while !inbox.is_closed() {
        let mut kinds = Vec::new();
        let mut whole = true;
        for path in ["/api", "/apis"] {
            match served(&client, &agent, path).await {
                Ok(more) => kinds.extend(more),
                Err(_) => whole = false,
            }
        }
        if whole && inbox.send(Word::Served { kinds }).is_err() {
            return;
        }
        tokio::time::sleep(if whole { REDISCOVER } else { FIRST_WAIT }).await;
    }
}

async fn served(client: &kube::Client, agent: &str, path: &str) -> Result<Vec<Kind>, kube::Error> {
    let mut asked = request("GET", path, agent, "", Vec::new());
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    asked.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(accept));
    let document: Value = client.request(asked).await?;
    let items = |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
    let mut kinds = Vec::new();
    for group in items(&document, "items") {
        let name = group["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        // The first version is the preferred one; the others show the same objects.
        let Some(version) = items(&group, "versions").into_iter().next() else { continue };
        for resource in items(&version, "resources") {
            let can = |verb: &str| items(&resource, "verbs").iter().any(|own| own == verb);
            if can("list") && can("watch") && can("delete") {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                kinds.push(Kind::new(
                    &name,
                    &text(&version["version"]),
                    &text(&resource["resource"]),
                    &text(&resource["responseKind"]["kind"]),
                    resource["scope"] == "Namespaced",
                ));
            }
        }
    }
    Ok(kinds)
}

fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A field selector as a query carries it.
fn encoded(fields: &str) -> String {
    fields.replace('%', "%25").replace('=', "%3D").replace(',', "%2C").replace('!', "%21")
}
