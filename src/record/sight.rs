use std::time::Duration;

use crate::clock::Elapsed;

/// A watch that the server ended in an orderly way, as it does every few minutes, and that is open
/// again after this is not called late.
const PROMPT: Duration = Duration::from_millis(250);

/// What a watch sees: when it last surely did, since when it does not, and from when on versions
/// may be missing.
///
/// | state | the stream ends or breaks | it is open again | versions may be missing | a list |
/// |---|---|---|---|---|
/// | sees | blind, from its last line | – | missing, from its last line | – |
/// | blind | blind, with both reasons | sees; the spell is late, unless it was orderly and prompt | missing, from where it was blind | sees |
pub(super) struct Sight {
    /// The last moment at which it surely saw.
    seen_at: Elapsed,
    /// The last moment at which a list had nothing that it had not shown.
    agreed_at: Elapsed,
    blind: Option<Blind>,
    /// From when on versions may be missing: told with the next list.
    pub(super) missing: Option<Missing>,
    /// Why it has to list anew.
    pub(super) relist: Option<Missing>,
}

/// Time in which it did not see, and why.
pub(super) struct Spell {
    pub(super) from: Elapsed,
    pub(super) reason: String,
}

struct Blind {
    spell: Spell,
    /// The server ended the watch in an orderly way, and nothing went wrong since.
    orderly: bool,
}

/// From when on versions may be missing.
pub(super) struct Missing {
    pub(super) from: Elapsed,
    pub(super) reason: String,
    /// Nothing was missed if the next list is empty.
    pub(super) unless_empty: bool,
}

impl Sight {
    pub(super) fn new(now: Elapsed) -> Self {
        Self { seen_at: now, agreed_at: now, blind: None, missing: None, relist: None }
    }

    pub(super) fn saw(&mut self, now: Elapsed) {
        self.seen_at = now;
    }

    /// A list had nothing that it had not shown.
    pub(super) fn agreed(&mut self, now: Elapsed) {
        self.agreed_at = now;
    }

    pub(super) fn agreed_at(&self) -> Elapsed {
        self.agreed_at
    }

    pub(super) fn seen_at(&self) -> Elapsed {
        self.seen_at
    }

    pub(super) fn sees(&self) -> bool {
        self.blind.is_none()
    }

    /// Whether a stream that is open again has to show something before it is believed: the server may
    /// take the request and then say in the first line that the version is forgotten.
    pub(super) fn wants_proof(&self) -> bool {
        self.blind.as_ref().is_some_and(|blind| !blind.orderly)
    }

    /// A list of its own is there.
    pub(super) fn listed(&mut self, now: Elapsed) {
        *self = Self::new(now);
    }

    /// The stream is not open any more. Spells after which it had not caught up yet are a part of this one.
    pub(super) fn lose(&mut self, reason: String, orderly: bool, before: Vec<Spell>) {
        let mut blind = match self.blind.take() {
            Some(Blind { spell: Spell { from, reason: first }, orderly: true }) => {
                Blind { spell: Spell { from, reason: format!("{first}; then {reason}") }, orderly }
            }
            Some(before) => before,
            None => Blind { spell: Spell { from: self.seen_at, reason }, orderly },
        };
        for Spell { from, reason } in before {
            blind = Blind { spell: Spell { from: blind.spell.from.min(from), reason }, orderly: false };
        }
        self.blind = Some(blind);
    }

    /// Adds to the reason why it does not see.
    pub(super) fn add(&mut self, reason: &str) {
        if let Some(Blind { spell, .. }) = self.blind.as_mut().filter(|blind| blind.spell.reason != reason) {
            spell.reason = format!("{}; then {reason}", spell.reason);
        }
    }

    /// The stream is open since then. Gives the spell that it was late for, if it was.
    pub(super) fn regain(&mut self, opened: Elapsed) -> Option<Spell> {
        let Blind { spell, orderly } = self.blind.take()?;
        let away = opened.since(spell.from).duration();
        (!orderly || away > PROMPT).then_some(spell)
    }

    /// Time without sight so far, told by somebody: what is left begins now.
    pub(super) fn cut(&mut self, now: Elapsed) -> Option<Spell> {
        let Blind { spell, orderly } = self.blind.as_mut()?;
        *orderly = false;
        let from = std::mem::replace(&mut spell.from, now);
        Some(Spell { from, reason: spell.reason.clone() })
    }

    /// Versions may be missing since it last saw.
    pub(super) fn missed(&mut self) -> Elapsed {
        self.blind.take().map_or(self.seen_at, |blind| blind.spell.from)
    }

    /// What it leaves untold when it ends.
    pub(super) fn left(&mut self) -> Option<Spell> {
        let told = |missing: Missing| Spell { from: missing.from, reason: missing.reason };
        let missing = self.relist.take().or_else(|| self.missing.take().filter(|missing| !missing.unless_empty));
        missing.map(told).or_else(|| self.blind.take().map(|blind| blind.spell))
    }
}
