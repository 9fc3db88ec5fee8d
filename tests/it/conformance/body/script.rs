//! The sequences as written: files of requests in plain text.
//!
//! A file is blocks with empty lines between them. `let WORD = TEXT` names a text, `### TITLE`
//! begins a sequence, and what is left are steps: a request (`METHOD PATH`, headers, a body, then
//! `> WORD = path.in.the.answer` for what later requests take from it) or a directive (`@…`).
//! `${WORD}` stands for a named text, `${WORD a b}` for one in which `$1` and `$2` are filled in.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::folder;

/// One file of sequences.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) sequences: Vec<Sequence>,
}

/// Steps that stand on one another, and on nothing outside.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
    /// The file's named texts.
    pub(crate) texts: BTreeMap<String, String>,
}

/// One step, its placeholders still in place.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request, whose answer is recorded.
    Ask(Ask),
    /// A watch that stays open while the sequence goes on.
    Watch { name: String, path: String },
    /// The end of that watch, with all that it told.
    Events { name: String },
    /// Time passes.
    Sleep(Duration),
    /// Nothing goes on until the answer of a GET has this code.
    Until { code: u16, path: String },
    /// Nothing goes on until controllers, where there are any, have written something at this JSON pointer.
    Tended { path: String, pointer: String },
    /// A pod whose one container runs and has printed these lines.
    Running { pod: String, lines: Vec<String> },
    /// A command in a container, over a websocket.
    Exec { path: String },
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Word and path of what is taken from the answer.
    pub(crate) takes: Vec<(String, String)>,
}

/// Every file of sequences, by name.
pub(crate) fn files() -> Vec<File> {
    let mut paths: Vec<_> = fs::read_dir(folder().join("sequences"))
        .expect("the folder of sequences can be read")
        .map(|entry| entry.expect("an entry of that folder can be read").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(path).expect("a file of sequences is UTF-8");
            File { sequences: sequences(&name, &text), name }
        })
        .collect()
}

fn sequences(file: &str, text: &str) -> Vec<Sequence> {
    let mut texts = BTreeMap::new();
    let mut sequences: Vec<Sequence> = Vec::new();
    for block in text.split("\n\n") {
        let block = block.trim_matches('\n');
        let mut lines = block.lines().skip_while(|line| line.starts_with("# ")).peekable();
        let Some(first) = lines.peek().copied() else { continue };
        if first.starts_with("let ") {
            for line in lines {
                let (word, value) = line["let ".len()..].split_once(" = ").expect("`let WORD = TEXT`");
                texts.insert(word.to_owned(), value.to_owned());
            }
        } else if let Some(title) = first.strip_prefix("### ") {
            assert!(sequences.iter().all(|other| other.title != title), "{file}: two sequences `{title}`");
            sequences.push(Sequence { title: title.to_owned(), steps: Vec::new(), texts: BTreeMap::new() });
            lines.next();
            assert!(lines.next().is_none(), "{file}: an empty line follows the title `{title}`");
        } else {
            let sequence = sequences.last_mut().unwrap_or_else(|| panic!("{file}: a step before the first title"));
            let step = step(&lines.collect::<Vec<_>>());
            sequence.steps.push(step.unwrap_or_else(|| panic!("{file}: not understood:\n{block}")));
        }
    }
    for sequence in &mut sequences {
        sequence.texts.clone_from(&texts);
    }
    sequences
}

fn step(lines: &[&str]) -> Option<Step> {
    let (first, rest) = lines.split_first()?;
    let (word, argument) = first.split_once(' ').unwrap_or((first, ""));
    let seconds = |text: &str| Some(Duration::from_secs_f64(text.strip_suffix('s')?.parse().ok()?));
    let split = |text: &str| text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    match word {
        "@watch" => split(argument).map(|(name, path)| Step::Watch { name, path }),
        "@events" => Some(Step::Events { name: argument.to_owned() }),
        "@sleep" => seconds(argument).map(Step::Sleep),
        "@until" => split(argument).map(|(code, path)| Step::Until { code: code.parse().expect("a code"), path }),
        "@tended" => split(argument).map(|(path, pointer)| Step::Tended { path, pointer }),
        "@running" => {
            let lines = rest.iter().map(|line| (*line).to_owned()).collect();
            Some(Step::Running { pod: argument.to_owned(), lines })
        }
        "@exec" => Some(Step::Exec { path: argument.to_owned() }),
        _ => ask(word, argument, rest).map(Step::Ask),
    }
}

fn ask(method: &str, path: &str, rest: &[&str]) -> Option<Ask> {
    let (method, patch) = method.split_once(':').unwrap_or((method, ""));
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) || path.is_empty() {
        return None;
    }
    let is_header = |line: &str| {
        line.split_once(": ")
            .is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'))
            && line.starts_with(|letter: char| letter.is_ascii_uppercase())
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut takes = Vec::new();
    let mut body: Vec<&str> = Vec::new();
    for line in rest {
        if let Some(take) = line.strip_prefix("> ") {
            let (word, path) = take.split_once(" = ")?;
            takes.push((word.to_owned(), path.to_owned()));
        } else if body.is_empty() && is_header(line) {
            let (name, value) = line.split_once(": ")?;
            headers.push((name.to_owned(), value.to_owned()));
        } else {
            body.push(line);
        }
    }
    let content_type = match patch {
        "" => "application/json",
        "merge" => "application/merge-patch+json",
        "json" => "application/json-patch+json",
        "strategic" => "application/strategic-merge-patch+json",
        "apply" => "application/apply-patch+yaml",
        _ => return None,
    };
    for (name, value) in [("Accept", "application/json"), ("User-Agent", "tester/1"), ("Content-Type", content_type)] {
        if !headers.iter().any(|(own, _)| own == name) && (name != "Content-Type" || !body.is_empty()) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Some(Ask { method: method.to_owned(), path: path.to_owned(), headers, body: body.join("\n"), takes })
}

/// Fills in the placeholders of a text.
pub(crate) fn filled(text: &str, words: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let end = closing(after).unwrap_or_else(|| panic!("a placeholder does not end in `{text}`"));
        let (word, arguments) = after[..end].split_once(' ').unwrap_or((&after[..end], ""));
        let value = words.get(word).unwrap_or_else(|| panic!("`${{{word}}}` is not known in `{text}`"));
        let mut value = value.clone();
        let wanted = (1..9).take_while(|number| value.contains(&format!("${number}"))).count();
        // The last argument takes what is left, spaces and all.
        for (number, argument) in arguments.splitn(wanted.max(1), ' ').enumerate() {
            value = value.replace(&format!("${}", number + 1), argument);
        }
        out.push_str(&filled(&value, words));
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

/// Where the brace is that closes what has just been opened.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.bytes().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth < 0
    })
}
