use super::Exit;
use super::args::ReportArgs;
use super::finish::{self, Copies};
use super::look::look;
use super::screen::{err, told};
use crate::journal::{self, RunFolder};
use crate::report::{Output, Terminal};
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
    let closing = written.closing(&folder);
    Terminal::recap(look(&args.show), Output::standard(), view, &closing);
    if failed { Exit::Error } else { Exit::Ok }
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
    if let Some(cut) = &recording.cut {
        err(&format!("lariat: the journal is cut: {cut}"));
    }
    let view = RunView::of(&recording.events).map_err(|illegal| {
        err(&told(&illegal));
        Exit::Error
    })?;
    Ok((folder, view))
}
