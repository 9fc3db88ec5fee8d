//! Label and field selectors: parsed as Go's parsers do, matched on objects.

use serde_json::Value;

use super::object::Object;
use super::resource::Resource;
use super::status::Refusal;
use super::validate::{key_problem, value_problem};

/// Which objects of a resource a request is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Vec<Requirement>,
    pub(crate) fields: Vec<FieldTerm>,
}

impl Selection {
    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| object.namespace() == namespace)
            && self.labels.iter().all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|term| term.matches(object))
    }

    /// Whether all objects of the namespace are selected.
    pub(crate) fn is_whole(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    key: String,
    test: LabelTest,
}

/// What a label is to be.
#[derive(Clone, Debug, PartialEq)]
enum LabelTest {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl Requirement {
    fn matches(&self, object: &Object) -> bool {
        let label = object.label(&self.key);
        match &self.test {
            LabelTest::Exists => label.is_some(),
            LabelTest::Missing => label.is_none(),
            LabelTest::In(values) => label.is_some_and(|label| values.iter().any(|value| value == label)),
            LabelTest::NotIn(values) => !label.is_some_and(|label| values.iter().any(|value| value == label)),
            LabelTest::Greater(than) => label.and_then(|label| label.parse().ok()).is_some_and(|n: i64| n > *than),
            LabelTest::Less(than) => label.and_then(|label| label.parse().ok()).is_some_and(|n: i64| n < *than),
        }
    }
}

/// One term on one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl FieldTerm {
    fn matches(&self, object: &Object) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let found = match object.at(&path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(truth)) => truth.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            // What is not there has its type's zero; of the fields below one is no text.
            _ if path == ["spec", "unschedulable"] || path == ["spec", "hostNetwork"] => "false".to_owned(),
            _ if path == ["status", "replicas"] => "0".to_owned(),
            _ => String::new(),
        };
        (found == self.value) == self.equal
    }
}

/// Parses a label selector.
pub(crate) fn labels(text: &str) -> Result<Vec<Requirement>, Refusal> {
    let requirements = Parser::of(text).selector().map_err(|why| {
        // What stands where a requirement should begin or end is no part of one.
        let between = why.ends_with("or 'end of string'");
        Refusal::bad_request(if between { why } else { format!("unable to parse requirement: {why}") })
    })?;
    for requirement in &requirements {
        let refuse = |place: &str, given: &str, why: &str| {
            Refusal::bad_request(format!("unable to parse requirement: {place}: Invalid value: {given:?}: {why}"))
        };
        if let Some(why) = key_problem(&requirement.key) {
            return Err(refuse("<nil>", &requirement.key, &why));
        }
        let values: &[String] = match &requirement.test {
            LabelTest::In(values) | LabelTest::NotIn(values) => values,
            LabelTest::Exists | LabelTest::Missing | LabelTest::Greater(_) | LabelTest::Less(_) => &[],
        };
        for (number, value) in values.iter().enumerate() {
            if let Some(why) = value_problem(value) {
                return Err(refuse(&format!("values[{number}][{}]", requirement.key), value, &why));
            }
        }
    }
    Ok(requirements)
}

/// The requirements of a `LabelSelector` object, as workloads carry it; `None` selects nothing.
pub(crate) fn of_object(selector: Option<&Value>) -> Option<Vec<Requirement>> {
    let selector = selector?.as_object()?;
    let mut requirements = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        let test = LabelTest::In(vec![value.as_str().unwrap_or_default().to_owned()]);
        requirements.push(Requirement { key: key.clone(), test });
    }
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default().to_owned();
        let values = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let test = match expression["operator"].as_str()? {
            "In" => LabelTest::In(values),
            "NotIn" => LabelTest::NotIn(values),
            "Exists" => LabelTest::Exists,
            "DoesNotExist" => LabelTest::Missing,
            _ => return None,
        };
        requirements.push(Requirement { key, test });
    }
    Some(requirements)
}

/// Parses a field selector for a resource: which fields may be asked for is the resource's own list.
pub(crate) fn fields(text: &str, resource: &Resource) -> Result<Vec<FieldTerm>, Refusal> {
    let mut terms = Vec::new();
    for term in split_terms(text).into_iter().filter(|term| !term.is_empty()) {
        let unknown = || Refusal::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'"));
        let at = term.find(['=', '!']).ok_or_else(unknown)?;
        let (label, rest) = term.split_at(at);
        let (equal, value) = match rest.strip_prefix("!=") {
            Some(value) => (false, value),
            None => (true, rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).ok_or_else(unknown)?),
        };
        let label = supported(label, resource)?;
        terms.push(FieldTerm { path: label.split('.').map(str::to_owned).collect(), value: unescape(value)?, equal });
    }
    Ok(terms)
}

/// The fields besides `metadata.name` and `metadata.namespace` that a resource can be selected by.
fn own_fields(resource: &Resource) -> &'static [&'static str] {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") => &["status.replicas"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => &[],
    }
}

fn supported<'a>(label: &'a str, resource: &Resource) -> Result<&'a str, Refusal> {
    let own = own_fields(resource);
    let namespaced = resource.namespaced || own.is_empty();
    let selectable = resource.definition().is_some_and(|own| own.selectable.iter().any(|path| path == label));
    if label == "metadata.name" || (label == "metadata.namespace" && namespaced) || own.contains(&label) || selectable {
        return Ok(label);
    }
    // Kinds with a list of their own word it differently from those that fall to the common one.
    if own.is_empty() && !resource.is_custom() {
        let message =
            format!("{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
        return Err(Refusal::bad_request(message));
    }
    Err(Refusal::bad_request(format!("field label not supported: {label}")))
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    // The real parser sorts, which decides whose mistake is named first.
    terms.sort_unstable();
    terms
}

fn unescape(value: &str) -> Result<String, Refusal> {
    let mut out = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(Refusal::bad_request(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(Refusal::bad_request(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(letter)
                )));
            }
            _ => out.push(letter),
        }
    }
    Ok(out)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    End,
    Word(String),
    Symbol(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::End => "",
            Self::Word(word) => word,
            Self::Symbol(symbol) => symbol,
        }
    }
}

/// A recursive-descent parser of Go's label selector grammar.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn of(text: &str) -> Self {
        const SYMBOLS: [&str; 9] = ["==", "!=", "!", "=", ",", "(", ")", ">", "<"];
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
                tokens.push(Token::Symbol(symbol));
                rest = &rest[symbol.len()..];
            } else {
                let end = rest.find(|c: char| c.is_whitespace() || "=!,()<>".contains(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end.max(first.len_utf8())].to_owned()));
                rest = &rest[end.max(first.len_utf8())..];
            }
            rest = rest.trim_start();
        }
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Symbol("!") => {
                    requirements.push(self.requirement()?);
                    match self.take() {
                        Token::End => break,
                        Token::Symbol(",") => {
                            let next = self.peek();
                            if !matches!(next, Token::Word(_) | Token::Symbol("!")) {
                                return Err(format!("found '{}', expected: identifier after ','", next.text()));
                            }
                        }
                        other => {
                            return Err(format!("found '{}', expected: ',' or 'end of string'", other.text()));
                        }
                    }
                }
                Token::End => break,
                other @ Token::Symbol(_) => {
                    return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text()));
                }
            }
        }
        Ok(requirements)
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.take();
        let negated = token == Token::Symbol("!");
        if negated {
            token = self.take();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        if negated {
            return Ok(Requirement { key, test: LabelTest::Missing });
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(Requirement { key, test: LabelTest::Exists });
        }
        let operator = self.take();
        let test = match &operator {
            Token::Word(word) if word == "in" => LabelTest::In(self.values()?),
            Token::Word(word) if word == "notin" => LabelTest::NotIn(self.values()?),
            Token::Symbol("=" | "==") => LabelTest::In(vec![self.value()?]),
            Token::Symbol("!=") => LabelTest::NotIn(vec![self.value()?]),
            Token::Symbol(">") => LabelTest::Greater(self.integer()?),
            Token::Symbol("<") => LabelTest::Less(self.integer()?),
            other => {
                return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text()));
            }
        };
        Ok(Requirement { key, test })
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(word) => {
                self.at += 1;
                Ok(word)
            }
            other @ Token::Symbol(_) => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn integer(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            format!("values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    }

    /// `(a,b)`; an empty place is an empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.take() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = vec![String::new()];
        loop {
            match self.take() {
                Token::Word(word) => {
                    let last = values.last_mut().expect("the list begins with one value and only grows");
                    if !last.is_empty() {
                        return Err(format!("found '{word}', expected: ',' or ')'"));
                    }
                    *last = word;
                }
                Token::Symbol(",") => values.push(String::new()),
                Token::Symbol(")") => return Ok(values),
                other => {
                    let begun = values.last().is_some_and(|last| !last.is_empty());
                    let expected = if begun { "',' or ')'" } else { "',', or identifier" };
                    return Err(format!("found '{}', expected: {expected}", other.text()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resource::Registry;
    use super::*;

    #[test]
    fn labels_match_by_every_operator() {
        let object = Object::new(json!({"metadata": {"labels": {"app": "db", "tier": "3", "empty": ""}}})).unwrap();
        for (selector, expected) in [
            ("", true),
            ("app=db", true),
            ("app==db,tier=3", true),
            ("app!=db", false),
            ("none!=db", true),
            ("app", true),
            ("!app", false),
            ("!none", true),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("none notin (a)", true),
            ("none in (a,)", false),
            ("empty in (a,)", true),
            ("empty=", true),
            ("tier>2", true),
            ("tier<3", false),
            ("app>2", false),
        ] {
            let selection = Selection { labels: labels(selector).unwrap(), ..Selection::default() };
            assert_eq!(selection.matches(&object), expected, "{selector}");
        }
    }

    #[test]
    fn mistakes_in_labels_are_worded_as_the_server_does() {
        for (selector, expected) in [
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a,", "unable to parse requirement: found '', expected: identifier after ','"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ] {
            assert_eq!(labels(selector).unwrap_err().message(), expected, "{selector}");
        }
    }

    #[test]
    fn fields_match_where_the_kind_supports_them() {
        let registry = Registry::new();
        let pods = registry.by_word("pods").unwrap();
        let pod = Object::new(json!({
            "metadata": {"name": "a", "namespace": "x"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"},
        }))
        .unwrap();
        for (selector, expected) in [
            ("metadata.name=a", true),
            ("metadata.name==b", false),
            ("spec.nodeName=n1,status.phase!=Pending", true),
            ("status.podIP=", true),
            ("spec.hostNetwork=false", true),
        ] {
            let selection = Selection { fields: fields(selector, &pods).unwrap(), ..Selection::default() };
            assert_eq!(selection.matches(&pod), expected, "{selector}");
        }
        let deployments = registry.by_word("deployments").unwrap();
        for (resource, selector, expected) in [
            (&pods, "spec.image=x", "field label not supported: spec.image"),
            (
                &deployments,
                "spec.x=y",
                "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (&pods, "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ] {
            assert_eq!(fields(selector, resource).unwrap_err().message(), expected);
        }
    }
}
