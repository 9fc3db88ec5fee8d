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
        const TAGS: &str = "html head meta title style body a svg defs pattern symbol path text circle rect use g header nav main \
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
    assert!(page.contains("Cluster embedded cluster, virtual time, seed 1") && page.contains("Seed 1"));
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
    for story in [sample::pass(), sample::fail(), sample::sixty(), sample::held(), sample::flips()] {
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
        for row in &view.checks {
            let word = super::mark::Mark::of_check(row).word();
            assert!(text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn colours_are_readable_in_both_schemes() {
    let css = include_str!("page.css");
    let dark = css.find("@media (prefers-color-scheme: dark)").unwrap();
    for scheme in [&css[..dark], &css[dark..dark + 1_500]] {
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
        for value in 0..8 {
            assert!(contrast(colour("ink"), colour(&format!("v{value}"))) >= 4.5, "{value}");
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
fn a_violation_is_told_with_the_event_that_decided_it() {
    let page = squeezed(&page("checked").text);
    let from = page.find("What went wrong").unwrap();
    let to = page.find("Its tracks over its window").unwrap();
    insta::assert_snapshot!(&page[from..to], @r#"What went wrong check/no-second-download[02] never violated No data source pod is launched. 1 object of data-source-pods was there, and none may be Decided by backing-image-ds-same-image: appeared 2026-11-22 14:30:27 UTC, at 27.587s, 1.065s after restart[02] began, 1.065s after restart[02]/kill (pod-kill); event 54, version 4054, uid 6f1d2c3b-0a4e-4c1e-9b1d-0a014b7e1c2d + metadata.name: backing-image-ds-same-image + metadata.labels.longhorn.io/component: backing-image-data-source + spec.nodeName: lab-2 + status.phase: Pending and 1 more, all of them in events.jsonl Claim never = { on = "data-source-pods" } Window while restart[02] ran, from 26.492s to 41.582s; 1 track in 2 versions Where plans/restart.toml:90"#);
    let from = page.find("check/back-in-time[03] recovers inconclusive").unwrap();
    let to = page.find("In plan order, the rounds").unwrap();
    insta::assert_snapshot!(&page[from..to], @r#"check/back-in-time[03] recovers inconclusive Each file is ready again in time. no forbidden change was seen, but versions of files may be missing for 2.1s Claim recovers = { on = "files", that = "o.state == 'ready'", within = "20s" } Window while restart[03] ran, from 41.584s to 62.874s; 3 tracks in 8 versions Not seen 2.1s from 45.879s to 47.979s (gap, versions may be missing): 410 Gone: the version is too old Would decide it a watch without a gap, or the same uid and version of every object before and after it Ignored on 2 of 8 versions the expression could not be evaluated: no such key: state Where plans/restart.toml:90 Checks"#);
}

#[test]
fn rounds_of_a_check_stand_together() {
    let page = squeezed(&page("checked").text);
    let from = page.find("In plan order, the rounds").unwrap();
    let to = page.find("What the objects did").unwrap();
    insta::assert_snapshot!(&page[from..to], @"In plan order, the rounds of one check together Check State Opened (UTC) Open for When it was open check/no-second-download neverNo data source pod is launched. (while each round of restart ran) failed 3 rounds: 2 passed, 1 failed 01 02 03 14:30:13 +13.0s 49.8s in all 3 rounds Round State Opened Open for Examined Found 01 passed +13.0s 13.4s 0 tracks in 0 versions nothing of data-source-pods was ever there 02 failed +26.4s 15.0s 1 track in 2 versions 1 object of data-source-pods was there, and none may be 03 passed +41.5s 21.2s 0 tracks in 0 versions nothing of data-source-pods was ever there The evidence of check/no-second-download[02] is told under what went wrong. check/file-states transitions(while each round of restart ran) inconclusive 3 rounds: 2 passed, 1 inconclusive 01 02 03 14:30:13 +13.0s 49.8s in all 3 rounds Round State Opened Open for Examined Found 01 passed +13.0s 13.4s 3 tracks in 9 versions every change was along an allowed edge 02 passed +26.4s 15.0s 3 tracks in 9 versions every change was along an allowed edge 03 inconclusive +41.5s 21.2s 3 tracks in 8 versions no forbidden change was seen, but versions of files may be missing for 2.1s The evidence of check/file-states[03] is told under what went wrong. check/back-in-time recoversEach file is ready again in time. (while each round of restart ran) inconclusive 3 rounds: 2 passed, 1 inconclusive 01 02 03 14:30:13 +13.0s 49.8s in all 3 rounds Round State Opened Open for Examined Found 01 passed +13.0s 13.4s 3 tracks in 9 versions each of 3 tracks came back within 20s; the longest took 11.2s 02 passed +26.4s 15.0s 3 tracks in 9 versions each of 3 tracks came back within 20s; the longest took 11.2s 03 inconclusive +41.5s 21.2s 3 tracks in 8 versions no forbidden change was seen, but versions of files may be missing for 2.1s The evidence of check/back-in-time[03] is told under what went wrong. check/unknown-then-ready sequenceWhether the short unknown shows at all. (while each round of restart ran) failed only reports 3 rounds: 2 passed, 1 failed 01 02 03 14:30:13 +13.0s 49.8s in all unknown seen in 2 of 3 rounds, 6 times; shortest 9.0s, median 9.0s, longest 16.8s 3 rounds Round State Opened Open for Examined Found 01 passed +13.0s 13.4s 3 tracks in 9 versions 3 of 3 tracks went that way 02 failed +26.4s 15.0s 3 tracks in 9 versions unknown was not seen on same-image[lab-1] 03 passed +41.5s 21.2s 3 tracks in 9 versions 3 of 3 tracks went that way check/identity constantThe image stays the same object. (the whole run) passed 1 of 1 tracks never changed 14:30:00 +0ms 1m05s check/no-crash never(while upgrade ran) blocked it needs upgrade, which failed – – check/leases count(the whole run) inconclusive only reports not measured: the watch of leases was refused: 403 Forbidden – – What was watched 23 versions of objects were recorded by 3 watches. Nothing is missing but where a gap is named. Watch Versions Closing lists Gaps and late spells backingimages.longhorn.io/same-image -n gadget-system 19 1 agreed 2.1s from 45.879s to 47.979s (versions may be missing, and objects had changed): 410 Gone: the version is too old pods -n gadget-system -l app=gadget-node 3 1 agreed 1.4s from 46.579s to 47.979s (nothing is missing): the connection broke and resumed pods -n gadget-system -l longhorn.io/component=backing-image-data-source 1 0 agreed; 1 difference unexplained65.876s gadget-system/backing-image-ds-x: the list has version 4981, the watch never showed it none");
}

#[test]
fn lanes_are_drawn_and_told_in_words() {
    let html = html(&sample::checked().view());
    let page = read(&html);
    let section = &html[html.find("<section id=\"lanes\"").unwrap()..html.find("<section id=\"graph\"").unwrap()];
    let count = |what: &str| section.matches(what).count();
    let brackets = count("class=\"bracket\"");
    assert_eq!((brackets, count("url(#hatch)"), count("class=\"s-failed\" aria-label=")), (7, 2, 1));
    assert_eq!(count(">U</text>"), 9, "three tracks were unknown in three rounds");
    let text = squeezed(&page.text);
    let words = &text[text.find("The same in words").unwrap()..text.find("The plan as a graph").unwrap()];
    insta::assert_snapshot!(words, @"The same in words backing-image-ds-same-image, check/no-second-download[02], from 26.492s: not there 1.0s → Pending 2.9s (violation) → Running 11.0s same-image[lab-1], check/file-states[01], from 13.000s: ready 0.3s → unknown 9.0s → ready 4.1s same-image[lab-1], check/file-states[02], from 26.492s: ready 0.3s → unknown 10.6s → ready 4.1s same-image[lab-1], check/file-states[03], from 41.584s: ready 0.3s → unknown 16.8s → ready 4.1s same-image[lab-2], check/file-states[01], from 13.000s: ready 0.3s → unknown 9.1s → ready 4.0s same-image[lab-2], check/file-states[02], from 26.492s: ready 0.3s → unknown 10.7s → ready 4.0s same-image[lab-2], check/file-states[03], from 41.584s: ready 0.3s → unknown 16.9s → ready 4.0s same-image[lab-3], check/file-states[01], from 13.000s: ready 0.2s → unknown 9.2s → ready 4.0s same-image[lab-3], check/file-states[02], from 26.492s: ready 0.2s → unknown 10.8s → ready 4.0s same-image[lab-3], check/file-states[03], from 41.584s: ready 0.2s → unknown 17.0s → ready 4.0s same-image, check/identity, from 0.000s: 5f1c02de-77aa-4c1e-9b1d-0a014b7e1c2d 1m05s");
    // The sign leads to the moment whose diff is shown.
    let link = section.split("class=\"s-failed\" aria-label=").next().unwrap().rsplit("href=\"").next().unwrap();
    let link = link.split('"').next().unwrap();
    assert_eq!(link, "#/check/no-second-download%5B02%5D/moment/1");
}

#[test]
fn what_is_not_drawn_is_said() {
    let view = sample::flips().view();
    let page = squeezed(&check(&view).unwrap().text);
    assert!(page.contains("60 of 201 lanes are drawn, those of checks that did not hold first"), "{page}");
    assert!(page.contains("The judges kept no lane of 800 more tracks"));
    let html = html(&view);
    assert!(html.contains("values for "), "values too short for a pixel are one block");
    assert!(html.len() < 400_000, "{}", html.len());
}

#[test]
fn a_hundred_thousand_versions_stay_small() {
    let mut story = Story::checked(vec![node("a", "command")], vec![crate::view::check("c", "never", "a")])
        .watch(0, crate::view::watched("pods", ""), 0)
        .arm("c", &[0])
        .start("a");
    for n in 0..100_000 {
        story = story.after(u64::from(n % 10 == 0)).see(0, crate::event::How::Modified, "pod-a");
    }
    let lanes = (0..48_u32).map(|track| crate::event::Lane {
        track: format!("pod-{track}"),
        segments: (0..120_u64)
            .map(|n| crate::event::Segment {
                from: crate::clock::Elapsed(n * 80_000),
                value: format!("state-{}", n % 7),
                bad: n % 3 == 0,
            })
            .collect(),
        more: 2_000,
    });
    let finding = crate::event::Finding { lanes: lanes.collect(), ..crate::event::Finding::default() };
    let view = story.pass("a").judge("c", Outcome::Failed, finding).finish(Verdict::Fail, "`c` was violated").view();
    assert_eq!(view.versions(), 100_000);
    let html = html(&view);
    assert!(html.len() < 2_500_000, "{}", html.len());
    check(&view).unwrap();
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
