use std::io::Write as _;

/// Prints what was asked for, to stdout. A closed pipe is not our trouble.
pub(super) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = stdout.write_all(b"\n");
    }
    let _ = stdout.flush();
}

/// Tells people something, on stderr.
pub(super) fn err(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = stderr.write_all(b"\n");
    }
}

/// An error with its causes, each on its own line: what can be done stands in the first.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut said = format!("lariat: {error}");
    let mut below = error.source();
    while let Some(cause) = below {
        said.push_str(&format!("\n  because {cause}"));
        below = cause.source();
    }
    said
}
