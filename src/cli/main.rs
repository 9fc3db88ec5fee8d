use std::process::ExitCode;

use clap::Parser as _;

use super::args::{Cli, Command};
use super::screen::out;
use super::{Exit, check, cleanup, doctor, graph, judge, papers, report, run, runtime, sim, watch};

/// The program.
pub fn main() -> ExitCode {
    // A reader that goes away (`| head`) is no reason for a panic's backtrace:
    // writes simply fail, and `screen` lets them.
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Check(args) => runtime::real(async move { check::check(&args) }),
        Command::Graph(args) => runtime::real(async move { graph::graph(&args) }),
        Command::Report(args) => runtime::real(async move { report::report(&args) }),
        Command::Judge(args) => runtime::real(async move { judge::judge(&args) }),
        Command::Watch(args) => runtime::real(watch::watch(args)),
        Command::Cleanup(args) => runtime::real(cleanup::cleanup(args)),
        Command::Doctor(args) => runtime::real(async move { doctor::doctor(&args).await }),
        Command::Sim { command } => sim::sim(command),
        Command::Schema => print(&papers::schema()),
        Command::Completions { shell } => print(&papers::completions(shell)),
        Command::Man => print(&papers::man()),
    };
    exit.into()
}

fn print(paper: &str) -> Exit {
    out(paper);
    Exit::Ok
}
