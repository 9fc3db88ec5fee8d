//! The one run that is kept: what it left to read is what this version makes of its journal.

use std::fs;
use std::path::Path;

use crate::support::Bench;

/// Where it is kept, in the repository and as `lariat report` is told.
const RUN: &str = "reports/sample";

#[test]
fn the_kept_run_is_shown_byte_for_byte() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(RUN);
    let bench = Bench::new();
    let journal = fs::read(kept.join("events.jsonl")).expect("the kept run has its journal");
    bench.write(&format!("{RUN}/events.jsonl"), journal);
    bench.lariat(["report", RUN]).expect(0, &[]);
    for file in ["report.html", "junit.xml", "summary.json"] {
        let (kept, made) = (fs::read(kept.join(file)), fs::read(bench.path().join(RUN).join(file)));
        let (kept, made) = (kept.expect("it is kept"), made.expect("it was made"));
        assert!(kept == made, "{RUN}/{file} is not what its journal gives: run `lariat report {RUN}` and look at it");
    }
}
