use std::sync::Arc;

use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::{MISSING, Reading};
use crate::clock::Elapsed;
use crate::text;

/// On every track the values were seen in this order, others between them allowed.
#[derive(Debug)]
pub(in crate::check) struct Sequence {
    seen: Vec<String>,
    tracks: Vec<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many of the values were seen.
    reached: usize,
    last: Option<Arc<str>>,
    known: bool,
    gone: bool,
}

impl Sequence {
    pub(in crate::check) fn new(seen: Vec<String>) -> Self {
        Self { seen, tracks: Vec::new() }
    }
}

impl Fold for Sequence {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let track = slot(&mut self.tracks, sight.track);
        let value = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) | What::Replaced(reading) => {
                track.known = true;
                track.gone = false;
                match reading {
                    Reading::Value(value) => Arc::clone(value),
                    Reading::Holds(_) | Reading::Unreadable => return Word::Fine,
                }
            }
            What::Missing => MISSING.into(),
            What::Gone => {
                track.gone = true;
                return Word::Fine;
            }
        };
        // The same value in the next version is not seen again.
        if track.last.as_ref() != Some(&value) && self.seen.get(track.reached).is_some_and(|next| **next == *value) {
            track.reached += 1;
        }
        track.last = Some(value);
        Word::Fine
    }

    fn end(&self, _: Elapsed) -> End {
        let known = || self.tracks.iter().enumerate().filter(|(_, track)| track.known);
        let short: Vec<usize> =
            known().filter(|(_, track)| !track.gone && track.reached < self.seen.len()).map(|(at, _)| at).collect();
        if let Some(first) = short.first() {
            let reached = self.tracks[*first].reached;
            let said = format!("`{}` was not seen{}", self.seen[reached], after(&self.seen[..reached]));
            return End::Unmet(short, said);
        }
        let done = known().any(|(_, track)| track.reached == self.seen.len());
        if !done && known().next().is_some() {
            let all = known().map(|(at, _)| at).collect();
            let wanted = "a track that lives until it has seen all of the values".to_owned();
            return End::Open(all, "every track was gone before it had seen all of the values".to_owned(), wanted);
        }
        End::Held
    }
}

fn after(values: &[String]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    format!(" after {}", text::and(&values))
}
