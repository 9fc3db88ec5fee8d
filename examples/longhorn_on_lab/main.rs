//! `just lab-longhorn`: the embedded Longhorn's controllers on a real API server, and a plan against them.
//!
//! Three nodes of this process join the lab as guests, the stand-in for helm installs Longhorn's chart
//! there, and `lariat run` works on it as on any cluster. API server, scheduler, workload controllers,
//! garbage collector and admission are real; kubelets, disks and what the pods do are the embedded ones.
//! Whatever comes of it, all of it is taken away again.

#![expect(clippy::print_stdout, reason = "a test says how it went")]

mod images;
mod lab;
mod webhooks;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use lariat::cluster::{ChartRequest, Helm as _, HelmCall};
use lariat::sim::{GuestLonghorn, Guests, Internet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use lab::NAMESPACE;

/// The release that the plan finds.
const VERSION: &str = "1.12.1";
/// The guests, by names that no node of the lab has.
const NODES: [&str; 3] = ["longhorn-1", "longhorn-2", "longhorn-3"];

#[tokio::main]
async fn main() -> ExitCode {
    let stop = CancellationToken::new();
    tokio::spawn(stop_by_signal(stop.clone()));
    let ended = everything(&stop).await;
    ended.unwrap_or_else(|why| {
        println!("lab-longhorn: {why}");
        ExitCode::from(2)
    })
}

/// The first signal ends the run in order: the plan is asked to stop, and all is taken away.
async fn stop_by_signal(stop: CancellationToken) {
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    stop.cancel();
}

async fn everything(stop: &CancellationToken) -> Result<ExitCode, String> {
    let client = lab::client().await?;
    // An earlier run that was killed may have left something.
    lab::sweep(&client, &NODES).await?;
    let gate = webhooks::Served::new().await?;
    let online = Internet::default();
    let image = images::serve(&online).await?;
    let seed = std::env::var("LARIAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let guests = Guests::join(client.clone(), seed, &NODES.map(str::to_owned)).await;
    let guests = guests.map_err(|error| format!("the guests can't join: {error}"))?;
    let longhorn = GuestLonghorn::on(&guests, gate.clone(), &online);
    println!("lab-longhorn: {} joined, seed {seed}", NODES.join(", "));
    if let Ok(wrong) = std::env::var("LARIAT_WRONG") {
        let done = if longhorn.wrong(&wrong) { "is built in" } else { "is not known, and nothing is built in" };
        println!("lab-longhorn: the wrong `{wrong}` {done}");
    }

    let ran = tested(&longhorn, &image, stop).await;
    let broken = longhorn.broken();
    let died = guests.is_dead();
    println!("lab-longhorn: the API server asked the webhooks {}", gate.told());
    println!("lab-longhorn: {} of the imitation's own invariants were broken", broken.len());
    for what in &broken {
        println!("  {what}");
    }
    let swept = lab::sweep(&client, &[]).await;
    let left = guests.leave().await.map_err(|error| format!("the guests can't leave: {error}"));
    let code = ran?;
    swept?;
    left?;
    println!("lab-longhorn: everything is taken away again");
    if died {
        return Err("a guest's kubelet died".to_owned());
    }
    Ok(if broken.is_empty() { code } else { ExitCode::from(4) })
}

/// Installs Longhorn and runs the plan; the answer is its exit code.
async fn tested(
    longhorn: &GuestLonghorn,
    image: &images::Served,
    stop: &CancellationToken,
) -> Result<ExitCode, String> {
    let request = ChartRequest {
        release: "longhorn".to_owned(),
        chart: "longhorn/longhorn".to_owned(),
        version: Some(VERSION.to_owned()),
        values: vec![PathBuf::from("helm-values/longhorn.yaml")],
        set: GuestLonghorn::values(),
        ..ChartRequest::default()
    };
    let call = HelmCall {
        namespace: NAMESPACE.to_owned(),
        timeout: Duration::from_mins(5),
        no_hooks: false,
        cancel: stop.clone(),
    };
    longhorn.helm().install(&request, &call).await.map_err(|error| format!("the chart can't be installed: {error}"))?;
    println!("lab-longhorn: Longhorn {VERSION} is installed; the plan begins");
    let mut child = plan(image).spawn().map_err(|error| format!("`lariat` can't be started: {error}"))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let ended = tokio::select! {
        biased;
        ended = child.wait() => ended,
        () = stop.cancelled() => {
            if let Some(pid) = pid {
                // One that has ended by itself meanwhile needs no signal.
                let _ = kill(pid, Signal::SIGINT);
            }
            child.wait().await
        }
    };
    let code = ended.map_err(|error| format!("`lariat` got lost: {error}"))?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// `lariat run plans/same-image.toml` without volumes, three rounds; what the command line says comes last and wins.
fn plan(image: &images::Served) -> Command {
    let this = std::env::current_exe().expect("this program has a path");
    let binary = this.parent().and_then(Path::parent).expect("examples are below the binary").join("lariat");
    let mut command = Command::new(binary);
    command.args(["run", "plans/same-image.toml", "--context", "lab", "--yes", "--kubeconfig"]);
    command.arg(lab::kubeconfig());
    let (url, digest) = (format!("image_url={}", image.url), format!("image_sha512={}", image.sha512));
    for set in ["install=false", "volumes=0", "rounds=3", "calm=20s", "quiet=90s", &url, &digest] {
        command.args(["--set", set]);
    }
    command.args(std::env::args().skip(1));
    // The download comes from here; the API server is asked directly.
    command.env("http_proxy", &image.proxy).env("no_proxy", "127.0.0.1,localhost");
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}
