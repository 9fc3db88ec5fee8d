use tokio::sync::{mpsc, oneshot};

use crate::clock::Elapsed;
use crate::event::{CancelReason, Failure};
use crate::graph::StepIx;
use crate::step::{Done, Said};

/// What an attempt tells the loop while it goes on.
#[derive(Debug)]
pub(super) enum Message {
    /// The verb said something.
    Said(StepIx, Said),
    /// It is about to act and asks for a permit.
    Wants(StepIx, oneshot::Sender<()>),
    /// It acts no more, for the moment.
    Rests(StepIx),
    /// One try failed; the next follows.
    Failed { step: StepIx, attempt: u32, failure: Failure, delay: Elapsed },
}

/// Where attempts tell it.
pub(super) type Voice = mpsc::UnboundedSender<Message>;

/// How a task ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// A step's attempts are over.
    Step(Result<Done, Failure>),
    /// What a container requires was asked.
    Opened(Result<(), Failure>),
    /// What is expected after a container was asked.
    Closed(Result<(), Failure>),
}

/// Asks a task to end early, and for what.
pub(super) type Stop = tokio::sync::watch::Sender<Option<CancelReason>>;

/// The task's side of it.
pub(super) type Stopped = tokio::sync::watch::Receiver<Option<CancelReason>>;
