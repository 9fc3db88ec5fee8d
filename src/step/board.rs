use std::collections::BTreeMap;

use futures::future::{FutureExt as _, select_all};
use serde_json::Value;

use super::brief::{EXISTS, brief};
use super::{Error, StepContext};
use crate::check::{Track, TrackKey};
use crate::clock::Clock;
use crate::event::Progress;
use crate::expr::{Cel, Env, NOW, Part, Shared};
use crate::plan::{Conditions, Count, SelectionId};
use crate::record::{Change, Feed};
use crate::text;

/// How many unmet objects of one condition are named.
const NAMED: usize = 8;

/// How many values that an expression looks at are told of one object.
const LOOKED_AT: usize = 4;

/// Conditions over selections, judged again at every single version.
pub(super) struct Board {
    rows: Vec<Row>,
    feeds: BTreeMap<SelectionId, Feed>,
    env: Env,
    clock: Clock,
}

/// One condition with what is known of it.
struct Row {
    /// Its name under `all`, or the selection's.
    name: String,
    on: SelectionId,
    that: Option<Cel>,
    amount: Amount,
    /// Selections that its expression names as `objects.NAME`.
    names: Vec<(String, SelectionId)>,
    /// How each track stands; kept, since most versions concern one track.
    standing: BTreeMap<TrackKey, Standing>,
}

enum Amount {
    Every { min: u64 },
    Count(Count),
}

enum Standing {
    Holds,
    Not,
    Errs(String),
}

/// Whether what was seen since the last look is without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Every version in between was seen.
    Whole,
    /// Something may have been missed, or the watch can't see now.
    Broken,
}

impl Board {
    /// Opens a feed for every selection that the conditions look at.
    pub(super) fn open(conditions: &Conditions, ctx: &StepContext) -> Result<Self, Error> {
        let mut rows = Vec::new();
        for (name, condition) in conditions.iter() {
            if let Some(left) = &condition.r#if
                && !left.holds(&ctx.env).map_err(|error| Error::setting(error.into()))?
            {
                continue;
            }
            let amount = match (&condition.count, ctx.get_opt(condition.min.as_ref())?) {
                (Some(count), _) => Amount::Count(ctx.get(count)?),
                (None, min) => Amount::Every { min: min.unwrap_or(1) },
            };
            let named = condition.that.iter().flat_map(Cel::paths).filter(|path| path.root() == "objects");
            let names = named
                .filter_map(|path| path.name(1))
                .filter_map(|name| Some((name.to_owned(), selection_called(name, ctx)?)));
            rows.push(Row {
                name: name.unwrap_or(&condition.on).to_owned(),
                on: ctx.selection(&condition.on).id.clone(),
                that: condition.that.clone(),
                amount,
                names: names.collect(),
                standing: BTreeMap::new(),
            });
        }
        let mut feeds = BTreeMap::new();
        for id in rows.iter().flat_map(|row| std::iter::once(&row.on).chain(row.names.iter().map(|(_, id)| id))) {
            if !feeds.contains_key(id) {
                feeds.insert(id.clone(), ctx.recorder.follow(id)?);
            }
        }
        Ok(Self { rows, feeds, env: ctx.env.clone(), clock: ctx.cluster.clock() })
    }

    /// Waits for the next change of any selection and judges what it concerns.
    pub(super) async fn changed(&mut self) -> Result<Sight, Error> {
        if self.feeds.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.feeds.iter_mut().map(|(id, feed)| async move { (id, feed.changed().await) }.boxed());
        let ((id, change), _, rest) = select_all(changes).await;
        let id = id.clone();
        drop(rest);
        Ok(match change? {
            Change::Listed { after_gap } => {
                self.judge(&id, None);
                if after_gap { Sight::Broken } else { Sight::Whole }
            }
            Change::Changed(keys) => {
                self.judge(&id, Some(&keys));
                Sight::Whole
            }
            Change::Broken | Change::Resumed => Sight::Broken,
        })
    }

    /// Time has passed: judges again what depends on it.
    pub(super) fn again(&mut self) -> Sight {
        if !self.ages() {
            return Sight::Whole;
        }
        let ids: Vec<SelectionId> = self.rows.iter().map(|row| row.on.clone()).collect();
        for id in ids {
            self.judge(&id, None);
        }
        Sight::Whole
    }

    /// Whether an expression depends on the time.
    pub(super) fn ages(&self) -> bool {
        self.rows.iter().any(|row| row.that.as_ref().is_some_and(|that| that.calls("age")))
    }

    /// Whether every selection has been listed.
    pub(super) fn is_synced(&self) -> bool {
        self.feeds.values().all(Feed::is_synced)
    }

    /// Whether all conditions hold, as far as is known.
    pub(super) fn holds(&self) -> bool {
        self.is_synced() && self.rows.iter().all(Row::holds)
    }

    /// Whether every watch sees.
    pub(super) fn sees(&self) -> bool {
        self.feeds.values().all(|feed| feed.trouble().is_none())
    }

    /// The objects of each condition that satisfy it, by the condition's name.
    pub(super) fn held(&self) -> Vec<(String, Vec<Value>)> {
        let objects = |row: &Row| {
            let tracks = self.feeds[&row.on].tracks();
            let held = tracks.iter().filter(|(key, _)| matches!(row.standing.get(key), Some(Standing::Holds)));
            held.map(|(_, track)| track.o.value().clone()).collect()
        };
        self.rows.iter().map(|row| (row.name.clone(), objects(row))).collect()
    }

    /// What is still missing.
    pub(super) fn progress(&self) -> Progress {
        let mut unmet = Vec::new();
        for (id, feed) in &self.feeds {
            match feed.trouble() {
                Some(reason) => unmet.push(format!("`{id}` can't be watched right now: {reason}")),
                None if !feed.is_synced() => unmet.push(format!("`{id}` is not listed yet")),
                None => {}
            }
        }
        // Of what is not listed nothing is known, and nothing is said.
        let listed = |row: &&Row| self.feeds[&row.on].is_synced();
        let missing: Vec<&Row> = self.rows.iter().filter(listed).filter(|row| !row.holds()).collect();
        for row in &missing {
            if missing.len() > 1 {
                unmet.push(row.say());
            }
            unmet.extend(row.unmet(self.feeds[&row.on].tracks()));
        }
        let say = match missing.as_slice() {
            [] if unmet.is_empty() => "all conditions hold".to_owned(),
            [] => unmet.remove(0),
            [row] => row.say(),
            rows => {
                let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
                format!("{} of {} conditions unmet: {}", rows.len(), self.rows.len(), text::and(&names))
            }
        };
        Progress { say, unmet, done: None, total: None }
    }

    /// What was to hold, in the plan's words.
    pub(super) fn expected(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(Row::wanted).collect();
        rows.join("; ")
    }

    fn judge(&mut self, changed: &SelectionId, keys: Option<&[TrackKey]>) {
        let now = Value::from(self.clock.now().to_string());
        for row in &mut self.rows {
            let others = row.names.iter().any(|(_, id)| id == changed);
            if row.on != *changed && !others {
                continue;
            }
            let env = self.env.child().with(NOW, now.clone());
            let lists = row.names.iter().map(|(name, id)| (name.as_str(), list_of(&self.feeds[id])));
            let env = if row.names.is_empty() { env } else { env.with_shared("objects", Shared::map(lists)) };
            let tracks = self.feeds[&row.on].tracks();
            match keys.filter(|_| !others) {
                Some(keys) => {
                    for key in keys {
                        row.judge(key, tracks.get(key), &env);
                    }
                }
                None => {
                    row.standing.clear();
                    for (key, track) in tracks {
                        row.judge(key, Some(track), &env);
                    }
                }
            }
        }
    }
}

/// A selection by the name it has in expressions, where dashes are underscores.
fn selection_called(name: &str, ctx: &StepContext) -> Option<SelectionId> {
    ctx.scope.objects.iter().find(|(written, _)| written.replace('-', "_") == name).map(|(_, id)| id.clone())
}

fn list_of(feed: &Feed) -> Shared {
    Shared::list(feed.tracks().values().map(|track| track.o.clone()))
}

impl Row {
    fn judge(&mut self, key: &TrackKey, track: Option<&Track>, env: &Env) {
        let Some(track) = track else {
            self.standing.remove(key);
            return;
        };
        let standing = match &self.that {
            None => Standing::Holds,
            Some(that) => match that.holds(&track.bind(key, env)) {
                Ok(true) => Standing::Holds,
                Ok(false) => Standing::Not,
                Err(error) => Standing::Errs(error.to_string()),
            },
        };
        self.standing.insert(key.clone(), standing);
    }

    fn satisfied(&self) -> u64 {
        self.standing.values().filter(|standing| matches!(standing, Standing::Holds)).count() as u64
    }

    /// An expression that fails on an object makes the condition unmet, whatever `count` says.
    fn holds(&self) -> bool {
        if self.standing.values().any(|standing| matches!(standing, Standing::Errs(_))) {
            return false;
        }
        let (satisfied, all) = (self.satisfied(), self.standing.len() as u64);
        match self.amount {
            Amount::Every { min } => satisfied == all && all >= min,
            Amount::Count(count) => count.admits(satisfied),
        }
    }

    fn say(&self) -> String {
        let (satisfied, all) = (self.satisfied(), self.standing.len());
        let wanted = match self.amount {
            Amount::Every { min } if (all as u64) < min => format!("at least {min} must exist"),
            Amount::Every { .. } => "all must".to_owned(),
            Amount::Count(count) => format!("{count} must"),
        };
        let failing = self.standing.values().filter(|standing| matches!(standing, Standing::Errs(_))).count();
        match &self.that {
            Some(that) if failing > 0 => {
                format!("`{}`: {} fails on {failing} of {all}, {wanted}", self.name, that.source().trim())
            }
            _ if all == 0 => format!("`{}`: nothing is selected, {wanted}", self.name),
            Some(that) => format!("`{}`: {satisfied} of {all} satisfy {}, {wanted}", self.name, that.source().trim()),
            None => format!("`{}`: {all} exist, {wanted}", self.name),
        }
    }

    fn wanted(&self) -> String {
        let that =
            self.that.as_ref().map_or_else(|| "exist".to_owned(), |that| format!("satisfy {}", that.source().trim()));
        match self.amount {
            Amount::Every { min } => format!("all of `{}` (at least {min}) {that}", self.name),
            Amount::Count(count) => format!("{count} of `{}` {that}", self.name),
        }
    }

    /// The objects that matter, each with its state.
    fn unmet(&self, tracks: &BTreeMap<TrackKey, Track>) -> Vec<String> {
        let too_many =
            matches!(self.amount, Amount::Count(Count::Exactly(n) | Count::AtMost(n)) if self.satisfied() > n);
        let counts = |standing: &Standing| matches!(standing, Standing::Holds) == too_many;
        let mut named =
            self.standing.iter().filter(|(_, standing)| counts(standing) || matches!(standing, Standing::Errs(_)));
        let mut lines = Vec::new();
        for (key, standing) in named.by_ref().take(NAMED) {
            let state = tracks.get(key).map_or_else(String::new, |track| self.state(track.o.value()));
            lines.push(match standing {
                Standing::Errs(error) => format!("{key}: {state}; {error}"),
                Standing::Holds | Standing::Not => format!("{key}: {state}"),
            });
        }
        let rest = named.count();
        if rest > 0 {
            lines.push(format!("and {rest} more"));
        }
        lines
    }

    /// What an object says of its state, and what the expression looks at, unless that is the same.
    fn state(&self, o: &Value) -> String {
        let mut state = brief(o);
        let looked_at = self.that.iter().flat_map(Cel::paths).filter(|path| path.root() == "o" && path.parts.len() > 1);
        let mut seen: Vec<String> = Vec::new();
        for path in looked_at {
            let names: Vec<&str> = path.parts[1..].iter().map_while(Part::name).collect();
            let value = names.iter().try_fold(o, |at, name| at.get(name));
            let said = match value {
                Some(Value::String(text)) if state.contains(text.as_str()) => continue,
                Some(Value::Object(_) | Value::Array(_)) => continue,
                Some(value) => format!("{} is {value}", names.join(".")),
                None => format!("{} is absent", names.join(".")),
            };
            if !seen.contains(&said) {
                seen.push(said);
            }
        }
        seen.truncate(LOOKED_AT);
        if seen.is_empty() {
            return state;
        }
        if state == EXISTS {
            state.clear();
        } else {
            state.push_str(", ");
        }
        state + &seen.join(", ")
    }
}

impl From<crate::record::Error> for Error {
    fn from(error: crate::record::Error) -> Self {
        Self::from_source(error.class(), "a selection can't be looked at", error)
    }
}
