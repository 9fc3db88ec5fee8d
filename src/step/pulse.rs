use std::time::Duration;

use ring::digest;

use super::file::{hex, is_sha256};

/// What runs in the container: for each line `NUMBER TEXT` that it reads it says that it
/// begins, writes a block made of `TEXT` with fsync, reads it back, and prints when it began,
/// had written and had read, with the digest. It prints a dot each second. So all times are
/// the container's own, also that of a write which does not come back: how long the way
/// there and back takes is never taken for the volume's.
///
/// It reads past the page cache where `dd` and the file system can, and says if not.
/// It ends with its input, hence with the connection.
pub(super) const SCRIPT: &str = r#"path=$1 block=$2 direct=unknown
up() { read -r up rest < /proc/uptime; }
(while sleep 1; do echo . || exit; done) &
ticker=$!
trap 'kill $ticker' EXIT
while read -r number text; do
  echo "$number begun"
  up; began=$up
  said=$(yes "$text" 2>/dev/null | head -c "$block" | dd of="$path" bs="$block" conv=notrunc,fsync 2>&1) || {
    echo "$number failed" $said
    continue
  }
  up; wrote=$up
  if [ "$direct" = unknown ]; then
    direct=iflag=direct
    dd if="$path" of=/dev/null bs="$block" count=1 $direct 2>/dev/null || direct=
    echo "reads ${direct:-cached}"
    up; wrote=$up
  fi
  digest=$(dd if="$path" bs="$block" count=1 $direct 2>/dev/null | sha256sum)
  up; echo "$number ok $began $wrote $up ${digest%% *}"
done
"#;

/// The command with the script, for a file and a size of block.
pub(super) fn command(path: &str, block: u64) -> Vec<String> {
    let block = block.to_string();
    ["sh", "-c", SCRIPT, "steady-io", path, &block].map(str::to_owned).to_vec()
}

/// One line that the script prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A second has passed.
    Tick,
    /// A write begins.
    Begun { number: u64 },
    /// Whether reads go past the page cache.
    Reads { direct: bool },
    /// A write that was read back.
    Beat { number: u64, write: Duration, read: Duration, digest: String },
    /// A write that was refused, with what `dd` said.
    Failed { number: u64, said: String },
}

impl Line {
    /// Reads a line; `None` if the script does not print such.
    pub(super) fn parse(line: &str) -> Option<Self> {
        match line {
            "." => return Some(Self::Tick),
            "reads iflag=direct" => return Some(Self::Reads { direct: true }),
            "reads cached" => return Some(Self::Reads { direct: false }),
            _ => {}
        }
        let (number, rest) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        if rest == "begun" {
            return Some(Self::Begun { number });
        }
        if let Some(said) = rest.strip_prefix("failed") {
            let said = said.trim().to_owned();
            return Some(Self::Failed { number, said });
        }
        let words: Vec<&str> = rest.strip_prefix("ok ")?.split(' ').collect();
        let [began, wrote, read, digest] = words.as_slice() else {
            return None;
        };
        let (began, wrote, read) = (uptime(began)?, uptime(wrote)?, uptime(read)?);
        is_sha256(digest).then(|| Self::Beat {
            number,
            write: wrote.saturating_sub(began),
            read: read.saturating_sub(wrote),
            digest: (*digest).to_owned(),
        })
    }
}

/// Seconds with hundredths, as in `/proc/uptime`.
fn uptime(text: &str) -> Option<Duration> {
    let (seconds, hundredths) = text.split_once('.')?;
    let hundredths: u64 = (hundredths.len() == 2).then(|| hundredths.parse().ok())??;
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(hundredths * 10))
}

/// What a block is made of: another text for each write of each step of each run, so that
/// neither an old block nor another step's is taken for it.
pub(super) fn text(salt: u64, number: u64) -> String {
    format!("{salt:016x} {number}")
}

/// The digest of a block that repeats a text, line by line.
pub(super) fn digest_of(text: &str, block: u64) -> String {
    let line = format!("{text}\n");
    let mut context = digest::Context::new(&digest::SHA256);
    let mut left = usize::try_from(block).unwrap_or(usize::MAX);
    // A few lines at a time: one by one would be slow for a large block.
    let lines = line.repeat(4096 / line.len() + 1);
    while left > 0 {
        let piece = lines.len().min(left);
        context.update(&lines.as_bytes()[..piece]);
        left -= piece;
    }
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_strictly() {
        let digest = digest_of("x", 1);
        let beat =
            Line::Beat { number: 7, write: Duration::from_millis(1230), read: Duration::ZERO, digest: digest.clone() };
        let failed = Line::Failed { number: 8, said: "dd: error writing '/data/x': No space left on device".into() };
        let cases = [
            (".".to_owned(), Some(Line::Tick)),
            ("7 begun".to_owned(), Some(Line::Begun { number: 7 })),
            ("reads cached".to_owned(), Some(Line::Reads { direct: false })),
            ("reads iflag=direct".to_owned(), Some(Line::Reads { direct: true })),
            (format!("7 ok 100.01 101.24 101.24 {digest}"), Some(beat)),
            ("8 failed dd: error writing '/data/x': No space left on device".to_owned(), Some(failed)),
            (format!("7 ok 100.01 101.24 {digest}"), None),
            (format!("7 ok 100.01 101.2 101.24 {digest}"), None),
            ("7 ok 100.01 101.24 101.24 abc".to_owned(), None),
            ("sh: yes: not found".to_owned(), None),
        ];
        for (line, read) in cases {
            assert_eq!(Line::parse(&line), read, "{line}");
        }
    }

    #[test]
    fn a_block_repeats_its_text() {
        let made = "ab 1\nab 1\nab".as_bytes();
        let wanted = hex(digest::digest(&digest::SHA256, made).as_ref());
        assert_eq!(digest_of("ab 1", 12), wanted);
        let long = "ab 1\n".repeat(2000);
        let wanted = hex(digest::digest(&digest::SHA256, &long.as_bytes()[..9999]).as_ref());
        assert_eq!(digest_of("ab 1", 9999), wanted);
    }
}
