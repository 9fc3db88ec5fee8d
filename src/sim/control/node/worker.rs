//! One pod on its node: volumes, sandbox, containers in their order, and the way down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::cache::Cache;
use super::super::chance::Chance;
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::process::Bell;
use super::super::timing;
use super::ailment::{Ailing, Ailment, ails};
use super::command::Inside;
use super::files::{Attach, File, Mount, Tree, Volume};
use super::image::{Image, Start, Switch};
use super::vessel::{Says, Site, State, Vessel, later};

/// A pod as its node runs it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pod: Object,
    /// When the kubelet saw it first.
    pub(super) begun: Timestamp,
    pub(super) setup: Setup,
    pub(super) ip: String,
    pub(super) vessels: Vec<Vessel>,
    /// Since when it is on its way down.
    pub(super) dying: Option<Timestamp>,
    /// The API shows it no more: nobody is told how it ends.
    pub(super) gone: bool,
    /// When everything of it will have been taken down, once its containers have ended.
    down: Option<Timestamp>,
    mounts: BTreeMap<String, (Volume, String, bool)>,
    claimed: Vec<String>,
    wait: Duration,
    /// What is to be told: of which container, and what.
    pub(super) says: Vec<(Option<String>, Says)>,
}

/// How far a pod has come before its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// Volumes are looked for then.
    Volumes(Timestamp),
    Sandbox(Timestamp),
    Up,
    /// Its containers have ended for good, and its sandbox with them.
    Over,
    /// Nothing is left of it.
    Down,
}

/// What a pod needs of its node.
pub(super) struct Ground<'a> {
    pub(super) node: &'a str,
    pub(super) images: &'a mut BTreeSet<String>,
    pub(super) programs: &'a [(String, Arc<dyn Image>)],
    pub(super) unknown: &'a Arc<dyn Image>,
    pub(super) chance: &'a mut Chance,
    pub(super) attach: &'a dyn Attach,
    pub(super) disk: &'a Volume,
    pub(super) next_ip: &'a mut u32,
    pub(super) number: usize,
    pub(super) bell: Option<Bell>,
    pub(super) ailments: &'a [Ailing],
}

impl Ground<'_> {
    /// The program in an image: the one registered last whose name is the image's, with or without its tag,
    /// or the end of it after a slash.
    fn program(&self, image: &str) -> Arc<dyn Image> {
        let bare = match image.rfind(':') {
            Some(at) if !image[at..].contains('/') => &image[..at],
            _ => image,
        };
        let meant = |name: &str| {
            [image, bare]
                .iter()
                .any(|own| *own == name || own.strip_suffix(name).is_some_and(|rest| rest.ends_with('/')))
        };
        let found = self.programs.iter().rev().find(|(name, _)| meant(name));
        found.map_or_else(|| self.unknown.clone(), |(_, program)| program.clone())
    }
}

impl Worker {
    pub(super) fn new(pod: Object, now: Timestamp) -> Self {
        let vessels = |pointer: &str, init: bool| -> Vec<Vessel> {
            pod.items(pointer).iter().map(|spec| Vessel::new(spec, init)).collect()
        };
        let mut all = vessels("/spec/initContainers", true);
        all.extend(vessels("/spec/containers", false));
        Self {
            begun: now,
            setup: Setup::Volumes(now),
            ip: String::new(),
            vessels: all,
            dying: None,
            gone: false,
            down: None,
            mounts: BTreeMap::new(),
            claimed: Vec::new(),
            wait: timing::MOUNT_RETRY,
            says: Vec::new(),
            pod,
        }
    }

    pub(super) fn key(&self) -> Key {
        self.pod.key()
    }

    pub(super) fn policy(&self) -> &str {
        self.pod.text("/spec/restartPolicy")
    }

    /// Takes in how the API shows the pod now; `None` if it does not.
    pub(super) fn sees(&mut self, pod: Option<&Object>, now: Timestamp) {
        let grace = match pod {
            Some(pod) => {
                self.pod = pod.clone();
                let grace = pod.number("/metadata/deletionGracePeriodSeconds");
                pod.is_terminating().then(|| grace.unwrap_or_else(|| self.own_grace()))
            }
            None => {
                self.gone = true;
                Some(self.pod.number("/metadata/deletionGracePeriodSeconds").unwrap_or(0))
            }
        };
        let Some(grace) = grace else { return };
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        let first = self.dying.is_none();
        if first {
            self.down = None;
        }
        self.dying.get_or_insert(now);
        for vessel in &mut self.vessels {
            if first && vessel.is_running() {
                let text = format!("Stopping container {}", vessel.name);
                self.says.push((Some(vessel.name.clone()), ("Normal", "Killing", text)));
            }
            let pause = vessel.spec["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or_default();
            let grace = if first { grace.max(Duration::from_secs(pause)) } else { grace };
            vessel.stop(now, grace);
        }
    }

    fn own_grace(&self) -> i64 {
        self.pod.number("/spec/terminationGracePeriodSeconds").unwrap_or(30)
    }

    /// Whether nothing of it is left on the node.
    pub(super) fn is_down(&self) -> bool {
        self.setup == Setup::Down
    }

    /// Does everything that is due by now; the answer is when something is due next.
    pub(super) fn advance(&mut self, ground: &mut Ground<'_>, cache: &Cache, now: Timestamp) -> Option<Timestamp> {
        // Whoever heals it rings.
        if self.dying.is_some() && ails(ground.ailments, Ailment::Stuck, &self.pod) {
            return None;
        }
        // Each pass does at least one thing that does not come again.
        while self.pass(ground, cache, now) {}
        let policy = self.policy();
        let setup = match &self.setup {
            Setup::Volumes(at) | Setup::Sandbox(at) if self.dying.is_none() => Some(*at),
            _ => None,
        };
        let quiet = self.dying.is_some();
        let missed = self.vessels.iter().filter(|_| quiet).filter_map(Vessel::missed_at).filter(|at| *at > now);
        let missed = missed.min();
        let vessels = self.vessels.iter().filter(|vessel| !quiet || vessel.is_running());
        vessels.filter_map(|vessel| vessel.due(policy, now)).chain(setup).chain(self.down).chain(missed).min()
    }

    fn pass(&mut self, ground: &mut Ground<'_>, cache: &Cache, now: Timestamp) -> bool {
        if self.dying.is_some() {
            return self.wind_up(ground, now);
        }
        match &self.setup {
            Setup::Volumes(at) if *at <= now => {
                match self.mount(ground, cache) {
                    Ok(()) => self.setup = Setup::Sandbox(later(now, ground.chance.draw(timing::SANDBOX))),
                    Err(why) => {
                        self.says.push((None, ("Warning", "FailedMount", why)));
                        self.setup = Setup::Volumes(later(now, self.wait));
                        self.wait = (self.wait * 2).min(Duration::from_secs(122));
                    }
                }
                true
            }
            Setup::Sandbox(at) if *at <= now => {
                self.ip = if self.pod.flag("/spec/hostNetwork") {
                    host_ip(ground.number)
                } else {
                    *ground.next_ip += 1;
                    format!("10.244.{}.{}", ground.number, *ground.next_ip % 250 + 2)
                };
                self.setup = Setup::Up;
                true
            }
            Setup::Up => self.tend(ground, now) || self.finish(ground, now),
            _ => false,
        }
    }

    /// A pod whose containers have all ended for good is over a little later.
    fn finish(&mut self, ground: &mut Ground<'_>, now: Timestamp) -> bool {
        let policy = self.policy();
        let failed = self.vessels.iter().any(|vessel| {
            vessel.init
                && !vessel.is_sidecar()
                && vessel.ended().is_some_and(|ended| !vessel.starts_again(ended, policy) && ended.code != 0)
        });
        let done = |vessel: &Vessel| vessel.ended().is_some_and(|ended| !vessel.starts_again(ended, policy));
        let over = self.vessels.iter().filter(|vessel| !vessel.init).all(done);
        if !over && !failed {
            return false;
        }
        match self.down {
            None => {
                self.down = Some(later(now, ground.chance.draw(timing::NOTICED)));
                true
            }
            Some(at) if at <= now => {
                let grace = Duration::from_secs(2);
                for vessel in &mut self.vessels {
                    vessel.stop(now, grace);
                }
                self.down = None;
                self.setup = Setup::Over;
                true
            }
            Some(_) => false,
        }
    }

    /// Lets the containers whose turn it is begin, and all that began go on.
    fn tend(&mut self, ground: &mut Ground<'_>, now: Timestamp) -> bool {
        let mut turn = true;
        let mut changed = false;
        for at in 0..self.vessels.len() {
            let init = self.vessels[at].init;
            let mine = turn;
            changed |= self.with(at, ground, |vessel, site, says| {
                let waiting = matches!(vessel.state, State::Waiting);
                if mine {
                    vessel.begin(site, now, says);
                }
                let begun = waiting && !matches!(vessel.state, State::Waiting);
                vessel.advance(site, now, says) || begun
            });
            if init {
                turn &= self.vessels[at].lets_others_begin();
            }
        }
        changed
    }

    fn with(
        &mut self,
        at: usize,
        ground: &mut Ground<'_>,
        act: impl FnOnce(&mut Vessel, &mut Site<'_>, &mut Vec<Says>) -> bool,
    ) -> bool {
        let image = ground.program(&self.vessels[at].image);
        let (pod, ip) = (self.pod.clone(), self.ip.clone());
        let (node, bell) = (ground.node.to_owned(), ground.bell.clone());
        let start = |container: &str, image: &str, restarts: u64| Start {
            node: node.clone(),
            pod: pod.clone(),
            container: container.to_owned(),
            image: image.to_owned(),
            restarts,
            ip: ip.clone(),
            switch: Switch::new(bell.clone().map(|bell| (bell, pod.key()))),
        };
        let grace = Duration::from_secs(u64::try_from(self.own_grace()).unwrap_or_default());
        let policy = pod.text("/spec/restartPolicy");
        let probed = self.vessels[at].is_running() && !self.vessels[at].spec["readinessProbe"].is_null();
        let mut site = Site {
            unready: probed && ails(ground.ailments, Ailment::Unready, &pod),
            image: image.as_ref(),
            images: &mut *ground.images,
            chance: &mut *ground.chance,
            start: &start,
            policy,
            grace,
            ip: &ip,
        };
        let mut says = Vec::new();
        let changed = act(&mut self.vessels[at], &mut site, &mut says);
        let name = self.vessels[at].name.clone();
        self.says.extend(says.into_iter().map(|said| (Some(name.clone()), said)));
        changed
    }

    /// The way down: what runs comes to its end, then everything is taken away.
    fn wind_up(&mut self, ground: &mut Ground<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        for at in 0..self.vessels.len() {
            if self.vessels[at].is_running() {
                changed |= self.with(at, ground, |vessel, site, says| vessel.advance(site, now, says));
            }
        }
        if !self.vessels.iter().all(Vessel::is_still) || self.setup == Setup::Down {
            return changed;
        }
        match self.down {
            None => {
                let span = if self.setup == Setup::Over { timing::TAKEN_DOWN } else { timing::STOPPED };
                self.down = Some(later(now, ground.chance.draw(span)));
                true
            }
            Some(at) if at <= now && self.setup != Setup::Over => {
                self.setup = Setup::Over;
                self.down = None;
                true
            }
            Some(at) if at <= now => {
                for claimed in std::mem::take(&mut self.claimed) {
                    ground.attach.unmount(&claimed, ground.node);
                }
                self.setup = Setup::Down;
                self.down = None;
                true
            }
            Some(_) => changed,
        }
    }

    /// Finds every volume, or says which is not there.
    fn mount(&mut self, ground: &Ground<'_>, cache: &Cache) -> Result<(), String> {
        let namespace = self.pod.namespace().to_owned();
        let mut mounts = BTreeMap::new();
        let mut claimed = Vec::new();
        for spec in self.pod.items("/spec/volumes") {
            let name = spec["name"].as_str().unwrap_or_default();
            let failed = |why: String| format!("MountVolume.SetUp failed for volume \"{name}\" : {why}");
            let mount = if let Some(path) = spec["hostPath"]["path"].as_str() {
                (ground.disk.clone(), prefix(path), false)
            } else if let Some(claim) = spec["persistentVolumeClaim"]["claimName"].as_str() {
                let claim = cache
                    .get(&Kind::CLAIM, &namespace, claim)
                    .ok_or_else(|| failed(format!("persistentvolumeclaim \"{claim}\" not found")))?;
                let bound = claim.text("/spec/volumeName");
                let volume = cache.get(&Kind::VOLUME, "", bound).filter(|_| !bound.is_empty());
                let volume = volume.ok_or_else(|| failed("PVC is not bound".to_owned()))?;
                let files = ground.attach.mount(volume, ground.node).map_err(failed)?;
                claimed.push(bound.to_owned());
                (files, String::new(), spec["persistentVolumeClaim"]["readOnly"] == true)
            } else if let Some(map) = spec["configMap"]["name"].as_str() {
                let found = cache.get(&Kind::CONFIG_MAP, &namespace, map);
                if found.is_none() && spec["configMap"]["optional"] != true {
                    return Err(failed(format!("configmap \"{map}\" not found")));
                }
                (filled(found, "/data"), String::new(), true)
            } else if let Some(secret) = spec["secret"]["secretName"].as_str() {
                let found = cache.get(&Kind::SECRET, &namespace, secret);
                if found.is_none() && spec["secret"]["optional"] != true {
                    return Err(failed(format!("secret \"{secret}\" not found")));
                }
                (filled(found, "/none"), String::new(), true)
            } else {
                (Volume::default(), String::new(), false)
            };
            mounts.insert(name.to_owned(), mount);
        }
        self.mounts = mounts;
        self.claimed = claimed;
        Ok(())
    }

    /// A running container from the inside, and what falls when it has ended.
    pub(super) fn inside(
        &self,
        container: &str,
        uptime: Duration,
    ) -> Option<(Inside, tokio::sync::watch::Receiver<()>)> {
        let vessel = self.vessels.iter().find(|vessel| vessel.name == container)?;
        let State::Running(run) = &vessel.state else { return None };
        let mounts = vessel.spec["volumeMounts"].as_array().into_iter().flatten().filter_map(|mount| {
            let (volume, prefix, read_only) = self.mounts.get(mount["name"].as_str()?)?;
            let below = mount["subPath"].as_str().map(self::prefix).unwrap_or_default();
            Some(Mount {
                at: mount["mountPath"].as_str()?.to_owned(),
                volume: volume.clone(),
                prefix: format!("{prefix}{below}"),
                read_only: *read_only || mount["readOnly"] == true,
            })
        });
        let variables = vessel.spec["env"].as_array().into_iter().flatten();
        let variables = variables.filter_map(|variable| {
            let value = match variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
                Some("status.podIP") => self.ip.clone(),
                Some(path) => self.pod.text(&format!("/{}", path.replace('.', "/"))).to_owned(),
                None => variable["value"].as_str()?.to_owned(),
            };
            Some((variable["name"].as_str()?.to_owned(), value))
        });
        let mut env: BTreeMap<String, String> = variables.collect();
        env.insert("HOSTNAME".to_owned(), self.pod.name().to_owned());
        let tree = Tree::new(run.layer.clone(), mounts.collect());
        Some((Inside { tree, env, host: self.pod.name().to_owned(), uptime }, run.alive.subscribe()))
    }

    /// The node was switched off: what ran does not run any more.
    pub(super) fn cut_off(&mut self, now: Timestamp) {
        for vessel in &mut self.vessels {
            vessel.cut_off(now);
        }
        if self.setup == Setup::Up && self.dying.is_none() {
            let restart = now + SignedDuration::from_millis(1);
            self.setup = Setup::Sandbox(restart);
        }
    }
}

/// The address of a node, by its number.
pub(super) fn host_ip(number: usize) -> String {
    format!("192.168.7.{}", number + 10)
}

/// A folder as the beginning of paths in it.
fn prefix(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("{path}/") }
}

/// A volume with an object's data as files.
fn filled(object: Option<&Object>, pointer: &str) -> Volume {
    let volume = Volume::default();
    let data = object.map(|object| object.at(pointer)).and_then(Value::as_object);
    for (name, text) in data.into_iter().flatten() {
        volume.put(name, File::of(text.as_str().unwrap_or_default().as_bytes()));
    }
    volume
}
