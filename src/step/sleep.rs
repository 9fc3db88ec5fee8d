use super::{Done, Error, StepContext};
use crate::event::Progress;
use crate::plan::verb::Sleep;
use crate::text;

/// Lets time pass, and says why while it does.
pub(super) async fn act(args: &Sleep, ctx: &StepContext) -> Result<Done, Error> {
    let span = ctx.get(&args.r#for)?.0;
    let because = ctx.get(&args.because)?;
    ctx.progress(Progress { say: format!("{}: {because}", text::duration(span)), ..Progress::default() });
    tokio::time::sleep(span).await;
    Ok(Done::default())
}
