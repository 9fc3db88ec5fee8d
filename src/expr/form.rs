use serde_json::{Map, Value};

use super::cel::Cel;
use super::env::Env;
use super::error::Error;
use super::mistake::Mistake;
use super::path::Path;
use super::template::Template;

/// A JSON document whose texts are templates.
///
/// Its structure is fixed before anything is evaluated: a value never adds a
/// key, a document or an indentation. Keys are not templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Form(Shape);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// Nothing in it is to be filled in; `$${` is already read.
    Plain(Value),
    Hole(Template),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

impl Form {
    /// Reads a document; all mistakes in all texts, each with the JSON pointer to its text.
    pub fn compile(document: &Value) -> Result<Form, Vec<(String, Mistake)>> {
        let mut mistakes = Vec::new();
        let shape = Shape::of(document, &mut String::new(), &mut mistakes);
        if mistakes.is_empty() { Ok(Form(shape)) } else { Err(mistakes) }
    }

    /// The document itself if there are no holes in it.
    pub fn plain(&self) -> Option<&Value> {
        match &self.0 {
            Shape::Plain(value) => Some(value),
            _ => None,
        }
    }

    /// Whether there are no holes in it.
    pub fn is_plain(&self) -> bool {
        self.plain().is_some()
    }

    /// Every way from a free variable, with the JSON pointer to its text; spans are of that text.
    pub fn paths(&self) -> impl Iterator<Item = (String, Path)> {
        let mut templates = Vec::new();
        self.0.collect(String::new(), &mut templates);
        templates.into_iter().flat_map(|(pointer, template)| {
            template.paths().map(move |path| (pointer.clone(), path)).collect::<Vec<_>>()
        })
    }

    /// The expressions, in order.
    pub fn holes(&self) -> impl Iterator<Item = &Cel> {
        let mut templates = Vec::new();
        self.0.collect(String::new(), &mut templates);
        templates.into_iter().flat_map(|(_, template)| template.holes())
    }

    /// The document filled in.
    pub fn eval(&self, env: &Env) -> Result<Value, Error> {
        self.0.eval(env)
    }
}

impl Shape {
    fn of(document: &Value, pointer: &mut String, mistakes: &mut Vec<(String, Mistake)>) -> Shape {
        match document {
            Value::String(text) => match Template::compile(text) {
                Ok(template) => match template.literal() {
                    Some(literal) => Shape::Plain(Value::String(literal.to_owned())),
                    None => Shape::Hole(template),
                },
                Err(found) => {
                    mistakes.extend(found.into_iter().map(|mistake| (pointer.clone(), mistake)));
                    Shape::Plain(Value::Null)
                }
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let shapes: Vec<Shape> =
                    items.map(|(place, item)| Shape::under(&place.to_string(), item, pointer, mistakes)).collect();
                if shapes.iter().all(Shape::is_plain) {
                    return Shape::Plain(Value::Array(shapes.into_iter().map(Shape::into_plain).collect()));
                }
                Shape::List(shapes)
            }
            Value::Object(members) => {
                let members = members.iter();
                let shapes: Vec<(String, Shape)> =
                    members.map(|(key, member)| (key.clone(), Shape::under(key, member, pointer, mistakes))).collect();
                if shapes.iter().all(|(_, shape)| shape.is_plain()) {
                    let members = shapes.into_iter().map(|(key, shape)| (key, shape.into_plain()));
                    return Shape::Plain(Value::Object(members.collect()));
                }
                Shape::Map(shapes)
            }
            other => Shape::Plain(other.clone()),
        }
    }

    fn under(key: &str, document: &Value, pointer: &mut String, mistakes: &mut Vec<(String, Mistake)>) -> Shape {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&escape(key));
        let shape = Shape::of(document, pointer, mistakes);
        pointer.truncate(length);
        shape
    }

    fn is_plain(&self) -> bool {
        matches!(self, Shape::Plain(_))
    }

    fn into_plain(self) -> Value {
        match self {
            Shape::Plain(value) => value,
            Shape::Hole(_) | Shape::List(_) | Shape::Map(_) => Value::Null,
        }
    }

    fn collect<'a>(&'a self, pointer: String, templates: &mut Vec<(String, &'a Template)>) {
        match self {
            Shape::Plain(_) => {}
            Shape::Hole(template) => templates.push((pointer, template)),
            Shape::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    item.collect(format!("{pointer}/{place}"), templates);
                }
            }
            Shape::Map(members) => {
                for (key, member) in members {
                    member.collect(format!("{pointer}/{}", escape(key)), templates);
                }
            }
        }
    }

    fn eval(&self, env: &Env) -> Result<Value, Error> {
        match self {
            Shape::Plain(value) => Ok(value.clone()),
            Shape::Hole(template) => template.eval(env),
            Shape::List(items) => items.iter().map(|item| item.eval(env)).collect::<Result<_, _>>().map(Value::Array),
            Shape::Map(members) => {
                let members = members.iter().map(|(key, member)| Ok((key.clone(), member.eval(env)?)));
                members.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }
}

/// A key as RFC 6901 writes it in a pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_filled_in_and_keys_are_not() {
        let document = json!({
            "${a}": "${a}",
            "list": [1, null, "n is ${n}", { "deep": "${n}" }],
            "literal": "$${a}",
        });
        let form = Form::compile(&document).unwrap();
        assert!(!form.is_plain());
        let env = Env::new().with("a", json!("b: c\nd: e")).with("n", json!(3));
        assert_eq!(
            form.eval(&env),
            Ok(json!({ "${a}": "b: c\nd: e", "list": [1, null, "n is 3", { "deep": 3 }], "literal": "${a}" }))
        );
    }

    #[test]
    fn what_has_no_holes_is_plain() {
        let form = Form::compile(&json!({ "a": ["$${x}", true] })).unwrap();
        assert_eq!(form.plain(), Some(&json!({ "a": ["${x}", true] })));
        assert_eq!(form.eval(&Env::new()), Ok(json!({ "a": ["${x}", true] })));
        assert_eq!(form.paths().count(), 0);
    }
}
