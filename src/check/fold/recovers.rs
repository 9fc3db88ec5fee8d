use std::collections::{BTreeSet, VecDeque};

use super::{End, Fold, Overdue, Sight, What, Word, slot};
use crate::check::reading::Reading;
use crate::clock::Elapsed;
use crate::text;

/// How long after something arrived it is known whether it arrived late: a recorder tells that a watch
/// stood still as soon as it goes on.
const SETTLED: Elapsed = Elapsed(2_000_000);

/// How long after a watch goes on again what it brings may still be old.
const BACKLOG: Elapsed = Elapsed(1_000_000);

/// Whenever it stops holding on a track it holds again in time.
#[derive(Debug)]
pub(in crate::check) struct Recovers {
    within: Elapsed,
    tracks: Vec<State>,
    /// Obligations that are open and not told as overdue, oldest first.
    open: BTreeSet<(Elapsed, usize)>,
    /// Spells that were too long as they arrived, until it is known that they did not arrive late.
    overlong: Vec<Spell>,
    /// Spells that were short enough, until it is known that they did not begin much earlier.
    recent: VecDeque<Spell>,
    /// Tracks with a spell of which neither can be told.
    doubted: BTreeSet<usize>,
    lates: Vec<(Elapsed, Elapsed)>,
    /// Until here the watch has surely seen everything.
    proved: Elapsed,
    /// The oldest and the newest sign that it sees, of which it is not known yet whether they came late.
    signs: Option<(Elapsed, Elapsed)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing is asked of it.
    #[default]
    Free,
    /// It does not hold since then.
    Since(Elapsed),
    /// Nor did it in time, which is told.
    Told,
}

/// It did not hold from one arrival to another.
#[derive(Clone, Copy, Debug)]
struct Spell {
    track: usize,
    from: Elapsed,
    to: Elapsed,
}

impl Recovers {
    pub(in crate::check) fn new(within: Elapsed) -> Self {
        Self {
            within,
            tracks: Vec::new(),
            open: BTreeSet::new(),
            overlong: Vec::new(),
            recent: VecDeque::new(),
            doubted: BTreeSet::new(),
            lates: Vec::new(),
            proved: Elapsed(0),
            signs: None,
        }
    }

    fn ends(&mut self, track: usize, at: Elapsed) {
        let state = std::mem::take(slot(&mut self.tracks, track));
        let State::Since(from) = state else { return };
        self.open.remove(&(from, track));
        let spell = Spell { track, from, to: at };
        if self.is_over(from, at) {
            self.overlong.push(spell);
        } else if self.longest(from, at) > self.within {
            self.doubted.insert(track);
        } else {
            self.recent.push_back(spell);
        }
        let settled = at.since(SETTLED);
        while self.recent.front().is_some_and(|spell| spell.to < settled) {
            self.recent.pop_front();
        }
    }

    /// When something that arrived then may have happened, at the earliest.
    fn earliest(&self, arrived: Elapsed) -> Elapsed {
        let late = self.lates.iter().find(|(from, to)| *from <= arrived && arrived.0 <= to.0 + BACKLOG.0);
        late.map_or(arrived, |(from, _)| *from)
    }

    /// The shortest that a spell between two arrivals can have been: what is seen to begin
    /// has begun by then, and may have ended before it was seen to end.
    fn shortest(&self, from: Elapsed, to: Elapsed) -> Elapsed {
        self.earliest(to).max(from).since(from)
    }

    /// The longest that it can have been.
    fn longest(&self, from: Elapsed, to: Elapsed) -> Elapsed {
        to.since(self.earliest(from))
    }

    fn is_over(&self, from: Elapsed, to: Elapsed) -> bool {
        self.shortest(from, to) > self.within
    }

    fn told(&self, track: usize, since: Elapsed) -> Overdue {
        Overdue { track, since, at: Elapsed(since.0 + self.within.0) }
    }
}

impl Fold for Recovers {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let reading = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) => reading,
            What::Replaced(reading) => {
                self.ends(sight.track, sight.at);
                reading
            }
            What::Missing => &Reading::Holds(false),
            What::Gone => {
                self.ends(sight.track, sight.at);
                return Word::Fine;
            }
        };
        match reading {
            Reading::Holds(true) => {
                self.ends(sight.track, sight.at);
                Word::Fine
            }
            Reading::Holds(false) => {
                let state = slot(&mut self.tracks, sight.track);
                if *state != State::Free {
                    return Word::Fine;
                }
                *state = State::Since(sight.at);
                self.open.insert((sight.at, sight.track));
                Word::Opened(match sight.what {
                    What::Missing => "vanished".to_owned(),
                    What::Start(_) => "did not hold from the start".to_owned(),
                    _ => "stopped holding".to_owned(),
                })
            }
            Reading::Value(_) | Reading::Unreadable => Word::Fine,
        }
    }

    fn late(&mut self, from: Elapsed, to: Elapsed) {
        self.lates.push((from, to));
        let doubtful = |spell: &&Spell| self.longest(spell.from, spell.to) > self.within;
        let doubted: Vec<usize> = self.recent.iter().filter(doubtful).map(|spell| spell.track).collect();
        self.doubted.extend(doubted);
    }

    fn witness(&mut self, at: Elapsed) {
        let (oldest, newest) = self.signs.unwrap_or((at, at));
        if oldest.0 + SETTLED.0 <= at.0 {
            self.proved = self.proved.max(self.earliest(oldest));
            self.signs = Some((newest, at));
        } else {
            self.signs = Some((oldest, at));
        }
    }

    fn deadline(&self) -> Option<Elapsed> {
        let over = |from: Elapsed| from.0 + self.within.0;
        let open = self.open.first().and_then(|(from, _)| {
            let sign =
                self.signs.iter().flat_map(|(oldest, newest)| [oldest, newest]).find(|sign| sign.0 > over(*from));
            sign.copied().or((self.proved.0 > over(*from)).then_some(self.proved))
        });
        let ended = self.overlong.iter().map(|spell| spell.to);
        let first = ended.chain(open).min()?;
        Some(Elapsed(first.0 + SETTLED.0))
    }

    fn pass(&mut self, now: Elapsed, closing: bool) -> Vec<Overdue> {
        let settled = if closing { now } else { now.since(SETTLED) };
        // A sign is used up, whatever it proves: else its time would come again and again.
        if let Some((oldest, newest)) = self.signs {
            let settled_signs = [oldest, newest].into_iter().filter(|sign| *sign <= settled);
            let proved = settled_signs.map(|sign| self.earliest(sign)).max();
            self.proved = self.proved.max(proved.unwrap_or_default());
            self.signs = (newest > settled).then_some((if oldest > settled { oldest } else { newest }, newest));
        }
        // When the closing list agrees, everything until now was seen.
        let until = if closing { now } else { self.proved };
        let mut overdue = Vec::new();
        for spell in std::mem::take(&mut self.overlong) {
            if spell.to > settled {
                self.overlong.push(spell);
            } else if self.is_over(spell.from, spell.to) {
                overdue.push(self.told(spell.track, spell.from));
            } else {
                self.doubted.insert(spell.track);
            }
        }
        while let Some((from, track)) = self.open.first().copied() {
            if until.since(from) <= self.within {
                break;
            }
            self.open.pop_first();
            self.tracks[track] = State::Told;
            overdue.push(self.told(track, from));
        }
        overdue.sort_by_key(|overdue| (overdue.at, overdue.track));
        overdue
    }

    fn end(&self, at: Elapsed) -> End {
        let overlong = self.overlong.iter().map(|spell| spell.track);
        let doubted: BTreeSet<usize> = self.doubted.iter().copied().chain(overlong).collect();
        if !doubted.is_empty() {
            return End::Open(
                doubted.into_iter().collect(),
                format!(
                    "a watch stood still meanwhile, so that it can't be told whether it held again within {}",
                    text::duration(self.within.duration())
                ),
                "a watch that did not stand still while it did not hold".to_owned(),
            );
        }
        let Some((since, _)) = self.open.first() else { return End::Held };
        End::Open(
            self.open.iter().map(|(_, track)| *track).collect(),
            format!(
                "it did not hold when the window closed, for {} of the {} it may take",
                text::duration(at.since(*since).duration()),
                text::duration(self.within.duration())
            ),
            format!(
                "a window that stays open {} longer, by a `wait` with `stable` or a `sleep` at its end",
                text::duration(Elapsed(self.within.0.saturating_sub(at.since(*since).0)).duration())
            ),
        )
    }
}
