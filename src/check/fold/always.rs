use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::Reading;
use crate::clock::Elapsed;

/// Every version of every track satisfies it.
#[derive(Debug, Default)]
pub(in crate::check) struct Always {
    bad: Vec<bool>,
}

impl Fold for Always {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let bad = slot(&mut self.bad, sight.track);
        let (reading, again) = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) => (reading, false),
            What::Replaced(reading) => (reading, true),
            // What is not there has no version that could fail to satisfy it.
            What::Missing | What::Gone => {
                *bad = false;
                return Word::Fine;
            }
        };
        let was = *bad && !again;
        match reading {
            Reading::Holds(false) => {
                *bad = true;
                if was { Word::Fine } else { Word::Breach("did not hold".to_owned()) }
            }
            Reading::Holds(true) => {
                *bad = false;
                Word::Fine
            }
            Reading::Value(_) | Reading::Unreadable => Word::Fine,
        }
    }

    fn end(&self, _: Elapsed) -> End {
        End::Held
    }
}
