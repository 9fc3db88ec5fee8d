use std::ops::Range;

use indexmap::IndexMap;

use super::Written;
use super::file::{unknown_key, word, written};
use crate::plan::mention::{Mention, Texts, Within};
use crate::plan::tree::Entry;

/// `part`.
#[derive(Debug)]
pub(in crate::plan) struct RawPart {
    pub(in crate::plan) file: String,
    pub(in crate::plan) span: Range<usize>,
    pub(in crate::plan) with: IndexMap<String, RawArgument>,
    /// The file, once it is read: its place among the files of the plan.
    pub(in crate::plan) target: Option<usize>,
}

/// One argument of a part.
#[derive(Debug)]
pub(in crate::plan) struct RawArgument {
    pub(in crate::plan) key: Range<usize>,
    /// `None` if an expression in it is wrong.
    pub(in crate::plan) value: Option<Written>,
}

/// Reads `part`; what its arguments name is added to what is named already.
pub(super) fn part(texts: &mut Texts<'_>, entry: &Entry, mentions: &mut Vec<Mention>) -> Option<RawPart> {
    let Some(table) = entry.item.as_table() else {
        let what = entry.item.what();
        texts.problem(
            &entry.item.span,
            format!("expected a table such as `{{ file = \"parts/volume.toml\" }}`, found {what}"),
        );
        return None;
    };
    let (mut file, mut with) = (None, IndexMap::new());
    for (key, entry) in table {
        match key.as_str() {
            "file" => {
                file = word(texts, &entry.item);
                if let Some((path, span)) = &file
                    && path.contains("${")
                {
                    texts.problem(
                        span,
                        "the file of a part cannot be made of an expression: it is read before anything is filled in",
                    );
                    file = None;
                }
            }
            "with" => match entry.item.as_table() {
                Some(table) => {
                    for (name, entry) in table {
                        let value = written(texts, &entry.item, &entry.key, Within::Act);
                        mentions.extend(value.iter().flat_map(|value| value.mentions.clone()));
                        with.insert(name.clone(), RawArgument { key: entry.key.clone(), value });
                    }
                }
                None => {
                    texts.problem(&entry.item.span, format!("`with` is a table, found {}", entry.item.what()));
                }
            },
            _ => unknown_key(texts, key, entry, &["file", "with"]),
        }
    }
    if !table.contains_key("file") {
        texts.problem(&entry.key, "`file` is missing: the plan that this step is a part of");
    }
    let (file, span) = file?;
    Some(RawPart { file, span, with, target: None })
}
