use std::sync::Arc;

use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::{MISSING, Reading};
use crate::clock::Elapsed;

/// Each track's value never changes; none is replaced or goes.
#[derive(Debug, Default)]
pub(in crate::check) struct Constant {
    values: Vec<Option<Arc<str>>>,
}

impl Fold for Constant {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let held = slot(&mut self.values, sight.track);
        let value = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Entered(reading) => match reading {
                Reading::Value(value) => Arc::clone(value),
                Reading::Holds(_) | Reading::Unreadable => return Word::Fine,
            },
            What::Replaced(reading) => {
                let before = held.take();
                if let Reading::Value(value) = reading {
                    *held = Some(Arc::clone(value));
                }
                let change = match (&before, &*held) {
                    (Some(before), Some(after)) if before != after => format!(", `{before} -> {after}`"),
                    _ => String::new(),
                };
                return Word::Breach(format!("was replaced by another object{change}"));
            }
            What::Missing => MISSING.into(),
            What::Gone => return Word::Breach("gone".to_owned()),
        };
        match held.replace(Arc::clone(&value)) {
            Some(before) if before != value => Word::Breach(format!("`{before} -> {value}`")),
            _ => Word::Fine,
        }
    }

    fn end(&self, _: Elapsed) -> End {
        End::Held
    }
}
