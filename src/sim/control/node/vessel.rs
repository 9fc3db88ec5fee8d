//! One container of a pod: pulled, created, run, probed, ended, started again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::super::chance::Chance;
use super::super::timing;
use super::files::Volume;
use super::image::{Image, Life, OnTerm, Start, Switch};
use super::probe::{Health, Probe, Role};
use crate::sim::api::LogLine;

/// A container, as its kubelet and its runtime know it.
#[derive(Debug)]
pub(super) struct Vessel {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) spec: Value,
    pub(super) init: bool,
    pub(super) state: State,
    /// How it ended the last time.
    pub(super) last: Option<Ended>,
    pub(super) restarts: u64,
    pub(super) log: Vec<LogLine>,
    /// The log of the container before this one.
    pub(super) previous: Option<Vec<LogLine>>,
    backoff: Option<(Duration, Timestamp)>,
    pulls_failed: u32,
}

/// What a container is about.
#[derive(Debug)]
pub(super) enum State {
    /// Its turn has not come.
    Waiting,
    Pulling {
        until: Timestamp,
    },
    /// The image was refused. `true`: it is waited before the next try.
    PullFailed {
        until: Timestamp,
        why: String,
        waits: bool,
    },
    Creating {
        until: Timestamp,
    },
    Running(Box<Run>),
    /// It has ended and is started again then.
    /// Until `shown` its status still says how it ended.
    BackOff {
        until: Timestamp,
        shown: Timestamp,
        wait: Duration,
    },
    /// It has ended, and whether it starts again is not decided before then.
    Ended {
        ended: Ended,
        decides: Timestamp,
    },
}

/// A container that runs.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) started: Timestamp,
    pub(super) life: Life,
    pub(super) switch: Switch,
    /// Its own layer of files.
    pub(super) layer: Volume,
    pub(super) ready: bool,
    pub(super) is_up: bool,
    pub(super) probes: Vec<Probe>,
    /// When it is killed, once it has been told to end.
    pub(super) killed: Option<Timestamp>,
    /// When it ends, and how.
    pub(super) ends: Option<(Timestamp, i32)>,
    said: usize,
    /// Falls when it has ended: commands in it end too.
    pub(super) alive: watch::Sender<()>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) code: i32,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

impl Ended {
    pub(super) fn reason(&self) -> &'static str {
        if self.code == 0 { "Completed" } else { "Error" }
    }
}

/// What a container needs of its node.
pub(super) struct Site<'a> {
    pub(super) image: &'a dyn Image,
    pub(super) images: &'a mut std::collections::BTreeSet<String>,
    pub(super) chance: &'a mut Chance,
    pub(super) start: &'a dyn Fn(&str, &str, u64) -> Start,
    pub(super) policy: &'a str,
    /// Its readiness probe fails, whatever it says.
    pub(super) unready: bool,
    pub(super) grace: Duration,
    pub(super) ip: &'a str,
}

/// An event to tell about the container.
pub(super) type Says = (&'static str, &'static str, String);

impl Vessel {
    pub(super) fn new(spec: &Value, init: bool) -> Self {
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            image: text("image"),
            spec: spec.clone(),
            init,
            state: State::Waiting,
            last: None,
            restarts: 0,
            log: Vec::new(),
            previous: None,
            backoff: None,
            pulls_failed: 0,
        }
    }

    /// Whether it is an init container that stays.
    pub(super) fn is_sidecar(&self) -> bool {
        self.init && self.spec["restartPolicy"] == "Always"
    }

    /// Whether what comes after it may begin.
    pub(super) fn lets_others_begin(&self) -> bool {
        match &self.state {
            State::Running(run) => self.is_sidecar() && run.is_up,
            State::Ended { ended, .. } => !self.is_sidecar() && ended.code == 0,
            _ => false,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// How it ended, if it has and does not run now.
    pub(super) fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended { ended, .. } => Some(ended),
            _ => None,
        }
    }

    /// Begins, if its turn has come and it has not.
    pub(super) fn begin(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) {
        if !matches!(self.state, State::Waiting) {
            return;
        }
        let always = self.spec["imagePullPolicy"] == "Always";
        let never = self.spec["imagePullPolicy"] == "Never";
        let there = site.images.contains(&self.image);
        if there && !always {
            let image = &self.image;
            let text = format!("Container image \"{image}\" already present on machine");
            says.push(("Normal", "Pulled", text));
            self.create(site, now, says);
        } else if never {
            let why = format!("Container image \"{}\" is not present with pull policy of Never", self.image);
            says.push(("Warning", "ErrImageNeverPull", why.clone()));
            self.state = State::PullFailed { until: now + SignedDuration::from_secs(10), why, waits: true };
        } else {
            says.push(("Normal", "Pulling", format!("Pulling image \"{}\"", self.image)));
            let takes = if there { Ok(site.chance.draw(timing::PULL_CHECK)) } else { site.image.pull(site.chance) };
            self.state = match takes {
                Ok(takes) => State::Pulling { until: later(now, takes) },
                Err(why) => {
                    let why = format!("failed to pull and unpack image \"{}\": {why}", self.image);
                    says.push(("Warning", "Failed", format!("Failed to pull image \"{}\": {why}", self.image)));
                    says.push(("Warning", "Failed", "Error: ErrImagePull".to_owned()));
                    State::PullFailed { until: now + SignedDuration::from_secs(2), why, waits: false }
                }
            };
        }
    }

    fn create(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) {
        says.push(("Normal", "Created", format!("Created container: {}", self.name)));
        let takes = site.chance.draw(timing::CONTAINER) + site.image.creation(&self.spec, site.chance);
        self.state = State::Creating { until: later(now, takes) };
    }

    /// Does what is due; true if something changed. The answer comes again at [`Self::due`].
    pub(super) fn advance(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) -> bool {
        match &mut self.state {
            State::Pulling { until } if *until <= now => {
                site.images.insert(self.image.clone());
                self.pulls_failed = 0;
                says.push(("Normal", "Pulled", format!("Successfully pulled image \"{}\"", self.image)));
                self.create(site, now, says);
                true
            }
            State::PullFailed { until, waits, why } if *until <= now => {
                if *waits {
                    self.state = State::Waiting;
                    return true;
                }
                // 10 s, doubled up to 5 min, as for containers that end.
                let wait = timing::RESTART_FIRST * 2_u32.saturating_pow(self.pulls_failed);
                self.pulls_failed += 1;
                let why = std::mem::take(why);
                says.push(("Normal", "BackOff", format!("Back-off pulling image \"{}\"", self.image)));
                let until = later(now, wait.min(timing::RESTART_MOST));
                self.state = State::PullFailed { until, why, waits: true };
                true
            }
            State::Creating { until } if *until <= now => {
                self.run(site, now, says);
                true
            }
            State::BackOff { until, .. } if *until <= now => {
                self.restart(site, now, says);
                true
            }
            State::Running(_) => self.live(site, now, says),
            State::Ended { ended, decides } if *decides <= now => {
                let ended = ended.clone();
                self.decide(ended, site, now, says)
            }
            _ => false,
        }
    }

    /// When something is next to happen to it, or to what is shown of it.
    pub(super) fn due(&self, policy: &str, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            State::BackOff { shown, .. } if *shown > now => Some(*shown),
            State::Waiting => None,
            State::Pulling { until }
            | State::PullFailed { until, .. }
            | State::Creating { until }
            | State::BackOff { until, .. } => Some(*until),
            State::Ended { ended, decides } => self.starts_again(ended, policy).then_some(*decides),
            State::Running(run) => {
                let line = run.life.says.get(run.said).map(|(after, _)| later(run.started, *after));
                let probe = run.probes.iter().filter(|probe| run.runs(probe)).map(|probe| probe.next).min();
                [line, probe, run.ends.map(|(at, _)| at), run.killed].into_iter().flatten().min()
            }
        }
    }

    fn run(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) {
        let start = (site.start)(&self.name, &self.image, self.restarts);
        let switch = start.switch.clone();
        let life = site.image.start(&start, site.chance);
        let layer = Volume::default();
        for (path, bytes) in site.image.files(&self.image) {
            layer.put(path.trim_start_matches('/'), super::files::File::of(&bytes));
        }
        let ports = &self.spec["ports"];
        let waits = !self.spec["readinessProbe"]["initialDelaySeconds"].is_null();
        let soon = waits && site.chance.happens(0.15);
        let probe = |field: &str, role| Probe::of(&self.spec[field], ports, role, now, soon);
        let probes: Vec<Probe> = [
            probe("startupProbe", Role::Startup),
            probe("readinessProbe", Role::Readiness),
            probe("livenessProbe", Role::Liveness),
        ]
        .into_iter()
        .flatten()
        .collect();
        let has = |role| probes.iter().any(|probe| probe.role == role);
        let is_up = !has(Role::Startup);
        says.push(("Normal", "Started", format!("Started container {}", self.name)));
        let ends = life.ends.map(|(after, code)| (later(now, after), code));
        self.state = State::Running(Box::new(Run {
            id: format!("containerd://{}", site.chance.hex(64)),
            started: now,
            ready: is_up && !has(Role::Readiness),
            is_up,
            probes,
            life,
            switch,
            layer,
            killed: None,
            ends,
            said: 0,
            alive: watch::Sender::new(()),
        }));
    }

    /// A running container's time passes.
    fn live(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) -> bool {
        let State::Running(run) = &mut self.state else { return false };
        let mut changed = false;
        while let Some((after, text)) = run.life.says.get(run.said) {
            let at = later(run.started, *after);
            if at > now {
                break;
            }
            self.log.push(LogLine { container: Some(self.name.clone()), at, text: text.clone() });
            run.said += 1;
            changed = true;
        }
        let said = run.switch.said();
        if let Some(code) = said.ends {
            run.ends = Some((now, code));
        }
        let since = SignedDuration::from_micros(now.duration_since(run.started).as_micros().try_into().unwrap_or(0));
        let over = |after: Duration| since >= SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
        let health = Health {
            ready: !site.unready && said.ready.unwrap_or_else(|| run.life.ready_after.is_some_and(over)),
            alive: said.alive.unwrap_or_else(|| !run.life.sick_after.is_some_and(over)),
        };
        let (is_up, dying) = (run.is_up, run.killed.is_some());
        for at in 0..run.probes.len() {
            let due = run.probes[at].next <= now || run.probes[at].is_hastened(said.ready);
            if !due || !run.runs(&run.probes[at]) {
                continue;
            }
            let ran = run.probes[at].run(health, run.life.serves.as_deref(), now);
            let probe = &run.probes[at];
            if !ran.good {
                says.push(("Warning", "Unhealthy", probe.complaint(site.ip)));
            }
            match (probe.role, ran.good, ran.counts) {
                (Role::Startup, true, true) if !is_up => {
                    run.is_up = true;
                    run.ready |= !run.probes.iter().any(|probe| probe.role == Role::Readiness);
                    changed = true;
                }
                (Role::Readiness, good, true) if run.ready != good => {
                    run.ready = good;
                    changed = true;
                }
                (Role::Startup | Role::Liveness, false, true) if !dying => {
                    let word = if probe.role == Role::Startup { "startup" } else { "liveness" };
                    let name = &self.name;
                    let text = format!("Container {name} failed {word} probe, will be restarted");
                    says.push(("Normal", "Killing", text));
                    run.terminate(now, site.grace);
                    changed = true;
                }
                _ => {}
            }
        }
        let end = match (run.ends, run.killed) {
            (Some((at, code)), killed) if at <= now && killed.is_none_or(|killed| at <= killed) => Some((at, code)),
            (_, Some(killed)) if killed <= now => Some((killed, 137)),
            _ => None,
        };
        if let Some((at, code)) = end {
            let ended = Ended { id: run.id.clone(), code, started: run.started, finished: at.max(run.started) };
            let decides = later(now, site.chance.draw(timing::NOTICED));
            self.state = State::Ended { ended, decides };
            return true;
        }
        changed
    }

    /// Whether it is to be started again after such an end.
    pub(super) fn starts_again(&self, ended: &Ended, policy: &str) -> bool {
        if self.is_sidecar() {
            return true;
        }
        match policy {
            "Always" => !(self.init && ended.code == 0),
            "OnFailure" => ended.code != 0,
            _ => false,
        }
    }

    fn decide(&mut self, ended: Ended, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) -> bool {
        if !self.starts_again(&ended, site.policy) {
            return false;
        }
        let expired = |updated: Timestamp| {
            ended.finished.duration_since(updated)
                > SignedDuration::try_from(timing::RESTART_FORGOTTEN).unwrap_or(SignedDuration::MAX)
        };
        let wait = match self.backoff {
            Some((wait, updated)) if !expired(updated) => wait,
            _ => {
                self.backoff = None;
                Duration::ZERO
            }
        };
        let until = later(ended.finished, wait);
        self.last = Some(ended);
        if until > now {
            says.push(("Warning", "BackOff", format!("Back-off restarting failed container {}", self.name)));
            let shown = later(now, site.chance.draw(timing::CRASH_SHOWN));
            let until = later(until, site.chance.draw(timing::RESTART_LATE));
            self.state = State::BackOff { until, shown, wait };
        } else {
            self.restart(site, now, says);
        }
        true
    }

    fn restart(&mut self, site: &mut Site<'_>, now: Timestamp, says: &mut Vec<Says>) {
        let next = match self.backoff {
            None => timing::RESTART_FIRST,
            Some((wait, _)) => (wait * 2).min(timing::RESTART_MOST),
        };
        self.backoff = Some((next, now));
        self.restarts += 1;
        self.previous = Some(std::mem::take(&mut self.log));
        self.state = State::Waiting;
        self.begin(site, now, says);
    }

    /// Tells it to end, if it runs; what has not begun never will. True if it has ended by that.
    pub(super) fn stop(&mut self, now: Timestamp, grace: Duration) {
        if let State::Running(run) = &mut self.state {
            run.terminate(now, grace);
        }
    }

    /// When a readiness probe over the network has noticed that it has ended, while the rest of its pod still runs.
    /// Probes that run a command in it can't be run any more, and change nothing.
    pub(super) fn missed_at(&self) -> Option<Timestamp> {
        let ended = self.ended()?;
        let probe = &self.spec["readinessProbe"];
        ["httpGet", "tcpSocket", "grpc"].into_iter().find(|how| !probe[*how].is_null())?;
        let number = |field: &str, default: i64| probe[field].as_i64().unwrap_or(default);
        Some(ended.finished + SignedDuration::from_secs(number("periodSeconds", 10) * number("failureThreshold", 3)))
    }

    /// Whether it neither runs nor ever will without a new beginning.
    pub(super) fn is_still(&self) -> bool {
        !self.is_running()
    }

    /// The node it ran on was switched off.
    pub(super) fn cut_off(&mut self, now: Timestamp) {
        if let State::Running(run) = &self.state {
            let ended = Ended { id: run.id.clone(), code: 255, started: run.started, finished: now };
            self.state = State::Ended { ended, decides: now };
        }
    }
}

impl Run {
    /// Whether a probe is run now: the others wait for the startup probe, and only readiness is asked of what is ending.
    fn runs(&self, probe: &Probe) -> bool {
        match probe.role {
            Role::Startup => !self.is_up && self.killed.is_none(),
            Role::Readiness => self.is_up,
            Role::Liveness => self.is_up && self.killed.is_none(),
        }
    }

    /// SIGTERM, and SIGKILL after the grace.
    pub(super) fn terminate(&mut self, now: Timestamp, grace: Duration) {
        let killed = later(now, grace.max(timing::LEAST_GRACE));
        let first = self.killed.is_none();
        self.killed = Some(self.killed.map_or(killed, |before| before.min(killed)));
        if first && let OnTerm::Ends(after, code) = self.life.on_term {
            let at = later(now, after);
            if self.ends.is_none_or(|(own, _)| own > at) {
                self.ends = Some((at, code));
            }
        }
    }
}

/// A time so long after another.
pub(super) fn later(at: Timestamp, span: Duration) -> Timestamp {
    at + SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}
