use clap::CommandFactory as _;

use super::args::Cli;

/// The JSON Schema of plans.
pub(super) fn schema() -> String {
    serde_json::to_string_pretty(&crate::plan::schema()).expect("a schema is JSON") + "\n"
}

/// A shell's completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lariat", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page.
pub(super) fn man() -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).expect("a Vec takes bytes");
    String::from_utf8_lossy(&page).into_owned()
}
