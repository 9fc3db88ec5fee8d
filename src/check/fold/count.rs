use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::Reading;
use crate::clock::Elapsed;
use crate::text;

/// How often a track came to satisfy it.
#[derive(Debug)]
pub(in crate::check) struct Count {
    pub(in crate::check) at_least: Option<u64>,
    pub(in crate::check) at_most: Option<u64>,
    pub(in crate::check) per_track: bool,
    total: u64,
    tracks: Vec<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    times: u64,
    holds: bool,
    known: bool,
    gone: bool,
}

impl Count {
    pub(in crate::check) fn new(at_least: Option<u64>, at_most: Option<u64>, per_track: bool) -> Self {
        Self { at_least, at_most, per_track, total: 0, tracks: Vec::new() }
    }
}

impl Fold for Count {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let tally = slot(&mut self.tracks, sight.track);
        let reading = match sight.what {
            What::Missing | What::Gone => {
                tally.holds = false;
                tally.gone = matches!(sight.what, What::Gone);
                return Word::Fine;
            }
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) => reading,
            What::Replaced(reading) => {
                // Another object: what held of the one before says nothing of it.
                tally.holds = false;
                reading
            }
        };
        (tally.known, tally.gone) = (true, false);
        let Reading::Holds(holds) = *reading else { return Word::Fine };
        let held = std::mem::replace(&mut tally.holds, holds);
        if held || !holds || matches!(sight.what, What::Start(_)) {
            return Word::Fine;
        }
        tally.times += 1;
        self.total += 1;
        let times = if self.per_track { tally.times } else { self.total };
        match self.at_most {
            Some(most) if times > most => Word::Breach(format!("{}, at most {most} allowed", nth(times))),
            _ => Word::Fine,
        }
    }

    fn end(&self, _: Elapsed) -> End {
        let Some(least) = self.at_least else { return End::Held };
        if !self.per_track {
            let said = format!("counted {}, at least {least} wanted", self.total);
            return if self.total < least { End::Unmet(Vec::new(), said) } else { End::Held };
        }
        let short = self.tracks.iter().enumerate();
        let short: Vec<usize> =
            short.filter(|(_, tally)| tally.known && !tally.gone && tally.times < least).map(|(at, _)| at).collect();
        match short.first() {
            Some(first) => {
                let said = format!("counted {}, at least {least} on each track wanted", self.tracks[*first].times);
                End::Unmet(short, said)
            }
            None => End::Held,
        }
    }
}

fn nth(times: u64) -> String {
    format!("counted {}", text::count(usize::try_from(times).unwrap_or(usize::MAX), "time"))
}
