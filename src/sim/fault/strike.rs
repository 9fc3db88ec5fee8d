use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Fault;
use super::catalog::Act;
use crate::cluster::Strike;
use crate::sim::control::{Ailment, PodFilter, Span};
use crate::sim::{Effect, Ending, Internet, Matching, Rule, SiteFault, Verb, World};
use crate::text;

/// A fault with all that it can strike.
pub(super) struct Blow {
    pub(super) fault: Fault,
    pub(super) world: World,
    pub(super) internet: Internet,
    pub(super) tell: mpsc::UnboundedSender<Strike>,
}

impl Blow {
    /// One time of it, to its end.
    pub(super) async fn strike(&self, end: Option<Instant>) {
        let fault = &self.fault;
        let code = || fault.number("code").and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
        match fault.act() {
            Act::WatchDrop => {
                self.end_watches(&Ending::Cut, "broke off");
                self.rule(Effect::Refuse, "found nobody to watch with", end).await;
            }
            Act::WatchGone => {
                self.world.api().compact();
                self.end_watches(&Ending::Expired, "were told 410");
                self.rule(Effect::Expire, "was told 410", end).await;
            }
            Act::WatchRepeat => {
                self.end_watches(&Ending::Closed, "ended");
                let back = fault.number("back").unwrap_or_default();
                self.rule(Effect::Repeat(back), "was told once more what it knew", end).await;
            }
            Act::ListStale => {
                let past = self.world.api().revision();
                self.rule(Effect::Past(past), &format!("was shown version {past}"), end).await;
            }
            Act::Slow => {
                let by = fault.span("by").unwrap_or_default();
                self.rule(Effect::Delay(by), &format!("was answered {} later", text::duration(by)), end).await;
            }
            Act::Busy => {
                let retry_after = fault.span("retry-after").unwrap_or_default().as_secs();
                self.rule(Effect::Answer { code: 429, retry_after }, "was answered 429", end).await;
            }
            Act::Error => {
                let code = code();
                self.rule(Effect::Answer { code, retry_after: 0 }, &format!("was answered {code}"), end).await;
            }
            Act::Conflict => self.rule(Effect::Conflict, "was answered 409", end).await,
            Act::AnswerCut => self.rule(Effect::CutAnswer, "got half an answer", end).await,
            Act::AnswerLost => self.rule(Effect::LoseAnswer, "got no answer", end).await,
            Act::ApiDown => {
                // How long it lasts is for the guard to say; the longest span still fits into a clock.
                let _down = self.world.api().outage(Duration::from_hours(24 * 365));
                self.say("nobody can connect".to_owned());
                over(end).await;
                self.say("connections are taken again".to_owned());
            }
            Act::NodeDown => {
                self.on_node(end, "went down", "came back", World::node_down).await;
            }
            Act::NodePartition => {
                let cut = |world: &World, node: &str| world.node_cut_off(node);
                self.on_node(end, "can't reach the API server", "reaches the API server again", cut).await;
            }
            Act::NodeSlow => {
                let by = fault.span("by").unwrap_or_default();
                let slow = |world: &World, node: &str| world.start_kubelet_with(node, Span::exactly(by));
                let said = format!("takes {} for each thing it tells", text::duration(by));
                self.on_node(end, &said, "is as quick as before", slow).await;
            }
            Act::PodCrash => {
                let code = fault.number("code").and_then(|code| i32::try_from(code).ok()).unwrap_or(1);
                for container in self.world.machines().crash(&self.pods(), code) {
                    self.say(format!("{container} ended with code {code}"));
                }
            }
            Act::PodUnready => self.afflict(Ailment::Unready, "is not ready", end).await,
            Act::PodStuck => self.afflict(Ailment::Stuck, "does not end", end).await,
            Act::SiteError => self.site(SiteFault::Status(code()), end).await,
            Act::SiteSlow => self.site(SiteFault::Slow(fault.number("speed").unwrap_or(1).max(1)), end).await,
            Act::SiteBreaks => self.site(SiteFault::Breaks(fault.number("after").unwrap_or_default()), end).await,
            Act::SiteWrong => self.site(SiteFault::OtherBytes, end).await,
            // It is in place before anything runs.
            Act::Wrong => {}
        }
    }

    fn say(&self, what: String) {
        // A run that is over does not listen any more.
        let _ = self.tell.send(Strike { fault: self.fault.to_string(), what });
    }

    fn end_watches(&self, ending: &Ending, said: &str) {
        let resource = self.fault.text("resource").unwrap_or_default();
        let ended = self.world.api().end_watches(resource, ending);
        if ended > 0 {
            let watches = if ended == 1 { "watch" } else { "watches" };
            let of = if resource.is_empty() { String::new() } else { format!(" of {resource}") };
            self.say(format!("{ended} {watches}{of} {said}"));
        }
    }

    /// A rule at the API server until the end. Said of the first request that it strikes.
    async fn rule(&self, effect: Effect, said: &str, end: Option<Instant>) {
        if end.is_some_and(|end| end <= Instant::now()) {
            return;
        }
        let fault = &self.fault;
        let matching = |verb: Option<Verb>| Matching {
            verb,
            resource: fault.word("resource"),
            namespace: fault.word("namespace"),
            name: fault.word("name"),
            agent: fault.word("client"),
        };
        let verbs: &[Option<Verb>] = match fault.act() {
            Act::WatchDrop | Act::WatchGone | Act::WatchRepeat => &[Some(Verb::Watch)],
            Act::ListStale => &[Some(Verb::List)],
            Act::Conflict => &[Some(Verb::Update), Some(Verb::Patch)],
            _ => &[fault.verb()],
        };
        let times = fault.number("times").map(|times| u32::try_from(times).unwrap_or(u32::MAX));
        let (tell, told) = mpsc::unbounded_channel();
        let _guards: Vec<_> = verbs
            .iter()
            .map(|verb| {
                let rule = Rule { matching: matching(*verb), times, during: None, effect: effect.clone() };
                self.world.api().fault_told(rule, tell.clone())
            })
            .collect();
        drop(tell);
        let mut first = true;
        self.until(end, told, |request| {
            let agent = request.agent.split(' ').next().filter(|agent| !agent.is_empty()).unwrap_or("somebody");
            std::mem::take(&mut first).then(|| format!("{} {} of {agent} {said}", request.verb.word(), request.path))
        })
        .await;
    }

    /// Says what there is to say of each thing that is told, until the end.
    async fn until<T>(
        &self,
        end: Option<Instant>,
        mut told: mpsc::UnboundedReceiver<T>,
        mut say: impl FnMut(T) -> Option<String>,
    ) {
        let mut over = std::pin::pin!(over(end));
        loop {
            tokio::select! {
                biased;
                Some(one) = told.recv() => if let Some(what) = say(one) {
                    self.say(what);
                },
                () = &mut over => return,
            }
        }
    }

    async fn on_node(&self, end: Option<Instant>, struck: &str, healed: &str, act: impl Fn(&World, &str)) {
        let node = self.fault.word("node").unwrap_or_default();
        // A node that is not there is not struck: that it never was is said at the end.
        if !self.world.nodes().contains(&node) {
            return;
        }
        act(&self.world, &node);
        self.say(format!("{node} {struck}"));
        over(end).await;
        self.world.node_up(&node);
        self.say(format!("{node} {healed}"));
    }

    fn pods(&self) -> PodFilter {
        PodFilter {
            namespace: self.fault.word("namespace"),
            name: self.fault.word("name"),
            labels: self.fault.labels(),
        }
    }

    async fn afflict(&self, ailment: Ailment, said: &str, end: Option<Instant>) {
        let (tell, told) = mpsc::unbounded_channel();
        let _afflicted = self.world.machines().afflict(self.pods(), ailment, tell);
        self.first_of_each(end, told, said).await;
    }

    async fn site(&self, trouble: SiteFault, end: Option<Instant>) {
        let (tell, told) = mpsc::unbounded_channel();
        let prefix = self.fault.text("url").unwrap_or_default();
        let _troubled = self.internet.trouble(prefix, trouble, tell);
        self.first_of_each(end, told, "was downloaded from").await;
    }

    async fn first_of_each<T: fmt::Display>(&self, end: Option<Instant>, told: mpsc::UnboundedReceiver<T>, said: &str) {
        let mut known = BTreeSet::new();
        self.until(end, told, |one| {
            let one = one.to_string();
            known.insert(one.clone()).then(|| format!("{one} {said}"))
        })
        .await;
    }
}

async fn over(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
