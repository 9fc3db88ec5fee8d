//! Faults at the API, as data: a rule says which requests, how often, and what happens to them.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::Elapsed;

use super::ledger::{Request, Verb};
use super::status::Refusal;

/// A defect that the server shows to matching requests. The first rule that answers wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which requests.
    pub matching: Matching,
    /// How many of them; `None` for all while the rule is in place.
    pub times: Option<u32>,
    /// From when to when; `None` for always. The end is not included.
    pub during: Option<(Elapsed, Elapsed)>,
    /// What happens.
    pub effect: Effect,
}

/// Which requests a rule is about. What is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// The API's verb.
    pub verb: Option<Verb>,
    /// The plural in the path, as in `pods`.
    pub resource: Option<String>,
    /// The namespace in the path.
    pub namespace: Option<String>,
    /// The name in the path.
    pub name: Option<String>,
    /// How the user agent begins.
    pub agent: Option<String>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The connection is refused: the client gets an error, not an answer.
    Refuse,
    /// An answer with this code (429, 500, 503, …) and the sentence of a real server in trouble.
    Answer {
        /// The HTTP status.
        code: u16,
        /// Seconds in a `Retry-After` header; zero for none.
        retry_after: u64,
    },
    /// `410 Gone`: a watch is told so in its body, everything else by status.
    Expire,
    /// The answer comes later.
    Delay(Duration),
    /// A write is done, but the connection breaks before the answer: the client cannot know.
    LoseAnswer,
    /// A write is refused as one of an old version: 409, whatever version it is of.
    Conflict,
    /// The connection breaks in the middle of the answer. Watches, logs and commands are left alone: what they answer has no middle.
    CutAnswer,
    /// A list shows what was at this revision, unless the client insists on a newer one.
    Past(u64),
    /// A watch that goes on from a version is told so many changes before it once more.
    Repeat(u64),
}

/// Which of the rules are in place, and how much of each is left.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    next: u64,
    rules: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    id: u64,
    rule: Rule,
    /// Who is told of each request that the rule strikes.
    tell: Option<mpsc::UnboundedSender<Request>>,
}

impl Placed {
    fn strike(&mut self, request: &Request) {
        if let Some(times) = &mut self.rule.times {
            *times -= 1;
        }
        if let Some(tell) = &self.tell {
            // Who does not listen any more has heard enough.
            let _ = tell.send(request.clone());
        }
    }
}

/// What the rules say to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judgement {
    /// Time to wait before anything else.
    pub(crate) delay: Duration,
    /// What happens instead of the answer, or to it.
    pub(crate) effect: Option<Effect>,
}

impl Matching {
    /// All requests of a verb.
    pub fn verb(verb: Verb) -> Self {
        Self { verb: Some(verb), ..Self::default() }
    }

    /// The same, but on this resource (its plural) alone.
    #[must_use]
    pub fn on(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }
}

impl Rule {
    /// A rule for all matching requests, until it is taken away.
    pub fn always(matching: Matching, effect: Effect) -> Self {
        Self { matching, times: None, during: None, effect }
    }

    /// A rule for the next so many matching requests.
    pub fn next(times: u32, matching: Matching, effect: Effect) -> Self {
        Self { matching, times: Some(times), during: None, effect }
    }

    /// Nobody can connect from one time to another, as while a server restarts.
    pub fn outage(from: Elapsed, to: Elapsed) -> Self {
        Self { matching: Matching::default(), times: None, during: Some((from, to)), effect: Effect::Refuse }
    }

    fn applies(&self, request: &Request) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let m = &self.matching;
        self.times != Some(0)
            && self.during.is_none_or(|(from, to)| from <= request.at && request.at < to)
            && m.verb.is_none_or(|verb| verb == request.verb)
            && is(&m.resource, &request.resource)
            && is(&m.namespace, &request.namespace)
            && is(&m.name, &request.name)
            && m.agent.as_deref().is_none_or(|agent| request.agent.starts_with(agent))
    }
}

impl Rules {
    /// Puts a rule in place, behind those that are there.
    pub(crate) fn add(&mut self, rule: Rule, tell: Option<mpsc::UnboundedSender<Request>>) -> u64 {
        self.next += 1;
        self.rules.push(Placed { id: self.next, rule, tell });
        self.next
    }

    /// Takes a rule away.
    pub(crate) fn remove(&mut self, id: u64) {
        self.rules.retain(|placed| placed.id != id);
    }

    /// Whether this request finds nobody to connect to.
    pub(crate) fn refuses(&mut self, request: &Request) -> bool {
        let refuses = |placed: &&mut Placed| placed.rule.effect == Effect::Refuse && placed.rule.applies(request);
        let found = self.rules.iter_mut().find(refuses);
        found.map(|placed| placed.strike(request)).is_some()
    }

    /// What happens to a request: delays add up, the first other effect wins.
    pub(crate) fn judge(&mut self, request: &Request) -> Judgement {
        let mut judgement = Judgement::default();
        for placed in &mut self.rules {
            let delays = matches!(placed.rule.effect, Effect::Delay(_));
            if !placed.rule.applies(request) || (judgement.effect.is_some() && !delays) {
                continue;
            }
            placed.strike(request);
            match &placed.rule.effect {
                Effect::Delay(delay) => judgement.delay += *delay,
                other => judgement.effect = Some(other.clone()),
            }
        }
        judgement
    }
}

impl Effect {
    /// The refusal that an answering effect stands for.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Answer { code: 429, retry_after } => Some(Refusal::too_many_requests(
                "The server has received too many requests and has asked us to try again later",
                *retry_after,
            )),
            Self::Answer { code: 503, .. } => {
                Some(Refusal::unavailable("the server is currently unable to handle the request"))
            }
            Self::Answer { code: 504, .. } => {
                Some(Refusal::timeout("request did not complete within the allotted timeout", 0, Vec::new()))
            }
            Self::Answer { code: 500, .. } => Some(Refusal::internal("etcdserver: request timed out")),
            Self::Answer { code, .. } => Some(Refusal::bare(*code)),
            Self::Expire => Some(Refusal::expired("The resourceVersion for the provided watch is too old.")),
            Self::Refuse
            | Self::Delay(_)
            | Self::LoseAnswer
            | Self::Conflict
            | Self::CutAnswer
            | Self::Past(_)
            | Self::Repeat(_) => None,
        }
    }

    /// The query that is answered instead of the one that was asked, if it is another.
    pub(crate) fn query(&self, asked: &str) -> Option<String> {
        let pairs = || asked.split('&').filter(|pair| !pair.is_empty());
        let value = |name: &str| pairs().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let version = value("resourceVersion").filter(|version| !version.is_empty()).map(str::parse::<u64>);
        let with = |version: u64, exact: &[&str]| {
            let kept = pairs().filter(|pair| !pair.starts_with("resourceVersion")).map(str::to_owned);
            let version = std::iter::once(format!("resourceVersion={version}"));
            kept.chain(version).chain(exact.iter().map(|pair| (*pair).to_owned())).collect::<Vec<_>>().join("&")
        };
        match (self, version) {
            // A page goes on where the one before it ended, and a client may insist on what is newer.
            (Self::Past(_), _) if value("continue").is_some() || value("resourceVersionMatch") == Some("Exact") => None,
            (Self::Past(revision), Some(Ok(wanted))) if wanted > *revision => None,
            (Self::Past(revision), None | Some(Ok(_))) => Some(with(*revision, &["resourceVersionMatch=Exact"])),
            (Self::Repeat(back), Some(Ok(since))) if since > 1 => Some(with(since.saturating_sub(*back).max(1), &[])),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: Verb, at: u64) -> Request {
        Request {
            at: Elapsed(at),
            method: "GET".to_owned(),
            path: "/api/v1/pods".to_owned(),
            query: String::new(),
            agent: "lariat/1".to_owned(),
            verb,
            resource: "pods".to_owned(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        }
    }

    #[test]
    fn the_first_rule_that_answers_wins_and_delays_add_up() {
        let answer = |code| Effect::Answer { code, retry_after: 0 };
        let mut rules = Rules::default();
        rules.add(Rule::always(Matching::default(), Effect::Delay(Duration::from_secs(1))), None);
        rules.add(Rule::next(1, Matching { verb: Some(Verb::Watch), ..Matching::default() }, answer(410)), None);
        let (tell, mut told) = mpsc::unbounded_channel();
        let second = rules.add(Rule::next(2, Matching::default(), answer(500)), Some(tell));
        rules.add(Rule::always(Matching::default(), Effect::Delay(Duration::from_secs(2))), None);

        let effects: Vec<_> = [Verb::Watch, Verb::Watch, Verb::List, Verb::List]
            .into_iter()
            .map(|verb| rules.judge(&request(verb, 0)))
            .map(|judgement| (judgement.delay.as_secs(), judgement.effect))
            .collect();
        assert_eq!(effects, [(3, Some(answer(410))), (3, Some(answer(500))), (3, Some(answer(500))), (3, None)]);
        rules.remove(second);
        assert_eq!(rules.rules.len(), 3);
        let struck: Vec<Verb> = std::iter::from_fn(|| told.try_recv().ok()).map(|request| request.verb).collect();
        assert_eq!(struck, [Verb::Watch, Verb::List], "whoever asked is told what was struck");
    }

    #[test]
    fn an_outage_has_a_beginning_and_an_end() {
        let mut rules = Rules::default();
        rules.add(Rule::outage(Elapsed(10), Elapsed(20)), None);
        let refused: Vec<bool> = [9, 10, 19, 20]
            .into_iter()
            .map(|at| rules.judge(&request(Verb::Get, at)).effect == Some(Effect::Refuse))
            .collect();
        assert_eq!(refused, [false, true, true, false]);
    }

    #[test]
    fn another_query_is_answered_than_the_one_that_was_asked() {
        let past = |asked: &str| Effect::Past(5).query(asked);
        let exact = |rest: &str| Some(format!("{rest}resourceVersion=5&resourceVersionMatch=Exact"));
        assert_eq!(past(""), exact(""));
        assert_eq!(past("limit=2&resourceVersion=3&resourceVersionMatch=NotOlderThan"), exact("limit=2&"));
        assert_eq!(past("resourceVersion=0"), exact(""));
        assert_eq!(past("resourceVersion=6"), None, "the client insists on what is newer");
        assert_eq!(past("continue=abc"), None);
        assert_eq!(past("resourceVersion=3&resourceVersionMatch=Exact"), None);
        let repeat = |asked: &str| Effect::Repeat(4).query(asked);
        assert_eq!(repeat("watch=true&resourceVersion=9"), Some("watch=true&resourceVersion=5".to_owned()));
        assert_eq!(repeat("watch=true&resourceVersion=2"), Some("watch=true&resourceVersion=1".to_owned()));
        assert_eq!((repeat("watch=true"), repeat("resourceVersion=0")), (None, None));
    }
}
