//! The language as a table: what is written, and what it comes to.

mod bad;
mod checks;
mod choice;
mod good;
mod laws;
mod parts;

use std::fmt::Write;
use std::path::Path;

use super::{Body, Plan, Problems, Recorded, Settings, Step, load};
use crate::event::PlanFile;

/// Loads the first of some files.
fn load_files(files: &[(&str, &str)], settings: &Settings) -> Result<Plan, Problems> {
    let files: Vec<PlanFile> =
        files.iter().map(|(path, text)| PlanFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
    load(&Recorded::new(&files), Path::new(&files[0].path), settings)
}

/// A plan of one file that is fine.
fn good(text: &str) -> Plan {
    good_files(&[("p.toml", text)])
}

fn good_files(files: &[(&str, &str)]) -> Plan {
    load_files(files, &Settings::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is said about a plan that is not fine, drawn.
fn bad(text: &str) -> String {
    bad_files(&[("p.toml", text)])
}

fn bad_files(files: &[(&str, &str)]) -> String {
    load_files(files, &Settings::default()).expect_err("something is wrong with it").draw(false)
}

/// Ids with what stands there and what they wait for, one a line.
fn outline(plan: &Plan) -> String {
    fn down(steps: &[Step], depth: usize, into: &mut String) {
        for step in steps {
            let what = match &step.body {
                Body::Verb(verb) => verb.name(),
                Body::Group { .. } => "group",
                Body::Repeat { .. } => "repeat",
                Body::Cells { .. } => "cells",
            };
            let needs: Vec<&str> = step.needs.iter().map(crate::id::StepId::as_str).collect();
            let needs = if needs.is_empty() { String::new() } else { format!(" <- {}", needs.join(", ")) };
            let left = step.left_out.as_ref().map(|left| format!(" ({left:?})")).unwrap_or_default();
            writeln!(into, "{}{} {what}{needs}{left}", "  ".repeat(depth), step.id).expect("a String takes everything");
            down(step.children(), depth + 1, into);
        }
    }
    let mut text = String::new();
    down(&plan.steps, 0, &mut text);
    text
}

/// What is said about each of some plans: its line and column, the sentence, what to try.
/// Lines that every plan has are put before.
fn table(cases: &[&str]) -> String {
    let mut said = String::new();
    for case in cases {
        said.push_str(&lines(&[("p.toml", &format!("plan.name = 'p'\n{case}"))], &Settings::default()));
        said.push('\n');
    }
    said
}

fn lines(files: &[(&str, &str)], settings: &Settings) -> String {
    let Err(problems) = load_files(files, settings) else { return "fine\n".to_owned() };
    let mut said = String::new();
    for problem in &problems.list {
        let place = problems.position(problem).map(|(file, line, column)| {
            let marked = problem.spot.as_ref().map(|spot| &problems.files[spot.file].text[spot.start..spot.end]);
            let marked = marked.unwrap_or_default().lines().next().unwrap_or_default();
            let file = if files.len() > 1 { format!("{file}:") } else { String::new() };
            format!("{file}{line}:{column} [{marked}] ")
        });
        said.push_str(&place.unwrap_or_default());
        said.push_str(&problem.message);
        for more in [&problem.help, &problem.used].into_iter().flatten() {
            said.push_str(" | ");
            said.push_str(more);
        }
        said.push('\n');
    }
    said
}

/// Every plan of the house is fine; parts are checked as part of the plans that use them.
#[test]
fn the_plans_of_the_house_are_fine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut seen = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            // `images` asks for a registry: whoever runs it has one.
            let needs = path.ends_with("images.toml");
            let set = needs.then(|| ("registry".to_owned(), "registry.test".to_owned())).into_iter().collect();
            let loaded = load(&super::Disk, &path, &Settings { set, ..Settings::default() });
            assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#:schema ../schema/plan.schema.json\n"), "{} names its schema", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 2, "there are plans");
}

/// Every block of TOML in the documents is TOML, and one that is a plan is a fine one.
#[test]
fn the_documents_show_plans_that_are_fine() {
    let part =
        "[vars]\nname = { required = true }\ndigest = { required = true }\n[steps.a]\ncommand.args = ['${vars.name}']";
    let mut plans = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let (_, errors) = super::tree::parse(block);
            assert!(errors.is_empty(), "{}: {}\n{block}", path.display(), errors[0].message);
            if block.contains("[plan]") && block.contains("[steps") {
                good_files(&[("plans/p.toml", block), ("plans/parts/copy.toml", part)]);
                plans += 1;
            }
        }
    }
    assert!(plans >= 4, "there are plans in the documents");
}
