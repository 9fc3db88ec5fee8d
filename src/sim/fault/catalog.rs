use std::fmt;

use crate::sim::longhorn::WRONGS;

/// A fault that can be injected.
#[derive(Clone, Debug)]
pub struct FaultKind {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it strikes.
    pub place: Place,
    /// What it does, in a sentence without a full stop.
    pub does: &'static str,
    /// What can be said about it.
    pub parameters: Vec<Parameter>,
    pub(super) act: Act,
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The API server, for everybody who asks it.
    Api,
    /// A node.
    Node,
    /// Pods.
    Pod,
    /// The internet that downloads come from.
    Internet,
    /// Longhorn itself, for as long as the cluster runs: a defect that was built in.
    Longhorn,
}

/// One parameter of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub unit: Unit,
    /// What holds if nothing is said; empty for what `about` says of that.
    pub default: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A duration, such as `30s`.
    Span,
    /// A whole number.
    Number,
    /// An HTTP status from 400 to 599.
    Status,
    /// Any text.
    Word,
    /// `label=value`; may be given more than once.
    Label,
    /// An API verb.
    Verb,
}

/// What a fault does, for whoever injects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    WatchDrop,
    WatchGone,
    WatchRepeat,
    ListStale,
    Slow,
    Busy,
    Error,
    Conflict,
    AnswerCut,
    AnswerLost,
    ApiDown,
    NodeDown,
    NodePartition,
    NodeSlow,
    PodCrash,
    PodUnready,
    PodStuck,
    SiteError,
    SiteSlow,
    SiteBreaks,
    SiteWrong,
    /// A defect of Longhorn, which its own code knows by the name.
    Wrong,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "the API server",
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Internet => "the internet",
            Self::Longhorn => "Longhorn, as a defect that is built in",
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Span => "a duration, such as `30s`",
            Self::Number => "a whole number",
            Self::Status => "an HTTP status from 400 to 599",
            Self::Word => "a text",
            Self::Label => "a label with its value, such as `app=db`",
            Self::Verb => "one of the API's verbs, such as `list`",
        })
    }
}

const fn parameter(name: &'static str, unit: Unit, default: &'static str, about: &'static str) -> Parameter {
    Parameter { name, unit, default, about }
}

const AT: Parameter = parameter("at", Unit::Span, "0s", "when it begins, after the run's start");
const FOR: Parameter = parameter("for", Unit::Span, "", "how long it lasts; to the end of the run if not said");
const BRIEFLY: Parameter = parameter("for", Unit::Span, "0s", "how long no new watch can be opened after it");
const EVERY: Parameter = parameter("every", Unit::Span, "", "how often it comes again; once if not said");
const TIMES: Parameter = parameter("times", Unit::Number, "", "how many requests it strikes; all if not said");
const VERB: Parameter = parameter("verb", Unit::Verb, "", "only requests of this verb");
const RESOURCE: Parameter = parameter("resource", Unit::Word, "", "only this resource, by its plural");
const NAMESPACE: Parameter = parameter("namespace", Unit::Word, "", "only in this namespace");
const NAME: Parameter = parameter("name", Unit::Word, "", "only the object of this name");
const CLIENT: Parameter =
    parameter("client", Unit::Word, "", "only requests of this program, as `lariat`, `helm`, `kubelet`");
const NODE: Parameter = parameter("node", Unit::Word, "n1", "which node");
const LABEL: Parameter = parameter("label", Unit::Label, "", "only pods with this label");
const POD: Parameter = parameter("name", Unit::Word, "", "only the pod of this name");
const URL: Parameter = parameter("url", Unit::Word, "", "only addresses that begin with this");

/// When a fault that lasts is there.
const WHEN: [Parameter; 3] = [AT, FOR, EVERY];

/// How much later things come.
const BY: Parameter = parameter("by", Unit::Span, "2s", "how much later");

fn kind(name: &'static str, place: Place, does: &'static str, act: Act, parts: &[&[Parameter]]) -> FaultKind {
    FaultKind { name, place, does, act, parameters: parts.concat() }
}

const fn status(default: &'static str) -> Parameter {
    parameter("code", Unit::Status, default, "which status")
}

/// Every fault that can be injected, by where it strikes.
pub fn faults() -> Vec<FaultKind> {
    let mut all = of_watches();
    all.extend(of_answers());
    all.extend(of_machines());
    all.extend(of_the_internet());
    all.extend(WRONGS.iter().map(|wrong| kind(wrong.name, Place::Longhorn, wrong.about, Act::Wrong, &[])));
    all
}

fn of_watches() -> Vec<FaultKind> {
    let back = parameter("back", Unit::Number, "5", "how many changes before the version it goes on from");
    let briefly: [Parameter; 4] = [AT, BRIEFLY, EVERY, RESOURCE];
    let api = Place::Api;
    vec![
        kind(
            "watch-drop",
            api,
            "open watches break off, and for a while none can be opened",
            Act::WatchDrop,
            &[&briefly],
        ),
        kind(
            "watch-gone",
            api,
            "the history is forgotten: open watches end with 410, and none goes on where it was",
            Act::WatchGone,
            &[&briefly],
        ),
        kind(
            "watch-repeat",
            api,
            "watches end, and are told changes once more that they know when they go on",
            Act::WatchRepeat,
            &[&WHEN, &[back, RESOURCE, CLIENT]],
        ),
    ]
}

fn of_answers() -> Vec<FaultKind> {
    let reads = [RESOURCE, NAMESPACE, CLIENT, TIMES];
    let writes = [RESOURCE, NAMESPACE, NAME, CLIENT, TIMES];
    let all = [VERB, RESOURCE, NAMESPACE, NAME, CLIENT, TIMES];
    let retry = parameter("retry-after", Unit::Span, "1s", "what the answer says about trying again");
    let api = Place::Api;
    vec![
        kind("list-stale", api, "lists show what was when it began", Act::ListStale, &[&WHEN, &reads]),
        kind("api-slow", api, "answers come late", Act::Slow, &[&WHEN, &[BY], &all]),
        kind("api-busy", api, "requests are refused with 429", Act::Busy, &[&WHEN, &[retry], &all]),
        kind("api-error", api, "requests fail on the server's side", Act::Error, &[&WHEN, &[status("500")], &all]),
        kind(
            "api-conflict",
            api,
            "updates and patches are refused with 409, as if somebody had been faster",
            Act::Conflict,
            &[&WHEN, &writes],
        ),
        kind("answer-cut", api, "the connection breaks in the middle of an answer", Act::AnswerCut, &[&WHEN, &all]),
        kind(
            "answer-lost",
            api,
            "the connection breaks before the answer, when all is done",
            Act::AnswerLost,
            &[&WHEN, &all],
        ),
        kind("api-down", api, "nobody connects, and open watches and commands break off", Act::ApiDown, &[&WHEN]),
    ]
}

fn of_machines() -> Vec<FaultKind> {
    let code = parameter("code", Unit::Number, "1", "the code it ends with");
    let pods = [NAMESPACE, POD, LABEL];
    let (node, pod) = (Place::Node, Place::Pod);
    vec![
        kind("node-down", node, "a node's power fails; what ran there is gone", Act::NodeDown, &[&WHEN, &[NODE]]),
        kind(
            "node-partition",
            node,
            "a node is cut off from the API server; what runs there runs on",
            Act::NodePartition,
            &[&WHEN, &[NODE]],
        ),
        kind(
            "node-slow",
            node,
            "a node's kubelet takes longer for all that it tells the API server",
            Act::NodeSlow,
            &[&WHEN, &[BY, NODE]],
        ),
        kind("pod-crash", pod, "running containers end", Act::PodCrash, &[&[AT, EVERY, code], &pods]),
        kind(
            "pod-unready",
            pod,
            "readiness probes fail; a container without one is not touched",
            Act::PodUnready,
            &[&WHEN, &pods],
        ),
        kind("pod-stuck", pod, "pods that are deleted stay, and nothing ends in them", Act::PodStuck, &[&WHEN, &pods]),
    ]
}

fn of_the_internet() -> Vec<FaultKind> {
    let after = parameter("after", Unit::Number, "1000000", "after so many bytes");
    let speed = parameter("speed", Unit::Number, "100000", "bytes a second");
    let net = Place::Internet;
    vec![
        kind("site-error", net, "downloads are refused", Act::SiteError, &[&WHEN, &[status("503"), URL]]),
        kind("site-slow", net, "downloads are slow", Act::SiteSlow, &[&WHEN, &[speed, URL]]),
        kind("site-breaks", net, "downloads break off, each time", Act::SiteBreaks, &[&WHEN, &[after, URL]]),
        kind("site-wrong", net, "other bytes come than the published ones", Act::SiteWrong, &[&WHEN, &[URL]]),
    ]
}
