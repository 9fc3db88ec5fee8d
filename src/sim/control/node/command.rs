//! The commands that can be run in a container: those that Lariat's verbs send, and a little shell.

use std::collections::BTreeMap;
use std::time::Duration;

use super::files::{File, Mount, Tree, Trouble, sha256};
use super::shell;
use crate::sim::api::{Answer, Exec, Program, Says, Talk};

/// A container in which commands run.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub(super) tree: Tree,
    pub(super) env: BTreeMap<String, String>,
    pub(super) host: String,
    /// Seconds since its node was switched on, for `/proc/uptime`.
    pub(super) uptime: Duration,
}

/// All that is known; anything else is `not found`.
pub(super) const KNOWN: [&str; 19] = [
    "[",
    "cat",
    "date",
    "dd",
    "echo",
    "env",
    "false",
    "hostname",
    "ls",
    "mkdir",
    "printf",
    "rm",
    "sh",
    "sha256sum",
    "sleep",
    "stat",
    "sync",
    "test",
    "true",
];

/// What a command comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    pub(super) code: i32,
    /// `None`: it never comes back.
    pub(super) takes: Option<Duration>,
}

impl Outcome {
    pub(super) fn prints(stdout: impl Into<Vec<u8>>) -> Self {
        Self { stdout: stdout.into(), takes: Some(Duration::ZERO), ..Self::default() }
    }

    pub(super) fn fails(code: i32, stderr: impl Into<String>) -> Self {
        Self { stderr: stderr.into(), code, takes: Some(Duration::ZERO), ..Self::default() }
    }

    fn after(self, takes: Option<Duration>) -> Self {
        let takes = self.takes.zip(takes).map(|(own, more)| own + more);
        Self { takes, ..self }
    }
}

/// How long the volume takes, or its refusal.
fn touched(mount: &Mount) -> Result<Option<Duration>, String> {
    match mount.volume.trouble() {
        None => Ok(Some(Duration::ZERO)),
        Some(Trouble::Slow(takes)) => Ok(Some(takes)),
        Some(Trouble::Hangs) => Ok(None),
        Some(Trouble::Refuses(why)) => Err(why),
    }
}

impl Inside {
    /// A file's bytes with the time that reading takes.
    pub(super) fn read(&self, path: &str) -> Result<(File, Option<Duration>), String> {
        if path == "/proc/uptime" {
            let uptime = format!("{}.{:02} 0.00\n", self.uptime.as_secs(), self.uptime.subsec_millis() / 10);
            return Ok((File::of(uptime.as_bytes()), Some(Duration::ZERO)));
        }
        let (mount, inner) = self.tree.find(path);
        let takes = touched(mount)?;
        let file = mount.volume.get(&inner).ok_or("No such file or directory")?;
        Ok((file, takes))
    }

    /// Writes a file anew; the answer is the time that it takes.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<Option<Duration>, String> {
        let (mount, inner) = self.tree.find(path);
        if mount.read_only {
            return Err("Read-only file system".to_owned());
        }
        if inner.is_empty() {
            return Err("Is a directory".to_owned());
        }
        let takes = touched(mount)?;
        mount.volume.put(&inner, File::of(bytes));
        Ok(takes)
    }

    /// Whether something is at the path: a file, or a folder with files in it.
    pub(super) fn kind(&self, path: &str) -> Option<char> {
        let (mount, inner) = self.tree.find(path);
        if mount.volume.get(&inner).is_some() {
            return Some('f');
        }
        let folder = format!("{inner}/");
        let within = |own: &String| inner.is_empty() || own.starts_with(&folder);
        (inner.is_empty() || mount.volume.paths().iter().any(within)).then_some('d')
    }

    /// Runs one simple command.
    pub(super) fn run(&self, command: &[String], stdin: &[u8]) -> Outcome {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let Some((name, args)) = words.split_first() else {
            return Outcome::prints("");
        };
        let name = name.rsplit('/').next().unwrap_or_default();
        match (name, args) {
            ("true" | "sync" | "mkdir" | ":", _) => Outcome::prints(""),
            ("false", _) => Outcome::fails(1, ""),
            ("echo", ["-n", rest @ ..]) => Outcome::prints(rest.join(" ")),
            ("echo", rest) => Outcome::prints(format!("{}\n", rest.join(" "))),
            ("printf", [format, rest @ ..]) => Outcome::prints(printf(format, rest)),
            ("hostname", _) => Outcome::prints(format!("{}\n", self.host)),
            ("env", []) => {
                Outcome::prints(self.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>())
            }
            ("sleep", [span]) => match shell::seconds(span) {
                Some(span) => Outcome { takes: Some(span), ..Outcome::prints("") },
                None if *span == "infinity" => Outcome { takes: None, ..Outcome::prints("") },
                None => Outcome::fails(1, format!("sleep: invalid number '{span}'\n")),
            },
            ("cat", []) => Outcome::prints(stdin),
            ("cat", paths) => self.each("cat", paths, |_, file| match &file.bytes {
                Some(bytes) => Ok(bytes.clone()),
                None => Err("File too large for the embedded cluster, which kept its digest alone".to_owned()),
            }),
            ("sha256sum", []) => Outcome::prints(format!("{}  -\n", sha256(stdin))),
            ("sha256sum", paths) => {
                self.each("sha256sum", paths, |path, file| Ok(format!("{}  {path}\n", file.sha256).into_bytes()))
            }
            ("stat", ["-L", "-c", "%s", path] | ["-c", "%s", path]) => {
                self.each("stat", &[path], |_, file| Ok(format!("{}\n", file.size).into_bytes()))
            }
            ("rm", paths) => {
                for path in paths.iter().filter(|path| !path.starts_with('-')) {
                    let (mount, inner) = self.tree.find(path);
                    let folder = format!("{inner}/");
                    for own in mount.volume.paths() {
                        if own == inner || own.starts_with(&folder) {
                            mount.volume.remove(&own);
                        }
                    }
                }
                Outcome::prints("")
            }
            ("ls", args) => self.list(args.iter().rfind(|arg| !arg.starts_with('-')).copied().unwrap_or("/")),
            ("test", args) | ("[", [args @ .., "]"]) => self.test(args),
            ("dd", args) => self.dd(args, stdin),
            ("sh", ["-c" | "-ec" | "-euc" | "-cu", script, rest @ ..]) => shell::run(self, script, rest, stdin),
            _ => Outcome::fails(
                127,
                format!("sh: {name}: not found (the embedded cluster imitates {} alone)\n", KNOWN.join(", ")),
            ),
        }
    }

    fn each(&self, name: &str, paths: &[&str], show: impl Fn(&str, &File) -> Result<Vec<u8>, String>) -> Outcome {
        let mut outcome = Outcome::prints("");
        for path in paths.iter().filter(|path| !path.starts_with('-')) {
            let shown = self.read(path).and_then(|(file, takes)| Ok((show(path, &file)?, takes)));
            match shown {
                Ok((shown, takes)) => {
                    outcome.stdout.extend(shown);
                    outcome = outcome.after(takes);
                }
                Err(why) => {
                    outcome.stderr += &format!("{name}: can't open '{path}': {why}\n");
                    outcome.code = 1;
                }
            }
        }
        outcome
    }

    fn list(&self, path: &str) -> Outcome {
        let (mount, inner) = self.tree.find(path);
        let folder = if inner.is_empty() { String::new() } else { format!("{inner}/") };
        let mut names: Vec<String> = mount
            .volume
            .paths()
            .iter()
            .filter_map(|own| own.strip_prefix(&folder))
            .map(|rest| rest.split('/').next().unwrap_or_default().to_owned())
            .collect();
        names.dedup();
        match (names.is_empty(), self.kind(path)) {
            (false, _) | (true, Some('d')) => {
                Outcome::prints(names.iter().map(|name| format!("{name}\n")).collect::<String>())
            }
            (true, Some(_)) => Outcome::prints(format!("{path}\n")),
            (true, None) => Outcome::fails(1, format!("ls: {path}: No such file or directory\n")),
        }
    }

    fn test(&self, args: &[&str]) -> Outcome {
        let number = |text: &str| text.parse::<i64>().unwrap_or_default();
        let truth = match args {
            ["!", rest @ ..] => self.test(rest).code != 0,
            ["-e", path] => self.kind(path).is_some(),
            ["-f", path] => self.kind(path) == Some('f'),
            ["-d", path] => self.kind(path) == Some('d'),
            ["-s", path] => self.read(path).is_ok_and(|(file, _)| file.size > 0),
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            [a, "-eq", b] => number(a) == number(b),
            [a, "-ne", b] => number(a) != number(b),
            [a, "-gt", b] => number(a) > number(b),
            [a, "-ge", b] => number(a) >= number(b),
            [a, "-lt", b] => number(a) < number(b),
            [a, "-le", b] => number(a) <= number(b),
            _ => false,
        };
        Outcome { code: i32::from(!truth), ..Outcome::prints("") }
    }

    fn dd(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        let arg = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        let (bytes, read) = match arg("if") {
            Some(path) => match self.read(path) {
                Ok((file, takes)) => (file.bytes.unwrap_or_default(), takes),
                Err(why) => return Outcome::fails(1, format!("dd: can't open '{path}': {why}\n")),
            },
            None => (stdin.to_vec(), Some(Duration::ZERO)),
        };
        let told = format!("0+1 records in\n0+1 records out\n{} bytes copied\n", bytes.len());
        match arg("of") {
            None => Outcome { stderr: told, ..Outcome::prints(bytes).after(read) },
            Some("/dev/null") => Outcome { stderr: told, ..Outcome::prints("").after(read) },
            Some(path) => match self.write(path, &bytes) {
                Ok(takes) => Outcome { stderr: told, ..Outcome::prints("").after(read).after(takes) },
                Err(why) => Outcome::fails(1, format!("dd: error writing '{path}': {why}\n")),
            },
        }
    }
}

fn printf(format: &str, args: &[&str]) -> String {
    let mut args = args.iter();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(letter) = rest.next() {
        match (letter, rest.as_str().chars().next()) {
            ('%', Some('s' | 'd')) => {
                text += args.next().unwrap_or(&"");
                rest.next();
            }
            ('\\', Some('n')) => {
                text.push('\n');
                rest.next();
            }
            _ => text.push(letter),
        }
    }
    text
}

impl Program for Inside {
    fn exec(&self, exec: &Exec) -> Answer {
        let outcome = self.run(&exec.command, &exec.stdin);
        Answer { stdout: outcome.stdout, stderr: outcome.stderr.into_bytes(), code: outcome.code, takes: outcome.takes }
    }

    fn talk(&self, exec: &Exec) -> Option<Box<dyn Talk>> {
        match exec.command.as_slice() {
            [sh, c, _, name, path, block] if sh == "sh" && c == "-c" && name == "steady-io" => {
                let block = block.parse().ok()?;
                Some(Box::new(SteadyIo { inside: self.clone(), path: path.clone(), block, told: false }))
            }
            _ => None,
        }
    }
}

/// The script of the verb `steady-io`: a block for each line that comes in.
#[derive(Debug)]
struct SteadyIo {
    inside: Inside,
    path: String,
    block: usize,
    told: bool,
}

impl Talk for SteadyIo {
    fn hear(&mut self, input: &[u8]) -> Says {
        let mut says = Vec::new();
        for line in String::from_utf8_lossy(input).lines() {
            let Some((number, text)) = line.split_once(' ') else { continue };
            says.push((Duration::ZERO, format!("{number} begun\n")));
            let block: Vec<u8> = format!("{text}\n").bytes().cycle().take(self.block).collect();
            let written = self
                .inside
                .write(&self.path, &block)
                .map_err(|why| format!("{number} failed dd: error writing '{}': {why}\n", self.path));
            let read = written.clone().and_then(|wrote| {
                let (file, read) = self
                    .inside
                    .read(&self.path)
                    .map_err(|why| format!("{number} failed dd: can't open '{}': {why}\n", self.path))?;
                Ok((wrote, read, file.sha256))
            });
            let (wrote, read, digest) = match read {
                Err(line) => {
                    says.push((Duration::ZERO, line));
                    continue;
                }
                Ok((Some(wrote), Some(read), digest)) => (wrote, read, digest),
                Ok(_) => {
                    // It hangs, and the ticker ticks on.
                    let dots = std::iter::repeat_with(|| (Duration::from_secs(1), b".\n".to_vec()));
                    let said = says.into_iter().map(|(after, text): (Duration, String)| (after, text.into_bytes()));
                    return Box::new(said.chain(dots));
                }
            };
            if !self.told {
                self.told = true;
                says.push((Duration::ZERO, "reads iflag=direct\n".to_owned()));
            }
            let whole = wrote + read;
            says.extend((0..whole.as_secs()).map(|_| (Duration::from_secs(1), ".\n".to_owned())));
            let clock = |span: Duration| {
                let at = self.inside.uptime + span;
                format!("{}.{:02}", at.as_secs(), at.subsec_millis() / 10)
            };
            let rest = whole.saturating_sub(Duration::from_secs(whole.as_secs()));
            let (began, wrote, read) = (clock(Duration::ZERO), clock(wrote), clock(whole));
            says.push((rest, format!("{number} ok {began} {wrote} {read} {digest}\n")));
        }
        Box::new(says.into_iter().map(|(after, text)| (after, text.into_bytes())))
    }
}
