use super::Exit;
use super::args::ReportArgs;
use super::finish::{self, Copies};
use super::look::look;
use super::screen::{err, told};
use crate::journal::{self, Recording, RunFolder};
use crate::report::{Output, Terminal};
use crate::text;
use crate::view::RunView;

/// Writes the reports of a run again, from its journal alone.
pub(super) fn report(args: &ReportArgs) -> Exit {
    let (folder, view) = match open(&args.reports, &args.run) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let copies = Copies { junit: args.junit.clone(), html: args.html.clone(), form: Some(args.junit_schema) };
    let written = finish::write(&view, &folder, &copies);
    let failed = written.failed;
    let mut closing = written.closing(&folder);
    closing.extra.extend(unjudged(&view, args));
    Terminal::recap(look(&args.show), Output::standard(), view, &closing);
    if failed { Exit::Error } else { Exit::Ok }
}

/// For a run that was cut off: the checks that nobody judged, and how that is made up for.
fn unjudged(view: &RunView, args: &ReportArgs) -> Vec<String> {
    /// How many are named.
    const SHOWN: usize = 5;
    let open: Vec<String> =
        view.checks.iter().filter(|row| row.outcome().is_none()).map(|row| format!("`{}`", row.node.id)).collect();
    if view.is_complete() || open.is_empty() {
        return Vec::new();
    }
    let more = open.len().saturating_sub(SHOWN);
    let mut named = open[..open.len().min(SHOWN)].to_vec();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let plan = view.start.files.first().map_or("PLAN", |file| file.path.as_str());
    vec![
        format!("not judged, for the run was cut off: {}", text::and(&named)),
        format!("judge them on what was recorded: lariat judge {} {plan}", args.run),
    ]
}

/// Finds a run and folds its journal; says what is wrong with it.
pub(super) fn open(reports: &std::path::Path, run: &str) -> Result<(RunFolder, RunView), Exit> {
    let folder = RunFolder::find(reports, run).map_err(|error| {
        err(&told(&error));
        Exit::Usage
    })?;
    let recording = journal::read(folder.journal()).map_err(|error| {
        err(&told(&error));
        Exit::Error
    })?;
    say_cut(&recording);
    let view = RunView::of(&recording.events).map_err(|illegal| {
        err(&told(&illegal));
        Exit::Error
    })?;
    Ok((folder, view))
}

/// Says that a journal stops in the middle of a line.
pub(super) fn say_cut(recording: &Recording) {
    if let Some(cut) = &recording.cut {
        err(&format!("lariat: the journal is cut: {cut}"));
    }
}
