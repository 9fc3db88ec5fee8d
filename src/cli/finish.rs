use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::JunitForm;
use super::screen::{err, told};
use crate::journal::{RunFolder, write_atomically};
use crate::report::{Closing, Form, Paths, html, junit, summary};
use crate::view::RunView;

/// Names of the reports in a run folder.
const HTML: &str = "report.html";
const JUNIT: &str = "junit.xml";
const SUMMARY: &str = "summary.json";

/// Where reports go besides the run folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    pub(super) junit: Option<PathBuf>,
    pub(super) html: Option<PathBuf>,
    pub(super) form: Option<JunitForm>,
}

/// Writes every report of a run. What can't be written is said, and does not keep
/// the others from being written.
pub(super) fn write(view: &RunView, folder: &RunFolder, copies: &Copies) -> Written {
    let mut written = Written::default();
    let page = folder.file(HTML);
    let page_written = written.put("html", &page, &html(view));
    written.put("summary", &folder.file(SUMMARY), &pretty(&summary(view)));
    let form = match copies.form {
        Some(JunitForm::Strict) => Form::Strict,
        Some(JunitForm::Extended) | None => Form::Extended,
    };
    let paths = Paths {
        folder: shown(folder.path()),
        files: files(folder.path()),
        page: shown(&page),
        page_exists: page_written,
    };
    written.put("junit", &folder.file(JUNIT), &junit(view, form, &paths));
    written.put_copies(view, form, &paths, copies);
    written.html = page_written.then(|| shown(&page));
    written
}

/// Writes reports where the command line asks for them, and nothing into the run's folder.
pub(super) fn copies(view: &RunView, folder: &RunFolder, copies: &Copies) -> Written {
    let mut written = Written::default();
    let page = copies.html.clone().unwrap_or_else(|| folder.file(HTML));
    let paths = Paths {
        folder: shown(folder.path()),
        files: files(folder.path()),
        page: shown(&page),
        page_exists: copies.html.is_some(),
    };
    // The page is named in the last line, and not among the files.
    let page_written = copies.html.is_some() && written.put("html", &page, &html(view));
    written.put_copies(view, Form::Extended, &paths, &Copies { html: None, ..copies.clone() });
    written.html = page_written.then(|| shown(&page));
    written
}

/// Which reports were written.
#[derive(Debug, Default)]
pub(super) struct Written {
    files: Vec<(String, String)>,
    html: Option<String>,
    /// Whether one of them could not be written.
    pub(super) failed: bool,
}

impl Written {
    fn put_copies(&mut self, view: &RunView, form: Form, paths: &Paths, copies: &Copies) {
        if let Some(path) = &copies.junit {
            self.put("junit", path, &junit(view, form, paths));
        }
        if let Some(path) = &copies.html {
            self.put("html", path, &html(view));
        }
    }

    fn put(&mut self, what: &str, path: &Path, text: &str) -> bool {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // If it can't be made, writing says so better.
            let _ = std::fs::create_dir_all(folder);
        }
        match write_atomically(path, text.as_bytes()) {
            Ok(()) => {
                if what != "html" || self.files.iter().any(|(what, _)| what == "junit") {
                    self.files.push((what.to_owned(), shown(path)));
                }
                true
            }
            Err(error) => {
                err(&told(&error));
                self.failed = true;
                false
            }
        }
    }

    /// The last lines of the terminal.
    pub(super) fn closing(self, folder: &RunFolder) -> Closing {
        let mut files = vec![("journal".to_owned(), shown(folder.journal()))];
        files.extend(self.files);
        Closing { files, html: self.html, ..Closing::default() }
    }
}

/// A path as people here would type it: relative to the folder they stand in, if it is below.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

/// The files that steps left in a run folder, relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    fn down(folder: &Path, root: &Path, into: &mut BTreeSet<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                down(&path, root, into);
            } else if let Ok(inside) = path.strip_prefix(root) {
                into.insert(inside.display().to_string());
            }
        }
    }
    let mut all = BTreeSet::new();
    down(folder, folder, &mut all);
    all
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("a summary is JSON") + "\n"
}
