//! The reader is held to what the recordings' README says of them.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use super::span::Spans;
use super::tape::Tape;
use super::turn::{Turn, turns};

/// The ways of the parts of one thing through its states, each with how many went it.
fn ways(turns: &[Turn], of: &str) -> String {
    let mut ways: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for turn in turns.iter().filter(|turn| turn.of == of) {
        ways.entry((&turn.object, &turn.part)).or_insert_with(|| vec![&turn.from]).push(&turn.to);
    }
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for ((object, _), way) in ways {
        *counted.entry(format!("{object}: {}", way.join(" → "))).or_default() += 1;
    }
    counted.iter().map(|(way, times)| format!("{times} × {way}\n")).collect()
}

fn of(spans: &str, prefix: &str) -> String {
    let with = |line: &&str| line.starts_with(prefix);
    spans.lines().filter(with).map(|line| format!("{}\n", &line[prefix.len()..])).collect()
}

#[test]
fn ten_rounds_take_the_times_that_were_measured() {
    let spans = Spans::of(&Tape::recorded("same-image-force")).table();
    assert_snapshot!(of(&spans, "restart: "), @r"
    all entries ready again: 36.4 / 40.6 / 42.3 (10)
    all managers Ready: 5.5 / 9.0 / 14.7 (10)
    container running: 1.6 / 2.6 / 3.7 (30)
    disk not Ready: 0.1 / 34.6 / 40.9 (31)
    disks marked: 3.0 / 3.0 / 3.0 (10)
    entries unknown: 3.0 / 3.0 / 3.0 (10)
    first manager Ready: 2.1 / 2.8 / 3.7 (10)
    new pod created: 0.2 / 0.5 / 1.2 (30)
    no webhook endpoint: 1.4 / 2.2 / 2.8 (10)
    node not Ready: 0.1 / 2.6 / 14.0 (38)
    nodes marked: 3.0 / 3.0 / 3.0 (10)
    old pod gone: 0.1 / 0.3 / 0.9 (30)
    turns of pods that stay: 0.0 / 0.0 / 0.0 (10)
    unknown begins: 0.3 / 5.9 / 11.2 (30)
    unknown lasts: 5.6 / 31.0 / 40.7 (30)
    ");
}

#[test]
fn an_upgrade_takes_the_times_that_were_measured() {
    let tape = Tape::recorded("upgrade");
    let spans = Spans::of(&tape).table();
    assert_snapshot!(of(&spans, "upgrade: "), @r"
    all managers Ready: 53.6 / 53.6 / 53.6 (1)
    disk Ready again: 79.8 / 81.9 / 83.9 (2)
    disks marked: 2.0 / 2.0 / 2.0 (1)
    first manager Ready: 45.1 / 45.1 / 45.1 (1)
    first old manager told to end: 11.8 / 11.8 / 11.8 (1)
    new manager pod made: 42.6 / 42.7 / 42.7 (3)
    no webhook endpoint: 32.4 / 32.4 / 32.4 (1)
    node not Ready: 2.2 / 4.4 / 6.5 (2)
    nodes marked: 2.0 / 2.0 / 2.0 (1)
    old manager gone: 43.2 / 43.7 / 43.7 (3)
    post-upgrade job lasts: 43.3 / 43.3 / 43.3 (1)
    pre-upgrade job lasts: 8.7 / 8.7 / 8.7 (1)
    ");
    assert_snapshot!(of(&spans, "takeover: "), @r"
    all entries ready again: 208.0 / 208.0 / 208.0 (1)
    entry missing elsewhere: 67.9 / 68.0 / 68.1 (4)
    entry missing on the first disk: 8.3 / 8.3 / 8.4 (2)
    first entry ready again: 58.2 / 58.2 / 58.2 (1)
    first new one made after that: 0.1 / 0.1 / 0.1 (1)
    first old one deleted: 49.7 / 49.7 / 49.7 (1)
    later new ones made after that: 59.8 / 59.8 / 59.8 (2)
    old one gone after that: 0.1 / 0.2 / 4.2 (3)
    ");
    // The file that is whole on one disk comes to the others from zero, and nothing ever says `failed`.
    assert_snapshot!(ways(&turns(&tape), "entry"), @r"
    1 × large: absent → `` → `in-progress` → `ready-for-transfer` → `ready` → absent → `ready`
    1 × large: absent → `in-progress` → absent → `starting` → `in-progress` → `ready`
    1 × large: absent → `starting` → `in-progress` → absent → `starting` → `in-progress` → `ready`
    1 × small: absent → `` → `ready-for-transfer` → `ready` → absent → `ready`
    1 × small: absent → `ready` → absent → `ready`
    1 × small: absent → `starting` → `ready` → absent → `ready`
    ");
}

#[test]
fn all_four_upgrades_of_the_incompatible_pair_have_one_shape() {
    let tape = Tape::recorded("incompatible");
    let spans = Spans::of(&tape).table();
    assert_snapshot!(of(&spans, "takeover: "), @r"
    all entries ready again: 113.6 / 114.5 / 115.8 (3)
    entry missing elsewhere: 64.3 / 67.7 / 67.9 (8)
    entry missing on the first disk: 6.7 / 7.5 / 8.2 (4)
    first entry ready again: 53.3 / 53.7 / 54.0 (2)
    first new one made after that: 0.1 / 0.1 / 0.2 (4)
    first old one deleted: 44.6 / 46.0 / 47.5 (4)
    later new ones made after that: 59.7 / 59.8 / 59.9 (8)
    old one gone after that: 0.0 / 0.7 / 2.9 (12)
    ");
    assert_snapshot!(ways(&turns(&tape), "entry"), @r"
    3 × large: `ready` → absent → `ready` → absent → `ready` → absent → `ready`
    3 × small: `ready` → absent → `ready` → absent → `ready` → absent → `ready`
    ");
}

#[test]
fn every_round_makes_the_same_turns_of_entries() {
    let turns = turns(&Tape::recorded("same-image-force"));
    let entries: Vec<&Turn> = turns.iter().filter(|turn| turn.of == "entry" && turn.at > 39.0).collect();
    let kinds: BTreeSet<_> = entries.iter().map(|turn| (&*turn.from, &*turn.to)).collect();
    assert_eq!(entries.len(), 60);
    assert_eq!(kinds, BTreeSet::from([("`ready`", "`unknown`"), ("`unknown`", "`ready`")]));
}

#[test]
fn a_fresh_install_restarts_two_managers() {
    let turns = turns(&Tape::recorded("install"));
    let restarts = turns.iter().filter(|turn| turn.of == "restarts of longhorn-manager").count();
    assert_eq!(restarts, 2);
}
