use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

/// Watch streams of a cluster with marks of what was done when.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// In the order in which they were seen.
    pub(crate) lines: Vec<Line>,
    /// What was done.
    pub(crate) marks: Vec<Mark>,
}

/// One watch event.
#[derive(Debug)]
pub(crate) struct Line {
    /// Seconds since the beginning.
    pub(crate) at: f64,
    /// Which watch: an entry of [`WATCHED`].
    pub(crate) watch: &'static str,
    /// What it says.
    pub(crate) change: Change,
    /// The object; null for a gap.
    pub(crate) object: Value,
}

/// What a watch event says of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is there, nobody knows since when.
    Listed,
    /// It is new, or different.
    Set,
    /// It is gone.
    Gone,
    /// The watch broke.
    Gap,
}

/// Something that was done to the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) what: String,
}

/// Every watch with its path, in the order in which lines of one moment are read.
pub(crate) const WATCHED: &[(&str, &str)] = &[
    ("jobs", "/apis/batch/v1"),
    ("daemonsets", "/apis/apps/v1"),
    ("pods", "/api/v1"),
    ("endpointslices", "/apis/discovery.k8s.io/v1"),
    ("leases", "/apis/coordination.k8s.io/v1"),
    ("settings", "/apis/longhorn.io/v1beta2"),
    ("lhnodes", "/apis/longhorn.io/v1beta2"),
    ("engineimages", "/apis/longhorn.io/v1beta2"),
    ("backingimagemanagers", "/apis/longhorn.io/v1beta2"),
    ("backingimagedatasources", "/apis/longhorn.io/v1beta2"),
    ("backingimages", "/apis/longhorn.io/v1beta2"),
    ("events", "/api/v1"),
];

impl Tape {
    /// A recording of `tests/data/recordings`.
    pub(crate) fn recorded(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings").join(name);
        let mut tape = Self::default();
        for (watch, _) in WATCHED {
            let path = folder.join(format!("{watch}.jsonl.gz"));
            for line in read(&path).unwrap_or_default() {
                let change = match line["type"].as_str() {
                    Some("LIST") => Change::Listed,
                    Some("ADDED" | "MODIFIED") => Change::Set,
                    Some("DELETED") => Change::Gone,
                    Some("GAP") => Change::Gap,
                    other => panic!("{}: a watch says {other:?}", path.display()),
                };
                let at = line["t"].as_f64().expect("every line has its time");
                tape.lines.push(Line { at, watch, change, object: line["object"].clone() });
            }
        }
        assert!(!tape.lines.is_empty(), "there is no recording `{name}`");
        for line in read(&folder.join("markers.jsonl.gz")).unwrap_or_default() {
            let at = line["t"].as_f64().expect("every mark has its time");
            tape.marks.push(Mark { at, what: words(&line) });
        }
        tape.in_order()
    }

    /// The same with its lines in the order of their times.
    pub(crate) fn in_order(mut self) -> Self {
        self.lines.sort_by(|one, other| one.at.total_cmp(&other.at));
        self
    }

    /// When something was done, in order.
    pub(crate) fn marks(&self, what: &str) -> Vec<f64> {
        self.marks.iter().filter(|mark| mark.what == what).map(|mark| mark.at).collect()
    }
}

/// A mark's word, with the image that it is about.
fn words(line: &Value) -> String {
    let what = line["what"].as_str().expect("a mark says what was done");
    match (line["bi"].as_str(), line["cmd"].as_str()) {
        (Some(image), _) => format!("{what} {image}"),
        (None, Some(command)) => format!("{what} {command}"),
        (None, None) => what.to_owned(),
    }
}

/// The lines of a packed file; `None` if there is no such file.
fn read(path: &Path) -> Option<Vec<Value>> {
    let file = File::open(path).ok()?;
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let parse = |line: std::io::Result<String>| {
        serde_json::from_str(&line.expect("the file can be unpacked")).expect("a line is JSON")
    };
    Some(lines.map(parse).collect())
}
