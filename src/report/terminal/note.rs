use super::look::Detail;
use crate::event::Note;

/// How many lines of a longer text are shown, before it is only counted.
fn most(detail: Detail) -> usize {
    match detail {
        Detail::States | Detail::Notes => 10,
        Detail::Requests => 200,
    }
}

/// A note as lines, each with the word that says what kind of line it is.
pub(super) fn lines(note: &Note, detail: Detail) -> Vec<(&'static str, String)> {
    match note {
        Note::Text { text } => vec![("NOTE", text.clone())],
        Note::Pair { key, value } => vec![("NOTE", format!("{key}: {value}"))],
        Note::File { path, about } => vec![("FILE", format!("{path}: {about}"))],
        Note::Retried { request, reason } => vec![("AGAIN", format!("{request}: {reason}"))],
        Note::Table { title, head, rows } => {
            let table: Vec<String> = std::iter::once(head).chain(rows).map(|row| row.join("  ")).collect();
            block(title, &table.join("\n"), detail)
        }
        Note::Block { title, text } | Note::Diff { title, text } => block(title, text, detail),
    }
}

/// Longer text, each line behind a bar, so that none begins like a command of a CI system.
fn block(title: &str, text: &str, detail: Detail) -> Vec<(&'static str, String)> {
    let body = super::clean::lines(text, most(detail), usize::MAX).into_iter().map(|line| ("", format!("│ {line}")));
    std::iter::once(("NOTE", title.to_owned())).chain(body).collect()
}
