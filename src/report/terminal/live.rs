use std::fmt;
use std::io::Write;

use super::bars::Bars;
use super::closing::{self, Closing};
use super::heartbeat::Heartbeat;
use super::line::{Ink, Line};
use super::look::{Look, Mode};
use super::{rows, say};
use crate::clock::Elapsed;
use crate::event::{Event, NotWritten, Sink};
use crate::view::RunView;

/// Tells a run while it happens, and once more in short when it is over.
///
/// It has no clock: events bring their time, and `tick` brings the time between
/// them. A recording that is shown event by event reads as the run did.
#[derive(Debug)]
pub struct Terminal {
    look: Look,
    output: Output,
    bars: Option<Bars>,
    view: Option<RunView>,
    /// How wide the column of step ids is.
    width: usize,
    heartbeat: Heartbeat,
}

/// Where a terminal writes. A side that does not take text any more is not written
/// to again: a closed pipe ends no run.
pub struct Output {
    people: Side,
    data: Side,
}

struct Side {
    to: Box<dyn Write + Send>,
    closed: bool,
}

impl Output {
    /// Text for people goes to the first, which should be standard error, and
    /// requested data to the second, which should be standard output.
    pub fn new(people: impl Write + Send + 'static, data: impl Write + Send + 'static) -> Self {
        Self { people: Side::new(people), data: Side::new(data) }
    }

    /// Standard error and standard output of this process.
    pub fn standard() -> Self {
        Self::new(std::io::stderr(), std::io::stdout())
    }
}

impl Side {
    fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), closed: false }
    }

    /// One write for all of it, so that other writers' lines stay whole beside it.
    fn write(&mut self, text: &str) {
        if !text.is_empty() && !self.closed {
            self.closed = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).is_err();
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("people_closed", &self.people.closed)
            .field("data_closed", &self.data.closed)
            .finish()
    }
}

impl Terminal {
    /// A terminal that has heard nothing yet.
    pub fn new(look: Look, output: Output) -> Self {
        let bars = (look.mode == Mode::Bars).then(Bars::on_stderr);
        Self::with_bars(look, output, bars)
    }

    /// Where the system hides bars after all, everything is said in lines.
    pub(super) fn with_bars(mut look: Look, output: Output, bars: Option<Bars>) -> Self {
        let bars = bars.filter(|bars| !bars.is_hidden());
        if look.mode == Mode::Bars && bars.is_none() {
            look.mode = Mode::Plain;
        }
        Self { look, output, bars, view: None, width: 0, heartbeat: Heartbeat::default() }
    }

    /// Tells one event.
    pub fn show(&mut self, event: &Event) {
        if self.look.mode == Mode::Json {
            let line = serde_json::to_string(event).expect("every event can be written as JSON");
            self.output.data.write(&(line + "\n"));
        }
        let mut lines = Vec::new();
        if let Err(because) = self.take_in(event) {
            lines.push(Line::of("WARN  the story has a hole: ").add(Ink::Caution, &because));
        }
        let Some(view) = &self.view else {
            return self.print(&lines);
        };
        match self.look.mode {
            Mode::Bars | Mode::Plain => {
                let told = say::event(event, view, self.width, self.look.detail);
                if !told.is_empty() {
                    self.heartbeat.heard(&event.kind, event.at);
                }
                lines.extend(told);
                if view.is_complete() {
                    // No row may stand there while reports are written.
                    self.refresh(event.at);
                }
                self.print(&lines);
            }
            Mode::Json | Mode::Quiet => {}
        }
    }

    /// Lets time pass between events: moves the bars, or says that steps still run.
    ///
    /// To be called a few times a second. Simulated time passes too fast for heartbeats.
    pub fn tick(&mut self, now: Elapsed) {
        let Some(view) = &self.view else { return };
        match self.look.mode {
            Mode::Bars => self.refresh(now),
            Mode::Plain if view.start.cluster.as_ref().is_some_and(|cluster| cluster.embedded) => {}
            Mode::Plain if view.is_complete() => {}
            Mode::Plain => {
                let lines = self.heartbeat.beat(view, self.width, now);
                self.print(&lines);
            }
            Mode::Json | Mode::Quiet => {}
        }
    }

    /// Takes the bars away and says how it ended. Nothing of the run is shown after this.
    pub fn close(&mut self, closing: &Closing) {
        if let Some(mut bars) = self.bars.take() {
            bars.clear();
        }
        let Some(view) = &self.view else { return };
        let lines = match self.look.mode {
            Mode::Bars | Mode::Plain => closing::whole(view, closing),
            Mode::Json | Mode::Quiet => closing::quiet(view, closing),
        };
        self.print(&lines);
    }

    /// Says how a recorded run ended, without its story.
    pub fn recap(look: Look, output: Output, view: RunView, closing: &Closing) {
        let mut terminal = Self::with_bars(look, output, None);
        terminal.view = Some(view);
        terminal.close(closing);
    }

    /// The run so far.
    pub fn view(&self) -> Option<&RunView> {
        self.view.as_ref()
    }

    /// Writes something else for people between the lines of the run, such as a log line.
    pub fn aside(&mut self, text: &str) {
        let lines: Vec<Line> = text.lines().map(Line::of).collect();
        self.print(&lines);
    }

    fn take_in(&mut self, event: &Event) -> Result<(), String> {
        if let Some(view) = &mut self.view {
            return view.apply(event).map_err(|illegal| illegal.to_string());
        }
        let view = RunView::begin(event).map_err(|illegal| illegal.to_string())?;
        self.width = say::width(&view);
        self.view = Some(view);
        Ok(())
    }

    fn refresh(&mut self, now: Elapsed) {
        if let (Some(bars), Some(view)) = (&mut self.bars, &self.view) {
            let rows = if view.is_complete() { Vec::new() } else { rows::rows(view, now, bars.height()) };
            bars.show(&rows, self.look.color);
        }
    }

    fn print(&mut self, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        let text: String = lines.iter().map(|line| line.render(self.look.color) + "\n").collect();
        let people = &mut self.output.people;
        match &self.bars {
            Some(bars) => bars.above(|| people.write(&text)),
            None => people.write(&text),
        }
    }
}

impl Sink for Terminal {
    /// Showing never fails: the record is the journal's matter.
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        self.show(event);
        Ok(())
    }
}
