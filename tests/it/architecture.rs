//! Imports flow one way: a room imports only from rooms of a lower rank, through
//! their doors. Rust does not check this inside one crate, so this does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room with its rank. A room may import rooms of lower rank only; rooms
/// of one rank do not know each other.
const RANKS: &[(&str, u8)] = &[
    ("clock", 0),
    ("id", 0),
    ("text", 0),
    ("expr", 1),
    ("event", 1),
    ("plan", 2),
    ("check", 3),
    ("graph", 3),
    ("journal", 3),
    ("view", 3),
    ("cluster", 3),
    ("record", 4),
    ("sim", 4),
    ("report", 4),
    ("step", 5),
    ("engine", 6),
    ("cli", 8),
];

/// Edges that the ranks would allow and the design forbids, with the reason.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("report", "plan", "a report is a fold of the journal: it works without the plan"),
    ("report", "cluster", "a report is a fold of the journal: it works without a cluster"),
    ("graph", "plan", "the graph is drawn from a journal too, so it stands on events alone"),
    ("check", "journal", "events are handed to a check, live or from a file"),
    ("view", "plan", "a view is a fold of events"),
    ("journal", "plan", "the journal keeps events"),
    ("step", "sim", "a step can't tell the embedded cluster from a real one"),
    ("step", "report", "a step does not show anything"),
    ("step", "view", "a step does not read its own story"),
    ("step", "journal", "only the engine's sink writes"),
    ("step", "graph", "a step does not know its place"),
    ("engine", "sim", "the engine can't tell the embedded cluster from a real one"),
    ("engine", "journal", "the engine hands events to a sink"),
    ("engine", "view", "the engine hands events to a sink"),
    ("engine", "report", "the engine hands events to a sink"),
    ("sim", "plan", "the embedded cluster knows no plan"),
    ("sim", "event", "the embedded cluster has no story to tell"),
];

/// Rooms that must not know a crate: what acts and what decides stay apart.
const CRATES: &[(&str, &[&str])] = &[
    ("id", &["tokio", "kube"]),
    ("text", &["tokio", "kube"]),
    ("expr", &["tokio", "kube", "toml"]),
    ("event", &["tokio", "kube", "toml"]),
    ("plan", &["tokio", "kube", "reqwest"]),
    ("check", &["tokio", "kube", "toml"]),
    ("graph", &["tokio", "kube", "toml"]),
    ("view", &["tokio", "kube", "toml", "indicatif"]),
    ("journal", &["kube", "toml"]),
    ("report", &["kube", "toml", "reqwest"]),
    ("engine", &["kube", "toml", "reqwest", "indicatif"]),
];

#[test]
fn imports_flow_one_way() {
    let ranks: BTreeMap<&str, u8> = RANKS.iter().copied().collect();
    let mut wrong = String::new();
    for file in sources() {
        let room = room_of(&file);
        let Some(rank) = room.as_deref().and_then(|room| ranks.get(room)) else {
            continue;
        };
        let room = room.expect("a room with a rank has a name");
        if is_for_tests(&file) {
            continue;
        }
        let text = without_comments(&fs::read_to_string(&file).expect("the source can be read"));
        for (line, other) in uses_of_rooms(&text) {
            let at = format!("{}:{line}", file.display());
            match ranks.get(other.as_str()) {
                None => writeln!(wrong, "{at}: `{other}` has no rank").expect("a String takes text"),
                Some(_) if other == room => {}
                Some(other_rank) if other_rank >= rank => {
                    writeln!(wrong, "{at}: `{room}` (rank {rank}) imports `{other}` (rank {other_rank})")
                        .expect("a String takes text");
                }
                Some(_) => {
                    for (_, _, why) in FORBIDDEN.iter().filter(|(from, to, _)| *from == room && *to == other) {
                        writeln!(wrong, "{at}: `{room}` imports `{other}`, but {why}").expect("a String takes text");
                    }
                }
            }
        }
        for name in CRATES.iter().filter(|(of, _)| *of == room).flat_map(|(_, names)| *names) {
            if text.contains(&format!("use {name}::")) || text.contains(&format!(" {name}::")) {
                writeln!(wrong, "{}: `{room}` must not know `{name}`", file.display()).expect("a String takes text");
            }
        }
    }
    assert!(wrong.is_empty(), "imports that flow the wrong way:\n{wrong}");
}

#[test]
fn every_room_has_a_rank_and_stands_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs can be read");
    let declared: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let ranks: BTreeMap<&str, u8> = RANKS.iter().copied().collect();
    let order: Vec<u8> =
        declared.iter().map(|room| *ranks.get(room).unwrap_or_else(|| panic!("`{room}` has no rank"))).collect();
    assert!(order.is_sorted(), "rooms stand in `lib.rs` in the order of their ranks: {declared:?} {order:?}");
}

#[test]
fn nothing_asks_the_time_but_the_clock() {
    let banned = ["Instant::now", "SystemTime::now", "Timestamp::now", "thread::sleep", "Utc::now"];
    let mut wrong = Vec::new();
    for file in sources() {
        if file.ends_with("src/clock.rs") {
            continue;
        }
        let text = without_comments(&fs::read_to_string(&file).expect("the source can be read"));
        // Tests may look at real time; nothing else may. tokio's `Instant` is virtual where time is.
        if is_for_tests(&file) {
            continue;
        }
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let std_instant = text.contains("std::time::Instant") || text.contains("std::time::{Duration, Instant}");
        for (number, line) in text.lines().enumerate() {
            let tokio_instant = line.contains("Instant::now") && !std_instant;
            if banned.iter().any(|call| line.contains(call)) && !tokio_instant {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "only src/clock.rs asks the time:\n{}", wrong.join("\n"));
}

/// A run in virtual time must notice when it reaches out: whoever can, says so right before.
#[test]
fn nothing_reaches_out_unsaid() {
    let ways = [
        "Command::new(",
        "TcpListener::bind",
        "TcpStream::connect",
        "UdpSocket::bind",
        "UnixStream::connect",
        "UnixListener::bind",
        "Client::builder()",
        "Client::try_from(",
        "reqwest::get",
    ];
    // What only tests are served by.
    let served_to_tests = "src/cluster/live/server.rs";
    let (mut wrong, mut found) = (Vec::new(), 0);
    for file in sources().into_iter().filter(|file| !is_for_tests(file) && !file.ends_with(served_to_tests)) {
        let text = without_comments(&fs::read_to_string(&file).expect("the source can be read"));
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        if ways.iter().any(|way| text.contains(way)) {
            found += 1;
            if !text.contains("reaches_out(") {
                wrong.push(file.display().to_string());
            }
        }
    }
    assert!(found >= 5, "the ways out have other names by now: {found}");
    assert!(wrong.is_empty(), "`cluster::reaches_out` is not called where something reaches out: {wrong:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `src`, in a fixed order.
fn sources() -> Vec<PathBuf> {
    fn down(folder: &Path, into: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .expect("a source folder can be read")
            .map(|entry| entry.expect("an entry can be read").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                down(&path, into);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    down(&root().join("src"), &mut files);
    files
}

/// The room a file belongs to; `None` for `main.rs` and `lib.rs`.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).expect("sources are below src");
    let first = inside.components().next()?.as_os_str().to_str()?;
    match first {
        "main.rs" | "lib.rs" => None,
        _ => Some(first.trim_end_matches(".rs").to_owned()),
    }
}

/// Whether a file holds nothing but tests and what they stand on: those may use any room.
fn is_for_tests(file: &Path) -> bool {
    let inside = file.strip_prefix(root()).expect("sources are below the root");
    inside.components().any(|part| ["tests", "tests.rs", "testing.rs"].iter().any(|name| part.as_os_str() == *name))
}

fn without_comments(text: &str) -> String {
    let strip = |line: &str| line.find("//").map_or(line.to_owned(), |at| line[..at].to_owned());
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// Each `crate::room` that a source names, with its line; braces after `crate::` are opened.
fn uses_of_rooms(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
        if let Some(inside) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in inside.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push((line, word(item.trim())));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    item.push(c);
                }
            }
            if !item.trim().is_empty() {
                found.push((line, word(item.trim())));
            }
        } else {
            let name = word(rest);
            // `crate::` inside a macro's `$crate::` names other crates' rooms.
            if !text[..at].ends_with('$') && !name.is_empty() {
                found.push((line, name));
            }
        }
    }
    found
}
