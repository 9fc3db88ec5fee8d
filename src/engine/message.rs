use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::event::{Armed, CancelReason, Failure};
use crate::graph::StepIx;
use crate::plan::Query;
use crate::record::{self, Fact};
use crate::step::{Done, Said};

/// What comes to the loop. One queue for all, so that a version stands in the journal
/// before the end of the step that waited for it.
#[derive(Debug)]
pub(super) enum Post {
    /// A task has news.
    Task(Message),
    /// A watch has seen something.
    Recorded(Fact),
    /// A watch that a window needs is live, or can't be.
    Live {
        /// The step that opens the window; none: the start of the run.
        opener: Option<StepIx>,
        query: Query,
        live: Result<Armed, record::Error>,
    },
    /// A closing list has come, or can't.
    Listed {
        /// Which of those that were asked for.
        number: u64,
        query: Query,
        listed: Result<Armed, record::Error>,
    },
}

/// What a task tells the loop. Channels live in this file and nowhere in events.
#[derive(Debug)]
pub(super) struct Message {
    /// The step it is about.
    pub(super) step: StepIx,
    /// Which task of that step it is from: an earlier one may still be speaking.
    pub(super) task: u64,
    pub(super) news: News,
}

#[derive(Debug)]
pub(super) enum News {
    /// The step said something while it acts.
    Said(Said),
    /// What it requires holds, and it acts now.
    Acting,
    /// The task is over.
    Ended(End),
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum End {
    /// All was done.
    Done(Done),
    /// It failed, or ran out of time.
    Failed(Failure),
    /// It was told to stop.
    Stopped(Stopped),
}

/// What became of a task that was told to stop.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It was dropped on the spot, as verbs are that have nothing to wind up.
    Dropped,
    /// It wound up and had done its work.
    Done(Done),
    /// It wound up and had not.
    Failed(Failure),
    /// It did not end in the time it is given for that, and was dropped.
    Late,
}

/// The loop's end of a task.
#[derive(Debug)]
pub(super) struct Reins {
    stop: Option<oneshot::Sender<CancelReason>>,
}

impl Reins {
    /// Tells the task to end. Only the first call is heard.
    pub(super) fn stop(&mut self, reason: CancelReason) {
        if let Some(stop) = self.stop.take() {
            // A task that has just ended needs no telling.
            let _ = stop.send(reason);
        }
    }
}

/// A task's end.
#[derive(Debug)]
pub(super) struct Line {
    step: StepIx,
    task: u64,
    to_loop: mpsc::UnboundedSender<Post>,
    /// What the step says.
    pub(super) voice: mpsc::UnboundedReceiver<Said>,
    /// The order to stop.
    pub(super) stop: oneshot::Receiver<CancelReason>,
    /// Passes that order on to a verb that winds down.
    pub(super) cancel: CancellationToken,
}

impl Line {
    /// Tells the loop.
    pub(super) fn tell(&self, news: News) {
        let Self { step, task, .. } = *self;
        // A loop that has left does not listen any more.
        let _ = self.to_loop.send(Post::Task(Message { step, task, news }));
    }
}

/// Both ends for a task, and the voice that its step is given.
pub(super) fn line(
    step: StepIx,
    task: u64,
    to_loop: &mpsc::UnboundedSender<Post>,
    cancel: CancellationToken,
) -> (Reins, Line, mpsc::UnboundedSender<Said>) {
    let (tell, told) = oneshot::channel();
    let (speak, voice) = mpsc::unbounded_channel();
    let line = Line { step, task, to_loop: to_loop.clone(), voice, stop: told, cancel };
    (Reins { stop: Some(tell) }, line, speak)
}
