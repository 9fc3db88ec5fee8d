//! What runs in containers: programs, by the images that hold them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::super::chance::{Chance, Span};
use super::super::key::Key;
use super::super::object::Object;
use super::super::process::Bell;
use super::super::timing;
use crate::sim::api::{Answer, Exec};

/// What an image holds, registered by name. [`Behaviour`] is one made of data.
pub trait Image: Send + Sync {
    /// How long it takes to pull it, or the registry's refusal.
    fn pull(&self, chance: &mut Chance) -> Result<Duration, String> {
        Ok(chance.draw(timing::PULL))
    }

    /// How much longer than others a container of it takes until its kubelet knows that it runs.
    fn creation(&self, _container: &Value, _chance: &mut Chance) -> Duration {
        Duration::ZERO
    }

    /// A container starts: what is it going to do? Asked once for each start.
    fn start(&self, start: &Start, chance: &mut Chance) -> Life;

    /// A command that somebody runs in the container; `None` leaves it to the usual ones (`dd`, `cat`, …).
    fn exec(&self, _exec: &Exec) -> Option<Answer> {
        None
    }

    /// The files that are in it, by path.
    fn files(&self, _image: &str) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }
}

/// The circumstances of a start.
#[derive(Clone, Debug)]
pub struct Start {
    /// On which node.
    pub node: String,
    /// The pod as its kubelet knows it.
    pub pod: Object,
    /// The container's name.
    pub container: String,
    /// Its image.
    pub image: String,
    /// How often the container was started before in this pod.
    pub restarts: u64,
    /// The pod's address.
    pub ip: String,
    /// Steers the container from outside while it runs.
    pub switch: Switch,
}

/// One life of a container, from its start to its end.
pub struct Life {
    /// Until its probes succeed. `None`: they never do.
    pub ready_after: Option<Duration>,
    /// When and with which code it ends by itself. `None`: it sleeps.
    pub ends: Option<(Duration, i32)>,
    /// What it does when it is told to end.
    pub on_term: OnTerm,
    /// From when on its liveness probe fails.
    pub sick_after: Option<Duration>,
    /// What it prints, each line so long after its start.
    pub says: Vec<(Duration, String)>,
    /// The ports it listens on: probes of others fail. `None`: whatever is asked for.
    pub serves: Option<Vec<i64>>,
    /// Dropped when the container has ended: a [`Process`](super::super::Process) of its own, for example.
    pub holds: Option<Box<dyn Send>>,
}

/// What a container does on SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerm {
    /// It ends after this time with this code.
    Ends(Duration, i32),
    /// It goes on until it is killed.
    Ignores,
}

impl Life {
    /// Ready at once, and asleep until it is told to end, which it does at once.
    pub fn sleeps() -> Self {
        Self {
            ready_after: Some(Duration::ZERO),
            ends: None,
            on_term: OnTerm::Ends(Duration::from_millis(50), 0),
            sick_after: None,
            says: Vec::new(),
            serves: None,
            holds: None,
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("ready_after", &self.ready_after)
            .field("ends", &self.ends)
            .field("on_term", &self.on_term)
            .finish_non_exhaustive()
    }
}

/// A program as data.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long the image takes to pull.
    pub pull: Span,
    /// The registry's refusal: the image can't be pulled.
    pub pull_fails: Option<String>,
    /// Until its probes succeed. `None`: never.
    pub ready_after: Option<Span>,
    /// Ends by itself after this time, with this code.
    pub ends: Option<(Span, i32)>,
    /// With which probability a start is one that ends as `ends` says.
    pub ends_with: f64,
    /// What it does on SIGTERM.
    pub on_term: OnTerm,
    /// From when on its liveness probe fails.
    pub sick_after: Option<Duration>,
    /// What it prints, each line so long after its start.
    pub says: Vec<(Duration, String)>,
    /// The ports it listens on. `None`: whatever is asked for.
    pub serves: Option<Vec<i64>>,
    /// Files in the image. `${tag}` in their text is the image's tag.
    pub files: Vec<(String, String)>,
}

impl Behaviour {
    /// What an image does that nobody registered: ready 1 to 3 s after its start, then asleep.
    pub fn unknown() -> Self {
        Self { ready_after: Some(timing::UNKNOWN_READY), ..Self::sleeps() }
    }

    /// Ready at once, then asleep.
    pub fn sleeps() -> Self {
        Self {
            pull: timing::PULL,
            pull_fails: None,
            ready_after: Some(Span::exactly(Duration::ZERO)),
            ends: None,
            ends_with: 1.0,
            on_term: OnTerm::Ends(Duration::from_millis(50), 0),
            sick_after: None,
            says: Vec::new(),
            serves: None,
            files: Vec::new(),
        }
    }

    /// Ready after this time.
    pub fn ready_after(span: Span) -> Self {
        Self { ready_after: Some(span), ..Self::sleeps() }
    }

    /// Ends by itself after this time with this code: a task, or a crash.
    pub fn ends(after: Span, code: i32) -> Self {
        Self { ends: Some((after, code)), ..Self::sleeps() }
    }

    /// The same, but only with this probability at each start.
    #[must_use]
    pub fn sometimes(self, probability: f64) -> Self {
        Self { ends_with: probability, ..self }
    }

    /// The same, but it does not end on SIGTERM.
    #[must_use]
    pub fn ignoring_term(self) -> Self {
        Self { on_term: OnTerm::Ignores, ..self }
    }

    /// The same, printing a line so long after its start.
    #[must_use]
    pub fn saying(mut self, after: Duration, line: &str) -> Self {
        self.says.push((after, line.to_owned()));
        self
    }

    /// The same, with a file. `${tag}` in its text is the image's tag.
    #[must_use]
    pub fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }
}

impl Image for Behaviour {
    fn pull(&self, chance: &mut Chance) -> Result<Duration, String> {
        match &self.pull_fails {
            Some(why) => Err(why.clone()),
            None => Ok(chance.draw(self.pull)),
        }
    }

    fn start(&self, _: &Start, chance: &mut Chance) -> Life {
        let ready_after = self.ready_after.map(|span| chance.draw(span));
        let ends = self.ends.map(|(span, code)| (chance.draw(span), code));
        let ends = ends.filter(|_| self.ends_with >= 1.0 || chance.happens(self.ends_with));
        Life {
            ready_after,
            ends,
            on_term: self.on_term,
            sick_after: self.sick_after,
            says: self.says.clone(),
            serves: self.serves.clone(),
            holds: None,
        }
    }

    fn files(&self, image: &str) -> Vec<(String, Vec<u8>)> {
        let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("latest", |(_, tag)| tag);
        self.files.iter().map(|(path, text)| (path.clone(), text.replace("${tag}", tag).into_bytes())).collect()
    }
}

/// Steers a running container: what a program that is more than data says about itself.
#[derive(Clone)]
pub struct Switch {
    said: Arc<Mutex<Said>>,
    bell: Option<(Bell, Key)>,
}

/// What was said through a switch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) ready: Option<bool>,
    pub(super) alive: Option<bool>,
    pub(super) ends: Option<i32>,
}

impl Switch {
    pub(super) fn new(bell: Option<(Bell, Key)>) -> Self {
        Self { said: Arc::default(), bell }
    }

    /// Whether its readiness probe succeeds from now on.
    pub fn set_ready(&self, ready: bool) {
        self.say(|said| said.ready = Some(ready));
    }

    /// Whether its liveness probe succeeds from now on.
    pub fn set_alive(&self, alive: bool) {
        self.say(|said| said.alive = Some(alive));
    }

    /// It ends by itself with this code.
    pub fn exit(&self, code: i32) {
        self.say(|said| said.ends = Some(code));
    }

    pub(super) fn said(&self) -> Said {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, act: impl FnOnce(&mut Said)) {
        act(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((bell, key)) = &self.bell {
            bell.ring(super::KUBELET, key);
        }
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}
