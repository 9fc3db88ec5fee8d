use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::{Installation, Seed, ServeArgs, SimCommand};
use super::finish::shown;
use super::screen::{err, out};
use super::{Exit, run, runtime};
use crate::clock::{Clock, keep_pace};
use crate::cluster::{ChartRequest, Cluster as _, HelmCall, HelmError};
use crate::journal::write_atomically;
use crate::sim::{Embedded, Parameter, Setup, faults};

/// The context's name in the kubeconfig.
const CONTEXT: &str = "embedded";

/// The first line of a kubeconfig of ours: what may be written over.
const MARK: &str = "# Written by `lariat sim serve`, and removed when it ends.\n";

/// The embedded cluster by itself.
pub(super) fn sim(command: SimCommand) -> Exit {
    match command {
        SimCommand::Serve(args) => runtime::embedded(move || serve(args)),
        SimCommand::Faults => {
            out(&list());
            Exit::Ok
        }
    }
}

/// Every fault, by where it strikes, with its parameters.
fn list() -> String {
    let mut text =
        "`lariat run PLAN --fault NAME[:key=value,…]` injects one, and may be said more than once.\n".to_owned();
    let mut place = None;
    for kind in faults() {
        if place != Some(kind.place) {
            text.push_str(&format!("\nat {}\n", kind.place));
            place = Some(kind.place);
        }
        text.push_str(&format!("\n  {}: {}\n", kind.name, kind.does));
        for Parameter { name, default, about, .. } in &kind.parameters {
            let default = if default.is_empty() { String::new() } else { format!(" ({default})") };
            text.push_str(&format!("    {name:<12}{about}{default}\n"));
        }
    }
    text
}

/// Serves an embedded cluster until somebody ends it.
async fn serve(args: ServeArgs) -> Exit {
    // Asked for first: a Ctrl-C from now on is heard, and the kubeconfig goes.
    let mut signals = run::signals();
    let seed = match args.seed {
        Seed::Number(seed) => seed,
        Seed::Random => run::draw(),
    };
    let place = match Place::choose(args.kubeconfig) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    // Ages are told by clients that live in real time.
    let cluster = Embedded::with(Setup { start: Clock::real().start(), ..Setup::seeded(seed) });
    cluster.inject(&args.faults);
    let mut strikes = cluster.strikes().expect("they were injected in the line above");
    let served = match cluster.world().api().serve_at(args.listen).await {
        Ok(served) => served,
        Err(error) => {
            err(&format!("lariat: nothing can listen at {}: {error}", args.listen));
            return Exit::Error;
        }
    };
    let config = format!("{MARK}{}", served.kubeconfig(CONTEXT));
    if let Err(error) = write_atomically(&place.file, config.as_bytes()) {
        err(&super::screen::told(&error));
        return Exit::Error;
    }
    let file = shown(&place.file);
    out(&format!(
        "embedded cluster, virtual time, seed {seed}, at {}x real time\n  server      http://{}\n  context     {CONTEXT}\n  kubeconfig  {file}\n\nkubectl --kubeconfig {} get nodes\nCtrl-C ends it.\n",
        args.speed,
        served.address,
        run::quote(&file),
    ));
    let tell = async {
        while let Some(strike) = strikes.recv().await {
            out(&format!("{} (`{}`)", strike.what, strike.fault));
        }
        std::future::pending::<()>().await;
    };
    let install = async {
        for installation in &args.install {
            if let Err(error) = install(&cluster, installation).await {
                return error;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        _ = signals.recv() => Exit::Ok,
        () = tell => Exit::Ok,
        error = install => {
            err(&super::screen::told(&error));
            Exit::Error
        }
        never = keep_pace(args.speed) => match never {},
    }
}

/// Installs a chart as the stand-in for helm does, and says so.
async fn install(cluster: &Embedded, installation: &Installation) -> Result<(), HelmError> {
    /// helm's default.
    const TIMEOUT: Duration = Duration::from_mins(5);
    let Installation { namespace, chart, version } = installation;
    let request = ChartRequest {
        release: chart.clone(),
        chart: chart.clone(),
        version: Some(version.clone()),
        ..ChartRequest::default()
    };
    let call =
        HelmCall { namespace: namespace.clone(), timeout: TIMEOUT, no_hooks: false, cancel: CancellationToken::new() };
    cluster.helm().install(&request, &call).await?;
    out(&format!("{chart} {version} is installed in {namespace}"));
    Ok(())
}

/// Where the kubeconfig stands. Dropped, it is gone.
struct Place {
    file: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    /// The file that was asked for, unless it is somebody's own, or one in a folder of our own.
    fn choose(asked: Option<PathBuf>) -> Result<Self, Exit> {
        let Some(file) = asked else {
            let folder = tempfile::Builder::new().prefix("lariat-sim-").tempdir().map_err(|error| {
                err(&format!("lariat: no temporary folder can be made for the kubeconfig: {error}; name a file with `--kubeconfig`"));
                Exit::Error
            })?;
            return Ok(Self { file: folder.path().join("kubeconfig"), _folder: Some(folder) });
        };
        match is_ours(&file) {
            Ok(true) => Ok(Self { file, _folder: None }),
            Ok(false) => {
                err(&format!(
                    "lariat: `{}` is there and not from `lariat sim serve`: it is left alone; name another file, or remove it",
                    file.display()
                ));
                Err(Exit::Usage)
            }
            Err(error) => {
                err(&format!("lariat: `{}` can't be read: {error}", file.display()));
                Err(Exit::Usage)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if is_ours(&self.file).unwrap_or(false) {
            // One that can't be removed says in its first line what it is.
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// Whether a file may be written over: it is not there, or was written here.
fn is_ours(file: &Path) -> io::Result<bool> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.starts_with(MARK)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
