use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Error, Reader, Writer};
use crate::event::EventKind;
use crate::id::RunId;
use crate::text;

/// The folder of one run: `reports/<plan>/<utc-start>-<short-id>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    journal: PathBuf,
}

/// Name of the link to a plan's newest run.
const LATEST: &str = "latest";

/// How many runs an error lists before it only counts them.
const LISTED: usize = 5;

impl RunFolder {
    /// Makes the folder of a new run. One that is there already is never used again:
    /// two runs in one second, or of one seed, get a number behind the name.
    pub fn create(reports: &Path, plan: &str, started: Timestamp, run: &RunId) -> Result<Self, Error> {
        let name = format!("{}-{}", started.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ"), short(run));
        let plans = reports.join(plan);
        let path = plans.join(&name);
        fs::create_dir_all(&plans).map_err(|source| Error::MakeFolder { path: path.clone(), source })?;
        let mut n = 1;
        loop {
            let path = if n == 1 { path.clone() } else { plans.join(format!("{name}-{n}")) };
            match fs::create_dir(&path) {
                Ok(()) => {
                    return Ok(Self { journal: path.join(Writer::FILE), path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 1000 => n += 1,
                Err(source) => return Err(Error::MakeFolder { path, source }),
            }
        }
    }

    /// Points `latest` at this run, in one step: there is no instant without a `latest`.
    ///
    /// A failure is no reason not to run: the link is a convenience.
    pub fn become_latest(&self) -> Result<(), Error> {
        let (Some(plans), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let link = plans.join(LATEST);
        let fresh = plans.join(format!(".{LATEST}-{}", name.to_string_lossy()));
        let point = || -> io::Result<()> {
            symlink(name, &fresh)?;
            fs::rename(&fresh, &link).inspect_err(|_| drop(fs::remove_file(&fresh)))
        };
        point().map_err(|source| Error::Point { path: link.clone(), source })
    }

    /// Finds a recorded run by what a person has at hand: a path to its folder or its
    /// journal, a plan's name (its latest run), the folder's name or the end of it, a run id.
    pub fn find(reports: &Path, wanted: &str) -> Result<Self, Error> {
        if let Some(found) = Self::at(Path::new(wanted)) {
            return Ok(found);
        }
        if let Some(found) = Self::of_plan(reports, wanted) {
            return Ok(found);
        }
        let runs = Self::all(reports);
        let by_name = |run: &&Self| {
            let name = run.name();
            name == wanted || name.rsplit('-').next() == Some(wanted) || format!("{}/{name}", run.plan()) == wanted
        };
        let named: Vec<&Self> = runs.iter().filter(by_name).collect();
        match named[..] {
            [one] => return Ok(one.clone()),
            [] => {}
            [..] => {
                let candidates = text::or(&named.iter().map(|run| run.short_name()).collect::<Vec<_>>());
                return Err(Error::Ambiguous { wanted: wanted.into(), candidates });
            }
        }
        // Runs of one seed on the embedded cluster share their id, and their journal: the newest stands for all.
        if let Some(found) = runs.iter().find(|run| run.id().is_some_and(|id| id.as_str() == wanted)) {
            return Ok(found.clone());
        }
        Err(Error::NoSuchRun { wanted: wanted.into(), hint: hint(reports, wanted, &runs) })
    }

    /// Every run below a reports folder, newest first.
    pub fn all(reports: &Path) -> Vec<Self> {
        let mut runs: Vec<Self> = folders(reports)
            .iter()
            .flat_map(|plan| folders(plan))
            .filter_map(|path| Self::with_journal(&path))
            .collect();
        runs.sort_by(|a, b| b.name().cmp(&a.name()).then_with(|| a.path.cmp(&b.path)));
        runs
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal in it.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a path leads to: a journal, the folder of one, or a plan's folder with its latest run.
    fn at(path: &Path) -> Option<Self> {
        if path.is_file() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return Some(Self { path: folder.to_owned(), journal: path.to_owned() });
        }
        Self::with_journal(path).or_else(|| Self::newest_in(path))
    }

    fn of_plan(reports: &Path, plan: &str) -> Option<Self> {
        crate::id::is_kebab(plan).then(|| Self::newest_in(&reports.join(plan))).flatten()
    }

    /// By the link, or by name where the link is missing or broken.
    fn newest_in(plan: &Path) -> Option<Self> {
        let by_link = fs::read_link(plan.join(LATEST)).ok().and_then(|name| Self::with_journal(&plan.join(name)));
        by_link.or_else(|| {
            let mut found: Vec<Self> = folders(plan).iter().filter_map(|path| Self::with_journal(path)).collect();
            found.sort_by_key(Self::name);
            found.pop()
        })
    }

    fn with_journal(path: &Path) -> Option<Self> {
        let journal = path.join(Writer::FILE);
        journal.is_file().then(|| Self { path: path.to_owned(), journal })
    }

    /// The run's id, as its journal tells.
    fn id(&self) -> Option<RunId> {
        match Reader::open(&self.journal).ok()?.next()?.ok()?.kind {
            EventKind::RunStarted(start) => Some(start.run),
            _ => None,
        }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn plan(&self) -> String {
        self.path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    }

    fn short_name(&self) -> String {
        format!("`{}/{}`", self.plan(), self.name())
    }
}

/// The last part of a run's id: enough to tell the runs of one second apart.
fn short(run: &RunId) -> &str {
    run.as_str().rsplit('-').next().unwrap_or(run.as_str())
}

/// Real folders inside a folder, sorted; links such as `latest` are left out.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// What a person may have meant.
fn hint(reports: &Path, wanted: &str, runs: &[RunFolder]) -> String {
    if runs.is_empty() {
        return format!("; there are no runs in `{}`", reports.display());
    }
    let plans: Vec<String> = runs.iter().map(RunFolder::plan).collect();
    if let Some(near) = text::suggest(wanted, plans.iter().map(String::as_str)) {
        return format!("; did you mean `{near}`?");
    }
    let newest: Vec<String> = runs.iter().take(LISTED).map(RunFolder::short_name).collect();
    let more = match runs.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("; in `{}` there are {}{more}", reports.display(), newest.join(", "))
}
