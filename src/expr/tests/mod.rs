//! Tables that go through the door: what users write, and what it comes to.

mod bounds;
mod functions;
mod names;
mod values;

use serde_json::{Value, json};

use super::{Cel, Env, NOW};

/// An environment with one of everything.
fn env() -> Env {
    Env::new()
        .with(NOW, json!("2026-01-01T00:10:00Z"))
        .with("vars", json!({ "version": "1.12.1", "rounds": 10, "nothing": null, "volumes": ["a", "b"], "nested": [1, [2, [3]]] }))
        .with("start", Value::Null)
        .with(
            "o",
            json!({
                "kind": "Pod",
                "metadata": { "name": "pod-1", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": { "a/b": "c" } },
                "spec": { "count": 3, "ratio": 0.5, "big": 18_446_744_073_709_551_615_u64, "list": [1, null, { "a": null }] },
                "status": { "m": { "c": 3, "a": 1, "b": 2 }, "phase": "Running", "gone": null },
            }),
        )
}

/// What a source comes to in [`env`], as JSON or as the sentence of its error.
fn eval(source: &str) -> String {
    match Cel::compile(source) {
        Ok(cel) => match cel.eval(&env()) {
            Ok(value) => value.to_string(),
            Err(error) => {
                let said = error.to_string();
                said.rsplit_once(", in `").map_or(said.as_str(), |(message, _)| message).to_owned()
            }
        },
        Err(mistake) => match &mistake.help {
            Some(help) => format!("{mistake} ({help})"),
            None => mistake.to_string(),
        },
    }
}

fn check(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(eval(source), *expected, "{source}");
    }
}
