use std::collections::BTreeSet;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Form, Paths, junit};
use crate::event::Verdict;
use crate::report::sample;
use crate::view::{RunView, chaos, hostile};

/// What a strict reader sees in a file.
#[derive(Debug, Default)]
struct Seen {
    suites: usize,
    depth_of_suites: usize,
    totals: Vec<[usize; 4]>,
    cases: Vec<SeenCase>,
}

#[derive(Debug, Default)]
struct SeenCase {
    name: String,
    class: String,
    time: String,
    attributes: Vec<String>,
    results: Vec<(String, String, String, String)>,
    reruns: usize,
    output: String,
}

/// Reads it with every check that the parser has, and takes no CDATA.
fn read(xml: &str) -> Seen {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_comments = true;
    let mut seen = Seen::default();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                enter(&tag, &mut seen, open.len());
                open.push(name(&tag));
            }
            Event::Empty(tag) => enter(&tag, &mut seen, open.len()),
            Event::Text(text) => {
                assert!(!text.windows(3).any(|three| three == b"]]>"), "`]]>` in text");
                take(&text.decode().unwrap(), &mut seen, &open);
            }
            Event::GeneralRef(entity) => {
                let text = match &*entity {
                    b"lt" => "<",
                    b"gt" => ">",
                    b"amp" => "&",
                    other => panic!("entity {other:?}"),
                };
                take(text, &mut seen, &open);
            }
            Event::End(_) => {
                open.pop();
            }
            Event::CData(_) => panic!("CDATA"),
            Event::Eof => break,
            Event::Decl(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?} stays open");
    seen
}

fn enter(tag: &BytesStart<'_>, seen: &mut Seen, depth: usize) {
    let get = |key: &str| {
        let attribute = tag.try_get_attribute(key).expect("each attribute once");
        let value = attribute.map(|a| a.normalized_value(quick_xml::XmlVersion::Explicit1_0));
        value.map(|value| value.expect("known entities").into_owned())
    };
    match name(tag).as_str() {
        "testsuites" | "testsuite" => {
            if name(tag) == "testsuite" {
                seen.suites += 1;
                seen.depth_of_suites = depth;
            }
            let number = |key: &str| get(key).map_or(usize::MAX, |n| n.parse().unwrap());
            seen.totals.push(["tests", "failures", "errors", "skipped"].map(number));
        }
        "testcase" => seen.cases.push(SeenCase {
            name: get("name").unwrap(),
            class: get("classname").unwrap(),
            time: get("time").unwrap(),
            attributes: tag
                .attributes()
                .map(|a| String::from_utf8(a.unwrap().key.as_ref().to_vec()).unwrap())
                .collect(),
            ..SeenCase::default()
        }),
        "failure" | "error" | "skipped" => {
            let case = seen.cases.last_mut().unwrap();
            case.results.push((name(tag), get("type").unwrap(), get("message").unwrap(), String::new()));
        }
        "rerunFailure" | "flakyFailure" => {
            assert_ne!(get("type"), None);
            seen.cases.last_mut().unwrap().reruns += 1;
        }
        _ => {}
    }
}

fn take(text: &str, seen: &mut Seen, open: &[String]) {
    match open.last().map(String::as_str) {
        Some("failure" | "error" | "skipped") => {
            seen.cases.last_mut().unwrap().results[0].3 += text;
        }
        Some("system-out") => seen.cases.last_mut().unwrap().output += text,
        _ => {}
    }
}

fn name(tag: &BytesStart<'_>) -> String {
    String::from_utf8(tag.name().as_ref().to_vec()).unwrap()
}

fn paths() -> Paths {
    Paths {
        folder: "reports/restart/1".into(),
        files: BTreeSet::from(["logs/gadget-node.log".into()]),
        page: "reports/restart/1/report.html".into(),
        page_exists: true,
    }
}

/// Every rule that holds for any run at all.
fn check(view: &RunView) -> Result<(), TestCaseError> {
    for form in [Form::Extended, Form::Strict] {
        let xml = junit(view, form, &paths());
        prop_assert!(xml.len() < 10_000_000, "{} bytes", xml.len());
        let stray = xml.find(['\x1b', '\u{fffe}', '\u{ffff}']);
        prop_assert_eq!(stray, None);
        let seen = read(&xml);
        prop_assert_eq!((seen.suites, seen.depth_of_suites), (1, 1));
        let count = |is: &str| {
            let with = |case: &&SeenCase| case.results.iter().any(|result| result.0 == is);
            seen.cases.iter().filter(with).count()
        };
        let [failures, errors, skipped] = ["failure", "error", "skipped"].map(count);
        prop_assert_eq!(seen.totals[1], [seen.cases.len(), failures, errors, skipped]);
        prop_assert_eq!(seen.totals[0][..3].to_vec(), seen.totals[1][..3].to_vec());
        // A stream that says pass over a failed step is told as it is: red.
        if view.verdict() != Verdict::Pass {
            prop_assert!(failures > 0);
        } else if view.failures().is_empty() && view.check_failures().is_empty() {
            prop_assert_eq!(failures + errors, 0);
        }
        let names: BTreeSet<&str> = seen.cases.iter().map(|case| case.name.as_str()).collect();
        prop_assert_eq!(names.len(), seen.cases.len());
        for case in &seen.cases {
            check_case(case, form)?;
        }
    }
    Ok(())
}

fn check_case(case: &SeenCase, form: Form) -> Result<(), TestCaseError> {
    prop_assert!(!case.name.is_empty() && case.name.len() <= 120);
    prop_assert_eq!(case.class.matches('.').count(), 1, "{}", case.class);
    let (whole, decimals) = case.time.split_once('.').unwrap();
    prop_assert!(decimals.len() == 3 && !whole.is_empty());
    prop_assert!((whole.to_owned() + decimals).bytes().all(|b| b.is_ascii_digit()));
    prop_assert!(case.results.len() <= 1);
    for (element, kind, message, text) in &case.results {
        prop_assert!(!kind.is_empty() && !message.is_empty(), "{element}");
        prop_assert!(!message.contains('\n'));
        prop_assert!(text.starts_with(message), "{text:?} begins with {message:?}");
        prop_assert!(text.lines().nth(1).unwrap().starts_with(" at "), "{text}");
        prop_assert!(text.len() <= 256_000);
    }
    prop_assert!(case.output.len() <= 256_000);
    let extra = ["file", "line", "timestamp"];
    let has_extra = case.attributes.iter().any(|name| extra.contains(&name.as_str()));
    prop_assert_eq!(has_extra, form == Form::Extended);
    Ok(())
}

#[test]
fn every_kind_of_run_keeps_the_rules() {
    for (name, view) in sample::all() {
        check(&view).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

#[test]
fn a_failure_says_all_in_each_place() {
    let xml = junit(&sample::fail().view(), Form::Extended, &paths());
    let begin = xml.find("<testcase name=\"restart/back[02]\"").unwrap();
    let end = begin + xml[begin..].find("</testcase>").unwrap();
    insta::assert_snapshot!(&xml[begin..end], @r#"
    <testcase name="restart/back[02]" time="120.000" classname="restart.lab" file="plans/restart.toml" line="34" timestamp="2026-11-22T14:30:27Z">
          <properties>
            <property name="verb" value="wait"/>
            <property name="outcome" value="failed"/>
            <property name="covers" value="C6"/>
          </properties>
          <failure type="timeout" message="only 1 of 3 pods was ready again within 2m after the kill">only 1 of 3 pods was ready again within 2m after the kill
     at plans/restart.toml:34
    expected: 3 of pods: ready(o) &amp;&amp; !(o.metadata.uid in steps.kill.uids), for 5s
    observed: pod/gadget-node-b2x7k on lab-2: Running, container `gadget` not ready: readiness probe failed: HTTP 503
    observed: pod/gadget-node-c3x7k on lab-3: Pending, waiting for `gadget`: CrashLoopBackOff (restarted 4 times)
    caused by: the last change was 41 s before the end
    not run because of it: restart[03]/kill, restart[03]/back, upgrade, verify, rollback
    when: 2026-11-22 14:32:27 UTC, 2m27s after the start
    repro: lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
    report: reports/restart/1/report.html#/step/restart%5B02%5D/back
    </failure>
          <system-out>[[ATTACHMENT|reports/restart/1/report.html]]
    +2m27s events of pod/gadget-node-c3x7k
    14:31:02  Started    container gadget
    14:31:04  BackOff    restarting failed container
    </system-out>
    "#);
}

#[test]
fn the_head_of_the_file_says_which_run_it_was() {
    let xml = junit(&sample::fail().view(), Form::Extended, &paths());
    insta::assert_snapshot!(xml.lines().take(16).collect::<Vec<_>>().join("\n"), @r#"
    <?xml version="1.0" encoding="utf-8"?>
    <testsuites name="lariat" tests="13" failures="1" errors="0" skipped="5" time="153.395" timestamp="2026-11-22T14:30:00Z">
      <testsuite name="restart" hostname="localhost" tests="13" failures="1" errors="0" skipped="5" time="153.395" timestamp="2026-11-22T14:30:00Z" file="plans/restart.toml">
        <properties>
          <property name="run" value="restart-20260101T000000Z-7f3a"/>
          <property name="verdict" value="fail"/>
          <property name="plan-sha256" value="85567740f223e953430741a79dd8473b8ceecce1b5b95d652cd80b36788b34a1"/>
          <property name="lariat" value="0.1.0"/>
          <property name="seed" value="7"/>
          <property name="cluster" value="lab"/>
          <property name="cluster-version" value="v1.34.4"/>
        </properties>
        <testcase name="install" time="13.000" classname="restart.lab" file="plans/restart.toml" line="19" timestamp="2026-11-22T14:30:00Z">
          <properties>
            <property name="verb" value="helm-install"/>
            <property name="outcome" value="passed"/>
    "#);
}

#[test]
fn what_did_not_run_names_the_cause() {
    let seen = read(&junit(&sample::fail().view(), Form::Strict, &paths()));
    let message = |name: &str| {
        let case = seen.cases.iter().find(|case| case.name == name).unwrap();
        let (element, kind, message, _) = &case.results[0];
        format!("{element} {kind}: {message}")
    };
    insta::assert_snapshot!(message("restart/kill[03]"), @"skipped skipped: its group `restart[03]` did not get to it; the cause is `restart[02]/back`");
    insta::assert_snapshot!(message("upgrade"), @"skipped skipped: it needs `restart`, which failed; the cause is `restart[02]/back`");
    insta::assert_snapshot!(message("rollback"), @"skipped skipped: it needs `verify`, which was skipped; the cause is `restart[02]/back`");
}

#[test]
fn a_verdict_that_no_case_shows_gets_a_case() {
    for name in ["error", "cancelled", "incomplete", "inconclusive", "late-group", "left"] {
        let (_, view) = sample::all().into_iter().find(|(n, _)| *n == name).unwrap();
        let seen = read(&junit(&view, Form::Strict, &paths()));
        let case = seen.cases.last().unwrap();
        assert_eq!(case.name, "verdict", "{name}");
        assert_eq!(case.results[0].0, "failure", "{name}");
        assert!(case.results[0].3.contains("\nrepro: "), "{name}");
    }
}

#[test]
fn clean_up_is_never_red() {
    let (_, view) = sample::all().into_iter().find(|(n, _)| *n == "red").unwrap();
    let seen = read(&junit(&view, Form::Extended, &paths()));
    let logs = seen.cases.iter().find(|case| case.name == "logs").unwrap();
    let (element, kind, message, _) = &logs.results[0];
    insta::assert_snapshot!(format!("{element} {kind}: {message}"), @"skipped clean-up: clean-up errored, which does not count: logs were not collected");
}

#[test]
fn tries_that_the_plan_allows_are_shown() {
    let xml = junit(&sample::retry().view(), Form::Strict, &paths());
    let seen = read(&xml);
    assert_eq!(seen.cases.iter().map(|case| (case.reruns, case.results.len())).collect::<Vec<_>>(), [(2, 0), (1, 1)]);
    let kinds: Vec<usize> = ["<flakyFailure", "<rerunFailure"].map(|tag| xml.matches(tag).count()).to_vec();
    assert_eq!(kinds, [2, 1]);
}

#[test]
fn attachments_come_first_and_exist() {
    let seen = read(&junit(&sample::fail().view(), Form::Extended, &paths()));
    let failing = seen.cases.iter().find(|case| case.name == "restart/back[02]");
    let first = failing.unwrap().output.lines().next();
    assert_eq!(first, Some("[[ATTACHMENT|reports/restart/1/report.html]]"));
    let quiet = Paths { page_exists: false, ..paths() };
    let xml = junit(&sample::fail().view(), Form::Extended, &quiet);
    assert!(!xml.contains("ATTACHMENT"));
}

#[test]
fn long_and_hostile_text_is_shown_and_bounded() {
    check(&sample::told(&hostile())).unwrap();
    check(&sample::told(&"x".repeat(1_000_000))).unwrap();
    check(&sample::told(&"&<\n".repeat(300_000))).unwrap();
    let xml = junit(&sample::told(&"x".repeat(1_000_000)), Form::Extended, &paths());
    assert!(xml.contains("bytes are left out here; all of it is in events.jsonl"));
}

#[test]
fn a_violation_brings_its_evidence() {
    let xml = junit(&sample::checked().view(), Form::Extended, &paths());
    let begin = xml.find("<testcase name=\"check/no-second-download[02]\"").unwrap();
    let end = begin + xml[begin..].find("</testcase>").unwrap();
    insta::assert_snapshot!(&xml[begin..end], @r#"
    <testcase name="check/no-second-download[02]" time="15.090" classname="restart.lab" file="plans/restart.toml" line="90" timestamp="2026-11-22T14:30:26Z">
          <properties>
            <property name="check" value="never"/>
            <property name="outcome" value="failed"/>
            <property name="covers" value="C5"/>
          </properties>
          <failure type="violated" message="1 object of `data-source-pods` was there, and none may be">1 object of `data-source-pods` was there, and none may be
     at plans/restart.toml:90
    claim: never = { on = "data-source-pods" }
    window: while `restart[02]` ran, from 26.492s to 41.582s
    moment: backing-image-ds-same-image: appeared
      at 27.587s, 1.065s after `restart[02]` began, 1.065s after `restart[02]/kill` (pod-kill)
      event 54, version 4054, uid 6f1d2c3b-0a4e-4c1e-9b1d-0a014b7e1c2d
      | + metadata.name: backing-image-ds-same-image
      | + metadata.labels.longhorn.io/component: backing-image-data-source
      | + spec.nodeName: lab-2
      | + status.phase: Pending
    moment: and 1 more
    examined: 1 track in 2 versions
    when: 2026-11-22 14:30:41 UTC, 41.5s after the start
    repro: lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
    report: reports/restart/1/report.html#/check/no-second-download%5B02%5D
    </failure>
          <system-out>[[ATTACHMENT|reports/restart/1/report.html]]
    </system-out>
    "#);
    let begin = xml.find("<testcase name=\"check/back-in-time[03]\"").unwrap();
    let end = begin + xml[begin..].find("</testcase>").unwrap();
    insta::assert_snapshot!(&xml[begin..end], @r#"
    <testcase name="check/back-in-time[03]" time="21.290" classname="restart.lab" file="plans/restart.toml" line="90" timestamp="2026-11-22T14:30:41Z">
          <properties>
            <property name="check" value="recovers"/>
            <property name="outcome" value="inconclusive"/>
          </properties>
          <error type="inconclusive" message="no forbidden change was seen, but versions of `files` may be missing for 2.1s">no forbidden change was seen, but versions of `files` may be missing for 2.1s
     at plans/restart.toml:90
    claim: recovers = { on = "files", that = "o.state == 'ready'", within = "20s" }
    window: while `restart[03]` ran, from 41.584s to 62.874s
    unseen: 2.1s from 45.879s to 47.979s (gap, versions may be missing): 410 Gone: the version is too old
    ignored: on 2 of 8 versions the expression could not be evaluated: no such key: state
    wanted: a watch without a gap, or the same uid and version of every object before and after it
    examined: 3 tracks in 8 versions
    when: 2026-11-22 14:31:03 UTC, 1m02s after the start
    repro: lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
    report: reports/restart/1/report.html#/check/back-in-time%5B03%5D
    </error>
          <system-out>[[ATTACHMENT|reports/restart/1/report.html]]
    </system-out>
    "#);
}

#[test]
fn checks_are_shown_as_their_outcome_demands() {
    let xml = junit(&sample::checked().view(), Form::Extended, &paths());
    let cases = read(&xml).cases;
    let said = |case: &SeenCase| match case.results.first() {
        Some((element, kind, message, _)) => format!("{}: {element} {kind}: {message}", case.name),
        None => format!("{}: passed", case.name),
    };
    let checks: Vec<String> = cases.iter().filter(|case| case.name.starts_with("check/")).map(said).collect();
    insta::assert_snapshot!(checks.join("\n"), @r"
    check/no-second-download[01]: passed
    check/file-states[01]: passed
    check/back-in-time[01]: passed
    check/unknown-then-ready[01]: passed
    check/no-second-download[02]: failure violated: 1 object of `data-source-pods` was there, and none may be
    check/file-states[02]: passed
    check/back-in-time[02]: passed
    check/unknown-then-ready[02]: passed
    check/no-second-download[03]: passed
    check/file-states[03]: error inconclusive: no forbidden change was seen, but versions of `files` may be missing for 2.1s
    check/back-in-time[03]: error inconclusive: no forbidden change was seen, but versions of `files` may be missing for 2.1s
    check/unknown-then-ready[03]: passed
    check/identity: passed
    check/no-crash: skipped skipped: it needs `upgrade`, which failed
    check/leases: passed
    ");
    insta::assert_snapshot!(xml[xml.find("check/unknown-then-ready[01]").unwrap()..].lines().take(7).collect::<Vec<_>>().join("\n"), @r#"
    check/unknown-then-ready[01]" time="13.490" classname="restart.lab" file="plans/restart.toml" line="90" timestamp="2026-11-22T14:30:13Z">
          <properties>
            <property name="check" value="sequence"/>
            <property name="outcome" value="passed"/>
            <property name="covers" value="C6"/>
            <property name="judge" value="report"/>
            <property name="measured" value="`unknown` seen 3 times; shortest 9.0s, median 9.0s, longest 9.0s"/>
    "#);
    let xml = junit(&sample::unseen().view(), Form::Strict, &paths());
    let cases = read(&xml).cases;
    assert_eq!(cases.last().map(|case| case.name.as_str()), Some("verdict"), "some readers see only `failure`");
    insta::assert_snapshot!(&cases.last().unwrap().results[0].3, @r"
    check `file-states[02]` is inconclusive: versions of `files` may be missing for 2.1s
     at plans/restart.toml:1
    inconclusive: check/file-states[02] no forbidden change was seen, but versions of `files` may be missing for 2.1s
    inconclusive: check/back-in-time[02] no forbidden change was seen, but versions of `files` may be missing for 2.1s
    counts: 9 passed
    checks: 6 passed, 2 inconclusive
    repro: lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
    report: reports/restart/1/report.html
    ");
    let xml = junit(&sample::violated(), Form::Strict, &paths());
    let cut: Vec<String> = read(&xml).cases.iter().filter(|case| case.name.starts_with("check/")).map(said).collect();
    insta::assert_snapshot!(cut.join("\n"), @r"
    check/no-second-download[01]: passed
    check/file-states[01]: passed
    check/back-in-time[01]: passed
    check/unknown-then-ready[01]: passed
    check/no-second-download[02]: failure violated: backing-image-ds-same-image: appeared
    check/file-states[02]: error unfinished: its window was open
    check/back-in-time[02]: error unfinished: its window was open
    check/unknown-then-ready[02]: skipped unfinished: its window was open
    check/no-second-download[03]: skipped not-run: its window never opened
    check/file-states[03]: skipped not-run: its window never opened
    check/back-in-time[03]: skipped not-run: its window never opened
    check/unknown-then-ready[03]: skipped not-run: its window never opened
    check/identity: error unfinished: its window was open
    check/no-crash: skipped not-run: its window never opened
    check/leases: skipped not-run: its window never opened
    ");
}

#[test]
fn a_version_in_a_context_does_not_split_the_class() {
    let mut view = sample::pass().view();
    if let Some(cluster) = &mut view.start.cluster {
        cluster.context = "lab-v1.34.4 test".into();
    }
    let seen = read(&junit(&view, Form::Strict, &paths()));
    assert_eq!(seen.cases[0].class, "restart.lab-v1_34_4_test");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_run_keeps_the_rules(story in chaos(), cut in 1..80_usize) {
        check(&story.view())?;
        let events = story.events();
        let cut = RunView::of(&events[..cut.min(events.len())]).unwrap();
        check(&cut)?;
    }

    #[test]
    fn any_text_keeps_the_rules(text in "(\\PC|[\\x00-\\x20\\x7f-\\x9f]|\u{1b}\\[3?|\\]\\]>|[\u{fffe}\u{ffff}\u{1f9a2}&<>'\"]){0,60}") {
        check(&sample::told(&text))?;
    }
}
