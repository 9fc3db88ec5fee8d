//! What is written is read back, whatever happened in between.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Map;

use super::tape::Tape;
use super::{Cut, Error, Reader, RunFolder, Writer, read};
use crate::clock::Elapsed;
use crate::event::{ClusterIdentity, Event, EventKind, FORMAT, Note, Outcome, RunStart, Sink, Verdict};
use crate::id::{RunId, StepId};

fn start(run: &str) -> EventKind {
    EventKind::RunStarted(Box::new(RunStart {
        format: FORMAT,
        lariat: "0.1.0".into(),
        run: RunId::new(run).unwrap(),
        started: "2026-01-01T00:00:00Z".parse().unwrap(),
        plan: "restart".into(),
        title: "Restart — ünïcode 🦢".into(),
        about: String::new(),
        covers: Vec::new(),
        files: Vec::new(),
        vars: Map::new(),
        secrets: Vec::new(),
        set: Vec::new(),
        flags: Vec::new(),
        namespace: String::new(),
        seed: 1,
        jobs: 16,
        faults: Vec::new(),
        cluster: None,
        steps: Vec::new(),
        checks: Vec::new(),
        repro: String::new(),
    }))
}

fn stream() -> Vec<Event> {
    let step = StepId::root("a");
    let note = Note::Block { title: "log".into(), text: "line\nzwei \u{1f9a2}\n\0\u{1b}[31m".into() };
    let kinds = [
        start("restart-1-7f3a"),
        EventKind::StepStarted { step: step.clone() },
        EventKind::StepNoted { step: step.clone(), note },
        EventKind::StepFinished { step, outcome: Outcome::Passed, failure: None, outputs: Map::new() },
        EventKind::RunFinished { verdict: Verdict::Pass, reason: "ok".into() },
    ];
    let stamp = |(seq, kind)| Event { seq, at: Elapsed(seq * 700_000), kind };
    (0..).zip(kinds).map(stamp).collect()
}

fn written(folder: &Path, events: &[Event]) -> std::path::PathBuf {
    let mut writer = Writer::create(folder).unwrap();
    for event in events {
        writer.put(event).unwrap();
    }
    writer.path().to_owned()
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &stream());
    let recording = read(&path).unwrap();
    assert_eq!((recording.events, recording.cut), (stream(), None));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(text.starts_with(r#"{"seq":0,"at":0,"kind":{"run-started":{"format":2,"#), "{text}");
}

#[test]
fn a_journal_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &stream());
    let error = Writer::create(folder.path()).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "the journal `{}` can't be created; something of that name is there already: move it away",
            path.display()
        )
    );
    assert_eq!(read(&path).unwrap().events.len(), 5);
}

#[test]
fn a_journal_cut_at_any_byte_gives_all_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(written(folder.path(), &stream())).unwrap();
    let path = folder.path().join("cut.jsonl");
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for len in 0..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        match read(&path) {
            Err(Error::Empty { .. }) => assert_eq!(len, 0),
            Err(Error::CutAtStart { bytes, .. }) => assert!(len < first && bytes == len as u64),
            Err(other) => panic!("{len}: {other}"),
            Ok(recording) => {
                let breaks = bytes[..len].split(|byte| *byte == b'\n').count() - 1;
                // A last line that lacks only its break is whole.
                let whole = breaks + usize::from(bytes[len] == b'\n');
                assert_eq!(recording.events, stream()[..whole], "{len}");
                assert_eq!(recording.cut.is_some(), bytes[len - 1] != b'\n' && bytes[len] != b'\n', "{len}");
            }
        }
    }
}

#[test]
fn a_cut_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &stream()[..2]);
    let whole = std::fs::metadata(&path).unwrap().len();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(br#"{"seq":2,"at":5,"kind":{"step-no"#);
    std::fs::write(&path, &bytes).unwrap();
    let cut = read(&path).unwrap().cut.unwrap();
    assert_eq!(cut, Cut { line: 3, byte: whole, len: 32, reason: "EOF while parsing a string".into() });
    assert_eq!(
        cut.to_string(),
        format!("line 3, at byte {whole}, is cut off after 32 bytes (EOF while parsing a string)")
    );
    // A machine that went down may leave zeros where the file had grown.
    bytes.truncate(usize::try_from(whole).unwrap());
    bytes.extend_from_slice(&[0; 4096]);
    std::fs::write(&path, &bytes).unwrap();
    let recording = read(&path).unwrap();
    assert_eq!((recording.events.len(), recording.cut.unwrap().len), (2, 4096));
}

#[test]
fn what_is_no_journal_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let lines: Vec<String> = stream().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let second = |line: &str| format!("{}\n{line}\n{}\n", lines[0], lines[1]);
    let cases = [
        (String::new(), "the journal `FILE` is empty: the run ended before it could say anything"),
        (
            "hello\n".into(),
            "`FILE` is not a journal: it does not begin with `{`; a journal's first line is the `run-started` event",
        ),
        (
            "{\"a\": 1}\n".into(),
            "`FILE` is not a journal: its first line is other JSON; a journal's first line is the `run-started` event",
        ),
        (
            "{nonsense}\n".into(),
            "`FILE` is not a journal: its first line is not JSON; a journal's first line is the `run-started` event",
        ),
        (
            format!("{}\n", lines[1]),
            "`FILE` is not a journal: its first line is something else; a journal's first line is the `run-started` event",
        ),
        (
            lines[0]
                .replace("\"format\":2,\"lariat\":\"0.1.0\"", "\"format\":3,\"lariat\":\"2.0.0\"")
                .replace("\"seed\"", "\"sprout\""),
            "the journal `FILE` has format 3, written by lariat 2.0.0; this version reads format 2: read it with the version that wrote it",
        ),
        (
            second(r#"{"seq":1,"at":0,"kind":{"step-danced":{"step":"a"}}}"#),
            "line 2 of the journal `FILE` is of the kind `step-danced`, which format 2 does not have",
        ),
        (
            // The last line is sound JSON too: no cut.
            second(&lines[1]) + r#"{"seq":1,"at":0,"kind":{"step-danced":{"step":"a"}}}"#,
            "line 4 of the journal `FILE` is of the kind `step-danced`, which format 2 does not have",
        ),
        (
            second(r#"{"seq":1,"at":0,"kind":{"step-started":{"stop":"a"}}}"#),
            "line 2 of the journal `FILE` is no event: missing field `step`",
        ),
        (
            second(r#"{"seq":1,"#),
            &format!(
                "line 2 of the journal `FILE` is damaged at byte {} (EOF while parsing a value), and more lines follow; cut the file before that line to see what came before it",
                lines[0].len() + 1
            ),
        ),
    ];
    for (text, sentence) in cases {
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "FILE"), sentence);
    }
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder and not a journal"), "{error}");
    let gone = read(&folder.path().join("gone")).unwrap_err();
    assert_eq!(std::error::Error::source(&gone).unwrap().to_string(), "No such file or directory (os error 2)");
}

/// A disk with so much room, and what is on it.
#[derive(Clone, Default)]
struct Disk {
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    room: usize,
    wishes: Vec<&'static str>,
    fails_to_sync: bool,
}

impl Disk {
    fn with_room(room: usize) -> Self {
        let disk = Self::default();
        disk.held.lock().unwrap().room = room;
        disk
    }
}

impl Tape for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.held.lock().unwrap();
        let fits = bytes.len().min(held.room - held.bytes.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        held.bytes.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.held.lock().unwrap().bytes.truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync_soon(&mut self) -> io::Result<()> {
        let mut held = self.held.lock().unwrap();
        held.wishes.push("soon");
        if held.fails_to_sync { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.held.lock().unwrap().wishes.push("now");
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_whole_lines_and_a_sentence() {
    let whole: usize = stream()[..2].iter().map(|event| serde_json::to_vec(event).unwrap().len() + 1).sum();
    let disk = Disk::with_room(whole + 10);
    let mut writer = Writer::on("r/events.jsonl".into(), Box::new(disk.clone()));
    let events = stream();
    writer.put(&events[0]).unwrap();
    writer.put(&events[1]).unwrap();
    let full = "the event was not written: event 2 can't be written to the journal `r/events.jsonl`; \
                free some space there and run again: no storage space";
    assert_eq!(writer.put(&events[2]).unwrap_err().to_string(), full);
    assert_eq!(disk.held.lock().unwrap().bytes.len(), whole);
    // Room again, but the hole stays: nothing is written behind it.
    disk.held.lock().unwrap().room = 1 << 20;
    assert_eq!(writer.put(&events[3]).unwrap_err().to_string(), full);
    assert_eq!(disk.held.lock().unwrap().bytes.len(), whole);
}

#[test]
fn a_disk_that_fails_to_sync_is_told() {
    let disk = Disk::with_room(1 << 20);
    disk.held.lock().unwrap().fails_to_sync = true;
    let mut writer = Writer::on("r/events.jsonl".into(), Box::new(disk));
    let told: Vec<bool> = stream().iter().map(|event| writer.put(event).is_ok()).collect();
    assert_eq!(told, [true, true, false, false, false]);
}

#[test]
fn syncs_come_once_a_second_and_at_the_end() {
    let wishes = |embedded: bool| {
        let disk = Disk::with_room(1 << 20);
        let mut writer = Writer::on("r/events.jsonl".into(), Box::new(disk.clone()));
        let mut events = stream();
        if let EventKind::RunStarted(start) = &mut events[0].kind {
            let (context, server, version) = ("c".into(), "s".into(), "v".into());
            start.cluster = Some(ClusterIdentity { context, server, version, nodes: None, embedded });
        }
        for event in &events {
            writer.put(event).unwrap();
        }
        disk.held.lock().unwrap().wishes.clone()
    };
    // Events at 0, 0.7, 1.4, 2.1 and 2.8 seconds: the second wish would come at 2.4.
    assert_eq!(wishes(false), ["soon", "now"]);
    assert_eq!(wishes(true), ["now"]);
}

#[test]
fn a_real_file_is_synced_beside_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path()).unwrap();
    for second in 0..50 {
        let kind = if second == 0 { start("r-1") } else { EventKind::Warned { message: "tick".into() } };
        writer.put(&Event { seq: second, at: Elapsed(second * 1_000_000), kind }).unwrap();
    }
    let path = writer.path().to_owned();
    drop(writer);
    assert_eq!(read(&path).unwrap().events.len(), 50);
}

#[test]
fn places_that_can_not_be_written_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports");
    std::fs::write(&file, "").unwrap();
    let run = RunId::new("restart-1-7f3a").unwrap();
    let error = RunFolder::create(&file, "restart", "2026-01-01T00:00:00Z".parse().unwrap(), &run).unwrap_err();
    let error = error.to_string().replace(&folder.path().display().to_string(), "");
    assert_eq!(
        error,
        "the run folder `/reports/restart/20260101T000000Z-7f3a` can't be made; \
         a part of its path is a file and not a folder: move that away"
    );
    let error = Writer::create(&folder.path().join("gone")).err().unwrap().to_string();
    assert!(error.ends_with("its folder is gone: was it removed meanwhile?"), "{error}");
    let proc = Writer::create(Path::new("/proc")).err().unwrap().to_string();
    assert!(proc.starts_with("the journal `/proc/events.jsonl` can't be created; "), "{proc}");
}

#[test]
fn runs_are_found_by_what_is_at_hand() {
    let root = tempfile::tempdir().unwrap();
    let reports = root.path().join("reports");
    let make = |plan: &str, at: &str, id: &str| {
        let run = RunId::new(id).unwrap();
        let folder = RunFolder::create(&reports, plan, at.parse().unwrap(), &run).unwrap();
        let mut writer = Writer::create(folder.path()).unwrap();
        writer.put(&Event { seq: 0, at: Elapsed(0), kind: start(id) }).unwrap();
        folder.become_latest().unwrap();
        folder
    };
    let old = make("restart", "2026-01-01T00:00:00Z", "restart-20260101T000000Z-7f3a");
    let new = make("restart", "2026-01-02T00:00:00Z", "restart-20260102T000000Z-0c11");
    let twin = make("same-image", "2026-01-03T00:00:00Z", "same-image-20260101T000000Z-7f3a");
    let again = make("same-image", "2026-01-03T00:00:00Z", "same-image-20260101T000000Z-7f3a");
    assert!(again.path().ends_with("same-image/20260103T000000Z-7f3a-2"), "{again:?}");

    let find = |wanted: &str| RunFolder::find(&reports, wanted).map_err(|error| error.to_string());
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(find("restart"), Ok(new.clone()));
    assert_eq!(find("same-image"), Ok(again.clone()));
    assert_eq!(find(&path(old.path())), Ok(old.clone()));
    assert_eq!(find(&path(old.journal())), Ok(old.clone()));
    assert_eq!(find(&path(&reports.join("restart"))), Ok(new.clone()));
    assert_eq!(find("20260101T000000Z-7f3a"), Ok(old.clone()));
    assert_eq!(find("restart/20260101T000000Z-7f3a"), Ok(old.clone()));
    assert_eq!(find("0c11"), Ok(new.clone()));
    assert_eq!(find("restart-20260101T000000Z-7f3a"), Ok(old.clone()));
    assert_eq!(find("same-image-20260101T000000Z-7f3a"), Ok(again.clone()));
    assert_eq!(
        find("7f3a"),
        Err("`7f3a` could be `same-image/20260103T000000Z-7f3a` or `restart/20260101T000000Z-7f3a`; name one of them in full".into())
    );
    assert_eq!(find("restrat"), Err("no run is known as `restrat`; did you mean `restart`?".into()));
    let other = find("elephants-of-the-night").unwrap_err().replace(&path(&reports), "reports");
    assert_eq!(
        other,
        "no run is known as `elephants-of-the-night`; in `reports` there are `same-image/20260103T000000Z-7f3a-2`, \
         `same-image/20260103T000000Z-7f3a`, `restart/20260102T000000Z-0c11`, `restart/20260101T000000Z-7f3a`"
    );
    assert_eq!(std::fs::read_link(reports.join("restart/latest")).unwrap(), Path::new("20260102T000000Z-0c11"));

    // A broken link is gone around; so is none at all.
    std::fs::remove_dir_all(new.path()).unwrap();
    assert_eq!(find("restart"), Ok(old));
    let nowhere = RunFolder::find(&root.path().join("none"), "x").unwrap_err().to_string();
    assert!(nowhere.starts_with("no run is known as `x`; there are no runs in `"), "{nowhere}");
    drop(twin);
}

#[test]
fn many_events_are_read_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path()).unwrap();
    for seq in 0..100_000 {
        let kind = if seq == 0 { start("r-1") } else { EventKind::Warned { message: format!("event {seq}") } };
        writer.put(&Event { seq, at: Elapsed(seq), kind }).unwrap();
    }
    let mut reader = Reader::open(writer.path()).unwrap();
    assert!(reader.by_ref().enumerate().all(|(n, event)| event.unwrap().seq == n as u64));
    assert_eq!(reader.cut(), None);
}
