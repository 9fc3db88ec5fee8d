use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::Fault;
use super::strike::Blow;
use crate::cluster::Strike;
use crate::sim::{Internet, World};

/// What is injected ends with this.
#[derive(Debug)]
pub(in crate::sim) struct Injected(Vec<AbortHandle>);

impl Drop for Injected {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Lets faults strike a cluster from now on, each at its times, and tells of it.
pub(in crate::sim) fn inject(
    faults: &[Fault],
    world: &World,
    internet: &Internet,
    tell: &mpsc::UnboundedSender<Strike>,
) -> Injected {
    let start = Instant::now();
    let tasks = faults.iter().map(|fault| {
        let blow = Blow { fault: fault.clone(), world: world.clone(), internet: internet.clone(), tell: tell.clone() };
        tokio::spawn(at_its_times(blow, start)).abort_handle()
    });
    Injected(tasks.collect())
}

async fn at_its_times(blow: Blow, start: Instant) {
    let lasts = blow.fault.span("for");
    let mut next = start + blow.fault.span("at").unwrap_or(Duration::ZERO);
    loop {
        sleep_until(next).await;
        blow.strike(lasts.map(|lasts| next + lasts)).await;
        match blow.fault.span("every").filter(|every| !every.is_zero()) {
            Some(every) => next += every,
            None => return,
        }
    }
}
