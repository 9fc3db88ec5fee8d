use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Elapsed;
use crate::event::{Blind, CancelReason, Class, ClusterIdentity, Moment, Outcome, Verdict};
use crate::view::{CheckRow, Row, RunView, Totals};

/// The run in a few facts, for scripts: what `summary.json` holds.
///
/// Field names are stable: they are added to, never changed. Paths are relative to
/// the folder the file is in.
pub fn summary(view: &RunView) -> Value {
    serde_json::to_value(Summary::of(view)).expect("a summary holds only texts, numbers and lists")
}

/// Version of the fields.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Summary<'a> {
    /// Version of these fields.
    format: u32,
    /// Version of the program that ran the plan.
    lariat: &'a str,
    /// The run's id.
    run: &'a str,
    /// The plan's name.
    plan: &'a str,
    /// Its title.
    title: &'a str,
    /// `pass`, `fail`, `error`, `inconclusive` or `cancelled`.
    verdict: Verdict,
    /// One sentence: what decided it.
    reason: String,
    /// Whether the run's end is known. If not, the journal was cut short and the verdict is `error`.
    complete: bool,
    /// When it began, UTC.
    started: Timestamp,
    /// When the last thing happened, UTC.
    ended: Timestamp,
    /// From the one to the other.
    seconds: f64,
    /// Which cluster; null for a plan that touches none.
    cluster: Option<Cluster<'a>>,
    /// The seed of every choice by chance.
    seed: u64,
    /// What began to end the run early, and after how many seconds; null if nothing did.
    cancelled: Option<Cancelled>,
    /// How many of the plan's own steps went which way.
    counts: Counts,
    /// How many checks went which way, each round and cell by itself; those that only report are not among them.
    checks: CheckCounts,
    /// The same for clean-up steps, which are never in the verdict.
    cleanup: Counts,
    /// What failed, errored or stayed undecided by itself, in plan order.
    failing: Vec<Failing<'a>>,
    /// Checks that were violated, errored or stayed undecided, in plan order.
    failing_checks: Vec<FailingCheck<'a>>,
    /// What checks measured that only report, all rounds of one together.
    measured: Vec<MeasuredCheck<'a>>,
    /// What was watched, and when it was not seen.
    watched: Watched<'a>,
    /// The same for clean-up.
    cleanup_failing: Vec<Failing<'a>>,
    /// Requirements that the plan or a step covers.
    requirements: Vec<Requirement<'a>>,
    /// Faults that were injected on purpose, as they were asked for.
    faults: Vec<Injected<'a>>,
    /// What belongs to no step.
    warnings: Vec<&'a str>,
    /// A command line that runs the same again.
    repro: &'a str,
    /// The other files of this run.
    files: Files,
}

#[derive(Serialize)]
struct Cluster<'a> {
    /// The kubeconfig context, or `embedded`.
    context: &'a str,
    server: &'a str,
    version: &'a str,
    /// Null if that may not be read.
    nodes: Option<usize>,
    /// Whether it was Lariat's own, in virtual time.
    embedded: bool,
}

#[derive(Serialize)]
struct Injected<'a> {
    fault: &'a str,
    /// What it did, and after how many seconds. Empty: it met nothing, and proves nothing.
    struck: Vec<Struck<'a>>,
}

#[derive(Serialize)]
struct Struck<'a> {
    after: f64,
    what: &'a str,
}

#[derive(Serialize)]
struct Cancelled {
    by: CancelReason,
    after: f64,
}

/// Each step is in `steps` and in one of the others; `blocked` is a part of `skipped`.
#[derive(Serialize)]
struct Counts {
    steps: usize,
    passed: usize,
    failed: usize,
    errored: usize,
    inconclusive: usize,
    cancelled: usize,
    skipped: usize,
    /// Skipped because something else went wrong, not by choice.
    blocked: usize,
    /// Begun, and the journal ends before it did.
    unfinished: usize,
    /// Never heard of.
    not_run: usize,
}

/// As `Counts`; `unfinished` had their window open when the record ends.
#[derive(Serialize)]
struct CheckCounts {
    checks: usize,
    passed: usize,
    failed: usize,
    errored: usize,
    inconclusive: usize,
    cancelled: usize,
    skipped: usize,
    blocked: usize,
    unfinished: usize,
    not_run: usize,
}

#[derive(Serialize)]
struct FailingCheck<'a> {
    check: &'a str,
    /// `never`, `always`, `constant`, `transitions`, `sequence`, `recovers` or `count`.
    operator: &'a str,
    claim: &'a str,
    /// `failed`, `errored` or `inconclusive`; null if it was seen broken and never judged.
    outcome: Option<Outcome>,
    message: String,
    /// Where it is written.
    file: &'a str,
    line: usize,
    /// When its window was open, in seconds since the start.
    from: Option<f64>,
    to: Option<f64>,
    tracks: u64,
    versions: u64,
    /// The events that decided it.
    moments: Vec<Decided<'a>>,
    /// Spells that put it in doubt.
    unseen: Vec<Unseen<'a>>,
    /// What would have decided it.
    wanted: &'a str,
}

#[derive(Serialize)]
struct Decided<'a> {
    /// The number of the event in the journal.
    event: u64,
    after: f64,
    track: &'a str,
    uid: &'a str,
    version: &'a str,
    say: &'a str,
    diff: &'a [String],
}

#[derive(Serialize)]
struct Unseen<'a> {
    /// What was watched; null where a check says which spell put it in doubt.
    watch: Option<String>,
    from: f64,
    to: f64,
    reason: &'a str,
    /// Whether versions may be missing; else they only came late.
    gap: bool,
}

#[derive(Serialize)]
struct MeasuredCheck<'a> {
    check: &'a str,
    /// How many rounds there are.
    rounds: usize,
    /// In how many of them it held.
    held: usize,
    measured: Vec<MeasuredThing<'a>>,
}

#[derive(Serialize)]
struct MeasuredThing<'a> {
    what: &'a str,
    /// In how many rounds it was seen, of how many that were judged.
    seen: usize,
    rounds: usize,
    spells: u64,
    /// Seconds; null if it was never seen.
    shortest: Option<f64>,
    median: Option<f64>,
    longest: Option<f64>,
}

#[derive(Serialize)]
struct Watched<'a> {
    watches: usize,
    versions: u64,
    unseen: Vec<Unseen<'a>>,
}

#[derive(Serialize)]
struct Failing<'a> {
    step: &'a str,
    /// The verb, or `group`, `repeat`, `cells`.
    verb: &'a str,
    /// `failed`, `errored` or `inconclusive`.
    outcome: Option<Outcome>,
    /// What kind of failure, such as `timeout`.
    class: Option<Class>,
    message: &'a str,
    causes: &'a [String],
    expected: Option<&'a str>,
    observed: &'a [String],
    /// Where the step is written.
    file: &'a str,
    line: usize,
    /// How often it was tried.
    attempts: usize,
    seconds: Option<f64>,
    /// Steps that were not run because of it.
    blocked: Vec<&'a str>,
}

#[derive(Serialize)]
struct Requirement<'a> {
    id: &'a str,
    /// Whether every step and check that covers it passed, and there is one.
    held: bool,
    steps: Vec<&'a str>,
    checks: Vec<&'a str>,
}

#[derive(Serialize)]
struct Files {
    journal: &'static str,
    junit: &'static str,
    html: &'static str,
}

impl<'a> Summary<'a> {
    fn of(view: &'a RunView) -> Self {
        let start = &view.start;
        Self {
            format: FORMAT,
            lariat: &start.lariat,
            run: start.run.as_str(),
            plan: &start.plan,
            title: &start.title,
            verdict: view.verdict(),
            reason: view.reason(),
            complete: view.is_complete(),
            started: start.started,
            ended: view.moment(view.last),
            seconds: seconds(view.took()),
            cluster: start.cluster.as_ref().map(Cluster::of),
            seed: start.seed,
            cancelled: view.cancelled.map(|(at, by)| Cancelled { by, after: seconds(at) }),
            counts: Counts::of(view.totals()),
            checks: CheckCounts::of(view.check_totals()),
            cleanup: Counts::of(view.cleanup_totals()),
            failing: view.culprits().into_iter().map(|culprit| Failing::of(culprit.row, &culprit.blocked)).collect(),
            failing_checks: view.check_failures().into_iter().map(|row| FailingCheck::of(view, row)).collect(),
            measured: measured(view),
            watched: Watched::of(view),
            cleanup_failing: view.cleanup_failures().into_iter().map(|row| Failing::of(row, &[])).collect(),
            requirements: view
                .requirements()
                .into_iter()
                .map(|found| Requirement {
                    id: found.id,
                    held: found.held(),
                    steps: ids(&found.rows),
                    checks: found.checks.iter().map(|row| row.node.id.as_str()).collect(),
                })
                .collect(),
            faults: start.faults.iter().map(|fault| Injected::of(fault, view)).collect(),
            warnings: view.warnings.iter().map(|(_, message)| message.as_str()).collect(),
            repro: &start.repro,
            files: Files { journal: "events.jsonl", junit: "junit.xml", html: "report.html" },
        }
    }
}

impl<'a> Injected<'a> {
    fn of(fault: &'a str, view: &'a RunView) -> Self {
        let struck = view.strikes.iter().filter(|(_, own, _)| own == fault);
        Self { fault, struck: struck.map(|(at, _, what)| Struck { after: seconds(*at), what }).collect() }
    }
}

impl<'a> Cluster<'a> {
    fn of(cluster: &'a ClusterIdentity) -> Self {
        let ClusterIdentity { context, server, version, nodes, embedded } = cluster;
        Self { context, server, version, nodes: *nodes, embedded: *embedded }
    }
}

impl Counts {
    fn of(totals: Totals) -> Self {
        Self {
            steps: totals.steps,
            passed: totals.passed,
            failed: totals.failed,
            errored: totals.errored,
            inconclusive: totals.inconclusive,
            cancelled: totals.cancelled,
            skipped: totals.skipped,
            blocked: totals.blocked,
            unfinished: totals.running,
            not_run: totals.not_run,
        }
    }
}

impl CheckCounts {
    fn of(totals: Totals) -> Self {
        Self {
            checks: totals.steps,
            passed: totals.passed,
            failed: totals.failed,
            errored: totals.errored,
            inconclusive: totals.inconclusive,
            cancelled: totals.cancelled,
            skipped: totals.skipped,
            blocked: totals.blocked,
            unfinished: totals.running,
            not_run: totals.not_run,
        }
    }
}

impl<'a> FailingCheck<'a> {
    fn of(view: &RunView, row: &'a CheckRow) -> Self {
        let window = row.window(view.last);
        let finding = row.finding.as_ref();
        let decided = |moment: &'a Moment| Decided {
            event: moment.event,
            after: seconds(moment.at),
            track: &moment.track,
            uid: &moment.uid,
            version: &moment.version,
            say: &moment.say,
            diff: &moment.diff,
        };
        let unseen = |blind: &'a Blind| Unseen {
            watch: None,
            from: seconds(blind.from),
            to: seconds(blind.to),
            reason: &blind.reason,
            gap: blind.gap,
        };
        Self {
            check: row.node.id.as_str(),
            operator: &row.node.operator,
            claim: &row.node.claim,
            outcome: row.outcome(),
            message: row.message(),
            file: &row.node.file,
            line: row.node.line,
            from: window.map(|(from, _)| seconds(from)),
            to: window.map(|(_, to)| seconds(to)),
            tracks: finding.map_or(0, |finding| finding.tracks),
            versions: finding.map_or(0, |finding| finding.versions),
            moments: row.moments().into_iter().map(decided).collect(),
            unseen: finding.map_or(&[][..], |finding| &finding.blind).iter().map(unseen).collect(),
            wanted: finding.map_or("", |finding| &finding.wanted),
        }
    }
}

/// Series of checks of which at least one round only reports.
fn measured(view: &RunView) -> Vec<MeasuredCheck<'_>> {
    let series = view.series().into_iter().filter(|series| series.rows.iter().any(|row| !row.counts()));
    series
        .map(|series| MeasuredCheck {
            check: series.id.as_str(),
            rounds: series.rows.len(),
            held: series.rows.iter().filter(|row| row.outcome() == Some(Outcome::Passed)).count(),
            measured: series
                .measured()
                .into_iter()
                .map(|found| {
                    let lengths = found.lengths();
                    let length = |n: usize| lengths.map(|lengths| seconds(lengths[n]));
                    MeasuredThing {
                        what: found.what,
                        seen: found.seen,
                        rounds: found.rounds,
                        spells: found.spells.len() as u64 + found.more,
                        shortest: length(0),
                        median: length(1),
                        longest: length(2),
                    }
                })
                .collect(),
        })
        .collect()
}

impl<'a> Watched<'a> {
    fn of(view: &'a RunView) -> Self {
        let lapses = view.watches.iter().flat_map(|watch| watch.lapses.iter().map(move |lapse| (watch, lapse)));
        let unseen = lapses.map(|(watch, lapse)| Unseen {
            watch: Some(watch.asks()),
            from: seconds(lapse.from),
            to: seconds(lapse.to),
            reason: &lapse.reason,
            gap: lapse.is_gap(),
        });
        Self { watches: view.watches.len(), versions: view.versions(), unseen: unseen.collect() }
    }
}

impl<'a> Failing<'a> {
    fn of(row: &'a Row, blocked: &[&'a Row]) -> Self {
        let failure = row.failure.as_ref();
        Self {
            step: row.node.id.as_str(),
            verb: row.label(),
            outcome: row.outcome(),
            class: failure.map(|failure| failure.class),
            message: failure.map_or("", |failure| &failure.message),
            causes: failure.map_or(&[], |failure| &failure.causes),
            expected: failure.and_then(|failure| failure.expected.as_deref()),
            observed: failure.map_or(&[], |failure| &failure.observed),
            file: &row.node.file,
            line: row.node.line,
            attempts: row.attempts.len(),
            seconds: row.took().map(seconds),
            blocked: ids(blocked),
        }
    }
}

fn ids<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    rows.iter().map(|row| row.node.id.as_str()).collect()
}

/// Exact to the microsecond for any run shorter than a century.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn seconds(span: Elapsed) -> f64 {
    span.0 as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{chaos, red};
    use proptest::prelude::*;

    #[expect(clippy::too_many_lines, reason = "the lines are the whole file, to be looked at")]
    #[test]
    fn the_fields_of_a_failed_run() {
        insta::assert_json_snapshot!(summary(&red().view()), @r#"
        {
          "format": 1,
          "lariat": "0.1.0",
          "run": "restart-20260101T000000Z-7f3a",
          "plan": "restart",
          "title": "All managers restart",
          "verdict": "fail",
          "reason": "`restart[01]/back` failed: 2 of 3 managers were not ready within 10m",
          "complete": true,
          "started": "2026-01-01T00:00:00Z",
          "ended": "2026-01-01T00:10:04.36Z",
          "seconds": 604.36,
          "cluster": {
            "context": "lab",
            "server": "https://127.0.0.1:6443",
            "version": "v1.34.4",
            "nodes": 3,
            "embedded": false
          },
          "seed": 7,
          "cancelled": null,
          "counts": {
            "steps": 6,
            "passed": 2,
            "failed": 1,
            "errored": 0,
            "inconclusive": 0,
            "cancelled": 0,
            "skipped": 3,
            "blocked": 2,
            "unfinished": 0,
            "not_run": 0
          },
          "checks": {
            "checks": 0,
            "passed": 0,
            "failed": 0,
            "errored": 0,
            "inconclusive": 0,
            "cancelled": 0,
            "skipped": 0,
            "blocked": 0,
            "unfinished": 0,
            "not_run": 0
          },
          "cleanup": {
            "steps": 1,
            "passed": 0,
            "failed": 0,
            "errored": 1,
            "inconclusive": 0,
            "cancelled": 0,
            "skipped": 0,
            "blocked": 0,
            "unfinished": 0,
            "not_run": 0
          },
          "failing": [
            {
              "step": "restart[01]/back",
              "verb": "wait",
              "outcome": "failed",
              "class": "timeout",
              "message": "2 of 3 managers were not ready within 10m",
              "causes": [
                "the last change was 41s ago"
              ],
              "expected": "ready(o) on 3 of managers",
              "observed": [
                "pod/manager-a: Pending, 0/1 ready",
                "pod/manager-c: gone"
              ],
              "file": "plans/restart.toml",
              "line": 50,
              "attempts": 1,
              "seconds": 600.01,
              "blocked": [
                "restart[01]/verify",
                "upgrade"
              ]
            }
          ],
          "failing_checks": [],
          "measured": [],
          "watched": {
            "watches": 0,
            "versions": 0,
            "unseen": []
          },
          "cleanup_failing": [
            {
              "step": "logs",
              "verb": "collect",
              "outcome": "errored",
              "class": "unreachable",
              "message": "logs were not collected",
              "causes": [
                "connect to 127.0.0.1:6443",
                "connection refused"
              ],
              "expected": null,
              "observed": [],
              "file": "plans/restart.toml",
              "line": 90,
              "attempts": 1,
              "seconds": 0.5,
              "blocked": []
            }
          ],
          "requirements": [
            {
              "id": "C1",
              "held": true,
              "steps": [
                "install"
              ],
              "checks": []
            },
            {
              "id": "C5",
              "held": false,
              "steps": [
                "restart[01]/kill",
                "restart[01]/back"
              ],
              "checks": []
            }
          ],
          "faults": [],
          "warnings": [],
          "repro": "lariat run plans/restart.toml --context lab --seed 7 --set rounds=2",
          "files": {
            "journal": "events.jsonl",
            "junit": "junit.xml",
            "html": "report.html"
          }
        }
        "#);
    }

    #[test]
    fn a_cut_run_is_an_error_and_says_so() {
        let view = RunView::of(&red().events()[..12]).unwrap();
        let summary = summary(&view);
        assert_eq!((&summary["verdict"], &summary["complete"]), (&"error".into(), &false.into()));
        assert_eq!(summary["counts"]["unfinished"], 1);
        assert_eq!(summary["failing"], Value::Array(vec![]));
    }

    proptest! {
        #[test]
        fn counts_add_up(story in chaos()) {
            let summary = summary(&story.view());
            for counts in ["counts", "cleanup"] {
                let counts = summary[counts].as_object().unwrap();
                let n = |key: &str| counts[key].as_u64().unwrap();
                let all: u64 = counts.iter().filter(|(key, _)| !["steps", "blocked"].contains(&key.as_str()))
                    .map(|(_, n)| n.as_u64().unwrap()).sum();
                prop_assert_eq!(all, n("steps"));
                prop_assert!(n("blocked") <= n("skipped"));
            }
        }
    }
}
