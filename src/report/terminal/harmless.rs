//! Text from a cluster, wherever it is printed.

use std::io;

use proptest::prelude::*;

use super::laws::{look, play};
use super::paper::Paper;
use super::{Closing, Detail, Mode, Output, Terminal};
use crate::clock::Elapsed;
use crate::event::{Class, EventKind, Failure, Note, RunStart, SkipReason, Verdict, When};
use crate::id::StepId;
use crate::view::{RunView, Story, hostile, node, red};

const SECOND: u64 = 1_000_000;

/// A run in which every text is this one.
fn run_of(text: &str) -> Story {
    let EventKind::RunStarted(start) = red().events()[0].kind.clone() else { panic!("no start") };
    let own = |id: &str, kind: &str| node(id, kind).about(text);
    let mut steps = vec![own("a", "exec"), own("b", "wait"), own("c", "collect").when(When::Always)];
    for step in &mut steps {
        step.file = text.into();
    }
    let mut cluster = start.cluster.clone().unwrap();
    (cluster.context, cluster.server, cluster.version) = (text.into(), text.into(), text.into());
    let failure = Failure {
        causes: vec![text.into(), text.into()],
        expected: Some(text.into()),
        observed: vec![text.into(), text.into()],
        ..Failure::new(Class::Refused, text)
    };
    let texts = vec![text.to_owned(), text.to_owned()];
    let start = RunStart {
        lariat: text.into(),
        plan: text.into(),
        title: text.into(),
        flags: texts.clone(),
        cluster: Some(cluster),
        repro: text.into(),
        steps,
        ..*start
    };
    Story::begin(start)
        .warn(text)
        .start("a")
        .note("a", Note::text(text))
        .note("a", Note::pair(text, text))
        .note("a", Note::Table { title: text.into(), head: texts.clone(), rows: vec![texts.clone()] })
        .note("a", Note::Block { title: text.into(), text: text.into() })
        .note("a", Note::Diff { title: text.into(), text: text.into() })
        .note("a", Note::File { path: text.into(), about: text.into() })
        .note("a", Note::Retried { request: text.into(), reason: text.into() })
        .progress("a", text, &[text, text])
        .after(40_000)
        .again("a", 1, failure.clone(), 10)
        .after(20)
        .fail("a", failure.clone())
        .skip("b", SkipReason::If { expression: text.into() })
        .start("c")
        .fail("c", failure)
        .finish(Verdict::Fail, text)
}

/// Everything that can be printed about such a run.
fn all_that_is_said(text: &str) -> Vec<String> {
    let story = run_of(text);
    let closing = Closing {
        files: vec![(text.into(), text.into())],
        html: Some(text.into()),
        critical: vec![(StepId::root(text), Elapsed(1))],
        real: None,
        extra: vec![text.into()],
    };
    let mut said = Vec::new();
    for mode in [Mode::Plain, Mode::Quiet, Mode::Json] {
        for detail in [Detail::States, Detail::Notes, Detail::Requests] {
            let paper = Paper::default();
            let mut terminal = Terminal::with_bars(look(mode, detail), Output::new(paper.clone(), io::sink()), None);
            play(&mut terminal, story.events(), SECOND);
            terminal.aside(text);
            terminal.close(&closing);
            said.push(paper.text());
        }
    }
    for cut in 1..story.events().len() {
        let view = RunView::of(&story.events()[..cut]).unwrap();
        let rows = super::rows::rows(&view, Elapsed(20_000_000), 24);
        said.push(rows.iter().map(|row| row.render(false) + "\n").collect());
    }
    said
}

fn is_harmless(said: &str) -> Result<(), String> {
    for line in said.split('\n') {
        let fail = |what: &str| Err(format!("{what}: {line:?}"));
        if line.chars().any(char::is_control) {
            return fail("a control character");
        }
        if line.trim_start().starts_with("::") {
            return fail("a workflow command");
        }
        let commands = line
            .match_indices("##")
            .any(|(at, _)| line[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('['));
        if commands {
            return fail("a logging command");
        }
        if line.contains(['\u{202a}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{200f}', '\u{feff}', '\u{ffff}']) {
            return fail("a character that hides");
        }
        if ["---", "+++", "~~~"].iter().any(|mark| line.starts_with(mark)) {
            return fail("a section of Buildkite");
        }
        if line.chars().count() > 8000 {
            return fail("an endless line");
        }
    }
    Ok(())
}

#[test]
fn hostile_text_is_harmless_everywhere() {
    for text in
        [hostile(), "::error::x".into(), "##[error]x\n::y".into(), "--- x".into(), "x".repeat(20_000), String::new()]
    {
        for said in all_that_is_said(&text) {
            is_harmless(&said).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_is_harmless_everywhere(parts in prop::collection::vec(prop_oneof![
        any::<String>(), ":{1,3}[a-z]{0,3}", "#{1,4}[a-z]{0,3}\\[?", "\x1b[\\[\\]P(]?[0-9;]{0,4}[mK\x07]?",
        "[\r\n\t \u{85}\u{2028}\u{202e}\u{feff}\u{9b}]{1,3}", "[-+~]{3}",
    ], 0..8)) {
        for said in all_that_is_said(&parts.concat()) {
            is_harmless(&said).map_err(TestCaseError::fail)?;
        }
    }
}
