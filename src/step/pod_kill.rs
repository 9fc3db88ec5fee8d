use std::time::Duration;

use futures::future::join_all;
use kube::api::{DeleteParams, ListParams, Preconditions, PropagationPolicy};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::ask::{ask, ask_opt, is_not_found};
use super::brief::brief;
use super::calm::Calm;
use super::chance::chance;
use super::container::pods;
use super::target::Kind;
use super::{Done, Error, StepContext};
use crate::check::Track;
use crate::event::{Class, Note, Progress};
use crate::expr::Cel;
use crate::plan::verb::{How, Order, PodKill, Which};
use crate::plan::{Query, SelectionId};
use crate::text;

/// Kills pods. The set is resolved once; killing nobody is an error.
///
/// Outputs: `uids`, `names`, `count`, `skew` (first to last request, such as `812us`).
pub(super) async fn act(args: &PodKill, ctx: &StepContext) -> Result<Done, Error> {
    let id = ctx.selection(&args.on).id.clone();
    let query = ctx.recorder.query(&id).clone();
    let grace = ctx.grace(args.grace.as_ref())?;
    let set = Set::resolve(args, grace, ctx).await?;
    let kind = Kind::find(&query.resource, ctx).await?;
    let params = DeleteParams {
        grace_period_seconds: grace,
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let shots = match (args.how, ctx.get(&args.order)?) {
        (How::Collection, _) => collection(args, &id, &query, &kind, &params, &set, ctx).await?,
        (How::Each, Order::Together) => together(&set, &kind, &params, ctx).await?,
        (How::Each, Order::Rolling) => rolling(args, &set, &id, &kind, &params, ctx).await?,
    };
    let done = done(&set, &shots, ctx);
    // In a later attempt those that are gone were killed by an earlier one.
    let killed = shots.iter().filter(|shot| shot.said != GONE).count() as u64;
    let min = ctx.get(&args.min)?;
    if ctx.attempt == 1 && killed < min {
        let mut error = Error::new(Class::Refused, format!("{killed} of the selected pods were killed"))
            .expected(format!("at least {min}"));
        let gone = set.victims.iter().zip(&shots).filter(|(_, shot)| shot.said == GONE);
        error.observed =
            gone.map(|(victim, _)| format!("pods/{}: it was gone before it could be killed", victim.name)).collect();
        return Err(error);
    }
    Ok(done)
}

/// What a delete came to that found nobody.
const GONE: &str = "gone already";

/// The pods that are to be killed: resolved once, and the same for every attempt of this step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    victims: Vec<Victim>,
    /// How many pods the selection had in all.
    of: usize,
}

/// One pod that is to be killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Victim {
    namespace: String,
    name: String,
    uid: String,
    node: String,
}

/// How one request went.
struct Shot {
    /// When it was sent for the last time.
    sent: Instant,
    answered: Instant,
    said: &'static str,
}

impl Set {
    async fn resolve(args: &PodKill, grace: Option<u32>, ctx: &StepContext) -> Result<Self, Error> {
        if let Some(kept) = ctx.memory.recall() {
            return serde_json::from_value(kept)
                .map_err(|error| Error::from_source(Class::Broken, "the first attempt's set can't be read", error));
        }
        let tracks = pods(&args.on, ctx).await?;
        let alive = tracks.iter().filter(|(_, track)| lives(track, grace));
        let mut victims: Vec<Victim> = alive
            .map(|(key, track)| Victim {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                uid: track.uid.clone(),
                node: track.o.value()["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        let of = victims.len();
        let wanted = match ctx.get(&args.which)? {
            Which::All => of,
            Which::Number(number) => usize::try_from(number).unwrap_or(usize::MAX).min(of),
            Which::Percent(percent) => (of * usize::try_from(percent).unwrap_or(100)).div_ceil(100),
        };
        choose(&mut victims, wanted, ctx);
        let min = ctx.get(&args.min)?;
        if (victims.len() as u64) < min {
            let mut error = Error::new(
                Class::Refused,
                format!("nobody was killed: there are {} of `{}` to kill", text::count(victims.len(), "pod"), args.on),
            )
            .expected(format!("at least {min}"));
            error.observed =
                tracks.iter().map(|(key, track)| format!("pods/{key}: {}", brief(track.o.value()))).collect();
            if error.observed.is_empty() {
                error.observed.push(format!("`{}` selects no pod", args.on));
            }
            return Err(error);
        }
        let set = Self { victims, of };
        ctx.memory.keep(serde_json::to_value(&set).unwrap_or(Value::Null));
        Ok(set)
    }
}

/// Pods that are on their way out can only be killed by force; finished ones not at all.
fn lives(track: &Track, grace: Option<u32>) -> bool {
    let pod = track.o.value();
    let finished = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let leaving = pod["metadata"].get("deletionTimestamp").is_some();
    !finished && (!leaving || grace == Some(0))
}

/// Keeps a number of pods, by the run's seed and the step's id, in their first order.
fn choose(pods: &mut Vec<Victim>, wanted: usize, ctx: &StepContext) {
    let mut chance = chance(ctx);
    while pods.len() > wanted {
        let out = chance.random_range(0..pods.len());
        pods.remove(out);
    }
}

/// All requests at the same time.
async fn together(set: &Set, kind: &Kind, params: &DeleteParams, ctx: &StepContext) -> Result<Vec<Shot>, Error> {
    // A connection for each request is opened before: a handshake would spread the kills.
    let opened = set.victims.iter().map(|victim| async move {
        let api = kind.api(&victim.namespace);
        let request = format!("GET pods/{}", victim.name);
        ask_opt(ctx, &request, || api.get_metadata(&victim.name)).await.map(drop)
    });
    join_all(opened).await.into_iter().collect::<Result<(), Error>>()?;
    let shots = join_all(set.victims.iter().map(|victim| shoot(victim, kind, params, ctx))).await;
    shots.into_iter().collect()
}

/// One delete of one pod, by its uid: another pod of the same name is left alone.
async fn shoot(victim: &Victim, kind: &Kind, params: &DeleteParams, ctx: &StepContext) -> Result<Shot, Error> {
    let api = kind.api(&victim.namespace);
    let preconditions = Some(Preconditions { uid: Some(victim.uid.clone()), resource_version: None });
    let params = DeleteParams { preconditions, ..params.clone() };
    let (mut tries, mut sent) = (0_u32, Instant::now());
    let said = ask(ctx, &format!("DELETE pods/{}", victim.name), || {
        tries += 1;
        sent = Instant::now();
        // What is gone after a try without an answer was killed by that.
        let gone = if tries > 1 { "gone after an earlier request" } else { GONE };
        let (api, params) = (&api, &params);
        async move {
            match api.delete(&victim.name, params).await {
                Ok(_) => Ok("accepted"),
                Err(kube::Error::Api(status)) if is_not_found(&status) || status.code == 409 => Ok(gone),
                Err(error) => Err(error),
            }
        }
    })
    .await?;
    Ok(Shot { sent, answered: Instant::now(), said })
}

/// One request for the whole selection.
async fn collection(
    args: &PodKill,
    id: &SelectionId,
    query: &Query,
    kind: &Kind,
    params: &DeleteParams,
    set: &Set,
    ctx: &StepContext,
) -> Result<Vec<Shot>, Error> {
    if !ctx.recorder.is_bare(id) || ctx.get(&args.which)? != Which::All {
        let said =
            "`how = \"collection\"` kills all that labels and fields select: it takes no `where`, `on` or `which`";
        return Err(Error::new(Class::Broken, said));
    }
    let by_name = query.name.as_ref().map(|name| format!("metadata.name={name}"));
    let fields: Vec<&str> = [by_name.as_deref(), query.fields.as_deref()].into_iter().flatten().collect();
    let selectors = ListParams {
        label_selector: query.labels.clone(),
        field_selector: (!fields.is_empty()).then(|| fields.join(",")),
        ..ListParams::default()
    };
    let api = kind.api(&query.namespace);
    let sent = Instant::now();
    ask(ctx, "DELETE pods (collection)", || api.delete_collection(params, &selectors)).await?;
    let answered = Instant::now();
    Ok(set.victims.iter().map(|_| Shot { sent, answered, said: "accepted" }).collect())
}

/// One pod after another: the next when the one before is gone, as many are there as
/// at first, and the gate holds of all.
async fn rolling(
    args: &PodKill,
    set: &Set,
    id: &SelectionId,
    kind: &Kind,
    params: &DeleteParams,
    ctx: &StepContext,
) -> Result<Vec<Shot>, Error> {
    let ready = Cel::compile("ready(o)").map_err(|mistake| Error::new(Class::Broken, mistake.message))?;
    let gate = args.gate.as_ref().unwrap_or(&ready);
    let mut feed = ctx.recorder.follow(id)?;
    let mut calm = Calm::new(ctx);
    let mut shots = Vec::new();
    for (number, victim) in set.victims.iter().enumerate() {
        shots.push(shoot(victim, kind, params, ctx).await?);
        loop {
            let gone = feed.tracks().values().all(|track| track.uid != victim.uid);
            let unmet: Vec<String> = feed
                .tracks()
                .iter()
                .filter(|(key, track)| !gate.holds(&track.bind(key, &ctx.env)).unwrap_or(false))
                .map(|(key, track)| format!("pods/{key}: {}", brief(track.o.value())))
                .collect();
            let there = feed.tracks().len();
            if feed.is_synced() && gone && unmet.is_empty() && there >= set.of {
                break;
            }
            let say = format!(
                "{} of {} killed, {there} of {} there, {} of them not yet so: {}",
                number + 1,
                set.victims.len(),
                set.of,
                unmet.len(),
                gate.source()
            );
            calm.tell(|| Progress {
                say: say.clone(),
                unmet: unmet.clone(),
                done: Some(number as u64 + 1),
                total: Some(set.victims.len() as u64),
            });
            match timeout_at(calm.until([]), feed.changed()).await {
                Ok(change) => drop(change?),
                Err(_) if Instant::now() < ctx.deadline => {}
                Err(_) => {
                    let span = text::duration(ctx.timeout);
                    let mut error = Error::new(Class::Timeout, format!("the gate did not open within {span}: {say}"));
                    error.observed = unmet;
                    return Err(error);
                }
            }
        }
    }
    Ok(shots)
}

fn done(set: &Set, shots: &[Shot], ctx: &StepContext) -> Done {
    let first = shots.iter().map(|shot| shot.sent).min();
    let last = shots.iter().map(|shot| shot.sent).max();
    let skew = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    let since = |at: Instant| first.map_or(Duration::ZERO, |first| at - first);
    let rows = set.victims.iter().zip(shots).map(|(victim, shot)| {
        let micros = |span: Duration| format!("+{:.3} ms", span.as_secs_f64() * 1000.0);
        vec![
            victim.name.clone(),
            victim.node.clone(),
            victim.uid.clone(),
            micros(since(shot.sent)),
            micros(since(shot.answered)),
            shot.said.to_owned(),
        ]
    });
    ctx.note(Note::Table {
        title: format!("{} killed", text::count(set.victims.len(), "pod")),
        head: ["pod", "node", "uid", "sent", "answered", "answer"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    });
    let skew = format!("{}us", skew.as_micros());
    ctx.note(Note::pair("skew, first to last request", &skew));
    let uids: Vec<&str> = set.victims.iter().map(|victim| victim.uid.as_str()).collect();
    let names: Vec<&str> = set.victims.iter().map(|victim| victim.name.as_str()).collect();
    Done::default().with("uids", uids).with("names", names).with("count", set.victims.len()).with("skew", skew)
}
