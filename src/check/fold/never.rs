use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::Reading;
use crate::clock::Elapsed;

/// No version of any track satisfies it.
#[derive(Debug)]
pub(in crate::check) struct Never {
    /// Without a condition: to be there at all is the violation.
    exists: bool,
    bad: Vec<bool>,
}

impl Never {
    pub(in crate::check) fn new(exists: bool) -> Self {
        Self { exists, bad: Vec::new() }
    }
}

impl Fold for Never {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let bad = slot(&mut self.bad, sight.track);
        let (holds, again) = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) => (reading, false),
            What::Replaced(reading) => (reading, true),
            What::Missing | What::Gone => {
                *bad = false;
                return Word::Fine;
            }
        };
        let was = *bad && !again;
        match holds {
            Reading::Holds(true) => {
                *bad = true;
                if was {
                    return Word::Fine;
                }
                Word::Breach(match (self.exists, sight.what) {
                    (true, What::Start(_)) => "was there".to_owned(),
                    (true, _) => "appeared".to_owned(),
                    (false, What::Start(_)) => "held from the start".to_owned(),
                    (false, _) => "held".to_owned(),
                })
            }
            Reading::Holds(false) => {
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
