//! Each operator beside a naive reading of the whole stream, over random stories: versions that
//! come twice, replacements, vanished keys, nulls and missing fields, gaps, late spells, closing
//! lists that do not agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Map;

use super::*;

const WITHIN: u64 = 20;
const BACKLOG: u64 = 1_000_000;

/// One thing that happens, after some seconds.
#[derive(Clone, Debug)]
enum Act {
    Change(u8, Content),
    Replace(u8, Content),
    Delete(u8),
    /// The last version of an object once more.
    Again(u8),
    /// A gap, and what the list after it has of each object.
    Relist([Now; 2]),
    /// The watch stood still for so many seconds.
    Late(u8),
}

/// What a list has of an object.
#[derive(Clone, Debug)]
enum Now {
    Same,
    Gone,
    Is(Content),
}

#[derive(Clone, Debug)]
struct Content {
    /// 0, 1, 2: a value; 3: null; 4: not there.
    state: u8,
    files: [u8; 2],
    red: bool,
}

impl Content {
    fn value(&self) -> Value {
        let mut object = Map::new();
        let put = |into: &mut Map<String, Value>, state: u8| match state {
            0..=2 => drop(into.insert("state".to_owned(), json!(["x", "y", "z"][usize::from(state)]))),
            3 => drop(into.insert("state".to_owned(), Value::Null)),
            _ => {}
        };
        put(&mut object, self.state);
        if self.red {
            object.insert("colour".to_owned(), json!("red"));
        }
        let mut files = Map::new();
        for (name, state) in ["k", "l"].into_iter().zip(self.files).filter(|(_, state)| *state < 5) {
            let mut entry = Map::new();
            put(&mut entry, state);
            files.insert(name.to_owned(), Value::Object(entry));
        }
        object.insert("status".to_owned(), json!({ "files": files }));
        Value::Object(object)
    }
}

fn content() -> impl Strategy<Value = Content> {
    (0..5_u8, [0..7_u8, 0..7_u8], any::<bool>()).prop_map(|(state, files, red)| Content { state, files, red })
}

fn act() -> impl Strategy<Value = Act> {
    let relisted = || prop_oneof![2 => Just(Now::Same), 1 => Just(Now::Gone), 1 => content().prop_map(Now::Is)];
    prop_oneof![
        8 => (0..2_u8, content()).prop_map(|(name, content)| Act::Change(name, content)),
        1 => (0..2_u8, content()).prop_map(|(name, content)| Act::Replace(name, content)),
        2 => (0..2_u8).prop_map(Act::Delete),
        1 => (0..2_u8).prop_map(Act::Again),
        1 => [relisted(), relisted()].prop_map(Act::Relist),
        1 => (0..15_u8).prop_map(Act::Late),
    ]
}

/// A story with the places where the window opens and closes.
#[derive(Clone, Debug)]
struct Tale {
    events: Vec<Event>,
    opens: usize,
    closes: usize,
    edge: u64,
    differs: bool,
}

fn tale() -> impl Strategy<Value = Tale> {
    let acts = |n| proptest::collection::vec((act(), prop_oneof![Just(0_u8), 0..25_u8]), n);
    let quiet = proptest::collection::vec((0..2_u8, content()), 0..4);
    (acts(0..5), acts(0..14), quiet, 0..4_usize, proptest::bool::weighted(0.1)).prop_map(
        |(before, inside, outside, shown, differs)| {
            let mut teller = Teller::new();
            for (act, wait) in &before {
                teller.tell(act, *wait);
            }
            let opens = teller.story.events.len();
            for (act, wait) in &inside {
                teller.tell(act, *wait);
            }
            teller.seconds += 5;
            let closes = teller.story.events.len();
            let mut edge = teller.story.version;
            for (at, (name, content)) in outside.iter().enumerate() {
                teller.tell(&Act::Change(*name, content.clone()), 1);
                if at < shown {
                    edge = teller.story.version;
                }
            }
            teller.seconds += 1;
            teller.story.at(f64::from(teller.seconds));
            teller.story.confirm(Vec::new());
            Tale { events: teller.story.events, opens, closes, edge, differs }
        },
    )
}

/// Makes events of acts.
struct Teller {
    story: Story,
    seconds: u32,
    live: BTreeMap<String, (String, Value)>,
    last: BTreeMap<String, Seen>,
    uids: u32,
}

impl Teller {
    fn new() -> Self {
        Self { story: Story::begin(&[]), seconds: 1, live: BTreeMap::new(), last: BTreeMap::new(), uids: 0 }
    }

    fn tell(&mut self, act: &Act, wait: u8) {
        self.seconds += u32::from(wait);
        self.story.at(f64::from(self.seconds));
        match act {
            Act::Change(name, content) => self.change(*name, content, false, false),
            Act::Replace(name, content) => self.change(*name, content, true, false),
            Act::Delete(name) => {
                let name = called(*name);
                if let Some((uid, _)) = self.live.remove(&name) {
                    self.story.version += 1;
                    let version = self.story.version;
                    self.seen(How::Deleted, &name, &uid, version, Body::Whole(json!({ "state": "x" })));
                }
            }
            Act::Again(name) => {
                let again = self.last.get(&called(*name)).cloned();
                let can = |seen: &Seen| seen.how == How::Deleted || self.live.contains_key(&seen.name);
                if let Some(seen) = again.filter(can) {
                    // A patch would be against the same version once more.
                    let seen = Seen {
                        body: self.live.get(&seen.name).map_or(seen.body, |(_, value)| Body::Whole(value.clone())),
                        ..seen
                    };
                    self.story.put(EventKind::ObjectSeen(Box::new(seen)));
                }
            }
            Act::Relist(now) => {
                let from = f64::from(self.seconds);
                self.seconds += 3;
                self.story.at(f64::from(self.seconds));
                let mut gone = Vec::new();
                let mut changed = false;
                for (name, now) in now.iter().enumerate() {
                    let name = u8::try_from(name).unwrap();
                    match now {
                        Now::Is(content) => {
                            changed = true;
                            self.change(name, content, false, true);
                        }
                        Now::Gone if self.live.remove(&called(name)).is_some() => {
                            changed = true;
                            gone.push(called(name));
                        }
                        Now::Same | Now::Gone => {}
                    }
                }
                let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
                self.story.listed(&gone).gap(from, changed);
            }
            Act::Late(seconds) => {
                let from = f64::from(self.seconds);
                self.seconds += u32::from(*seconds);
                self.story.at(f64::from(self.seconds)).late(from);
            }
        }
    }

    fn change(&mut self, name: u8, content: &Content, replace: bool, listed: bool) {
        let name = called(name);
        let before = self.live.get(&name).cloned();
        let uid = match &before {
            Some((uid, _)) if !replace => uid.clone(),
            _ => {
                self.uids += 1;
                format!("u{}", self.uids)
            }
        };
        let how = match (&before, listed) {
            (_, true) => How::Listed,
            (Some(_), false) => How::Modified,
            (None, false) => How::Added,
        };
        self.story.version += 1;
        let version = self.story.version;
        let mut value = content.value();
        value["metadata"] = json!({ "name": name, "uid": uid, "resourceVersion": version.to_string() });
        let body = match before.and_then(|(_, before)| patch(&before, &value)) {
            Some(patch) => Body::Patch(patch),
            None => Body::Whole(value.clone()),
        };
        self.live.insert(name.clone(), (uid.clone(), value));
        self.seen(how, &name, &uid, version, body);
    }

    fn seen(&mut self, how: How, name: &str, uid: &str, version: u64, body: Body) {
        let seen = Seen {
            watch: W,
            how,
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            version: version.to_string(),
            arrived: self.story.now,
            body,
        };
        self.last.insert(name.to_owned(), seen.clone());
        self.story.put(EventKind::ObjectSeen(Box::new(seen)));
    }
}

fn called(name: u8) -> String {
    ["a", "b"][usize::from(name)].to_owned()
}

/// A merge patch that gives exactly the second value, if there is one.
fn patch(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (!after.is_null()).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(same) if same == value => {}
            Some(other) => drop(patch.insert(key.clone(), self::patch(other, value)?)),
            None if has_null(value) => return None,
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    Some(Value::Object(patch))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

// The naive reading.

/// What was seen of a track, in order.
#[derive(Clone, Debug)]
struct Sighted {
    /// 0: when the window opened; else the event's place and one.
    order: usize,
    at: u64,
    uid: String,
    is: Is,
    after_gap: bool,
    entered: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Is {
    /// With its state, if it has one.
    There(Option<String>),
    Missing,
    Gone,
}

type Key = (String, Option<String>);
type Tracks = BTreeMap<Key, Vec<Sighted>>;

/// The tracks of an object, and whether entries are taken from it.
fn tracks_of(on: &str, name: &str, value: &Value) -> (Vec<(Key, Option<String>)>, bool) {
    let state = |value: &Value| value["state"].as_str().map(str::to_owned);
    match on {
        "files" => {
            let files = value["status"]["files"].as_object().unwrap();
            (files.iter().map(|(key, entry)| ((name.to_owned(), Some(key.clone())), state(entry))).collect(), true)
        }
        "red" if value["colour"] != "red" => (Vec::new(), false),
        _ => (vec![((name.to_owned(), None), state(value))], false),
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

fn read(on: &str, tale: &Tale) -> Tracks {
    let opened = tale.events[tale.opens - 1].at.0;
    let closed = tale.events[tale.closes].at.0.max(opened);
    let mut objects: BTreeMap<String, (String, String, Value)> = BTreeMap::new();
    let mut tracks: Tracks = BTreeMap::new();
    let mut listed = false;
    for (place, event) in tale.events.iter().enumerate() {
        if place == tale.opens {
            for (name, (uid, _, value)) in &objects {
                for (key, state) in tracks_of(on, name, value).0 {
                    let first = Sighted {
                        order: 0,
                        at: opened,
                        uid: uid.clone(),
                        is: Is::There(state),
                        after_gap: false,
                        entered: false,
                    };
                    tracks.insert(key, vec![first]);
                }
            }
        }
        let mut changes: Vec<(String, String, Option<Value>, bool, u64)> = Vec::new();
        match &event.kind {
            EventKind::ObjectSeen(seen) => {
                let version = seen.version.parse().unwrap();
                let known = objects.get(&seen.name);
                if known.is_some_and(|(uid, version, _)| *uid == seen.uid && *version == seen.version) {
                    continue;
                }
                if seen.how == How::Deleted {
                    if known.is_some() {
                        changes.push((seen.name.clone(), String::new(), None, false, version));
                    }
                } else {
                    let mut value = known.map_or(Value::Null, |(_, _, value)| value.clone());
                    match &seen.body {
                        Body::Whole(whole) => value = whole.clone(),
                        Body::Patch(patch) => merge(&mut value, patch),
                    }
                    let after_gap = seen.how == How::Listed && listed;
                    changes.push((seen.name.clone(), seen.uid.clone(), Some(value), after_gap, version));
                }
            }
            EventKind::WatchListed { gone, version, .. } => {
                listed = true;
                let version = version.parse().unwrap();
                changes.extend(gone.iter().map(|name| (name.name.clone(), String::new(), None, true, version)));
            }
            _ => {}
        }
        for (name, uid, value, after_gap, version) in changes {
            let before = match &value {
                Some(value) => objects.insert(name.clone(), (uid.clone(), version.to_string(), value.clone())),
                None => objects.remove(&name),
            };
            let inside = place >= tale.opens && (place < tale.closes || version <= tale.edge);
            if !inside {
                continue;
            }
            let order = place + 1;
            let at = event.at.0.clamp(opened, closed);
            let was =
                before.as_ref().filter(|(old, ..)| *old == uid).map(|(_, _, value)| tracks_of(on, &name, value).1);
            let (now, parent) = value.as_ref().map_or((Vec::new(), false), |value| tracks_of(on, &name, value));
            for (key, state) in &now {
                let entered = key.1.is_some() && was == Some(true) && !tracks.contains_key(key);
                let sighted = Sighted { order, at, uid: uid.clone(), is: Is::There(state.clone()), after_gap, entered };
                tracks.entry(key.clone()).or_default().push(sighted);
            }
            for (key, seen) in tracks.iter_mut().filter(|(key, _)| key.0 == name) {
                if now.iter().any(|(other, _)| other == key) {
                    continue;
                }
                let is = if parent && was == Some(true) { Is::Missing } else { Is::Gone };
                let last = seen.last().unwrap();
                if last.is != is && last.is != Is::Gone {
                    let uid = last.uid.clone();
                    seen.push(Sighted { order, at, uid, is, after_gap, entered: false });
                }
            }
        }
    }
    tracks
}

/// A claim as the naive reading knows it.
#[derive(Clone, Debug)]
enum Plain {
    NeverX,
    NeverThere,
    AlwaysX,
    Constant,
    Allow(Vec<(char, char)>),
    Forbid(Vec<(char, char)>),
    Sequence(Vec<char>),
    Recovers,
    Count { exists: bool, least: Option<u64>, most: Option<u64>, each: bool },
}

fn plain() -> impl Strategy<Value = Plain> {
    let end = || proptest::sample::select(vec!['x', 'y', 'z', 'm', '*']);
    let edges = || proptest::collection::vec((end(), end()), 1..6);
    let value = proptest::sample::select(vec!['x', 'y', 'z', 'm']);
    let bound = || proptest::option::of(0..4_u64);
    prop_oneof![
        1 => Just(Plain::NeverX),
        1 => Just(Plain::NeverThere),
        1 => Just(Plain::AlwaysX),
        1 => Just(Plain::Constant),
        1 => edges().prop_map(Plain::Allow),
        1 => edges().prop_map(Plain::Forbid),
        1 => proptest::collection::vec(value, 1..4).prop_map(Plain::Sequence),
        2 => Just(Plain::Recovers),
        2 => (any::<bool>(), bound(), bound(), any::<bool>())
            .prop_map(|(exists, least, most, each)| Plain::Count { exists, least, most, each }),
    ]
}

fn word(c: char) -> String {
    if c == 'm' { "missing".to_owned() } else { c.to_string() }
}

impl Plain {
    fn claim(&self) -> Claim {
        let said = |edges: &[(char, char)]| -> Vec<String> {
            edges.iter().map(|(from, to)| format!("{} -> {}", word(*from), word(*to))).collect()
        };
        let refs = |said: &[String]| edges(&said.iter().map(String::as_str).collect::<Vec<_>>());
        match self {
            Self::NeverX => never(Some("o.state == 'x'")),
            Self::NeverThere => never(None),
            Self::AlwaysX => always("o.state == 'x'"),
            Self::Constant => constant("o.state"),
            Self::Allow(edges) => Claim::Transitions { value: cel("o.state"), edges: Edges::Allow(refs(&said(edges))) },
            Self::Forbid(edges) => {
                Claim::Transitions { value: cel("o.state"), edges: Edges::Forbid(refs(&said(edges))) }
            }
            Self::Sequence(values) => {
                let values: Vec<String> = values.iter().map(|value| word(*value)).collect();
                sequence("o.state", &values.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Self::Recovers => recovers("o.state == 'x'", WITHIN),
            Self::Count { exists, least, most, each } => {
                count((!exists).then_some("o.state == 'x'"), *least, *most, *each)
            }
        }
    }

    fn is_existence(&self) -> bool {
        matches!(self, Self::NeverThere | Self::Count { exists: true, .. })
    }

    fn is_value(&self) -> bool {
        matches!(self, Self::Constant | Self::Allow(_) | Self::Forbid(_) | Self::Sequence(_))
    }

    /// Whether a condition holds; nothing if it can't be told.
    fn holds(&self, seen: &Sighted) -> Option<bool> {
        match &seen.is {
            Is::There(_) if self.is_existence() => Some(true),
            Is::There(state) => state.as_ref().map(|state| state == "x"),
            Is::Missing | Is::Gone => Some(false),
        }
    }

    /// Whether what was seen is a violation already.
    fn is_red(&self, tracks: &Tracks) -> bool {
        let there = |seen: &&Sighted| matches!(seen.is, Is::There(_));
        let each = |red: &dyn Fn(&[Sighted]) -> bool| tracks.values().any(|seen| red(seen));
        match self {
            Self::NeverX | Self::NeverThere => each(&|seen| seen.iter().any(|seen| self.holds(seen) == Some(true))),
            Self::AlwaysX => each(&|seen| seen.iter().filter(there).any(|seen| self.holds(seen) == Some(false))),
            Self::Constant => each(&|seen| {
                let values: Vec<String> = values(seen).into_iter().map(|(value, ..)| value).collect();
                seen.iter().any(|one| one.is == Is::Gone || one.uid != seen[0].uid)
                    || values.iter().any(|value| *value != values[0])
            }),
            Self::Allow(edges) | Self::Forbid(edges) => each(&|seen| {
                let mut values = values(seen);
                if seen[0].entered {
                    values.insert(0, ("missing".to_owned(), false));
                }
                let all = ["x", "y", "z", "missing", "other"];
                let fits = |(from, to): &(char, char), a: &str, b: &str| {
                    (*from == '*' || word(*from) == a) && (*to == '*' || word(*to) == b)
                };
                let allow = matches!(self, Self::Allow(_));
                let may = |a: &str, b: &str| edges.iter().any(|edge| fits(edge, a, b)) == allow;
                values.windows(2).any(|pair| {
                    let ((a, _), (b, after_gap)) = (&pair[0], &pair[1]);
                    if a == b {
                        return false;
                    }
                    if !after_gap {
                        return !may(a, b);
                    }
                    if !allow {
                        let any = |edge: &(char, char)| {
                            (edge.0 == '*' && (edge.1 == '*' || word(edge.1) == *b))
                                || (edge.1 == '*' && word(edge.0) == *a)
                        };
                        return edges.iter().any(any);
                    }
                    // Every way of at most five steps.
                    let mut ways: Vec<&str> = vec![a.as_str()];
                    for _ in 0..all.len() {
                        ways =
                            all.into_iter().filter(|to| ways.iter().any(|from| from == to || may(from, to))).collect();
                    }
                    !ways.contains(&b.as_str())
                })
            }),
            Self::Sequence(_) => false,
            Self::Recovers => unreachable!("it is read by its times"),
            Self::Count { most, each, .. } => {
                let Some(most) = most else { return false };
                let counts: Vec<u64> = tracks.values().map(|seen| self.times(seen)).collect();
                if *each { counts.iter().any(|times| times > most) } else { counts.iter().sum::<u64>() > *most }
            }
        }
    }

    /// How often a track came to satisfy it after the start.
    fn times(&self, seen: &[Sighted]) -> u64 {
        let mut times = 0;
        let mut held = false;
        let mut uid = "";
        for one in seen {
            if one.uid != uid {
                (held, uid) = (false, &one.uid);
            }
            if let Some(holds) = self.holds(one) {
                times += u64::from(holds && !held && one.order > 0);
                held = holds;
            }
        }
        times
    }

    /// What is left at the end of a window that was seen whole: failed, inconclusive or passed.
    fn end(&self, tracks: &Tracks) -> Outcome {
        let lives = |seen: &&Vec<Sighted>| seen.last().unwrap().is != Is::Gone;
        match self {
            Self::Sequence(wanted) => {
                let done = |seen: &[Sighted]| {
                    let mut values: Vec<String> = values(seen).into_iter().map(|(value, _)| value).collect();
                    values.dedup();
                    let mut values = values.iter();
                    wanted.iter().all(|wanted| values.any(|value| *value == word(*wanted)))
                };
                if tracks.values().filter(lives).any(|seen| !done(seen)) {
                    Outcome::Failed
                } else if tracks.values().any(|seen| done(seen)) {
                    Outcome::Passed
                } else {
                    Outcome::Inconclusive
                }
            }
            Self::Count { least: Some(least), each, .. } => {
                let short = if *each {
                    tracks.values().filter(lives).any(|seen| self.times(seen) < *least)
                } else {
                    tracks.values().map(|seen| self.times(seen)).sum::<u64>() < *least
                };
                if short { Outcome::Failed } else { Outcome::Passed }
            }
            _ => Outcome::Passed,
        }
    }
}

/// The values of a track one after another, with whether each was seen after a gap.
fn values(seen: &[Sighted]) -> Vec<(String, bool)> {
    let of = |one: &Sighted| match &one.is {
        Is::There(state) => Some((state.clone().unwrap_or_else(|| "missing".to_owned()), one.after_gap)),
        Is::Missing => Some(("missing".to_owned(), one.after_gap)),
        Is::Gone => None,
    };
    seen.iter().filter_map(of).collect()
}

/// What is certain and what is possible of times: failed, inconclusive or passed.
fn recovered(tale: &Tale, tracks: &Tracks) -> Outcome {
    let opened = tale.events[tale.opens - 1].at.0;
    let closed = tale.events[tale.closes].at.0.max(opened);
    let lates: Vec<(u64, u64)> = tale.events[tale.opens..tale.closes]
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::WatchLate { from, to, .. } if to.0 > opened => Some((from.0, to.0)),
            _ => None,
        })
        .collect();
    let earliest = |at: u64| {
        lates.iter().filter(|(from, to)| *from <= at && at <= to + BACKLOG).map(|(from, _)| *from).min().unwrap_or(at)
    };
    let within = WITHIN * 1_000_000;
    let (mut red, mut doubted, mut open) = (false, false, false);
    for seen in tracks.values() {
        let mut since: Option<u64> = None;
        let mut uid = "";
        for one in seen {
            let holds = Plain::Recovers.holds(one);
            let replaced = one.uid != uid && !uid.is_empty();
            uid = &one.uid;
            let ends = replaced || holds == Some(true) || one.is == Is::Gone;
            if ends && let Some(from) = since.take() {
                red |= earliest(one.at).max(from) - from > within;
                doubted |= one.at - earliest(from) > within;
            }
            if holds == Some(false) && one.is != Is::Gone {
                since = since.or(Some(one.at));
            }
        }
        if let Some(from) = since {
            red |= closed - from > within;
            open = true;
        }
    }
    match (red, doubted || open) {
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Inconclusive,
        (false, false) => Outcome::Passed,
    }
}

/// The verdict by the naive reading, and the place of the first event that is a violation.
fn naive(plain: &Plain, on: &str, tale: &Tale) -> (Outcome, Option<usize>) {
    let tracks = read(on, tale);
    let recovers = matches!(plain, Plain::Recovers);
    if !recovers && plain.is_red(&tracks) {
        // Read again up to each event: the first with which it is red.
        for order in 0..=tale.events.len() {
            let mut until = tracks.clone();
            for seen in until.values_mut() {
                seen.retain(|seen| seen.order <= order);
            }
            until.retain(|_, seen| !seen.is_empty());
            if plain.is_red(&until) {
                return (Outcome::Failed, Some(order));
            }
        }
    }
    let times = recovers.then(|| recovered(tale, &tracks));
    let blind = tale.events[tale.opens..tale.closes].iter().any(|event| match &event.kind {
        EventKind::WatchGap { changed, .. } => *changed || plain.is_existence(),
        _ => false,
    });
    if blind || tale.differs {
        return (if times == Some(Outcome::Failed) { Outcome::Failed } else { Outcome::Inconclusive }, None);
    }
    if times == Some(Outcome::Failed) {
        return (Outcome::Failed, None);
    }
    let versions = || {
        tracks.values().flatten().filter_map(|seen| if let Is::There(state) = &seen.is { Some(state) } else { None })
    };
    if versions().next().is_some() && !plain.is_existence() && versions().all(Option::is_none) {
        return (Outcome::Inconclusive, None);
    }
    let least = matches!(plain, Plain::Count { least: Some(_), .. });
    let examined = if plain.is_existence() { ever(on, tale) || least } else { !tracks.is_empty() };
    if !examined {
        return (Outcome::Inconclusive, None);
    }
    (times.unwrap_or_else(|| plain.end(&tracks)), None)
}

/// Whether the selection had anything before the window closed.
fn ever(on: &str, tale: &Tale) -> bool {
    let whole = Tale { opens: 1, closes: tale.events.len() - 1, edge: u64::MAX, ..tale.clone() };
    !read(on, &whole).is_empty()
}

/// What the court says, and the first violation.
fn court(check: &Check, tale: &Tale) -> (Outcome, Finding, usize) {
    let mut court = Court::new(std::slice::from_ref(check), &selections());
    let mut said = 0;
    for (place, event) in tale.events.iter().enumerate() {
        if place == tale.opens {
            let at = tale.events[place - 1].at;
            let armed = vec![Armed { watch: W, version: "100".to_owned() }];
            let armed = EventKind::CheckArmed { check: check.id.clone(), watches: armed };
            court.take(&Event { seq: 0, at, kind: armed });
            said += court.open(&check.id, Env::new(), at).len();
        }
        if place == tale.closes {
            court.close(&check.id, event.at, &[(W, tale.edge.to_string())]);
        }
        while let Some(due) = court.deadline().filter(|due| *due <= event.at) {
            said += court.pass(due).len();
        }
        let mut event = event.clone();
        if let EventKind::WatchConfirmed { differences, .. } = &mut event.kind
            && tale.differs
        {
            let object = ObjectName { namespace: "n".to_owned(), name: "a".to_owned() };
            differences.push(Difference { object, say: "another version".to_owned() });
        }
        said += court.take(&event).len();
    }
    assert!(court.ready(&check.id));
    let EventKind::CheckJudged { outcome, finding, .. } = court.judge(&check.id) else { panic!("it judges") };
    (outcome, *finding, said)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fold_says_what_a_naive_reading_says(tale in tale(), plain in plain(), on in 0..3_usize) {
        let on = ["things", "files", "red"][on];
        let check = check(on, plain.claim());
        let (outcome, finding, said) = court(&check, &tale);
        let (expected, first) = naive(&plain, on, &tale);
        prop_assert!(said <= 1, "a violation is said once");
        let unsure = matches!(plain, Plain::Recovers) && !finding.blind.is_empty() || tale.differs;
        if unsure && expected == Outcome::Failed && outcome == Outcome::Inconclusive && matches!(plain, Plain::Recovers) {
            // Without a closing list that agrees the last obligations can't be told.
            return Ok(());
        }
        prop_assert_eq!(outcome, expected, "{} on {}: {:?}", check.claim.operator(), on, finding);
        if let Some(order) = first {
            let moment = &finding.moments[0];
            if order == 0 {
                prop_assert_eq!(moment.at, tale.events[tale.opens - 1].at);
            } else {
                prop_assert_eq!(usize::try_from(moment.event).unwrap(), order - 1, "{:?}", finding.moments);
            }
            prop_assert!(said == 1 || order == 0 || order > tale.closes, "it was said when it was seen");
        }
        prop_assert!(plain.is_value() || finding.measures.len() <= 3);
        let drawn: std::collections::BTreeSet<&str> = finding.lanes.iter().map(|lane| lane.track.as_str()).collect();
        prop_assert!(drawn.len() as u64 <= finding.tracks, "a track that could be read has a lane");
    }

    /// What the replay holds is what was sent.
    #[test]
    fn a_replay_gives_back_every_object(acts in proptest::collection::vec((act(), 0..3_u8), 0..30)) {
        let mut teller = Teller::new();
        let mut replay = super::super::Replay::new();
        let mut taken = 0;
        for (act, wait) in &acts {
            teller.tell(act, *wait);
            for event in &teller.story.events[taken..] {
                for change in replay.fold(event) {
                    let live = teller.live.get(&change.name.name).map(|(_, value)| value);
                    prop_assert_eq!(change.after.as_ref().map(|after| &after.value), live);
                }
            }
            taken = teller.story.events.len();
            let held: BTreeMap<String, Value> = replay.objects(W).map(|(name, value)| (name.name.clone(), value)).collect();
            let live: BTreeMap<String, Value> = teller.live.iter().map(|(name, (_, value))| (name.clone(), value.clone())).collect();
            prop_assert_eq!(held, live);
        }
    }
}
