use std::collections::BTreeSet;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::html;
use crate::event::{Class, Failure, Note, Outcome, Verdict};
use crate::graph::Graph;
use crate::id::StepId;
use crate::report::{clean, sample};
use crate::view::{RunView, Story, chaos, hostile, node};

/// What stands in a page, read as XML: stricter than any browser.
#[derive(Default)]
struct Page {
    ids: Vec<String>,
    links: Vec<String>,
    tags: Vec<String>,
    /// All text, tags taken out, style sheet left out.
    text: String,
    style: String,
}

fn read(html: &str) -> Page {
    let mut reader = Reader::from_str(html);
    let mut page = Page::default();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                page.enter(&tag);
                open.push(name(&tag));
            }
            Event::Empty(tag) => page.enter(&tag),
            Event::End(_) => {
                // Only these stand in a line with their neighbours.
                let inline = ["a", "b", "strong", "em", "small", "code", "span", "time", "svg", "use", "path"];
                if open.pop().is_some_and(|tag| !inline.contains(&tag.as_str())) {
                    page.text.push('\n');
                }
            }
            Event::Text(text) => {
                let text = text.decode().unwrap();
                let is_style = open.last().is_some_and(|tag| tag == "style");
                if is_style { &mut page.style } else { &mut page.text }.push_str(&text);
            }
            Event::GeneralRef(entity) => page.text.push(match &*entity {
                b"lt" => '<',
                b"gt" => '>',
                b"amp" => '&',
                b"quot" => '"',
                b"#39" => '\'',
                other => panic!("entity {other:?}"),
            }),
            Event::DocType(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?} stays open");
    page
}

impl Page {
    /// Takes in a tag; nothing that runs, loads or styles may be in it.
    fn enter(&mut self, tag: &BytesStart<'_>) {
        const TAGS: &str = "html head meta title style body a svg defs symbol path text circle rect use g header nav main \
            section article footer div span p h1 h2 h3 ul ol li dl dt dd table caption thead tbody tr th td details summary \
            pre code b em strong small time ins del";
        let name = name(tag);
        assert!(TAGS.split_whitespace().any(|known| known == name), "<{name}>");
        for attribute in tag.attributes() {
            let attribute = attribute.expect("each attribute once");
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).expect("known entities");
            assert!(!key.starts_with("on") && !["style", "src", "srcset", "action", "ping"].contains(&key.as_str()));
            match key.as_str() {
                "id" => self.ids.push(value.into_owned()),
                "href" => self.links.push(value.into_owned()),
                _ => {}
            }
        }
        self.tags.push(name);
    }
}

fn name(tag: &BytesStart<'_>) -> String {
    String::from_utf8(tag.name().as_ref().to_vec()).unwrap()
}

/// What a browser makes of the fragment of a link.
fn decoded(link: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = link.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Every rule that holds for any run at all.
fn check(view: &RunView) -> Result<Page, TestCaseError> {
    let html = html(view);
    prop_assert!(html.len() < 8_000_000, "{} bytes", html.len());
    let page = read(&html);
    let ids: BTreeSet<&str> = page.ids.iter().map(String::as_str).collect();
    prop_assert_eq!(ids.len(), page.ids.len(), "ids are not unique");
    for link in &page.links {
        if let Some(fragment) = link.strip_prefix('#') {
            let id = decoded(fragment);
            prop_assert!(ids.contains(id.as_str()), "{} leads nowhere", id);
        } else {
            prop_assert!(link.starts_with("./"), "{} leads outside", link);
        }
    }
    prop_assert_eq!(page.tags.iter().filter(|tag| *tag == "style").count(), 1);
    prop_assert!(html.contains("default-src &#39;none&#39;; style-src &#39;sha256-"));
    prop_assert!(!page.style.contains("url(") && !page.style.contains("@import"));
    Ok(page)
}

fn page(name: &str) -> Page {
    let (_, view) = sample::all().into_iter().find(|(sample, _)| *sample == name).unwrap();
    check(&view).unwrap()
}

/// The text without the blanks of the layout.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_of_run_gives_one_file_that_needs_nothing() {
    for (name, view) in sample::all() {
        check(&view).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

#[test]
fn the_page_begins_with_what_a_reader_wants_to_know() {
    let page = squeezed(&page("fail").text);
    let from = page.find("Failed Lab:").unwrap();
    let to = page.find("The plan as a graph").unwrap();
    insta::assert_snapshot!(&page[from..to], @r#"Failed Lab: every gadget pod killed at once, upgraded, rolled back restart[02]/back failed: only 1 of 3 pods was ready again within 2m after the kill 1 failed 5 passed 5 blocked of 11 steps clean-up, apart: 2 passed restart 1 of 3 rounds passed: 01 02 03 Plan restart Cluster lab Version v1.34.4, 3 nodes Server https://127.0.0.1:6443 Started 2026-11-22 14:30:00 UTC Took 2m33s Seed 7 Run restart-20260101T000000Z-7f3a Failures Graph Time Steps Environment Run it again What went wrong restart[02]/back wait failed: timeout As many new pods are ready as were killed, for 5 s. only 1 of 3 pods was ready again within 2m after the kill Expected 3 of pods: ready(o) && !(o.metadata.uid in steps.kill.uids), for 5s Observed pod/gadget-node-b2x7k on lab-2: Running, container gadget not ready: readiness probe failed: HTTP 503 pod/gadget-node-c3x7k on lab-3: Pending, waiting for gadget: CrashLoopBackOff (restarted 4 times) Caused by the last change was 41 s before the end When 2026-11-22 14:32:27 UTC, 2m27s after the start and 2m00s after the step began; 2m00s after restart[02]/kill (pod-kill) Where plans/restart.toml:34 [steps.restart.steps.back] needs = ["kill"] wait = { on = "pods", that = "ready(o) && !(o.metadata.uid in steps.kill.uids)", count = "${steps.kill.count}", stable = "5s" } Blocked by it restart[03]/kill, restart[03]/back, upgrade, verify, rollback Run it again lariat run plans/restart.toml --context lab --seed 7 --set rounds=2"#);
}

#[test]
fn what_never_ran_is_there_with_its_cause() {
    let page = squeezed(&page("cancelled").text);
    let table = &page[page.find("Every step").unwrap()..];
    let row = &table[table.find("rollback").unwrap()..table.find("Clean-up").unwrap()];
    insta::assert_snapshot!(row, @"rollback helm-rollback blocked the run was cancelled: interrupted (SIGINT) – –");
}

#[test]
fn a_cut_record_says_so() {
    let page = squeezed(&page("incomplete").text);
    for said in [
        "Incomplete",
        "The record of this run is incomplete.",
        "unfinished when the record ends",
        "Last seen 1 of 3 ready pod/gadget-node-b2x7k",
        "the record ends before it",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn an_embedded_run_says_that_it_is_one() {
    let page = squeezed(&page("embedded").text);
    assert!(page.contains("Cluster embedded cluster, virtual time") && page.contains("Seed 1"));
    assert!(page.contains("Took 1m29s of virtual time"));
}

#[test]
fn cluster_text_stays_text() {
    let page = page("hostile");
    let told = clean::clean(&hostile());
    for line in told.lines().filter(|line| !line.trim().is_empty()) {
        assert!(page.text.contains(line), "{line:?}");
    }
    assert!(!page.text.contains(['\x1b', '\u{202e}']));
}

#[test]
fn the_same_events_give_the_same_bytes() {
    for story in [sample::pass(), sample::fail(), sample::sixty()] {
        let kept: Vec<String> = story.events().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let read: Vec<_> = kept.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(html(&RunView::of(&read).unwrap()), html(&story.view()));
    }
}

#[test]
fn every_step_and_every_line_is_drawn() {
    for (name, view) in sample::all() {
        let Some(layout) = Graph::new(&view.start.steps).layout() else { continue };
        let html = html(&view);
        let count = |text: &str| html.matches(text).count();
        assert_eq!(count("<g class=\"tile"), layout.nodes.len(), "{name}");
        assert_eq!(count("<g class=\"frame"), layout.frames.len(), "{name}");
        assert_eq!(count("<g class=\"edge"), layout.edges.len(), "{name}");
    }
}

#[test]
fn the_critical_path_is_said_and_drawn() {
    let page = squeezed(&page("fail").text);
    let from = page.find("Critical path").unwrap();
    let to = page.find("From left to right").unwrap();
    insta::assert_snapshot!(&page[from..to], @"Critical path, 2m33s of 2m33s: install 13.0s → restart[01]/kill 45ms → restart[01]/back 14.0s → restart[02]/kill 48ms → restart[02]/back 2m00s → logs 1.2s → remove 5.1s");
    let html = html(&sample::fail().view());
    assert_eq!(html.matches("<g class=\"edge critical\"").count(), 3);
}

#[test]
fn a_long_note_is_cut_and_says_so() {
    let long = Note::Block { title: "log".into(), text: "line\n".repeat(100_000) };
    let story = Story::new(vec![node("a", "exec")]).start("a").note("a", long).pass("a");
    let view = story.finish(Verdict::Pass, "all passed").view();
    let page = check(&view).unwrap();
    assert!(page.text.contains("bytes are left out here; all of it is in events.jsonl"));
    assert!(page.text.len() < 100_000);
}

#[test]
fn a_long_plan_is_cut_and_failures_stay() {
    let ids: Vec<String> = (0..2_500).map(|n| format!("s{n}")).collect();
    let mut story = Story::new(ids.iter().map(|id| node(id, "exec")).collect());
    for id in &ids {
        story = story.start(id).after(1);
        story = if id == "s2400" { story.fail(id, Failure::new(Class::Unmet, "no")) } else { story.pass(id) };
    }
    let view = story.finish(Verdict::Fail, "`s2400` failed: no").view();
    let html = html(&view);
    let page = read(&html);
    assert!(page.text.contains("The table holds 2000 of 2500 rows, what failed first"));
    assert!(page.ids.contains(&"/step/s2400".to_owned()));
    assert!(page.text.contains("A drawing of 2500 steps could not be read"));
    assert!(html.len() < 8_000_000, "{}", html.len());
}

#[test]
fn evidence_of_what_passed_is_dropped_before_that_of_failures() {
    let log = |n: usize| Note::Block { title: format!("log {n}"), text: "x".repeat(60_000) };
    let ids: Vec<String> = (0..150).map(|n| format!("s{n}")).collect();
    let mut story = Story::new(ids.iter().map(|id| node(id, "exec")).collect());
    for (n, id) in ids.iter().enumerate() {
        story = story.start(id).note(id, log(n));
        story = if n == 149 { story.fail(id, Failure::new(Class::Unmet, "no")) } else { story.pass(id) };
    }
    let page = check(&story.finish(Verdict::Fail, "`s149` failed: no").view()).unwrap();
    assert!(page.text.contains("log 149") && page.text.contains("left out to keep this page small"));
}

#[test]
fn an_outcome_is_never_told_by_colour_alone() {
    for (name, view) in sample::all() {
        let text = squeezed(&check(&view).unwrap().text);
        for row in &view.rows {
            let word = super::mark::Mark::of(row).word();
            assert!(text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn colours_are_readable_in_both_schemes() {
    let css = include_str!("page.css");
    let dark = css.find("@media (prefers-color-scheme: dark)").unwrap();
    for scheme in [&css[..dark], &css[dark..dark + 1_200]] {
        let colour = |name: &str| {
            let from = scheme.find(&format!("--{name}: #")).unwrap_or_else(|| panic!("{name}")) + name.len() + 5;
            luminance(&scheme[from..from + 6])
        };
        let papers =
            ["ground", "paper", "raised", "tint-failed", "tint-errored", "tint-inconclusive", "tint-unfinished"];
        let inks = ["ink", "soft", "link", "passed", "failed", "errored", "inconclusive", "unfinished", "quiet"];
        for paper in papers {
            for ink in inks {
                assert!(contrast(colour(ink), colour(paper)) >= 4.5, "{ink} on {paper}");
            }
        }
        assert!(contrast(colour("passed"), colour("added")) >= 4.5);
        assert!(contrast(colour("failed"), colour("removed")) >= 4.5);
    }
}

/// Relative luminance, as WCAG 2.2 defines it.
fn luminance(hex: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn an_anchor_is_never_one_of_the_pages_own() {
    let own = ["failures", "graph", "time", "steps", "environment", "again"];
    let mut story = Story::new(own.iter().map(|id| node(id, "exec")).collect());
    for id in own {
        story = story.start(id).end(id, Outcome::Passed, None);
    }
    let page = check(&story.finish(Verdict::Pass, "all passed").view()).unwrap();
    for id in own {
        assert!(page.ids.contains(&id.to_owned()));
        assert!(page.ids.contains(&super::super::link::anchor(&StepId::root(id))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_run_gives_a_sound_page(story in chaos(), cut in 1..80_usize) {
        check(&story.view())?;
        let events = story.events();
        check(&RunView::of(&events[..cut.min(events.len())]).unwrap())?;
    }

    #[test]
    fn any_text_gives_a_sound_page(text in "(\\PC|[\\x00-\\x20\\x7f-\\x9f]|\u{1b}\\[3?|\\]\\]>|</?[a-z]|<!--|-->|&[a-z#]|[\u{fffe}\u{ffff}\u{1f9a2}&<>'\"`]){0,60}") {
        check(&sample::told(&text))?;
    }
}
