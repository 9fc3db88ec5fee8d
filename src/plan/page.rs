//! The verbs as a page, made from the types that are read.

use std::fmt::Write;

use serde_json::Value;

use super::schema::schema;
use super::verb::{EVERY_STEP, Output, Verb, outputs_of};

/// `docs/verbs.md`: every verb with its arguments and outputs.
pub fn verbs_page() -> String {
    let schema = schema();
    let mut page = String::from(
        "# Verbs\n\n\
         Made from the code: change the text there.\n\
         Arguments in bold must be given.\n\
         Every text, number, list and table may have `${…}` in it unless its sentence says otherwise; `docs/plan.md` tells what may stand there.\n\
         Every step leaves ",
    );
    let common: Vec<String> = EVERY_STEP.iter().map(|output| format!("`{}`", output.name)).collect();
    writeln!(page, "{} besides what its verb leaves.", crate::text::and(&common)).expect(INFALLIBLE);
    for name in Verb::NAMES {
        let arguments = follow(&schema, &schema["definitions"]["step"]["properties"][name]);
        let about = arguments["description"].as_str().unwrap_or_default();
        let about = about.split_once(": ").map_or(about, |(_, about)| about);
        let mut about = one_line(about);
        if let Some(first) = about.get(..1) {
            about = first.to_uppercase() + &about[1..];
        }
        write!(page, "\n## `{name}`\n\n{about}\n\n| argument | |\n|---|---|\n").expect(INFALLIBLE);
        let required: Vec<&str> =
            arguments["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let keys = arguments["properties"].as_object().into_iter().flatten();
        for (key, schema) in keys {
            let key = if required.contains(&key.as_str()) { format!("**`{key}`**") } else { format!("`{key}`") };
            writeln!(page, "| {key} | {} |", one_line(schema["description"].as_str().unwrap_or_default()))
                .expect(INFALLIBLE);
        }
        outputs(&mut page, outputs_of(name));
    }
    page
}

const INFALLIBLE: &str = "a String takes everything";

fn outputs(page: &mut String, outputs: &[Output]) {
    if outputs.is_empty() {
        return;
    }
    page.push_str("\n| output | |\n|---|---|\n");
    for output in outputs {
        writeln!(page, "| `{}` | {} |", output.name, output.about).expect(INFALLIBLE);
    }
}

/// A schema, followed to where it is defined.
fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    match reference.and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        Some(defined) => defined,
        None => schema,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a file of the house with what the code says, or writes it.
    fn same(path: &str, said: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("LARIAT_WRITE_PAGES").is_some() {
            std::fs::write(&path, said).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == said,
            "{} is not what the code says: LARIAT_WRITE_PAGES=1 cargo test --lib plan::page",
            path.display()
        );
    }

    #[test]
    fn the_page_of_verbs_is_up_to_date() {
        same("docs/verbs.md", &verbs_page());
    }

    #[test]
    fn the_schema_is_up_to_date() {
        let said = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        same("schema/plan.schema.json", &said);
    }
}
