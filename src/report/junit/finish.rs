use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use super::Form;
use super::case::{Case, Shown};
use super::suite::{body, seconds};

/// What `junit-report` has no place for.
pub(super) struct Added<'a> {
    /// Strict leaves some of it out.
    pub(super) form: Form,
    /// Wall time of the run in seconds.
    pub(super) time: String,
    /// When the run began.
    pub(super) stamp: String,
    /// The plan's path.
    pub(super) file: String,
    /// How many cases are skipped.
    pub(super) skipped: usize,
    /// The suite's properties.
    pub(super) properties: Vec<(&'static str, String)>,
    /// When each case began, in the order of the cases.
    pub(super) stamps: Vec<Option<String>>,
    /// The cases, in the order in which they were written.
    pub(super) cases: &'a [Case],
    /// Longest text node.
    pub(super) cap: usize,
}

/// Goes over what `junit-report` wrote: totals, times with three decimals,
/// properties, lines and reruns are added, CDATA becomes plain text, and each
/// element gets a line of its own.
pub(super) fn finish(bare: &[u8], added: &Added<'_>) -> String {
    let mut pass = Pass {
        writer: Writer::new_with_indent(Vec::with_capacity(bare.len() * 2), b' ', 2),
        added,
        counts: counts(added),
        next: 0,
    };
    let mut reader = Reader::from_reader(bare);
    loop {
        match reader.read_event().expect("every text was cleaned") {
            Event::Eof => break,
            event => pass.take(event),
        }
    }
    let mut xml = pass.writer.into_inner();
    xml.push(b'\n');
    String::from_utf8(xml).expect("all input was UTF-8")
}

struct Pass<'a> {
    writer: Writer<Vec<u8>>,
    added: &'a Added<'a>,
    counts: [(&'static str, String); 3],
    /// The case that begins next.
    next: usize,
}

impl Pass<'_> {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(&tag, false),
            Event::Empty(tag) => self.open(&tag, true),
            Event::End(tag) => {
                if tag.name().as_ref() == b"testcase" && !self.has_output() {
                    self.reruns();
                }
                self.put(Event::End(tag));
            }
            Event::CData(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                self.put(Event::Text(BytesText::from_escaped(text)));
            }
            other => self.put(other),
        }
    }

    /// An opening tag, or a whole empty element.
    fn open(&mut self, tag: &BytesStart<'_>, is_empty: bool) {
        match tag.name().as_ref() {
            b"testsuites" => {
                let root = self.root();
                self.put(Event::Start(root));
            }
            b"testsuite" => {
                let suite = self.suite(tag);
                self.put(Event::Start(suite));
                self.properties(&self.added.properties);
                if is_empty {
                    self.close("testsuite");
                }
            }
            b"testcase" => self.case(tag, is_empty),
            b"system-out" => {
                self.reruns();
                self.put(Event::Start(tag.borrow()));
            }
            _ if is_empty => self.put(Event::Empty(tag.borrow())),
            _ => self.put(Event::Start(tag.borrow())),
        }
    }

    fn root(&self) -> BytesStart<'static> {
        let mut root = BytesStart::new("testsuites");
        root.push_attribute(("name", "lariat"));
        for (name, count) in &self.counts {
            root.push_attribute((*name, count.as_str()));
        }
        if self.added.form == Form::Extended {
            root.push_attribute(("skipped", self.added.skipped.to_string().as_str()));
        }
        root.push_attribute(("time", self.added.time.as_str()));
        if self.added.form == Form::Extended {
            root.push_attribute(("timestamp", self.added.stamp.as_str()));
        }
        root
    }

    fn suite(&self, tag: &BytesStart<'_>) -> BytesStart<'static> {
        let mut suite = BytesStart::new("testsuite");
        for attribute in attributes(tag) {
            // Readers glue `package` before the name; `id` says nothing.
            if matches!(attribute.key.as_ref(), b"name" | b"hostname") {
                suite.push_attribute(attribute);
            }
        }
        for (name, count) in &self.counts {
            suite.push_attribute((*name, count.as_str()));
        }
        suite.push_attribute(("skipped", self.added.skipped.to_string().as_str()));
        suite.push_attribute(("time", self.added.time.as_str()));
        suite.push_attribute(("timestamp", self.added.stamp.as_str()));
        suite.push_attribute(("file", self.added.file.as_str()));
        suite
    }

    fn case(&mut self, tag: &BytesStart<'_>, is_empty: bool) {
        let added = self.added;
        let case = &added.cases[self.next];
        let stamp = &added.stamps[self.next];
        self.next += 1;
        let mut start = BytesStart::new("testcase");
        for attribute in attributes(tag) {
            if attribute.key.as_ref() == b"time" {
                start.push_attribute(("time", seconds(case.took).as_str()));
            } else {
                start.push_attribute(attribute);
            }
        }
        if added.form == Form::Extended {
            start.push_attribute(("line", case.line.to_string().as_str()));
            if let Some(stamp) = stamp {
                start.push_attribute(("timestamp", stamp.as_str()));
            }
        }
        let has_more = !case.properties.is_empty() || !case.reruns.is_empty();
        if is_empty && !has_more {
            self.put(Event::Empty(start));
            return;
        }
        self.put(Event::Start(start));
        if !case.properties.is_empty() {
            self.properties(&case.properties);
        }
        if is_empty {
            self.reruns();
            self.close("testcase");
        }
    }

    /// The tries before the last of the case that was opened last.
    fn reruns(&mut self) {
        let added = self.added;
        for rerun in &added.cases[self.next - 1].reruns {
            let mut tag = BytesStart::new(rerun.element);
            tag.push_attribute(("type", rerun.said.kind));
            tag.push_attribute(("message", rerun.said.message.as_str()));
            self.put(Event::Start(tag));
            self.put(Event::Start(BytesStart::new("stackTrace")));
            let text = body(&rerun.said.text, added.cap);
            self.put(Event::Text(BytesText::from_escaped(text)));
            self.close("stackTrace");
            self.close(rerun.element);
        }
    }

    /// Whether the open case has a `system-out`, before which its reruns stand.
    fn has_output(&self) -> bool {
        self.added.cases[self.next - 1].output.is_some()
    }

    fn properties(&mut self, properties: &[(&'static str, String)]) {
        self.put(Event::Start(BytesStart::new("properties")));
        for (name, value) in properties {
            let mut tag = BytesStart::new("property");
            tag.push_attribute(("name", *name));
            tag.push_attribute(("value", value.as_str()));
            self.put(Event::Empty(tag));
        }
        self.close("properties");
    }

    fn close(&mut self, name: &'static str) {
        self.put(Event::End(BytesEnd::new(name)));
    }

    fn put(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("writing to memory does not fail");
    }
}

/// As written by `junit-report`, still escaped.
fn attributes<'t>(tag: &'t BytesStart<'_>) -> impl Iterator<Item = Attribute<'t>> {
    tag.attributes().map(|attribute| attribute.expect("the crate writes each attribute once"))
}

/// Counted from the cases themselves: one reader believes these numbers.
fn counts(added: &Added<'_>) -> [(&'static str, String); 3] {
    let count = |is: fn(&Shown) -> bool| {
        let found = added.cases.iter().filter(|case| is(&case.result));
        found.count().to_string()
    };
    [
        ("tests", added.cases.len().to_string()),
        ("failures", count(|shown| matches!(shown, Shown::Failure(_)))),
        ("errors", count(|shown| matches!(shown, Shown::Error(_)))),
    ]
}
