//! The real binary in a folder of its own.

pub(crate) mod embedded;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with plans, in which `lariat` is run.
pub(crate) struct Bench {
    folder: TempDir,
}

/// How a run of the binary ended.
pub(crate) struct Ran {
    /// The exit code; a signal is none.
    pub(crate) code: Option<i32>,
    /// What was asked for.
    pub(crate) stdout: String,
    /// What was told to people.
    pub(crate) stderr: String,
}

impl Bench {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// A folder with one plan, `plan.toml`.
    pub(crate) fn with(plan: &str) -> Self {
        let bench = Self::new();
        bench.write("plan.toml", plan);
        bench
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the newest run of a plan.
    pub(crate) fn latest(&self, plan: &str, file: &str) -> String {
        let path = self.path().join("reports").join(plan).join("latest").join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The command, ready to be changed and started.
    pub(crate) fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lariat"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        // Nothing of this machine's own may decide a test.
        for name in ["KUBECONFIG", "CI", "NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "GITHUB_ACTIONS"] {
            command.env_remove(name);
        }
        command.env("HOME", self.path()).env("XDG_CACHE_HOME", self.path().join(".cache"));
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn lariat<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Ran {
        self.command(args).output().expect("the binary can be started").into()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

impl Ran {
    /// Ended with this code, and told all of this; nothing that looks like a bug.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, told: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for text in told {
            assert!(
                self.stderr.contains(text) || self.stdout.contains(text),
                "`{text}` was not said\nstdout:\n{}\nstderr:\n{}",
                self.stdout,
                self.stderr
            );
        }
        for trace in ["panicked at", "RUST_BACKTRACE", "stack overflow"] {
            assert!(!self.stderr.contains(trace), "a user's mistake ended in a bug:\n{}", self.stderr);
        }
        self
    }
}
