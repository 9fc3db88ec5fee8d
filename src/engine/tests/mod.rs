//! Runs of scripted steps in virtual time: what is said, in which order, and when.

mod attempt;
mod background;
mod cancel;
mod check;
mod condition;
mod group;
mod order;
mod outputs;
mod story;

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::event::Class;
use crate::step::{Done, Error, StepContext};

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// A step whose attempts pass or are refused as listed, each after a second.
fn by_attempt(passes: &'static [bool]) -> impl Fn(StepContext) -> BoxFuture<'static, Result<Done, Error>> {
    move |ctx| {
        let passes = passes[ctx.attempt as usize - 1];
        Box::pin(async move {
            seconds(1).await;
            if passes { Ok(Done::default()) } else { Err(Error::new(Class::Refused, "the server said no")) }
        })
    }
}
