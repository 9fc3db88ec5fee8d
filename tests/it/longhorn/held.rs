//! The embedded Longhorn does what was recorded, and what is written down with its source.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compare::{Compared, Decided, Tally};
use super::scenario::Scenario;
use super::tape::Tape;

/// How many seeds, if nobody asks for so many that every chance should come: `just soak-recordings` does.
const FEW: u64 = 1;
/// How many seeds until everything that is listed has come.
const MANY: u64 = 200;

/// Holds runs to a recording: nothing may be left that neither was recorded nor is listed.
fn compare(scenario: Scenario) {
    let asked = std::env::var("LARIAT_SEEDS").ok().map(|seeds| seeds.parse().expect("`LARIAT_SEEDS` is a number"));
    let seeds: u64 = asked.unwrap_or(FEW);
    let mut recorded = Tally::default();
    recorded.add(&Tape::recorded(scenario.name()));
    let made = Mutex::new(Tally::default());
    let next = AtomicU64::new(1);
    let workers = if asked.is_some() { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let mut tally = Tally::default();
                    tally.add(&scenario.play(seed));
                    made.lock().expect("no run panicked").join(tally);
                }
            });
        }
    });
    let made = made.into_inner().expect("no run panicked");
    let runs = usize::try_from(seeds).expect("seeds can be counted");
    let mut compared = Compared::of(scenario.name(), &recorded, &made, runs, &Decided::read());
    if asked.is_none() {
        // What comes by chance need not come in one run, nor be as long as it can be.
        compared.unmade.clear();
        compared.outside.clear();
    }
    let idle = compared.idle_lines();
    if seeds < MANY {
        compared.idle.clear();
    }
    let (row, unexplained) = (compared.row(), compared.unexplained());
    if let Ok(path) = std::env::var("LARIAT_TABLE") {
        let path = |kind: &str| std::path::Path::new(&path).join(format!("{}.{kind}", scenario.name()));
        std::fs::write(path("md"), format!("{}{row}{unexplained}{idle}", Compared::HEAD))
            .expect("the table can be written");
        std::fs::write(path("rec.tsv"), recorded.lines()).expect("what was recorded can be written");
        std::fs::write(path("tsv"), made.lines()).expect("what was made can be written");
    }
    assert!(unexplained.is_empty(), "{}{row}\n{unexplained}", Compared::HEAD);
}

#[test]
fn an_installation_is_as_recorded() {
    compare(Scenario::Install);
}

#[test]
fn ten_rounds_are_as_recorded() {
    compare(Scenario::SameImageForce);
}

#[test]
fn an_upgrade_is_as_recorded() {
    compare(Scenario::Upgrade);
}

#[test]
fn an_incompatible_pair_is_as_recorded() {
    compare(Scenario::Incompatible);
}

/// What a run with something wrong in it makes that neither was recorded nor is listed.
fn unheard(scenario: Scenario, wrong: &str) -> String {
    let (mut recorded, mut made) = (Tally::default(), Tally::default());
    recorded.add(&Tape::recorded(scenario.name()));
    made.add(&scenario.play_wrong(wrong));
    let compared = Compared::of(scenario.name(), &recorded, &made, 1, &Decided::read());
    compared.unheard.iter().map(|(kind, _)| format!("{kind}\n")).collect()
}

#[test]
fn a_data_source_pod_after_a_restart_is_found() {
    let found = unheard(Scenario::SameImageForce, "bids-relaunch-on-unknown");
    assert!(found.contains("after `delete`: pod backing-image-data-source: absent → Pending\n"), "{found}");
}

#[test]
fn files_that_an_old_manager_deletes_are_found() {
    let found = unheard(Scenario::Incompatible, "old-bim-deletes-files");
    let reused = "`failed`: failed to process sync file: syncing file should be directly reused but failed";
    assert!(found.contains(&format!("after `upgrade`: entry: `starting` → {reused}\n")), "{found}");
}

#[test]
fn files_that_are_transferred_again_are_found() {
    let found = unheard(Scenario::Incompatible, "takeover-resyncs-ready");
    assert!(found.contains("after `upgrade`: manager's file: `starting` → `in-progress`\n"), "{found}");
}
