//! Watches: what a client is told of changes, as a stream of lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Call, Shape};
use super::object::Object;
use super::read::{refuse_options, selection, version};
use super::resource::Resource;
use super::selector::Selection;
use super::server::Server;
use super::show;
use super::state::State;
use super::status::{Cause, Refusal};
use super::store::{Change, Delivery, Ending, Ticket};
use super::table::{self, Include};

/// An open watch: what is left to tell, and where more comes from.
#[derive(Debug)]
pub(crate) struct Watch {
    view: View,
    selection: Selection,
    ticket: Ticket,
    first: VecDeque<Line>,
    bookmarks: bool,
    lifetime: Duration,
}

/// How objects are shown to a watch.
#[derive(Clone, Debug)]
struct View {
    resource: Arc<Resource>,
    shape: Shape,
    include: Include,
}

impl View {
    fn show(&self, object: &Object, now: Timestamp) -> Value {
        match self.shape {
            Shape::Table => table::single(object, &self.resource, self.include, now),
            Shape::Whole | Shape::Metadata => show::object(object, &self.resource, self.shape),
        }
    }
}

/// One line to send.
#[derive(Debug)]
enum Line {
    Event(&'static str, Value),
    /// An event whose object is written already.
    Written(&'static str, Bytes),
    /// The body breaks off.
    Cut,
}

/// Bookmarks come once a minute, as from the real server, and shortly before a watch ends.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// Opens a watch. The state is held meanwhile, so nothing falls between what is told first and what comes.
pub(crate) fn open(state: &mut State, call: &Call) -> Result<Watch, Refusal> {
    check_options(call)?;
    let view = View { resource: call.resource.clone(), shape: call.shape, include: Include::of(call)? };
    let selection = selection(call)?;
    let since = version(call.query.text("resourceVersion").unwrap_or("0"), true)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let initial = call.query.text("sendInitialEvents").map(|_| call.query.flag("sendInitialEvents"));
    let drawer = call.resource.drawer();
    let now = state.store.revision();

    let mut first = VecDeque::new();
    // Without a version a watch begins with what is there; so does one that asks for it.
    let with_present = initial.unwrap_or(since == 0);
    let from = if with_present || since == 0 { now } else { since };
    let (missed, ticket) = match state.store.watch(&drawer, from) {
        Ok(opened) => opened,
        Err(compacted) => {
            // The real server refuses inside the body: the answer's status is 200 all the same.
            let refusal = Refusal::expired(format!("too old resource version: {since} ({})", compacted.oldest));
            let mut line = VecDeque::new();
            line.push_back(Line::Event("ERROR", refusal.body()));
            let ticket = state.store.closed_ticket();
            return Ok(Watch { view, selection, ticket, first: line, bookmarks: false, lifetime: Duration::ZERO });
        }
    };
    if with_present {
        for object in state.store.list(&drawer, selection.namespace.as_deref()) {
            if selection.matches(&object) {
                first.push_back(Line::Event("ADDED", view.show(&object, call.now)));
            }
        }
        if initial == Some(true) && bookmarks {
            let mut mark = bookmark(&view, now);
            mark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            first.push_back(Line::Event("BOOKMARK", mark));
        }
    }
    first.extend(missed.iter().filter_map(|change| told(change, &selection, &view, call.now)));
    let lifetime = match call.query.number("timeoutSeconds") {
        Some(seconds) if seconds > 0 => Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        _ => state.chance.watch_lifetime(),
    };
    Ok(Watch { view, selection, ticket, first, bookmarks, lifetime })
}

/// The watch as the body of an answer: each line as soon as it is known, nothing twice, nothing out of order.
pub(crate) fn body(watch: Watch, server: Arc<Server>) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let now = tokio::time::Instant::now();
    let end = now + watch.lifetime;
    let leave = Leave { server, id: watch.ticket.id };
    let running = Running { watch, leave, end, next_mark: next_mark(now, end), over: false, headed: false };
    stream::unfold(running, |mut running| async move {
        if running.over {
            return None;
        }
        match running.next_line().await? {
            Line::Event(kind, mut object) => {
                running.over = kind == "ERROR";
                // The columns come with the first table only.
                if let Some(columns) = object.get_mut("columnDefinitions")
                    && std::mem::replace(&mut running.headed, true)
                {
                    *columns = Value::Null;
                }
                let text = serde_json::to_vec(&object).expect("a value is JSON");
                Some((Ok(line(kind, &text)), running))
            }
            Line::Written(kind, text) => Some((Ok(line(kind, &text)), running)),
            Line::Cut => {
                running.over = true;
                Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), running))
            }
        }
    })
}

/// One event as it is sent.
fn line(kind: &str, object: &[u8]) -> Bytes {
    let (head, tail): (_, &[u8]) = (format!(r#"{{"type":"{kind}","object":"#), b"}\n");
    [head.as_bytes(), object, tail].concat().into()
}

/// Takes the watch off the store's list when its body is dropped, by whichever side.
struct Leave {
    server: Arc<Server>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.server.with(|state| state.store.leave(self.id));
    }
}

struct Running {
    watch: Watch,
    leave: Leave,
    end: Instant,
    next_mark: Instant,
    over: bool,
    headed: bool,
}

impl Running {
    async fn next_line(&mut self) -> Option<Line> {
        if let Some(line) = self.watch.first.pop_front() {
            return Some(line);
        }
        loop {
            let watch = &mut self.watch;
            let delivery = tokio::select! {
                biased;
                delivery = watch.ticket.receiver.recv() => delivery?,
                () = tokio::time::sleep_until(self.end) => return None,
                () = tokio::time::sleep_until(self.next_mark), if watch.bookmarks => {
                    // The mark comes back through the watch's own queue, behind every change that precedes it.
                    self.leave.server.with(|state| state.store.mark(self.leave.id));
                    self.next_mark = next_mark(tokio::time::Instant::now(), self.end);
                    continue;
                }
            };
            let line = match delivery {
                Delivery::Change(change) => {
                    told(&change, &watch.selection, &watch.view, self.leave.server.clock().now())
                }
                Delivery::UpTo(revision) => Some(Line::Event("BOOKMARK", bookmark(&watch.view, revision))),
                Delivery::End(Ending::Closed) => return None,
                Delivery::End(Ending::Cut) => Some(Line::Cut),
                Delivery::End(Ending::Expired) => Some(Line::Event(
                    "ERROR",
                    Refusal::expired("The resourceVersion for the provided watch is too old.").body(),
                )),
            };
            if line.is_some() {
                return line;
            }
        }
    }
}

/// When the next bookmark is due: in a minute, or shortly before the watch ends.
fn next_mark(now: Instant, end: Instant) -> Instant {
    match end.checked_sub(BOOKMARK_BEFORE_END).filter(|last| now < *last) {
        Some(last) => last.min(now + BOOKMARK_EVERY),
        None => now + BOOKMARK_EVERY,
    }
}

/// What a change is to a watch of a selection: coming into it is an addition, leaving it a deletion.
fn told(change: &Change, selection: &Selection, view: &View, now: Timestamp) -> Option<Line> {
    let was = change.before.as_ref().filter(|before| selection.matches(before));
    let is = !change.deleted && selection.matches(&change.after);
    let (kind, object) = match (was, is) {
        (None, false) => return None,
        (was, true) => {
            let kind = if was.is_some() { "MODIFIED" } else { "ADDED" };
            if view.shape == Shape::Whole && show::is_as_stored(&change.after, &view.resource) {
                return Some(Line::Written(kind, change.text().clone()));
            }
            (kind, view.show(&change.after, now))
        }
        // What left is shown as it last was inside, but with the version at which it left.
        (Some(before), false) => {
            let mut last = Object::clone(before);
            last.set_meta("resourceVersion", Some(change.revision.to_string().into()));
            ("DELETED", view.show(&last, now))
        }
    };
    Some(Line::Event(kind, object))
}

fn bookmark(view: &View, revision: u64) -> Value {
    let (kind, api_version) = match view.shape {
        Shape::Whole => (view.resource.kind.clone(), view.resource.api_version()),
        Shape::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        Shape::Table => {
            let mut mark = json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision.to_string()},
            });
            mark["columnDefinitions"] = Value::Null;
            mark["rows"] = json!([]);
            return mark;
        }
    };
    json!({"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": revision.to_string()}})
}

fn check_options(call: &Call) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    let wanted = call.query.text("resourceVersionMatch");
    let initial = call.query.text("sendInitialEvents").is_some();
    let forbidden = |why| Cause::forbidden("resourceVersionMatch", why);
    if initial && wanted != Some("NotOlderThan") {
        causes.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if let Some(wanted) = wanted {
        if !initial {
            causes.push(forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }
        if wanted != "NotOlderThan" {
            causes.push(Cause::not_supported("resourceVersionMatch", &wanted.into(), &["NotOlderThan"]));
        }
        if call.query.text("continue").is_some() {
            causes.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    refuse_options(&causes)
}
