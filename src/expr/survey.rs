//! One walk over the syntax tree: which names a source uses, and the mistakes
//! that a parser lets through.

use std::collections::BTreeSet;
use std::ops::Range;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::function::{self, is_namespace, standard};
use super::mistake::Mistake;
use super::path::{Part, Path};
use super::scan;

/// How many `all`, `exists`, `filter`, `map` may stand inside each other.
const MAX_LOOPS: usize = 3;

/// Names that the language itself binds: a dash before one of them may well be a subtraction.
const BOUND: [&str; 10] = ["o", "key", "parent", "start", "vars", "steps", "run", "round", "item", "objects"];

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) paths: Vec<Path>,
    pub(super) calls: BTreeSet<String>,
}

pub(super) fn survey(tree: &IdedExpr, info: &SourceInfo) -> Result<Survey, Mistake> {
    let mut walk = Walk { source: &info.source, info, bound: Vec::new(), loops: 0, found: Survey::default() };
    walk.visit(tree)?;
    Ok(walk.found)
}

struct Walk<'a> {
    source: &'a str,
    info: &'a SourceInfo,
    /// The variables of the macros around, innermost last.
    bound: Vec<&'a str>,
    loops: usize,
    found: Survey,
}

/// A chain of fields and indexes, from its far end to its root.
struct Chain<'a> {
    root: &'a IdedExpr,
    parts: Vec<Part>,
    indexes: Vec<&'a IdedExpr>,
    optional: bool,
    tested: bool,
}

impl<'a> Chain<'a> {
    fn of(mut at: &'a IdedExpr) -> Self {
        let (mut parts, mut indexes, mut optional, mut tested) = (Vec::new(), Vec::new(), false, false);
        loop {
            match &at.expr {
                Expr::Select(select) => {
                    tested |= select.test;
                    parts.push(Part::Name(select.field.clone()));
                    at = &select.operand;
                }
                Expr::Call(call) if is_step(call) => {
                    optional |= call.func_name != operators::INDEX;
                    parts.push(match &call.args[1].expr {
                        Expr::Literal(LiteralValue::String(name)) => Part::Name(name.inner().to_owned()),
                        Expr::Literal(LiteralValue::Int(index)) => Part::Index(*index.inner()),
                        _ => {
                            indexes.push(&call.args[1]);
                            Part::Dynamic
                        }
                    });
                    at = &call.args[0];
                }
                _ => break,
            }
        }
        parts.reverse();
        Self { root: at, parts, indexes, optional, tested }
    }
}

/// Whether a call is an index or an optional field.
fn is_step(call: &CallExpr) -> bool {
    call.args.len() == 2
        && matches!(call.func_name.as_str(), operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT)
}

impl<'a> Walk<'a> {
    fn visit(&mut self, at: &'a IdedExpr) -> Result<(), Mistake> {
        self.visit_as(at, false)
    }

    /// `lenient`: whether what is missing on the way counts as empty.
    fn visit_as(&mut self, at: &'a IdedExpr, lenient: bool) -> Result<(), Mistake> {
        match &at.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(_) | Expr::Select(_) => self.chain(at, lenient),
            Expr::Call(call) if is_step(call) => self.chain(at, lenient),
            Expr::Call(call) => self.call(at, call),
            Expr::Comprehension(fold) => self.fold(at, fold),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.visit(&entry.key).and_then(|()| self.visit(&entry.value)),
                EntryExpr::StructField(field) => self.visit(&field.value),
            }),
            Expr::Struct(message) => {
                let message = format!("there is no message type `{}`", message.type_name);
                Err(Mistake::new(self.span(at), message).help("a map is written `{'key': value}`"))
            }
        }
    }

    fn chain(&mut self, at: &'a IdedExpr, lenient: bool) -> Result<(), Mistake> {
        let chain = Chain::of(at);
        for index in &chain.indexes {
            self.visit(index)?;
        }
        let Expr::Ident(root) = &chain.root.expr else { return self.visit(chain.root) };
        let root = root.trim_start_matches('.');
        let is_type = chain.parts.is_empty() && standard().types().find_type(root).is_some();
        if root.starts_with(['@', '#']) || self.bound.contains(&root) || is_type {
            return Ok(());
        }
        let span = self.extent(chain.root, root, chain.parts.len());
        let mut parts = vec![Part::Name(root.to_owned())];
        parts.extend(chain.parts);
        let path = Path { parts, span, optional: chain.optional || lenient, tested: chain.tested };
        if !self.found.paths.contains(&path) {
            self.found.paths.push(path);
        }
        Ok(())
    }

    fn call(&mut self, at: &'a IdedExpr, call: &'a CallExpr) -> Result<(), Mistake> {
        let name = call.func_name.as_str();
        let namespace = call.target.as_deref().and_then(|target| match &target.expr {
            Expr::Ident(name) if is_namespace(name) && !self.bound.contains(&name.as_str()) => Some(name.as_str()),
            _ => None,
        });
        let lenient = call.target.is_none() && function::is_lenient(name);
        if let (Some(target), None) = (&call.target, namespace) {
            self.visit(target)?;
        }
        for argument in &call.args {
            self.visit_as(argument, lenient)?;
        }
        if name == operators::SUBSTRACT {
            return self.dash(at, call);
        }
        // Operators, and what macros expand to.
        if is_operator(name) || name.contains('@') {
            return Ok(());
        }
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}"));
        let on_value = call.target.is_some() && namespace.is_none();
        if let Err(fault) = function::check(&full, on_value, call.args.len()) {
            let span = self.name_span(at, name, namespace);
            return Err(Mistake { span, message: fault.message, help: fault.help });
        }
        self.found.calls.insert(full);
        Ok(())
    }

    fn fold(&mut self, at: &'a IdedExpr, fold: &'a ComprehensionExpr) -> Result<(), Mistake> {
        self.visit(&fold.iter_range)?;
        self.visit(&fold.accu_init)?;
        let bound = self.bound.len();
        let is_loop = !fold.iter_var.starts_with('#');
        self.bound.extend([fold.iter_var.as_str(), fold.accu_var.as_str()]);
        self.bound.extend(fold.iter_var2.as_deref());
        self.loops += usize::from(is_loop);
        if self.loops > MAX_LOOPS {
            let message =
                format!("at most {MAX_LOOPS} of `all`, `exists`, `filter` and `map` may stand inside each other");
            return Err(Mistake::new(self.span(at), message));
        }
        self.visit(&fold.loop_cond)?;
        self.visit(&fold.loop_step)?;
        self.visit(&fold.result)?;
        self.loops -= usize::from(is_loop);
        self.bound.truncate(bound);
        Ok(())
    }

    /// `objects.image-managers` is a subtraction to the parser; nobody who writes it means one.
    fn dash(&self, at: &'a IdedExpr, call: &'a CallExpr) -> Result<(), Mistake> {
        let [left, right] = call.args.as_slice() else { return Ok(()) };
        let Some((dash, _)) = self.info.offset_for(at.id) else { return Ok(()) };
        let dash = dash as usize;
        let bytes = self.source.as_bytes();
        let tight = bytes.get(dash) == Some(&b'-')
            && dash > 0
            && scan::is_word(bytes[dash - 1])
            && bytes.get(dash + 1).is_some_and(|b| scan::is_word(*b) && !b.is_ascii_digit());
        let path = Chain::of(left);
        let (Expr::Ident(root), true) = (&path.root.expr, tight) else { return Ok(()) };
        if self.bound.contains(&root.as_str()) {
            return Ok(());
        }
        let mut leaf = right;
        while let Some(inner) = leftmost(leaf) {
            leaf = inner;
        }
        let follows = match &leaf.expr {
            Expr::Ident(name) => name.as_str(),
            _ => return Ok(()),
        };
        let is_name = path.parts.len() == 1 && matches!(root.as_str(), "objects" | "steps");
        if !is_name && (BOUND.contains(&follows) || self.bound.contains(&follows)) {
            return Ok(());
        }
        let start = self.info.offset_for(path.root.id).map_or(dash, |(start, _)| start as usize);
        let mut end = dash;
        while bytes.get(end) == Some(&b'-') && bytes.get(end + 1).is_some_and(|b| scan::is_word(*b)) {
            end = scan::word_end(bytes, end + 1);
        }
        let written = &self.source[start..end];
        Err(Mistake::new(start..end, format!("`{written}` reads as a subtraction"))
            .help(format!("a dash in a name is written `_`: `{}`", written.replace('-', "_"))))
    }

    /// The bytes of a node, as far as the parser remembers them.
    fn span(&self, at: &IdedExpr) -> Range<usize> {
        match self.info.offset_for(at.id) {
            Some((start, stop)) => start as usize..(stop as usize + 1).min(self.source.len()),
            None => 0..self.source.len(),
        }
    }

    /// Where the name of a called function stands: the parser only remembers its bracket.
    fn name_span(&self, at: &IdedExpr, name: &str, namespace: Option<&str>) -> Range<usize> {
        let span = self.span(at);
        if self.source[span.start..].starts_with(name) {
            return span.start..span.start + name.len();
        }
        let before = self.source.get(..span.start).unwrap_or_default().trim_end();
        match before.strip_suffix(name) {
            Some(rest) => {
                let rest = rest.trim_end();
                let start = namespace
                    .and_then(|namespace| rest.strip_suffix('.')?.trim_end().strip_suffix(namespace).map(str::len))
                    .unwrap_or(before.len() - name.len());
                start..before.len()
            }
            None => span,
        }
    }

    /// From the root over as many fields and indexes as the path has.
    fn extent(&self, root: &IdedExpr, name: &str, parts: usize) -> Range<usize> {
        let bytes = self.source.as_bytes();
        let start = self.span(root).start;
        if !self.source.get(start..).is_some_and(|rest| rest.starts_with(name)) {
            // Inside an expanded macro the parser only remembers where the macro stands.
            let word = |at: &usize| {
                (*at == 0 || !scan::is_word(bytes[at - 1])) && scan::word_end(bytes, *at) == at + name.len()
            };
            let found = self.source.match_indices(name).map(|(at, _)| at).find(word);
            return found.map_or(0..self.source.len(), |at| at..at + name.len());
        }
        let mut end = start + name.len();
        let mut tokens = scan::Tokens::new(self.source, end).peekable();
        for _ in 0..parts {
            while tokens.next_if(|(span, _)| &self.source[span.clone()] == ")").is_some() {}
            let Some((span, _)) = tokens.next() else { break };
            match &self.source[span.clone()] {
                "." => {
                    tokens.next_if(|(_, token)| *token == scan::Token::Question);
                    let Some((field, _)) = tokens.next() else { break };
                    end = field.end;
                }
                "[" => {
                    let Some(close) = scan::closing(self.source, span.start) else { break };
                    end = close + 1;
                    tokens = scan::Tokens::new(self.source, end).peekable();
                }
                _ => break,
            }
        }
        start..end
    }
}

/// The operand that stands first in the text.
fn leftmost(at: &IdedExpr) -> Option<&IdedExpr> {
    match &at.expr {
        Expr::Select(select) => Some(&select.operand),
        Expr::Call(call) => call.target.as_deref().or_else(|| {
            let infix = call.func_name.starts_with('_') || call.func_name == operators::IN;
            if infix { call.args.first() } else { None }
        }),
        Expr::Comprehension(fold) => Some(&fold.iter_range),
        _ => None,
    }
}

fn is_operator(name: &str) -> bool {
    name.starts_with('_') || matches!(name, operators::LOGICAL_NOT | operators::NEGATE)
}
