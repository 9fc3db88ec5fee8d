use tokio::time::{Instant, timeout_at};

use super::brief::brief;
use super::calm::Calm;
use super::{Error, StepContext};
use crate::check::{Track, TrackKey};
use crate::event::{Class, Progress};
use crate::plan::Query;
use crate::text;

/// Waits until none of some objects is there any more. On the way, and if they stay,
/// it names what is left with what still holds it.
pub(super) async fn gone(
    query: Query,
    meant: impl Fn(&TrackKey, &Track) -> bool,
    called: impl Fn(&str) -> String,
    noun: &str,
    ctx: &StepContext,
) -> Result<(), Error> {
    let mut feed = ctx.recorder.follow_query(query)?;
    let mut calm = Calm::new(ctx);
    loop {
        let left: Vec<String> = feed
            .tracks()
            .iter()
            .filter(|(key, track)| meant(key, track))
            .map(|(key, track)| format!("{}: {}", called(&key.name), brief(track.o.value())))
            .collect();
        if feed.is_synced() && left.is_empty() {
            return Ok(());
        }
        let say = match feed.trouble() {
            Some(why) => format!("what is left can't be seen right now: {why}"),
            None => format!("{} still there", text::count(left.len(), noun)),
        };
        if feed.is_synced() || feed.trouble().is_some() {
            calm.tell(|| Progress { say: say.clone(), unmet: left.clone(), done: None, total: None });
        }
        match timeout_at(calm.until([]), feed.changed()).await {
            Ok(change) => drop(change?),
            Err(_) if Instant::now() < ctx.deadline => {}
            Err(_) => {
                let blind = !feed.is_synced() || feed.trouble().is_some();
                let class = if blind { Class::Unreachable } else { Class::Timeout };
                let mut error = Error::new(class, format!("{say} after {}", text::duration(ctx.timeout)));
                error.observed = left;
                return Err(error);
            }
        }
    }
}
