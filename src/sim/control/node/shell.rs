//! A little shell: words, quotes, variables, `$(…)`, pipes, redirections, `&&`, `||` and `;`.
//!
//! What is beyond it (loops, conditions, functions, background jobs) is refused with a
//! sentence and code 2, as a shell refuses what it can't parse.

use std::time::Duration;

use super::command::{Inside, Outcome};

/// How a command follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Anything,
    Success,
    Failure,
    Pipe,
}

/// A piece of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Operator(String),
}

/// Runs a script with its arguments, `$0` first.
pub(super) fn run(inside: &Inside, script: &str, args: &[&str], stdin: &[u8]) -> Outcome {
    let shell = Shell { inside, args };
    match shell.script(script, stdin) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::fails(2, format!("sh: {why}\n")),
    }
}

/// A time as `sleep` takes it: seconds, or a number with a unit.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3600.0),
        _ => (text, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

struct Shell<'a> {
    inside: &'a Inside,
    args: &'a [&'a str],
}

impl Shell<'_> {
    fn script(&self, script: &str, stdin: &[u8]) -> Result<Outcome, String> {
        let mut total = Outcome::prints("");
        let mut after = After::Anything;
        let mut piped = stdin.to_vec();
        let mut command: Vec<Piece> = Vec::new();
        let mut pieces = self.split(script)?;
        pieces.push(Piece::Operator(";".to_owned()));
        for piece in pieces {
            let next = match &piece {
                Piece::Operator(text) => match text.as_str() {
                    ";" => After::Anything,
                    "&&" => After::Success,
                    "||" => After::Failure,
                    "|" => After::Pipe,
                    _ => {
                        command.push(piece);
                        continue;
                    }
                },
                Piece::Word(_) => {
                    command.push(piece);
                    continue;
                }
            };
            let runs = match after {
                After::Anything | After::Pipe => true,
                After::Success => total.code == 0,
                After::Failure => total.code != 0,
            };
            if runs && !command.is_empty() {
                let words = command.iter().find_map(|piece| match piece {
                    Piece::Word(word) => Some(word.as_str()),
                    Piece::Operator(_) => None,
                });
                if words == Some("exit") {
                    let code = command.get(1).and_then(|piece| match piece {
                        Piece::Word(word) => word.parse().ok(),
                        Piece::Operator(_) => None,
                    });
                    total.code = code.unwrap_or(total.code);
                    return Ok(total);
                }
                let input = if after == After::Pipe { std::mem::take(&mut piped) } else { stdin.to_vec() };
                let outcome = self.simple(&command, &input)?;
                total.takes = total.takes.zip(outcome.takes).map(|(own, more)| own + more);
                total.stderr += &outcome.stderr;
                total.code = outcome.code;
                if next == After::Pipe {
                    piped = outcome.stdout;
                } else {
                    total.stdout.extend(outcome.stdout);
                }
                if total.takes.is_none() {
                    return Ok(total);
                }
            }
            command.clear();
            after = next;
        }
        Ok(total)
    }

    fn simple(&self, pieces: &[Piece], stdin: &[u8]) -> Result<Outcome, String> {
        const BEYOND: [&str; 8] = ["if", "for", "while", "until", "case", "{", "(", "trap"];
        let mut words = Vec::new();
        let mut into: Option<(String, bool)> = None;
        let mut quiet = false;
        let mut pieces = pieces.iter();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Word(word) => words.push(word.clone()),
                Piece::Operator(operator) => {
                    let Some(Piece::Word(target)) = pieces.next() else {
                        return Err(format!("a file is missing after `{operator}`"));
                    };
                    match operator.as_str() {
                        ">" => into = Some((target.clone(), false)),
                        ">>" => into = Some((target.clone(), true)),
                        "2>" => quiet = true,
                        _ => return Err(format!("`{operator}` is not imitated by the embedded cluster's shell")),
                    }
                }
            }
        }
        if let Some(word) = words.first().filter(|word| BEYOND.contains(&word.as_str())) {
            return Err(format!("`{word}` is not imitated by the embedded cluster's shell"));
        }
        let mut outcome = self.inside.run(&words, stdin);
        if quiet {
            outcome.stderr.clear();
        }
        if let Some((path, append)) = into.filter(|(path, _)| path != "/dev/null") {
            let mut bytes = Vec::new();
            if append && let Ok((file, _)) = self.inside.read(&path) {
                bytes = file.bytes.unwrap_or_default();
            }
            bytes.extend(std::mem::take(&mut outcome.stdout));
            match self.inside.write(&path, &bytes) {
                Ok(takes) => outcome.takes = outcome.takes.zip(takes).map(|(own, more)| own + more),
                Err(why) => outcome = Outcome::fails(1, format!("sh: can't create {path}: {why}\n")),
            }
        }
        Ok(outcome)
    }

    /// Cuts a script into words, with everything in them replaced, and operators.
    fn split(&self, script: &str) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut word: Option<String> = None;
        let mut rest = script;
        let finish = |word: &mut Option<String>, pieces: &mut Vec<Piece>| {
            pieces.extend(word.take().map(Piece::Word));
        };
        while let Some(letter) = rest.chars().next() {
            let operator = ["&&", "||", "2>", ">>", ">", "|", ";", "\n", "&", "<", "(", ")"]
                .into_iter()
                .find(|operator| rest.starts_with(operator) && (*operator != "2>" || word.is_none()));
            if let Some(operator) = operator {
                finish(&mut word, &mut pieces);
                if ["&", "<", "(", ")"].contains(&operator) {
                    return Err(format!("`{operator}` is not imitated by the embedded cluster's shell"));
                }
                pieces.push(Piece::Operator(if operator == "\n" { ";" } else { operator }.to_owned()));
                rest = &rest[operator.len()..];
                continue;
            }
            rest = &rest[letter.len_utf8()..];
            match letter {
                ' ' | '\t' => finish(&mut word, &mut pieces),
                '#' if word.is_none() => rest = rest.find('\n').map_or("", |at| &rest[at..]),
                '\'' => {
                    let end = rest.find('\'').ok_or("a quote is not closed")?;
                    word.get_or_insert_default().push_str(&rest[..end]);
                    rest = &rest[end + 1..];
                }
                '"' => {
                    let target = word.get_or_insert_default();
                    loop {
                        let letter = rest.chars().next().ok_or("a quote is not closed")?;
                        rest = &rest[letter.len_utf8()..];
                        match letter {
                            '"' => break,
                            '$' => {
                                let (text, left) = self.replaced(rest)?;
                                target.push_str(&text);
                                rest = left;
                            }
                            '\\' => {
                                target.extend(rest.chars().next());
                                rest = rest.get(1..).unwrap_or_default();
                            }
                            other => target.push(other),
                        }
                    }
                }
                '$' => {
                    let (text, left) = self.replaced(rest)?;
                    rest = left;
                    // Unquoted, what is put in is cut at its spaces.
                    let mut parts = text.split_whitespace();
                    if let Some(first) = parts.next() {
                        word.get_or_insert_default().push_str(first);
                    }
                    for part in parts {
                        finish(&mut word, &mut pieces);
                        word = Some(part.to_owned());
                    }
                }
                '\\' => {
                    word.get_or_insert_default().extend(rest.chars().next().filter(|next| *next != '\n'));
                    rest = rest.get(1..).unwrap_or_default();
                }
                other => word.get_or_insert_default().push(other),
            }
        }
        finish(&mut word, &mut pieces);
        Ok(pieces)
    }

    /// What stands for the text after a `$`, and what follows it.
    fn replaced<'t>(&self, rest: &'t str) -> Result<(String, &'t str), String> {
        if let Some(inner) = rest.strip_prefix('(') {
            let end = closing(inner).ok_or("`$(` is not closed")?;
            let outcome = self.script(&inner[..end], &[])?;
            let text = String::from_utf8_lossy(&outcome.stdout).trim_end_matches('\n').to_owned();
            return Ok((text, &inner[end + 1..]));
        }
        if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}').ok_or("`${` is not closed")?;
            return Ok((self.variable(&inner[..end]), &inner[end + 1..]));
        }
        let length = match rest.chars().next() {
            Some(letter) if letter.is_ascii_digit() || "@*#?$".contains(letter) => 1,
            _ => rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len()),
        };
        Ok((self.variable(&rest[..length]), &rest[length..]))
    }

    fn variable(&self, name: &str) -> String {
        match name.parse::<usize>() {
            Ok(number) => self.args.get(number).copied().unwrap_or_default().to_owned(),
            Err(_) if name == "@" || name == "*" => self.args.get(1..).unwrap_or_default().join(" "),
            Err(_) => self.inside.env.get(name).cloned().unwrap_or_default(),
        }
    }
}

/// Where the bracket that was opened before this text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::files::{File, Tree, Volume};
    use super::*;

    fn inside() -> Inside {
        let root = Volume::default();
        root.put("version", File::of(b"2.0.0\n"));
        Inside {
            tree: Tree::new(root, Vec::new()),
            env: BTreeMap::from([("NAME".to_owned(), "a b".to_owned())]),
            host: "web-1".to_owned(),
            uptime: Duration::from_millis(61_230),
        }
    }

    #[test]
    fn scripts_do_what_a_shell_does() {
        let cases: [(&str, &str, i32); 12] = [
            ("cat /version && test \"$(cat /version)\" = \"$1\"", "2.0.0\n", 0),
            ("echo $NAME; echo \"$NAME\" '$NAME'", "a b\na b $NAME\n", 0),
            ("false && echo a || echo b", "b\n", 0),
            (
                "echo hi > /tmp/x; cat /tmp/x | sha256sum",
                "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4  -\n",
                0,
            ),
            ("echo a >> /y\necho b >> /y; cat /y", "a\nb\n", 0),
            ("cat /none 2>/dev/null || echo missing", "missing\n", 0),
            ("exit 3; echo no", "", 3),
            ("[ -f /version ] && [ ! -e /other ] && echo ok # and no more", "ok\n", 0),
            ("printf '%s-%s\\n' x y", "x-y\n", 0),
            ("hostname; cat /proc/uptime", "web-1\n61.23 0.00\n", 0),
            ("curl http://x", "", 127),
            ("while true; do :; done", "", 2),
        ];
        for (script, printed, code) in cases {
            let outcome = run(&inside(), script, &["sh", "2.0.0"], b"");
            assert_eq!((String::from_utf8_lossy(&outcome.stdout).as_ref(), outcome.code), (printed, code), "{script}");
        }
    }

    #[test]
    fn time_is_said_and_not_spent() {
        assert_eq!(run(&inside(), "sleep 2; sleep 1m", &[], b"").takes, Some(Duration::from_secs(62)));
        assert_eq!(run(&inside(), "sleep infinity; echo a", &[], b"").takes, None);
    }
}
