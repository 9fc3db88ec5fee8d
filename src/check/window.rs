use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::diff;
use super::fold::{self, Fold, Sight, What, Word};
use super::gauge::Gauge;
use super::reading::{MISSING, Question, Reading, spelled};
use super::replay::{After, Change, Last};
use super::serve::Sieve;
use super::{Pipeline, Selected, Track, TrackKey, Version};
use crate::clock::Elapsed;
use crate::event::{Blind, Difference, Moment, ObjectName, WatchId};
use crate::expr::{Env, Shared};
use crate::plan::{Check, Claim, SettingError};

/// How many deciding events are kept with what changed in them.
const MOMENTS: usize = 8;

/// How many beginnings of something that must end in time are kept with their objects, and the
/// largest object that is.
const STOPS: usize = 512;
const LARGEST_STOP: usize = 64 * 1024;

/// One check while its window is open, and until it is judged.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) watch: Option<WatchId>,
    sieve: Option<Sieve>,
    env: Env,
    pub(super) opened: Elapsed,
    pub(super) closed: Option<Closed>,
    question: Question,
    /// How readings of a condition are called in measures: when it holds, and when not.
    names: [Arc<str>; 2],
    fold: Box<dyn Fold>,
    /// How many tracks there must have been.
    pub(super) min: u64,
    pipeline: Pipeline,
    objects: BTreeMap<ObjectName, Known>,
    pub(super) tracks: IndexMap<TrackKey, Presence>,
    /// Each track as it was when the window opened, if the claim asks for it.
    starts: Option<BTreeMap<usize, Vec<u8>>>,
    pub(super) gauge: Gauge,
    pub(super) blind: Vec<Spell>,
    pub(super) moments: Vec<Moment>,
    pub(super) more: u64,
    stops: BTreeMap<(Elapsed, usize), Stop>,
    pub(super) versions: u64,
    pub(super) evaluated: u64,
    pub(super) ignored: Option<(u64, String)>,
    /// What the closing list and the watch did not agree on, once that is known.
    pub(super) confirmed: Option<Vec<Difference>>,
    /// The watch ended before that was known.
    pub(super) ended: bool,
    /// Its first violation was said.
    pub(super) told: bool,
}

/// A window's end.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) at: Elapsed,
    /// Versions above it are outside; without a closing list whatever came later is.
    pub(super) edge: Option<u64>,
    /// It was cut short, by this.
    pub(super) cut: Option<String>,
}

/// A time in which something may have been missed, and whether that puts this check in doubt.
#[derive(Clone, Debug)]
pub(super) struct Spell {
    pub(super) blind: Blind,
    pub(super) counts: bool,
}

/// An object that was seen in the window.
#[derive(Debug)]
struct Known {
    uid: Box<str>,
    /// Entries are taken from it, and it is there.
    parent: bool,
    tracks: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    Missing,
    Gone,
}

/// The beginning of something that must end in time.
#[derive(Debug)]
struct Stop {
    moment: Moment,
    before: Option<Last>,
    after: Option<Vec<u8>>,
    name: ObjectName,
}

impl Window {
    /// A window over a check; the settings that it needs are filled in.
    pub(super) fn open(
        check: &Check,
        pipeline: Pipeline,
        env: Env,
        at: Elapsed,
        seen: (Option<WatchId>, Option<Sieve>),
    ) -> Result<Self, SettingError> {
        let question = Question::of(&check.claim);
        let fold: Box<dyn Fold> = match &check.claim {
            Claim::Never { that } => Box::new(fold::Never::new(that.is_none())),
            Claim::Always { .. } => Box::new(fold::Always::default()),
            Claim::Constant { .. } => Box::new(fold::Constant::default()),
            Claim::Transitions { edges, .. } => Box::new(fold::Transitions::new(edges.clone())),
            Claim::Sequence { seen, .. } => {
                Box::new(fold::Sequence::new(seen.get(&env)?.iter().map(spelled).collect()))
            }
            Claim::Recovers { within, .. } => Box::new(fold::Recovers::new(Elapsed::from(within.get(&env)?.0))),
            Claim::Count { at_least, at_most, per_track, .. } => {
                let get = |setting: &Option<crate::plan::Setting<u64>>| {
                    setting.as_ref().map(|setting| setting.get(&env)).transpose()
                };
                Box::new(fold::Count::new(get(at_least)?, get(at_most)?, *per_track))
            }
        };
        let min = check.min.as_ref().map_or(Ok(1), |min| min.get(&env))?;
        let names = match &question {
            Question::Exists => ["there".into(), "".into()],
            Question::That(that) | Question::Value(that) => {
                [that.source().into(), format!("!({})", that.source()).into()]
            }
        };
        let starts = question.asks_start().then(BTreeMap::new);
        let (watch, sieve) = seen;
        Ok(Self {
            watch,
            sieve: sieve.filter(|sieve| !sieve.is_open()),
            env,
            opened: at,
            closed: None,
            question,
            names,
            fold,
            min,
            pipeline,
            objects: BTreeMap::new(),
            tracks: IndexMap::new(),
            starts,
            gauge: Gauge::default(),
            blind: Vec::new(),
            moments: Vec::new(),
            more: 0,
            stops: BTreeMap::new(),
            versions: 0,
            evaluated: 0,
            ignored: None,
            confirmed: None,
            ended: false,
            told: false,
        })
    }

    /// Whether the claim is only about what exists.
    pub(super) fn is_existence(&self) -> bool {
        matches!(self.question, Question::Exists)
    }

    pub(super) fn is_violated(&self) -> bool {
        !self.moments.is_empty()
    }

    /// An object that is there when the window opens.
    pub(super) fn start(&mut self, name: &ObjectName, last: &Last) {
        let value = last.value();
        if !self.sieve.as_ref().is_none_or(|sieve| sieve.admits(name, &value)) {
            return;
        }
        let after = After { uid: last.uid.to_string(), version: last.version.to_string(), value };
        let shared = Shared::new(&after.value);
        let selected = self.select(name, &after, &shared);
        let mut tracks = Vec::new();
        for (key, track) in &selected.tracks {
            let (number, _) = self.number(key);
            tracks.push(number);
            if let Some(starts) = &mut self.starts {
                let bytes = serde_json::to_vec(track.o.value()).expect("JSON can be written as JSON");
                starts.insert(number, bytes);
            }
        }
        let change = Change {
            watch: WatchId(0),
            name: name.clone(),
            before: None,
            after: Some(after),
            event: last.event,
            arrived: self.opened,
            number: 0,
            after_gap: false,
        };
        for (number, (key, track)) in tracks.iter().copied().zip(&selected.tracks) {
            self.version(&change, number, key, track, Came::Start);
        }
        let known = Known { uid: last.uid.clone(), parent: selected.parent, tracks };
        if known.parent || !known.tracks.is_empty() {
            self.objects.insert(name.clone(), known);
        }
    }

    /// A change of one object; `value` is the new version.
    pub(super) fn see(&mut self, change: &Change, value: Option<&Shared>) {
        if self.closed.as_ref().is_some_and(|closed| closed.edge.is_none_or(|edge| change.number > edge)) {
            return;
        }
        let admitted =
            |after: &&After| self.sieve.as_ref().is_none_or(|sieve| sieve.admits(&change.name, &after.value));
        let after = change.after.as_ref().filter(admitted);
        let selected = match (after, value) {
            (Some(after), Some(value)) => self.select(&change.name, after, value),
            _ => Selected::default(),
        };
        let known = self.objects.remove(&change.name);
        let uid: Box<str> = after.map_or_else(Box::default, |after| after.uid.as_str().into());
        let replaced = after.is_some() && known.as_ref().is_some_and(|known| known.uid != uid);
        let in_known = known.as_ref().is_some_and(|known| known.parent) && !replaced;
        let mut numbers = Vec::new();
        for (key, track) in &selected.tracks {
            let (number, first) = self.number(key);
            numbers.push(number);
            let entered = first && in_known && key.key.is_some();
            let came = match (replaced && !first, entered) {
                (true, _) => Came::Replaced,
                (false, true) => Came::Entered,
                (false, false) => Came::Seen,
            };
            self.version(change, number, key, track, came);
        }
        let stays = after.is_some() && selected.parent && !replaced;
        let before = known.map_or_else(Vec::new, |known| known.tracks);
        for number in before.iter().copied().filter(|number| !numbers.contains(number)) {
            let (key, presence) = self.tracks.get_index(number).expect("numbers are places in it");
            let missing = stays && key.key.is_some();
            let becomes = if missing { Presence::Missing } else { Presence::Gone };
            if *presence == becomes || *presence == Presence::Gone {
                continue;
            }
            let key = key.clone();
            self.tracks[number] = becomes;
            let what = if missing { What::Missing } else { What::Gone };
            self.tell(change, number, &key, None, what);
        }
        // Tracks that went stay with their object's name: under it they come back.
        numbers.extend(before.iter().filter(|number| !numbers.contains(number)).copied().collect::<Vec<_>>());
        if selected.parent || !numbers.is_empty() {
            let uid = if after.is_some() { uid } else { change.before.as_ref().map_or(uid, |last| last.uid.clone()) };
            self.objects.insert(change.name.clone(), Known { uid, parent: selected.parent, tracks: numbers });
        }
    }

    fn select(&self, name: &ObjectName, after: &After, value: &Shared) -> Selected {
        self.pipeline.select(&Version {
            namespace: &name.namespace,
            name: &name.name,
            uid: &after.uid,
            version: &after.version,
            value,
        })
    }

    /// A track's number, and whether it is new.
    fn number(&mut self, key: &TrackKey) -> (usize, bool) {
        if let Some(number) = self.tracks.get_index_of(key) {
            return (number, false);
        }
        (self.tracks.insert_full(key.clone(), Presence::There).0, true)
    }

    /// One version of one track.
    fn version(&mut self, change: &Change, number: usize, key: &TrackKey, track: &Track, came: Came) {
        self.tracks[number] = Presence::There;
        let mut env = track.bind(key, &self.env);
        if let Some(starts) = &self.starts {
            let start = starts.get(&number);
            let start = start.map(|bytes| serde_json::from_slice(bytes).expect("the bytes were made from JSON"));
            env = env.with("start", start.unwrap_or_default());
        }
        let answer = self.question.ask(&env);
        self.versions += 1;
        self.evaluated += u64::from(answer.real);
        if let Some(error) = answer.error {
            self.ignored.get_or_insert((0, error)).0 += 1;
        }
        let what = match came {
            Came::Start => What::Start(&answer.reading),
            Came::Seen => What::Seen(&answer.reading),
            Came::Entered => What::Entered(&answer.reading),
            Came::Replaced => What::Replaced(&answer.reading),
        };
        self.tell(change, number, key, Some((track, &answer.reading)), what);
    }

    /// Hands something that happened to the fold, and notes what it says.
    fn tell(
        &mut self,
        change: &Change,
        number: usize,
        key: &TrackKey,
        version: Option<(&Track, &Reading)>,
        what: What<'_>,
    ) {
        let end = self.closed.as_ref().map_or(Elapsed(u64::MAX), |closed| closed.at);
        let at = change.arrived.clamp(self.opened, end.max(self.opened));
        let word = self.fold.see(&Sight { track: number, at, what, after_gap: change.after_gap });
        let value = match (version, what) {
            (Some((_, Reading::Holds(holds))), _) => Some(Arc::clone(&self.names[usize::from(!holds)])),
            (Some((_, Reading::Value(value))), _) => Some(Arc::clone(value)),
            (None, What::Missing) => Some(MISSING.into()),
            // A version that says nothing leaves what stood.
            (Some((_, Reading::Unreadable)), _) => return self.heard(&word, change, number, key, version, at),
            (None, _) => None,
        };
        self.gauge.set(number, value.as_ref(), at, matches!(word, Word::Breach(_)));
        self.heard(&word, change, number, key, version, at);
    }

    fn heard(
        &mut self,
        word: &Word,
        change: &Change,
        number: usize,
        key: &TrackKey,
        version: Option<(&Track, &Reading)>,
        at: Elapsed,
    ) {
        let say = match word {
            Word::Fine => return,
            Word::Breach(say) | Word::Opened(say) => say.clone(),
        };
        let (uid, version_of) = match (&change.after, &change.before) {
            (Some(after), _) => (after.uid.clone(), after.version.clone()),
            (None, Some(before)) => (before.uid.to_string(), before.version.to_string()),
            (None, None) => (String::new(), String::new()),
        };
        let mut moment =
            Moment { event: change.event, at, track: key.to_string(), uid, version: version_of, say, diff: Vec::new() };
        if matches!(word, Word::Opened(_)) {
            let size = |bytes: usize| bytes <= LARGEST_STOP;
            let before = change.before.clone().filter(|before| size(before.len()));
            let after = change.after.as_ref().map(|after| serde_json::to_vec(&after.value));
            let after = after.and_then(Result::ok).filter(|bytes| size(bytes.len()));
            let name = change.name.clone();
            self.stops.insert((at, number), Stop { moment, before, after, name });
            if self.stops.len() > STOPS {
                self.stops.pop_first();
            }
            return;
        }
        if self.moments.len() >= MOMENTS {
            self.more += 1;
            return;
        }
        let before = change.before.as_ref().and_then(|last| self.entry(&change.name, &last.value(), key));
        let after = version.map(|(track, _)| track.o.value());
        moment.diff = diff::lines(before.as_ref(), after);
        self.moments.push(moment);
    }

    /// The track's part of an object.
    fn entry(&self, name: &ObjectName, object: &serde_json::Value, key: &TrackKey) -> Option<serde_json::Value> {
        let shared = Shared::new(object);
        let version = Version { namespace: &name.namespace, name: &name.name, uid: "", version: "", value: &shared };
        let tracks = self.pipeline.tracks(&version);
        tracks.into_iter().find(|(found, _)| found == key).map(|(_, track)| track.o.value().clone())
    }

    // Time.

    /// When the passing of time alone may decide something.
    pub(super) fn deadline(&self) -> Option<Elapsed> {
        if self.closed.is_some() { None } else { self.fold.deadline() }
    }

    /// What is overdue by now.
    pub(super) fn pass(&mut self, now: Elapsed, closing: bool) {
        for overdue in self.fold.pass(now, closing) {
            if self.moments.len() >= MOMENTS {
                self.more += 1;
                continue;
            }
            let (key, _) = self.tracks.get_index(overdue.track).expect("numbers are places in it");
            let key = key.clone();
            let stop = self.stops.remove(&(overdue.since, overdue.track));
            let (mut moment, diff) = match stop {
                Some(Stop { moment, before, after, name }) => {
                    let before = before.and_then(|last| self.entry(&name, &last.value(), &key));
                    let after: Option<serde_json::Value> = after.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                    let after = after.and_then(|object| self.entry(&name, &object, &key));
                    (moment, diff::lines(before.as_ref(), after.as_ref()))
                }
                None => (
                    Moment {
                        event: 0,
                        at: overdue.since,
                        track: key.to_string(),
                        uid: String::new(),
                        version: String::new(),
                        say: "stopped holding".to_owned(),
                        diff: Vec::new(),
                    },
                    Vec::new(),
                ),
            };
            moment.say += ", and did not hold again in time";
            moment.diff = diff;
            self.moments.push(moment);
        }
    }

    /// The watch has shown something, of whatever object.
    pub(super) fn witness(&mut self, at: Elapsed) {
        if self.closed.is_none() && at >= self.opened {
            self.fold.witness(at);
        }
    }

    /// The watch was blind: versions may be missing.
    pub(super) fn gap(&mut self, blind: Blind, changed: bool, reached: u64) {
        let inside = self
            .closed
            .as_ref()
            .is_none_or(|closed| blind.from < closed.at || closed.edge.is_some_and(|edge| reached < edge));
        if blind.to > self.opened && inside {
            // Where nothing is different after it, only what came and went can have been missed.
            let counts = changed || self.is_existence();
            self.blind.push(Spell { blind, counts });
        }
    }

    /// Nobody watched: whatever there was is not known.
    pub(super) fn unseen(&mut self, blind: Blind) {
        self.blind.push(Spell { blind, counts: true });
    }

    /// The watch stood still and missed nothing.
    pub(super) fn late(&mut self, blind: Blind) {
        if blind.to > self.opened && self.closed.as_ref().is_none_or(|closed| blind.from < closed.at) {
            self.fold.late(blind.from, blind.to);
            self.blind.push(Spell { blind, counts: false });
        }
    }

    /// What is left at the end.
    pub(super) fn end(&self, at: Elapsed) -> fold::End {
        self.fold.end(at)
    }

    /// What began some tracks' obligations, as far as it is known.
    pub(super) fn beginnings(&self, tracks: &[usize]) -> Vec<Moment> {
        let of = self.stops.iter().filter(|((_, track), _)| tracks.contains(track));
        of.map(|(_, stop)| stop.moment.clone()).take(MOMENTS).collect()
    }

    /// What a track is called.
    pub(super) fn called(&self, track: usize) -> String {
        self.tracks.get_index(track).map(|(key, _)| key.to_string()).unwrap_or_default()
    }
}

/// How a version of a track came about.
#[derive(Clone, Copy, Debug)]
enum Came {
    Start,
    Seen,
    Entered,
    Replaced,
}
