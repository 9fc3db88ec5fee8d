use std::process::ExitCode;

use clap::Parser as _;

use super::args::{Cli, Command};
use super::screen::{err, out};
use super::{Exit, check, cleanup, doctor, graph, papers, report, run, watch};

/// Expressions may be nested as deep as plans allow, and are read recursively:
/// a debug build needs more than the usual two megabytes for that.
const STACK: usize = 8 << 20;

/// The program.
pub fn main() -> ExitCode {
    // A reader that goes away (`| head`) is no reason for a panic's backtrace:
    // writes simply fail, and `screen` lets them.
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            err(&format!("lariat: no threads can be started: {error}"));
            return Exit::Error.into();
        }
    };
    // The main thread's stack is the shell's to choose; the work is done on one of ours.
    let exit = runtime.block_on(async {
        match tokio::spawn(act(cli)).await {
            Ok(exit) => exit,
            Err(_) => {
                err("lariat: this is a bug in lariat, not in your plan; the lines above say where. What was recorded is in the run folder: `lariat report` reads it");
                Exit::Error
            }
        }
    });
    // Verbs that ran in the background have been ended; what is still blocked is not waited for.
    runtime.shutdown_background();
    exit.into()
}

async fn act(cli: Cli) -> Exit {
    match cli.command {
        Command::Run(args) => run::run(*args).await,
        Command::Check(args) => check::check(&args),
        Command::Graph(args) => graph::graph(&args),
        Command::Watch(args) => watch::watch(args).await,
        Command::Report(args) => report::report(&args),
        Command::Cleanup(args) => cleanup::cleanup(args).await,
        Command::Schema => {
            out(&papers::schema());
            Exit::Ok
        }
        Command::Doctor(args) => doctor::doctor(&args).await,
        Command::Completions { shell } => {
            out(&papers::completions(shell));
            Exit::Ok
        }
        Command::Man => {
            out(&papers::man());
            Exit::Ok
        }
    }
}
