use std::time::Duration;

use futures::future::join_all;
use kube::api::{DeleteParams, ListParams, Preconditions, PropagationPolicy};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::ask::{ask, ask_opt, is_not_found};
use super::brief::brief;
use super::chance::chance;
use super::container::pods;
use super::target::Kind;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::expr::Cel;
use crate::plan::verb::{How, Order, PodKill, Which};
use crate::plan::{Query, SelectionId};
use crate::record::Track;
use crate::text;

/// Kills pods. The set is resolved once; killing nobody is an error.
///
/// Outputs: `uids`, `names`, `count`, `skew` (first to last request, such as `812us`).
pub(super) async fn act(args: &PodKill, ctx: &StepContext) -> Result<Done, Error> {
    let id = ctx.selection(&args.on).id.clone();
    let query = ctx.recorder.query(&id).clone();
    let grace = ctx.get_opt(args.grace.as_ref())?.map(|span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX));
    let victims = victims(args, grace, ctx).await?;
    let kind = Kind::find(&query.resource, ctx).await?;
    let params = DeleteParams {
        grace_period_seconds: grace,
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let shots = match (args.how, ctx.get(&args.order)?) {
        (How::Collection, _) => collection(args, &id, &query, &kind, &params, &victims, ctx).await?,
        (How::Each, Order::Together) => together(&victims, &kind, &params, ctx).await?,
        (How::Each, Order::Rolling) => rolling(args, &victims, &id, &kind, &params, ctx).await?,
    };
    Ok(done(&victims, &shots, ctx))
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
    sent: Instant,
    answered: Instant,
    said: &'static str,
}

/// The set: resolved once, and the same for every attempt of this step.
async fn victims(args: &PodKill, grace: Option<u32>, ctx: &StepContext) -> Result<Vec<Victim>, Error> {
    if let Some(kept) = ctx.memory.recall() {
        return serde_json::from_value(kept)
            .map_err(|error| Error::from_source(Class::Broken, "the first attempt's set can't be read", error));
    }
    let tracks = pods(&args.on, ctx).await?;
    let mut pods: Vec<Victim> = tracks
        .iter()
        .filter(|(_, track)| lives(track, grace))
        .map(|(key, track)| Victim {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: track.uid.clone(),
            node: track.o.value()["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    let all = pods.len();
    let wanted = match ctx.get(&args.which)? {
        Which::All => all,
        Which::Number(number) => usize::try_from(number).unwrap_or(usize::MAX).min(all),
        Which::Percent(percent) => (all * usize::try_from(percent).unwrap_or(100)).div_ceil(100),
    };
    choose(&mut pods, wanted, ctx);
    let min = ctx.get(&args.min)?;
    if (pods.len() as u64) < min || (pods.is_empty() && all == 0 && min > 0) {
        let mut error = Error::new(
            Class::Refused,
            format!("nobody was killed: {} of `{}` would be killed", text::count(pods.len(), "pod"), args.on),
        )
        .expected(format!("at least {min}"));
        error.observed =
            tracks.iter().map(|(key, track)| format!("pods/{}: {}", key.name, brief(track.o.value()))).collect();
        if error.observed.is_empty() {
            error.observed.push(format!("`{}` selects no pod", args.on));
        }
        return Err(error);
    }
    ctx.memory.keep(serde_json::to_value(&pods).unwrap_or(Value::Null));
    Ok(pods)
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
async fn together(
    victims: &[Victim],
    kind: &Kind,
    params: &DeleteParams,
    ctx: &StepContext,
) -> Result<Vec<Shot>, Error> {
    // A connection for each request is opened before: a handshake would spread the kills.
    join_all(victims.iter().map(|victim| async move {
        let api = kind.api(&victim.namespace);
        ask_opt(ctx, &format!("GET pods/{}", victim.name), || api.get_metadata(&victim.name)).await.map(drop)
    }))
    .await
    .into_iter()
    .collect::<Result<(), Error>>()?;
    let shots = join_all(victims.iter().map(|victim| shoot(victim, kind, params, ctx))).await;
    shots.into_iter().collect()
}

/// One delete of one pod, by its uid: another pod of the same name is left alone.
async fn shoot(victim: &Victim, kind: &Kind, params: &DeleteParams, ctx: &StepContext) -> Result<Shot, Error> {
    let api = kind.api(&victim.namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(victim.uid.clone()), resource_version: None }),
        ..params.clone()
    };
    let sent = Instant::now();
    let said = ask(ctx, &format!("DELETE pods/{}", victim.name), || async {
        match api.delete(&victim.name, &params).await {
            Ok(_) => Ok("accepted"),
            Err(kube::Error::Api(status)) if is_not_found(&status) || status.code == 409 => Ok("gone already"),
            Err(error) => Err(error),
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
    victims: &[Victim],
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
    Ok(victims.iter().map(|_| Shot { sent, answered, said: "accepted" }).collect())
}

/// One pod after another: the next when this one is gone and the gate holds of as many as before.
async fn rolling(
    args: &PodKill,
    victims: &[Victim],
    id: &SelectionId,
    kind: &Kind,
    params: &DeleteParams,
    ctx: &StepContext,
) -> Result<Vec<Shot>, Error> {
    let ready = Cel::compile("ready(o)").map_err(|mistake| Error::new(Class::Broken, mistake.message))?;
    let gate = args.gate.as_ref().unwrap_or(&ready);
    let mut feed = ctx.recorder.follow(id)?;
    let mut before: Option<usize> = None;
    let mut shots = Vec::new();
    for (number, victim) in victims.iter().enumerate() {
        while !feed.is_synced() {
            feed.changed().await?;
        }
        let wanted = *before.get_or_insert(feed.tracks().len());
        shots.push(shoot(victim, kind, params, ctx).await?);
        loop {
            let gone = feed.tracks().values().all(|track| track.uid != victim.uid);
            let unmet: Vec<String> = feed
                .tracks()
                .iter()
                .filter(|(key, track)| !gate.holds(&track.bind(key, &ctx.env)).unwrap_or(false))
                .map(|(key, track)| format!("pods/{}: {}", key.name, brief(track.o.value())))
                .collect();
            if gone && unmet.is_empty() && feed.tracks().len() >= wanted {
                break;
            }
            let say = format!(
                "{} of {} killed, waiting for {} to be there and satisfy {}",
                number + 1,
                victims.len(),
                text::count(wanted, "pod"),
                gate.source()
            );
            let progress = Progress {
                say: say.clone(),
                unmet: unmet.clone(),
                done: Some(number as u64 + 1),
                total: Some(victims.len() as u64),
            };
            ctx.progress(progress);
            match timeout_at(ctx.deadline, feed.changed()).await {
                Ok(change) => {
                    change?;
                }
                Err(_) => {
                    let mut error = Error::new(
                        Class::Timeout,
                        format!("the gate did not open within {}: {say}", text::duration(ctx.timeout)),
                    );
                    error.observed = unmet;
                    return Err(error);
                }
            }
        }
    }
    Ok(shots)
}

fn done(victims: &[Victim], shots: &[Shot], ctx: &StepContext) -> Done {
    let first = shots.iter().map(|shot| shot.sent).min();
    let last = shots.iter().map(|shot| shot.sent).max();
    let skew = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    let since = |at: Instant| first.map_or(Duration::ZERO, |first| at - first);
    let rows = victims.iter().zip(shots).map(|(victim, shot)| {
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
        title: format!("{} killed", text::count(victims.len(), "pod")),
        head: ["pod", "node", "uid", "sent", "answered", "answer"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    });
    let skew = format!("{}us", skew.as_micros());
    ctx.note(Note::pair("skew, first to last request", &skew));
    let uids: Vec<&str> = victims.iter().map(|victim| victim.uid.as_str()).collect();
    let names: Vec<&str> = victims.iter().map(|victim| victim.name.as_str()).collect();
    Done::default().with("uids", uids).with("names", names).with("count", victims.len()).with("skew", skew)
}
