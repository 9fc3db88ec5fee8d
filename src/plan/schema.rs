//! The JSON Schema of plans, for editors: made from the types that are read, but for the
//! tables that are walked by hand.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::claim::{
    AlwaysTable, ConstantTable, CountTable, NeverTable, RecoversTable, SequenceTable, TransitionsTable,
};
use super::verb::Verb;
use super::{Claim, Conditions, Require, Retry, Setting, Span};

/// The schema of a plan, a part or an included file: JSON Schema draft-07, which is
/// what editors of TOML understand.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let step = step(&mut generator);
    let check = check(&mut generator);
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    definitions.insert("step".to_owned(), step);
    definitions.insert("check".to_owned(), check);
    definitions.insert(
        "steps".to_owned(),
        named("#/definitions/step", "Steps by name; they run as soon as what they need has passed."),
    );
    definitions.insert("selection".to_owned(), selection());
    definitions.sort_keys();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Lariat plan",
        "description": "A plan, a part of a plan, or a file of objects to include.",
        "type": "object",
        "properties": {
            "plan": header(),
            "vars": {
                "type": "object",
                "description": "Values by name. A table of only `default`, `env`, `required` and `secret` declares a var; anything else is its default.",
                "propertyNames": { "pattern": IDENTIFIER },
            },
            "objects": named("#/definitions/selection", "Named selections of API objects."),
            "steps": { "$ref": "#/definitions/steps" },
            "checks": named("#/definitions/check", "Claims about selections over a window of the run."),
            "outputs": {
                "type": "object",
                "description": "What a part leaves for the plan that uses it.",
                "propertyNames": { "pattern": IDENTIFIER },
            },
        },
        "additionalProperties": false,
        "definitions": definitions,
    })
}

const KEBAB: &str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";
const IDENTIFIER: &str = "^[A-Za-z][A-Za-z0-9_]*$";

fn named(of: &str, about: &str) -> Value {
    json!({
        "type": "object",
        "description": about,
        "propertyNames": { "pattern": KEBAB, "maxLength": 63 },
        "additionalProperties": { "$ref": of },
    })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true, "description": about })
}

fn header() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "pattern": KEBAB, "maxLength": 63, "description": "The plan's name: of its report folder too." },
            "title": text("One line for the reports; may use vars."),
            "about": text("One sentence for the reports; may use vars."),
            "namespace": text("The default for objects and verbs; a part without one has its caller's."),
            "timeout": text("Most time for the whole run (2h)."),
            "include": texts("Files whose [objects] stand here as if they were written here."),
            "covers": {
                "type": ["array", "object"],
                "items": { "type": "string" },
                "uniqueItems": true,
                "additionalProperties": { "type": "string" },
                "description": "Ids of the requirements that the plan covers; as a table, each with a sentence.",
            },
        },
        "additionalProperties": false,
    })
}

fn selection() -> Value {
    json!({
        "type": "object",
        "description": "API objects, or entries of a map inside them.",
        "properties": {
            "resource": text("The kind as kubectl takes it: pods, po, deployments.apps, volumes.longhorn.io."),
            "namespace": text("Default the plan's."),
            "name": text("Only the object of this name."),
            "labels": text("A label selector, as kubectl's -l takes it."),
            "fields": text("A field selector, as kubectl's --field-selector takes it."),
            "on": text("Another selection, instead of `resource`."),
            "each": text("An expression (CEL) for a map in each object of `on`: its entries are what is selected."),
            "where": text("An expression (CEL) over `o`, `key` and `parent`: only what it holds for is selected."),
        },
        "oneOf": [{ "required": ["resource"] }, { "required": ["on"] }],
        "additionalProperties": false,
    })
}

/// A step: the keys that any may have, and exactly one verb, `steps` or `part`.
fn step(generator: &mut SchemaGenerator) -> Value {
    let mut keys = Map::new();
    keys.insert("about".to_owned(), text("One sentence for the reports; may use vars, `item` and `round`."));
    keys.insert("covers".to_owned(), texts("Ids of requirements that it covers."));
    keys.insert("needs".to_owned(), texts("Steps of the same scope that must pass first."));
    keys.insert(
        "when".to_owned(),
        json!({
            "type": "string",
            "enum": ["passed", "always", "failed"],
            "description": "`always` and `failed` make it clean-up: it runs however the steps it needs went, or when one of them failed.",
        }),
    );
    keys.insert("if".to_owned(), text("An expression (CEL) over `vars` and `item`: false leaves the step out."));
    keys.insert(
        "timeout".to_owned(),
        of::<Setting<Span>>(generator, "For one attempt (10m); of a group for the whole."),
    );
    keys.insert("retry".to_owned(), of::<Retry>(generator, "How a failed attempt is repeated."));
    keys.insert(
        "repeat".to_owned(),
        json!({
            "type": "object",
            "description": "Rounds, one after another.",
            "properties": {
                "times": { "type": ["integer", "string"], "minimum": 1, "description": "How many rounds." },
                "stop-on-failure": { "type": "boolean", "description": "A round that did not pass ends the rest." },
            },
            "required": ["times"],
            "additionalProperties": false,
        }),
    );
    keys.insert(
        "for-each".to_owned(),
        json!({ "type": ["array", "integer", "string"], "minimum": 0, "description": "Cells side by side: one for each item of a list, or so many." }),
    );
    keys.insert("require".to_owned(), of::<Require>(generator, "What must hold at the instant before it acts."));
    keys.insert("expect".to_owned(), of::<Conditions>(generator, "What must hold right after it."));
    keys.insert(
        "background".to_owned(),
        json!({
            "type": "object",
            "description": "It runs beside others until a step settles.",
            "properties": { "until": { "type": "string" } },
            "required": ["until"],
            "additionalProperties": false,
        }),
    );
    keys.insert("steps".to_owned(), json!({ "$ref": "#/definitions/steps" }));
    keys.insert("part".to_owned(), part("Another plan, expanded in place."));
    let verbs = Verb::schemas(generator);
    let acts = ["steps", "part"].into_iter().chain(Verb::NAMES.iter().copied());
    let exactly_one: Vec<Value> = acts.map(|act| json!({ "required": [act] })).collect();
    keys.extend(verbs.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())));
    json!({
        "type": "object",
        "description": "One step: exactly one verb, `steps` or `part`.",
        "properties": keys,
        "oneOf": exactly_one,
        "additionalProperties": false,
    })
}

/// A check: the keys that any may have, and exactly one operator, or `part`.
fn check(generator: &mut SchemaGenerator) -> Value {
    let mut keys = Map::new();
    keys.insert("about".to_owned(), text("One sentence for the reports; may use vars, `item` and `round`."));
    keys.insert("covers".to_owned(), texts("Ids of requirements that it covers."));
    keys.insert(
        "during".to_owned(),
        json!({
            "description": "The window: a step (each of its cells and rounds by itself), or from before one step to the end of another; default the whole run, in a part the step that uses it.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "from": text("It opens before this step acts."),
                        "to": text("It closes when this step has settled."),
                    },
                    "required": ["from", "to"],
                    "additionalProperties": false,
                },
            ],
        }),
    );
    keys.insert(
        "judge".to_owned(),
        json!({
            "type": "string",
            "enum": ["fail", "report"],
            "description": "`report`: it is measured and shown, and changes neither verdict nor course.",
        }),
    );
    keys.insert("if".to_owned(), text("An expression (CEL) over `vars` and `item`: false leaves the check out."));
    keys.insert("part".to_owned(), part("A file of checks over the same window."));
    let operators = [
        of::<NeverTable>(generator, "No version of any track satisfies `that`; without it, nothing is ever selected."),
        of::<AlwaysTable>(generator, "Every version of every track satisfies `that`."),
        of::<ConstantTable>(generator, "Each track's value never changes; no track is replaced or goes."),
        of::<TransitionsTable>(generator, "Each track's value moves only along allowed edges."),
        of::<SequenceTable>(generator, "On every track the values were seen in this order."),
        of::<RecoversTable>(generator, "Whenever `that` stops holding on a track it holds again in time."),
        of::<CountTable>(generator, "How often a track came to satisfy `that`."),
    ];
    let acts = ["part"].into_iter().chain(Claim::OPERATORS);
    let exactly_one: Vec<Value> = acts.map(|act| json!({ "required": [act] })).collect();
    keys.extend(Claim::OPERATORS.into_iter().map(str::to_owned).zip(operators));
    json!({
        "type": "object",
        "description": "One check: exactly one operator, or `part`.",
        "properties": keys,
        "oneOf": exactly_one,
        "additionalProperties": false,
    })
}

fn part(about: &str) -> Value {
    json!({
        "type": "object",
        "description": about,
        "properties": {
            "file": text("Its path, relative to this file."),
            "with": { "type": "object", "description": "Values of its vars.", "propertyNames": { "pattern": IDENTIFIER } },
        },
        "required": ["file"],
        "additionalProperties": false,
    })
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator, about: &str) -> Value {
    let mut schema = generator.subschema_for::<T>().to_value();
    if let Value::Object(schema) = &mut schema {
        if schema.contains_key("$ref") {
            // In draft-07 a reference hides all that stands beside it.
            let reference = std::mem::take(schema);
            schema.insert("allOf".to_owned(), json!([reference]));
        }
        schema.insert("description".to_owned(), about.into());
    }
    schema
}
