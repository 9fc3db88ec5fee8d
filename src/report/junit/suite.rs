use std::collections::BTreeSet;

use junit_report::{OffsetDateTime, Report, ReportBuilder, TestCase, TestResult, TestSuite};
use quick_xml::escape::partial_escape;

use super::case::{Case, Cases, Said, Shown};
use super::finish::{Added, finish};
use crate::clock::Elapsed;
use crate::report::{clean, digest, when};
use crate::text;
use crate::view::RunView;

/// Which of two forms is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// With what most readers understand: `file`, `line` and `timestamp` of a case,
    /// its properties, and `skipped` on the root.
    #[default]
    Extended,
    /// Without these, valid for `junit-10.xsd`, which Jenkins' xUnit plugin enforces.
    Strict,
}

/// Where the other files of the run are, as seen from the project's folder.
///
/// Handed in, so that the report itself opens nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The run folder, such as `reports/restart/20260101T000000Z-7f3a`.
    pub folder: String,
    /// Files that exist in it, relative to it.
    pub files: BTreeSet<String>,
    /// The HTML report, such as `reports/restart/20260101T000000Z-7f3a/report.html`.
    pub page: String,
    /// Whether the HTML report is written too: only what exists may be attached.
    pub page_exists: bool,
}

/// The longest name; uploaders cut at 128.
const LONGEST_NAME: usize = 120;

/// The most bytes in one text node, and in all of them together.
const NODE_CAP: usize = 250_000;
const ALL_CAP: usize = 6_000_000;

/// The run as `JUnit` XML: one suite named by the plan, one case for each verb in
/// plan order.
///
/// A verdict other than pass is always red in it: if no case has a `<failure>`,
/// one named `verdict` is added. A pass never is.
pub fn junit(view: &RunView, form: Form, paths: &Paths) -> String {
    let mut cases = Cases::of(view, paths).all(form);
    name_apart(&mut cases);
    let class = class(view);
    let shares = cases
        .iter()
        .map(|case| 2 * usize::from(!matches!(case.result, Shown::Passed)) + case.reruns.len())
        .sum::<usize>();
    let cap = NODE_CAP.min(ALL_CAP / shares.max(1));
    let suite = TestSuite {
        name: suite_name(view),
        package: String::new(),
        timestamp: second(view.start.started),
        hostname: "localhost".into(),
        testcases: cases.iter().map(|case| bare(case, &class, form, cap)).collect(),
        system_out: None,
        system_err: None,
    };
    let report: Report = ReportBuilder::new().add_testsuite(suite).build();
    let mut xml = Vec::new();
    report.write_xml(&mut xml).expect("writing to memory does not fail");
    let added = Added {
        form,
        time: seconds(view.took()),
        stamp: when::stamp(view, Elapsed(0)),
        file: file(view),
        skipped: cases.iter().filter(|case| matches!(case.result, Shown::Skipped(_))).count(),
        properties: properties(view),
        stamps: cases.iter().map(|case| case.started.map(|at| when::stamp(view, at))).collect(),
        cases: &cases,
        cap,
    };
    finish(&xml, &added)
}

/// Seconds with three decimals, as every reader takes them.
pub(super) fn seconds(span: Elapsed) -> String {
    let millis = span.0 / 1_000;
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

/// Text as it will stand in the file: escaped, and short enough.
///
/// `junit-report` wraps text in CDATA without a look at what is in it. Escaped
/// text has no `]]>`, and `finish` turns each section into plain text.
pub(super) fn body(text: &str, cap: usize) -> String {
    let escaped = partial_escape(clean::cut(text, cap * 4 / 5)).into_owned();
    if escaped.len() <= cap {
        return escaped;
    }
    // An entity is at most five bytes.
    partial_escape(clean::cut(text, cap / 6)).into_owned()
}

/// The case as `junit-report` knows it.
fn bare(case: &Case, class: &str, form: Form, cap: usize) -> TestCase {
    let text = |said: &Said| Some(body(&said.text, cap));
    let result = match &case.result {
        Shown::Passed => TestResult::Success,
        Shown::Failure(said) => {
            TestResult::Failure { type_: said.kind.to_owned(), message: said.message.clone(), cause: text(said) }
        }
        Shown::Error(said) => {
            TestResult::Error { type_: said.kind.to_owned(), message: said.message.clone(), cause: text(said) }
        }
        Shown::Skipped(said) => TestResult::SkippedWithCause {
            type_: said.kind.to_owned(),
            message: said.message.clone(),
            cause: text(said),
        },
    };
    TestCase {
        name: case.name.clone(),
        // Written by `finish`, which knows how many decimals readers take.
        time: junit_report::Duration::ZERO,
        result,
        classname: Some(class.to_owned()),
        filepath: (form == Form::Extended).then(|| case.file.clone()),
        system_out: case.output.as_ref().map(|text| body(text, cap)),
        system_err: None,
    }
}

/// `<plan>.<variant>` with that one dot: readers split at the last.
fn class(view: &RunView) -> String {
    let variant = match &view.start.cluster {
        Some(cluster) if cluster.embedded => "embedded",
        Some(cluster) => &cluster.context,
        None => "local",
    };
    let word = |text: &str, empty: &str| {
        let word = clean::brief(text).replace(['.', ' '], "_");
        let end = word.floor_char_boundary(100);
        if end == 0 { empty.to_owned() } else { word[..end].to_owned() }
    };
    format!("{}.{}", word(&view.start.plan, "plan"), word(variant, "cluster"))
}

fn suite_name(view: &RunView) -> String {
    let name = clean::brief(&view.start.plan);
    if name.is_empty() { "plan".into() } else { name }
}

/// Makes names short and different, the same way in every run of a plan.
fn name_apart(cases: &mut [Case]) {
    let mut taken = BTreeSet::new();
    for case in cases {
        if case.name.len() > LONGEST_NAME || case.name.is_empty() {
            let digest = digest::sha256([case.name.as_str()]);
            let end = case.name.floor_char_boundary(LONGEST_NAME - 9);
            case.name = format!("{}~{}", &case.name[..end], &digest[..8]);
        }
        let first = case.name.clone();
        let mut n = 2;
        while !taken.insert(case.name.clone()) {
            let end = first.floor_char_boundary(LONGEST_NAME - 7);
            case.name = format!("{}~{n}", &first[..end]);
            n += 1;
        }
    }
}

fn file(view: &RunView) -> String {
    let file = view.start.files.first();
    clean::brief(file.map_or("plan.toml", |file| file.path.as_str()))
}

fn properties(view: &RunView) -> Vec<(&'static str, String)> {
    let start = &view.start;
    let mut properties = vec![
        ("run", start.run.to_string()),
        ("verdict", view.verdict().word().to_owned()),
        ("plan-sha256", digest::sha256(start.files.iter().map(|file| file.text.as_str()))),
        ("lariat", start.lariat.clone()),
        ("seed", start.seed.to_string()),
    ];
    if let Some(cluster) = &start.cluster {
        let name = if cluster.embedded {
            format!("embedded cluster, virtual time, seed {}", start.seed)
        } else {
            cluster.context.clone()
        };
        properties.push(("cluster", name));
        properties.push(("cluster-version", cluster.version.clone()));
    }
    for fault in &start.faults {
        let struck = view.strikes.iter().filter(|(_, own, _)| own == fault).count();
        properties.push(("fault", format!("{fault} (struck {})", text::count(struck, "time"))));
    }
    if !view.is_complete() {
        properties.push(("incomplete", "true".into()));
    }
    for (_, value) in &mut properties {
        *value = clean::brief(value);
    }
    properties
}

fn second(instant: jiff::Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(instant.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
