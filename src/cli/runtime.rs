use super::Exit;
use super::screen::err;
use crate::sim::World;

/// Expressions may be nested as deep as plans allow, and are read recursively:
/// a debug build needs more than the usual two megabytes for that.
const STACK: usize = 8 << 20;

const BUG: &str = "lariat: this is a bug in lariat, not in your plan; the lines above say where. What was recorded is in the run folder: `lariat report` reads it";

/// Does the work in real time, on many threads.
pub(super) fn real(work: impl Future<Output = Exit> + Send + 'static) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return no_threads(&error),
    };
    // The main thread's stack is the shell's to choose; the work is done on one of ours.
    let exit = runtime.block_on(async {
        tokio::spawn(work).await.unwrap_or_else(|_| {
            err(BUG);
            Exit::Error
        })
    });
    // Verbs that ran in the background have been ended; what is still blocked is not waited for.
    runtime.shutdown_background();
    exit
}

/// Does the work in virtual time, on one thread: an embedded cluster and all that acts on it.
pub(super) fn embedded<W: Future<Output = Exit>>(work: impl FnOnce() -> W + Send + 'static) -> Exit {
    let run = move || match World::runtime() {
        Ok(runtime) => runtime.block_on(async { work().await }),
        Err(error) => no_threads(&error),
    };
    match std::thread::Builder::new().stack_size(STACK).spawn(run) {
        Ok(thread) => thread.join().unwrap_or_else(|_| {
            err(BUG);
            Exit::Error
        }),
        Err(error) => no_threads(&error),
    }
}

fn no_threads(error: &std::io::Error) -> Exit {
    err(&format!("lariat: no threads can be started: {error}"));
    Exit::Error
}
