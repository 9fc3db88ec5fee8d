//! The court over short stories: what happened, and what is said of it.

mod laws;
mod operators;
mod recordings;
mod whole;
mod windows;

use std::sync::Arc;

use serde_json::{Value, json};

use super::Court;
use crate::clock::Elapsed;
use crate::event::{
    Armed, Body, Difference, Event, EventKind, Finding, How, JudgeBy, ObjectName, Outcome, Seen, WatchId, Watched,
};
use crate::expr::{Cel, Env};
use crate::id::CheckId;
use crate::plan::{Check, Claim, Edge, Edges, Place, Query, Resource, Scope, Selection, SelectionId, Setting, Source};

pub(super) const W: WatchId = WatchId(0);

pub(super) fn cel(source: &str) -> Cel {
    Cel::compile(source).unwrap()
}

/// `things` are objects, `files` the entries of a map in them, `red` some of these.
pub(super) fn selections() -> Vec<Selection> {
    let of = |id: &str, source, filter: Option<&str>, each: Option<&str>| Selection {
        id: SelectionId(id.to_owned()),
        source,
        filter: filter.map(cel),
        each: each.map(cel),
        env: Env::new(),
    };
    let on = |id: &str| Source::On(SelectionId(id.to_owned()));
    vec![
        of("things", Source::Api(query()), None, None),
        of("files", on("things"), None, Some("o.status.files")),
        of("red", on("things"), Some("o.colour == 'red'"), None),
    ]
}

pub(super) fn query() -> Query {
    Query {
        resource: Resource { group: "example.com".to_owned(), plural: "things".to_owned() },
        namespace: "n".to_owned(),
        name: None,
        labels: None,
        fields: None,
    }
}

pub(super) fn watched() -> Watched {
    let Query { resource, namespace, name, labels, fields } = query();
    Watched { resource: resource.to_string(), namespace, name, labels, fields }
}

pub(super) fn check(on: &str, claim: Claim) -> Check {
    Check {
        id: CheckId::new(None, "c"),
        place: Place { file: "p.toml".to_owned(), line: 1 },
        about: String::new(),
        covers: Vec::new(),
        opens: None,
        closes: None,
        judge: JudgeBy::Fail,
        round: None,
        left_out: None,
        scope: Arc::new(Scope {
            vars: Arc::default(),
            objects: Arc::default(),
            item: None,
            round: None,
            steps: std::collections::BTreeMap::new(),
            namespace: "n".to_owned(),
            folder: std::path::PathBuf::new(),
        }),
        on: SelectionId(on.to_owned()),
        min: None,
        claim,
        written: String::new(),
    }
}

pub(super) fn never(that: Option<&str>) -> Claim {
    Claim::Never { that: that.map(cel) }
}

pub(super) fn always(that: &str) -> Claim {
    Claim::Always { that: cel(that) }
}

pub(super) fn constant(value: &str) -> Claim {
    Claim::Constant { value: cel(value) }
}

pub(super) fn edges(written: &[&str]) -> Vec<Edge> {
    let end = |text: &str| Some(text.trim().to_owned()).filter(|text| text != "*");
    let edge = |written: &&str| {
        let (from, to) = written.split_once("->").unwrap();
        Edge { from: end(from), to: end(to) }
    };
    written.iter().map(edge).collect()
}

pub(super) fn allow(value: &str, written: &[&str]) -> Claim {
    Claim::Transitions { value: cel(value), edges: Edges::Allow(edges(written)) }
}

pub(super) fn forbid(value: &str, written: &[&str]) -> Claim {
    Claim::Transitions { value: cel(value), edges: Edges::Forbid(edges(written)) }
}

pub(super) fn sequence(value: &str, seen: &[&str]) -> Claim {
    Claim::Sequence { value: cel(value), seen: Setting::Plain(seen.iter().map(|text| json!(text)).collect()) }
}

pub(super) fn recovers(that: &str, seconds: u64) -> Claim {
    Claim::Recovers { that: cel(that), within: Setting::Plain(crate::plan::Span::seconds(seconds)) }
}

pub(super) fn count(that: Option<&str>, at_least: Option<u64>, at_most: Option<u64>, per_track: bool) -> Claim {
    Claim::Count {
        that: that.map(cel),
        at_least: at_least.map(Setting::Plain),
        at_most: at_most.map(Setting::Plain),
        per_track,
    }
}

/// What happens, told second by second.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    now: Elapsed,
    version: u64,
}

impl Story {
    /// A watch whose first list has these things; each is a name with its content.
    pub(super) fn begin(things: &[(&str, Value)]) -> Self {
        let mut story = Self { version: 100, ..Self::default() };
        story.put(EventKind::WatchOpened { watch: W, watched: watched() });
        for (name, content) in things {
            story.thing(How::Listed, name, name, content.clone());
        }
        story.listed(&[]);
        story
    }

    pub(super) fn put(&mut self, kind: EventKind) -> &mut Self {
        let seq = self.events.len() as u64;
        self.events.push(Event { seq, at: self.now, kind });
        self
    }

    /// The next second with tenths.
    pub(super) fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = Elapsed::from(std::time::Duration::from_secs_f64(seconds));
        self
    }

    pub(super) fn thing(&mut self, how: How, name: &str, uid: &str, content: Value) -> &mut Self {
        self.version += 1;
        let mut value = content;
        value["metadata"] = json!({ "name": name, "uid": uid, "resourceVersion": self.version.to_string() });
        let seen = Seen {
            watch: W,
            how,
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            version: self.version.to_string(),
            arrived: self.now,
            body: Body::Whole(value),
        };
        self.put(EventKind::ObjectSeen(Box::new(seen)))
    }

    pub(super) fn add(&mut self, name: &str, content: Value) -> &mut Self {
        self.thing(How::Added, name, name, content)
    }

    pub(super) fn change(&mut self, name: &str, content: Value) -> &mut Self {
        self.thing(How::Modified, name, name, content)
    }

    pub(super) fn delete(&mut self, name: &str) -> &mut Self {
        self.thing(How::Deleted, name, name, json!({}))
    }

    pub(super) fn listed(&mut self, gone: &[&str]) -> &mut Self {
        self.version += 1;
        let name = |name: &&str| ObjectName { namespace: "n".to_owned(), name: (*name).to_owned() };
        let gone = gone.iter().map(name).collect();
        let version = self.version.to_string();
        self.put(EventKind::WatchListed { watch: W, version, objects: 0, gone, served: true })
    }

    pub(super) fn gap(&mut self, from: f64, changed: bool) -> &mut Self {
        let from = Elapsed::from(std::time::Duration::from_secs_f64(from));
        let (to, reason) = (self.now, "the API server answered 410".to_owned());
        self.put(EventKind::WatchGap { watch: W, from, to, reason, changed })
    }

    pub(super) fn late(&mut self, from: f64) -> &mut Self {
        let from = Elapsed::from(std::time::Duration::from_secs_f64(from));
        let (to, reason) = (self.now, "the connection broke".to_owned());
        self.put(EventKind::WatchLate { watch: W, from, to, reason })
    }

    pub(super) fn confirm(&mut self, differences: Vec<Difference>) -> &mut Self {
        let version = self.version.to_string();
        self.put(EventKind::WatchConfirmed { watch: W, version, differences })
    }
}

/// What the court says of a check whose window is open from the given event to the end of the
/// story, with a closing list that agrees.
pub(super) fn judge(check: &Check, story: &Story, opens: usize) -> (Outcome, Finding) {
    let mut story = story.clone();
    story.confirm(Vec::new());
    judged(check, &story, opens, story.events.len() - 1)
}

/// The window is open between two places in the story; the closing list was answered at its end.
pub(super) fn judged(check: &Check, story: &Story, opens: usize, closes: usize) -> (Outcome, Finding) {
    let mut court = Court::new(std::slice::from_ref(check), &selections());
    let mut said = Vec::new();
    let edge = story.events[..closes].iter().filter_map(|event| match &event.kind {
        EventKind::ObjectSeen(seen) => Some(seen.version.parse::<u64>().unwrap()),
        EventKind::WatchListed { version, .. } => Some(version.parse().unwrap()),
        _ => None,
    });
    let edge = edge.max().unwrap_or(0).to_string();
    for (at, event) in story.events.iter().enumerate() {
        if at == opens {
            let armed = Armed { watch: W, version: "100".to_owned() };
            let armed = EventKind::CheckArmed { check: check.id.clone(), watches: vec![armed] };
            said.extend(court.take(&Event { seq: 0, at: event.at, kind: armed }));
            said.extend(court.open(&check.id, Env::new(), story.events[opens - 1].at));
        }
        if at == closes {
            court.close(&check.id, event.at, &[(W, edge.clone())]);
        }
        while let Some(due) = court.deadline().filter(|due| *due <= event.at) {
            said.extend(court.pass(due));
        }
        said.extend(court.take(event));
    }
    assert!(court.ready(&check.id), "everything is there to judge");
    let EventKind::CheckJudged { outcome, finding, .. } = court.judge(&check.id) else { panic!("it judges") };
    let violated = said.iter().any(|kind| matches!(kind, EventKind::CheckViolated { .. }));
    assert!(!violated || outcome == Outcome::Failed, "a violation that was said stays a failure: {finding:?}");
    (outcome, *finding)
}

/// The verdict in a line.
pub(super) fn said(check: &Check, story: &Story) -> String {
    let opens = story.events.iter().position(|event| matches!(event.kind, EventKind::WatchListed { .. })).unwrap() + 1;
    let (outcome, finding) = judge(check, story, opens);
    format!("{outcome}: {}", finding.message)
}
