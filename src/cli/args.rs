use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sim::{Fault, FaultError};

/// Runs declarative upgrade and chaos plans against a Kubernetes system, and
/// proves what did, and what did not, happen while they ran.
#[derive(Debug, Parser)]
#[command(name = "lariat", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 pass, 1 fail, 2 plan or usage wrong (nothing was touched), 3 inconclusive,\n4 Lariat could not do its part, 130/143 cancelled by SIGINT/SIGTERM."
)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a plan.
    Run(Box<RunArgs>),
    /// Check a plan without running it: all mistakes at once.
    Check(CheckArgs),
    /// Draw a plan's graph.
    Graph(GraphArgs),
    /// Record what happens to objects until Ctrl-C, and run nothing.
    Watch(WatchArgs),
    /// Write the reports of a finished or broken-off run again, from its journal.
    Report(ReportArgs),
    /// Judge a finished run again by the checks of a plan, from its journal: no cluster is asked.
    Judge(JudgeArgs),
    /// Remove what a run left in its cluster.
    Cleanup(CleanupArgs),
    /// The embedded cluster by itself: serve it to kubectl and helm, list its faults.
    Sim {
        /// What to do with it.
        #[command(subcommand)]
        command: SimCommand,
    },
    /// Print the JSON Schema of plans.
    Schema,
    /// Say what is missing on this machine for a plan.
    Doctor(DoctorArgs),
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Which plan, with which vars and steps.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PlanArgs {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Set a var: `--set rounds=3` (repeatable).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Read vars from a TOML file (repeatable; `--set` wins).
    #[arg(long = "vars", value_name = "FILE")]
    pub(super) vars: Vec<PathBuf>,
    /// Default namespace for objects and verbs, instead of the plan's own.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = a_namespace)]
    pub(super) namespace: Option<String>,
    /// Run only this step and what it needs (repeatable).
    #[arg(long, value_name = "STEP")]
    pub(super) only: Vec<String>,
    /// Leave this step out; it counts as passed (repeatable).
    #[arg(long, value_name = "STEP")]
    pub(super) skip: Vec<String>,
}

/// Which cluster.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClusterArgs {
    /// The kubeconfig context to run against, never taken from the current one. Without it
    /// the embedded cluster is used.
    #[arg(long, visible_alias = "kube-context", value_name = "NAME")]
    pub(super) context: Option<String>,
    /// The kubeconfig file.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// How it is shown.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// How progress is shown.
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    pub(super) progress: ProgressArg,
    /// Whether colours are used.
    #[arg(long, value_enum, default_value_t = ColorArg::Auto)]
    pub(super) color: ColorArg,
    /// Only failures and the last line.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// More: `-v` evidence and changes, `-vv` requests that were repeated.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressArg {
    /// Bars on a terminal, plain lines elsewhere.
    Auto,
    /// Bars, one row for each running step.
    Bars,
    /// One line for each fact.
    Plain,
    /// The events as JSON lines on stdout.
    Json,
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `lariat run`.
#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Most time for the whole run, such as `30m`, instead of the plan's.
    #[arg(long, value_name = "DURATION", value_parser = crate::text::parse_duration)]
    pub(super) timeout: Option<std::time::Duration>,
    /// The seed of every choice by chance: a number, or `random`. On the embedded cluster 1
    /// if not given, on a real one drawn and printed.
    #[arg(long, value_name = "NUMBER", value_parser = a_seed)]
    pub(super) seed: Option<Seed>,
    /// Inject a fault into the embedded cluster: `NAME[:key=value,…]`, as `lariat sim faults` lists them (repeatable).
    #[arg(long = "fault", value_name = "FAULT", value_parser = a_fault)]
    pub(super) faults: Vec<Fault>,
    /// How many steps may act at once.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 16, value_parser = at_least_one)]
    pub(super) jobs: usize,
    /// Start nothing new once a step has failed.
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Most time for clean-up steps after Ctrl-C.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::text::parse_duration)]
    pub(super) grace: std::time::Duration,
    /// Print what would be done and touch nothing.
    #[arg(long, value_enum, value_name = "MODE", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    pub(super) dry_run: Option<DryRun>,
    /// Do harm (kill, drain, delete, helm) without `harm = true` in `lariat.toml`.
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Also write the `JUnit` file here.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Also write the HTML report here.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Where run folders are made.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// What `--seed` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seed {
    /// This one.
    Number(u64),
    /// A new one.
    Random,
}

fn a_fault(text: &str) -> Result<Fault, FaultError> {
    text.parse()
}

fn a_seed(text: &str) -> Result<Seed, String> {
    match text {
        "random" => Ok(Seed::Random),
        number => {
            number.parse().map(Seed::Number).map_err(|_| format!("`{text}` is no seed; write a number, or `random`"))
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one step must be allowed to act".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("`{text}` is not a number of steps")),
    }
}

fn a_namespace(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine = text.len() <= 63 && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if fine && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a namespace has at most 63 lower-case letters, digits and dashes, no dash first or last".to_owned())
    }
}

/// What `--dry-run` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    /// Without any request.
    Client,
    /// As without the flag: run it.
    None,
}

/// `lariat check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// Plan files.
    #[arg(value_name = "PLAN", required = true)]
    pub(super) plans: Vec<PathBuf>,
    /// Set a var (repeatable).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Read vars from a TOML file (repeatable; `--set` wins).
    #[arg(long = "vars", value_name = "FILE")]
    pub(super) vars: Vec<PathBuf>,
    /// Print each requirement with the steps that cover it, and those nobody covers.
    #[arg(long)]
    pub(super) coverage: bool,
    /// Whether colours are used.
    #[arg(long, value_enum, default_value_t = ColorArg::Auto)]
    pub(super) color: ColorArg,
}

/// `lariat graph`.
#[derive(Clone, Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = GraphFormat::Text)]
    pub(super) output: GraphFormat,
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// Indented lines.
    Text,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// A picture.
    Svg,
}

/// `lariat watch`.
#[derive(Clone, Debug, Args)]
pub(super) struct WatchArgs {
    /// Kinds of objects, or single ones: `pods`, `pods,services`, `pod/web-0`, `volumes.longhorn.io`.
    #[arg(value_name = "RESOURCE", required = true)]
    pub(super) resources: Vec<String>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// The namespace; that of the context if not given.
    #[arg(short, long, value_name = "NAMESPACE", value_parser = a_namespace)]
    pub(super) namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(super) all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(super) selector: Option<String>,
    /// Only objects with these fields.
    #[arg(long, value_name = "FIELDS")]
    pub(super) field_selector: Option<String>,
    /// Where run folders are made.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// `lariat report`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// A run: its folder, its journal, its id, or a plan's name for the latest.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Also write the `JUnit` file here.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Also write the HTML report here.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Which form of `JUnit`: `strict` is valid for the schema of Jenkins' xUnit plugin.
    #[arg(long, value_enum, default_value_t = JunitForm::Extended)]
    pub(super) junit_schema: JunitForm,
    /// Where run folders are.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// `lariat judge`.
#[derive(Clone, Debug, Args)]
pub(super) struct JudgeArgs {
    /// A run: its folder, its journal, its id, or a plan's name for the latest.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The plan whose checks judge it; its vars are the run's.
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Set a var other than it was in the run (repeatable).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Read vars from a TOML file (repeatable; `--set` wins).
    #[arg(long = "vars", value_name = "FILE")]
    pub(super) vars: Vec<PathBuf>,
    /// Write the `JUnit` file of this judgement here.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write the HTML report of this judgement here.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Where run folders are.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// Which form of `JUnit` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum JunitForm {
    /// With files, lines and properties of each case.
    Extended,
    /// Without what `junit-10.xsd` forbids.
    Strict,
}

/// `lariat cleanup`.
#[derive(Clone, Debug, Args)]
pub(super) struct CleanupArgs {
    /// A run: its folder, its journal, its id, or a plan's name for the latest.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Set a var that the journal does not hold, because it is secret (repeatable).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Most time for it.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::text::parse_duration)]
    pub(super) timeout: std::time::Duration,
    /// Where run folders are.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// `lariat sim`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum SimCommand {
    /// Serve an embedded cluster over HTTP until Ctrl-C: to kubectl, helm and whatever speaks to Kubernetes.
    Serve(ServeArgs),
    /// List the faults that `--fault` takes: what each does, its parameters, their defaults.
    Faults,
}

/// `lariat sim serve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen: a loopback address, since nobody is asked who they are. Port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = a_loopback)]
    pub(super) listen: std::net::SocketAddr,
    /// How many times as fast as real time its time goes.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = a_speed)]
    pub(super) speed: f64,
    /// Where to write the kubeconfig; a temporary folder if not given. It goes when this ends.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The seed of every choice by chance: a number, or `random`.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = a_seed)]
    pub(super) seed: Seed,
    /// Inject a fault: `NAME[:key=value,…]`, as `lariat sim faults` lists them (repeatable).
    #[arg(long = "fault", value_name = "FAULT", value_parser = a_fault)]
    pub(super) faults: Vec<Fault>,
    /// Install a chart that the embedded cluster knows, as `longhorn-system/longhorn-1.12.1` (repeatable).
    #[arg(long = "install", value_name = "NAMESPACE/CHART-VERSION", value_parser = an_installation)]
    pub(super) install: Vec<Installation>,
}

/// A chart to be there from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installation {
    pub(super) namespace: String,
    /// Its name, which is the release's too.
    pub(super) chart: String,
    pub(super) version: String,
}

fn an_installation(text: &str) -> Result<Installation, String> {
    let parts = text.split_once('/').and_then(|(namespace, chart)| {
        // A version begins with the first dash before a digit.
        let at = chart.match_indices('-').map(|(at, _)| at);
        let at = at.into_iter().find(|at| chart[at + 1..].starts_with(|first: char| first.is_ascii_digit()))?;
        Some((namespace, &chart[..at], &chart[at + 1..]))
    });
    match parts {
        Some((namespace, chart, version)) if !namespace.is_empty() && !chart.is_empty() => {
            Ok(Installation { namespace: namespace.to_owned(), chart: chart.to_owned(), version: version.to_owned() })
        }
        _ => Err(format!("`{text}` names no namespace and chart; write it like `longhorn-system/longhorn-1.12.1`")),
    }
}

fn a_loopback(text: &str) -> Result<std::net::SocketAddr, String> {
    let address: std::net::SocketAddr =
        text.parse().map_err(|_| format!("`{text}` is no address with a port; write it like `127.0.0.1:8001`"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("`{text}` can be reached from other machines, and nobody is asked who they are; use `127.0.0.1`"))
    }
}

fn a_speed(text: &str) -> Result<f64, String> {
    let refusal = || format!("`{text}` is no speed; write a number from 0.01 to 10000, such as `1` or `60`");
    let speed: f64 = text.trim_end_matches('x').parse().map_err(|_| refusal())?;
    if (0.01..=10_000.0).contains(&speed) { Ok(speed) } else { Err(refusal()) }
}

/// `lariat doctor`.
#[derive(Clone, Debug, Args)]
pub(super) struct DoctorArgs {
    /// The plan; without one only the machine is looked at.
    #[arg(value_name = "PLAN")]
    pub(super) plan: Option<PathBuf>,
    /// Set a var (repeatable).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Where run folders are made.
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    pub(super) reports: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
