use super::container::Container;
use super::shell::{self, Input, Ran};
use super::{Error, StepContext};
use crate::event::Class;

/// Writes its input to a file. The shell stays in between to hold the standard output
/// open: `dd` closes its own, and containerd ends the input of a command when its output
/// ends (`pkg/cri/io/exec_io.go`, `Attach`), so that `dd` alone would write a few pieces
/// and succeed.
const WRITE: &str = r#"dd of="$1" bs=1M conv=fsync; exit $?"#;

/// A file in a container, and the only commands that are ever run about one. A small
/// `busybox` has them all, and the embedded cluster imitates exactly these:
///
/// | command | does |
/// |---|---|
/// | `sh -c WRITE write-file PATH` | writes its input, and returns when it is on the disk |
/// | `stat -L -c %s PATH` | prints the size |
/// | `sha256sum PATH` | prints the digest, two characters and the path |
///
/// `steady-io` has a script of its own (`steady_io.rs`).
pub(super) struct File<'a> {
    pub(super) container: &'a Container,
    path: String,
}

impl<'a> File<'a> {
    /// A file by its path, which must be absolute: what else would it be relative to?
    pub(super) fn new(container: &'a Container, path: String) -> Result<Self, Error> {
        if !path.starts_with('/') || path.contains(['\n', '\\']) {
            return Err(Error::new(Class::Broken, format!("`{path}` can't be used as a file in a container"))
                .expected("an absolute path without backslash and line break"));
        }
        Ok(Self { container, path })
    }

    /// The file as sentences show it.
    pub(super) fn called(&self) -> String {
        format!("`{}` in {}", self.path, self.container)
    }

    /// Writes it anew, and returns when its bytes are on the disk. May be done again.
    pub(super) async fn write<'i>(
        &self,
        input: impl Fn() -> Result<Input<'i>, Error>,
        ctx: &StepContext,
    ) -> Result<(), Error> {
        let command = ["sh", "-c", WRITE, "write-file", &self.path].map(str::to_owned);
        let ran = shell::run_again(self.container, &command, || input().map(Some), ctx).await?;
        if ran.code == 0 && ran.left_input {
            return Err(ran.error(Class::Unmet, format!("{} was not written to its end: `dd` stopped", self.called())));
        }
        if ran.code == 0 {
            return Ok(());
        }
        Err(ran.error(
            Class::Unmet,
            format!("{} could not be written: `dd` ended with exit code {}", self.called(), ran.code),
        ))
    }

    /// How many bytes it has.
    pub(super) async fn size(&self, ctx: &StepContext) -> Result<u64, Error> {
        let ran = self.read(&["stat", "-L", "-c", "%s", &self.path], ctx).await?;
        let text = ran.stdout.text();
        text.trim_end_matches('\n').parse().map_err(|_| self.garbled(&ran, "a number of bytes"))
    }

    /// Its digest, read anew from the file.
    pub(super) async fn sha256(&self, ctx: &StepContext) -> Result<String, Error> {
        let ran = self.read(&["sha256sum", &self.path], ctx).await?;
        digest(&ran.stdout.text(), &self.path)
            .map(str::to_owned)
            .ok_or_else(|| self.garbled(&ran, "a digest and the path"))
    }

    async fn read(&self, command: &[&str], ctx: &StepContext) -> Result<Ran, Error> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let ran = shell::run_again(self.container, &command, || Ok(None), ctx).await?;
        if ran.code == 0 {
            return Ok(ran);
        }
        Err(ran.error(
            Class::Unmet,
            format!("{} could not be read: `{}` ended with exit code {}", self.called(), command[0], ran.code),
        ))
    }

    fn garbled(&self, ran: &Ran, expected: &str) -> Error {
        ran.error(Class::Broken, format!("`{}` in {} printed something else", ran.shown, self.container))
            .expected(expected)
    }
}

/// The digest in what `sha256sum` prints: that and nothing else.
fn digest<'t>(printed: &'t str, path: &str) -> Option<&'t str> {
    let line = printed.strip_suffix('\n')?;
    let (digest, rest) = line.split_at_checked(64)?;
    let named = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?;
    (named == path && is_sha256(digest)).then_some(digest)
}

/// Whether a text is such a digest as `sha256sum` prints.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A digest as text.
pub(super) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_strictly() {
        let good = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let upper = good.to_uppercase();
        let cases = [
            (format!("{good}  /data/a b\n"), true),
            (format!("{good} */data/a b\n"), true),
            (format!("{good}  /data/a\n"), false),
            (format!("{good}  /data/a b"), false),
            (format!("{good}  /data/a b\nmore\n"), false),
            (format!("{upper}  /data/a b\n"), false),
            (format!(" {good}  /data/a b\n"), false),
            (format!("\\{good}  /data/a b\n"), false),
            (format!("0{good}  /data/a b\n"), false),
            ("é".repeat(40), false),
            (String::new(), false),
        ];
        for (printed, read) in cases {
            assert_eq!(digest(&printed, "/data/a b").is_some(), read, "{printed:?}");
        }
    }
}
