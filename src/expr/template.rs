use std::fmt::Write;

use serde_json::Value;

use super::cel::Cel;
use super::env::Env;
use super::error::Error;
use super::mistake::Mistake;
use super::path::Path;
use super::scan::{Token, Tokens};

/// A text with holes: `rounds-${string(round)}`. `$${` stands for a literal `${`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// An expression and where it begins in the text.
    Hole(Cel, usize),
}

impl Template {
    /// Reads a text; all mistakes in all holes, each with its place in the text.
    pub fn compile(text: &str) -> Result<Template, Vec<Mistake>> {
        let (mut pieces, mut mistakes) = (Vec::new(), Vec::new());
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${").map(|n| at + n) {
            if text[at..found].ends_with('$') {
                plain.push_str(&text[at..found - 1]);
                plain.push_str("${");
                at = found + 2;
                continue;
            }
            plain.push_str(&text[at..found]);
            let start = found + 2;
            let Some(end) = hole_end(text, start) else {
                let mistake = Mistake::new(found..found + 2, "the `${` that begins here is not closed");
                mistakes.push(mistake.help("a literal `${` is written `$${`"));
                at = text.len();
                break;
            };
            match Cel::compile(&text[start..end]) {
                Ok(cel) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Hole(cel, start));
                }
                Err(mistake) => {
                    let mistake = mistake.moved(start);
                    let has_help = mistake.help.is_some();
                    mistakes.push(if has_help { mistake } else { mistake.help("a literal `${` is written `$${`") });
                }
            }
            at = end + 1;
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if mistakes.is_empty() { Ok(Template { pieces }) } else { Err(mistakes) }
    }

    /// The text itself if there are no holes in it.
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression if there is nothing else.
    pub fn only_hole(&self) -> Option<&Cel> {
        match self.pieces.as_slice() {
            [Piece::Hole(cel, _)] => Some(cel),
            _ => None,
        }
    }

    /// The expressions, in order.
    pub fn holes(&self) -> impl Iterator<Item = &Cel> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(cel, _) => Some(cel),
            Piece::Text(_) => None,
        })
    }

    /// Every way from a free variable in any hole; spans are of the text.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        self.pieces.iter().flat_map(|piece| match piece {
            Piece::Hole(cel, start) => cel.paths().iter().map(|path| path.clone().moved(*start)).collect(),
            Piece::Text(_) => Vec::new(),
        })
    }

    /// What it comes to: of one hole and nothing else the value itself, else a text.
    pub fn eval(&self, env: &Env) -> Result<Value, Error> {
        match self.only_hole() {
            Some(cel) => cel.eval(env),
            None => self.text(env).map(Value::String),
        }
    }

    /// What it comes to as a text: strings bare, numbers and bools written out.
    ///
    /// A null, a list or a map is an error, not its JSON: nobody wants `null` in a name.
    pub fn text(&self, env: &Env) -> Result<String, Error> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Hole(cel, _) => spell(&cel.eval(env)?, &mut text)
                    .map_err(|found| Error::mismatched(cel.source(), format!("{found} cannot be put into a text")))?,
            }
        }
        Ok(text)
    }
}

/// Writes a value into a text, or says what it is.
fn spell(value: &Value, text: &mut String) -> Result<(), &'static str> {
    match value {
        Value::String(string) => text.push_str(string),
        Value::Bool(truth) => write!(text, "{truth}").expect("a String takes everything"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // As `string(2.0)` has it: without a fraction that says nothing.
            Some(double) => write!(text, "{double}").expect("a String takes everything"),
            None => write!(text, "{number}").expect("a String takes everything"),
        },
        Value::Null => return Err("null"),
        Value::Array(_) => return Err("a list"),
        Value::Object(_) => return Err("a map"),
    }
    Ok(())
}

/// Where the `}` stands that closes a hole whose expression begins at `start`.
fn hole_end(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (span, token) in Tokens::new(text, start) {
        match (token, &text[span.clone()]) {
            (Token::Open, _) => depth += 1,
            (Token::Close, "}") if depth == 0 => return Some(span.start),
            (Token::Close, _) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn eval(text: &str) -> String {
        let env = Env::new()
            .with("a", json!("x"))
            .with("n", json!(3))
            .with("d", json!(2.0))
            .with("l", json!([1]))
            .with("m", json!({ "k": "v" }))
            .with("none", json!(null));
        match Template::compile(text).unwrap().eval(&env) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn templates_are_filled_in() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain $ { } }", r#""plain $ { } }""#),
            ("${a}", r#""x""#),
            ("${n}", "3"),
            ("${l}", "[1]"),
            ("${m}", r#"{"k":"v"}"#),
            ("${none}", "null"),
            ("${n + 1}-${a}", r#""4-x""#),
            (" ${n}", r#"" 3""#),
            ("${n}${n}", r#""33""#),
            ("${d} ${n == 3}", r#""2 true""#),
            ("v${{'a}': '}'}['a}']}", r#""v}""#),
            ("${[1, 2].map(x, {'k': x})[1].k}", "2"),
            ("$${a} $$${a}", r#""${a} $${a}""#),
            ("ä${a}ö", r#""äxö""#),
            ("it's ${a}, isn't it", r#""it's x, isn't it""#),
            ("-${l}", "a list cannot be put into a text, in `l`"),
            ("-${m}", "a map cannot be put into a text, in `m`"),
            ("-${none}", "null cannot be put into a text, in `none`"),
            ("-${m.z}", "no such key: `z`, in `m.z`"),
        ] {
            assert_eq!(eval(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_is_wanted_of_numbers_too() {
        let template = Template::compile("${1 + 1}").unwrap();
        assert_eq!(template.text(&Env::new()), Ok("2".to_owned()));
        assert_eq!(template.eval(&Env::new()), Ok(json!(2)));
    }

    #[test]
    fn what_has_no_holes_is_known() {
        assert_eq!(Template::compile("a $${b}").unwrap().literal(), Some("a ${b}"));
        assert_eq!(Template::compile("").unwrap().literal(), Some(""));
        assert_eq!(Template::compile("a ${b}").unwrap().literal(), None);
        assert_eq!(Template::compile("${b.c}").unwrap().only_hole().map(Cel::source), Some("b.c"));
        assert_eq!(Template::compile("-${b}").unwrap().only_hole(), None);
    }
}
