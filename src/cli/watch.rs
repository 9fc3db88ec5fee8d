use std::collections::BTreeSet;
use std::io::BufRead as _;

use serde_json::Map;
use tokio::sync::mpsc;

use super::args::WatchArgs;
use super::finish::{self, Copies};
use super::look::look;
use super::run::{draw, narrate, run_id, signals};
use super::screen::{err, out, told};
use super::sink::Recorded;
use super::{Exit, door};
use crate::engine::{self, Vigil};
use crate::event::{FORMAT, Mask, RunStart};
use crate::id;
use crate::journal::{RunFolder, Writer};
use crate::plan::{Query, Resource};
use crate::report::{Output, Terminal};

/// The name under which such a run's folder stands.
const PLAN: &str = "watch";

/// Records what happens to objects until Ctrl-C, and runs nothing.
pub(super) async fn watch(args: WatchArgs) -> Exit {
    match attempt(&args).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn attempt(args: &WatchArgs) -> Result<Exit, Exit> {
    let written = written(args)?;
    let Some(context) = &args.cluster.context else {
        err(
            "lariat: no cluster is taken unasked: name one with `--context NAME` (`kubectl config get-contexts` lists them)",
        );
        return Err(Exit::Usage);
    };
    let cluster = door::connect(context, &args.cluster).await?.cluster;
    let client = cluster.client().map_err(|error| {
        err(&told(&error));
        Exit::Error
    })?;
    let namespace = match (&args.namespace, args.all_namespaces) {
        (_, true) => String::new(),
        (Some(namespace), false) => namespace.clone(),
        (None, false) => client.default_namespace().to_owned(),
    };
    let queries = written.into_iter().map(|(resource, name)| Query {
        resource,
        namespace: namespace.clone(),
        name,
        labels: args.selector.clone(),
        fields: args.field_selector.clone(),
    });
    let clock = cluster.clock();
    let said = |error: crate::journal::Error| {
        err(&told(&error));
        Exit::Error
    };
    let seed = draw();
    let id = run_id(PLAN, &clock, seed);
    let folder = RunFolder::create(&args.reports, PLAN, clock.start(), &id).map_err(said)?;
    let journal = Writer::create(folder.path()).map_err(said)?;
    if let Err(error) = folder.become_latest() {
        err(&told(&error));
    }
    let start = RunStart {
        format: FORMAT,
        lariat: env!("CARGO_PKG_VERSION").to_owned(),
        run: id,
        started: clock.start(),
        plan: PLAN.to_owned(),
        title: format!("Watching {}", args.resources.join(", ")),
        namespace: namespace.clone(),
        about: String::new(),
        covers: Vec::new(),
        files: Vec::new(),
        vars: Map::new(),
        secrets: Vec::new(),
        set: Vec::new(),
        flags: Vec::new(),
        seed,
        jobs: 0,
        cluster: cluster.identity(),
        faults: Vec::new(),
        steps: Vec::new(),
        checks: Vec::new(),
        repro: String::new(),
    };
    let copies = Copies::default();
    let (show, shown) = mpsc::unbounded_channel();
    let terminal = tokio::spawn(narrate(Terminal::new(look(&args.show), Output::standard()), Some(clock), shown));
    let mut sink = Recorded::new(journal, folder.clone(), copies.clone(), show).showing(args.show.progress);
    err(&format!("recording into {}; a line on stdin marks a moment, Ctrl-C ends it", finish::shown(folder.path())));
    let vigil =
        Vigil { start, cluster, queries: queries.collect(), mask: Mask::default(), marks: marks(), signals: signals() };
    let verdict = engine::watch(vigil, &mut sink).await;
    let (view, lost) = sink.into_story();
    let terminal = terminal.await.map_err(|_| Exit::Error)?;
    let Some(view) = view else {
        err(&format!("lariat: {}", lost.unwrap_or_default()));
        return Err(Exit::Error);
    };
    let written = finish::write(&view, &folder, &copies);
    let failed = written.failed;
    let mut terminal = terminal;
    terminal.close(&written.closing(&folder));
    out(&folder.path().display().to_string());
    Ok(match Exit::of(verdict, None) {
        Exit::Ok if failed => Exit::Error,
        exit => exit,
    })
}

/// The kinds and names that are written: `pods`, `pods,services`, `pod/web-0`.
fn written(args: &WatchArgs) -> Result<Vec<(Resource, Option<String>)>, Exit> {
    let mut found = BTreeSet::new();
    for word in args.resources.iter().flat_map(|word| word.split(',')) {
        let (kind, name) = match word.split_once('/') {
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (word, None),
        };
        match Resource::parse(kind) {
            Ok(resource) if name.as_deref() != Some("") => {
                found.insert((resource, name));
            }
            Ok(_) => {
                err(&format!("lariat: `{word}` names no object; write it like `pod/web-0`"));
                return Err(Exit::Usage);
            }
            Err(sentence) => {
                err(&format!("lariat: {sentence}"));
                return Err(Exit::Usage);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Each line on stdin is a mark.
fn marks() -> mpsc::UnboundedReceiver<String> {
    let (mark, marks) = mpsc::unbounded_channel();
    // A thread of its own: a read of a terminal can't be given up, and must not keep the process alive.
    let read = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let name = as_name(&line);
            if id::is_kebab(&name) {
                if mark.send(name).is_err() {
                    return;
                }
            } else if !line.trim().is_empty() {
                err(&format!("lariat: `{}` is no name for a mark; use letters, digits and dashes", line.trim()));
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("marks".into()).spawn(read) {
        err(&format!("lariat: marks can't be read: {error}"));
    }
    marks
}

/// A line as a step would be called.
fn as_name(line: &str) -> String {
    line.trim().to_lowercase().split([' ', '_', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_name() {
        for (line, name) in [("kill one", "kill-one"), (" Upgrade_2 \n", "upgrade-2"), ("--a--", "a"), ("é", "é")] {
            assert_eq!(as_name(line), name);
        }
    }
}
