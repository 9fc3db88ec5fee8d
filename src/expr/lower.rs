//! Changes a syntax tree so that the interpreter does with it what we promise.
//!
//! - `==`, `!=` and `in` compare our lists and maps with the interpreter's own.
//! - Every loop counts its steps, and goes over a map by sorted keys.
//! - What copies values into values counts their bytes.
//! - The argument of `keys` and `values` may be absent.
//! - `age(o)` becomes the present moment less the object's creation.

use std::mem;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use super::env::NOW;
use super::function::{AMONG, ANSWER, DIFFER, EACH, JOIN, MADE, REPLACE, SAME, is_lenient};

pub(super) fn lower(at: &mut IdedExpr) {
    match &mut at.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        Expr::Select(select) => lower(&mut select.operand),
        Expr::Call(call) => {
            if let Some(target) = &mut call.target {
                lower(target);
            }
            call.args.iter_mut().for_each(lower);
            lower_call(at);
        }
        Expr::Comprehension(fold) => {
            for part in
                [&mut fold.iter_range, &mut fold.accu_init, &mut fold.loop_cond, &mut fold.loop_step, &mut fold.result]
            {
                lower(part);
            }
            let range = mem::take(&mut fold.iter_range);
            fold.iter_range = global(range.id, EACH, vec![range]);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(lower_member),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        lower(&mut entry.key);
                        lower_member(&mut entry.value);
                    }
                    EntryExpr::StructField(field) => lower(&mut field.value),
                }
            }
        }
        Expr::Struct(message) => {
            for entry in &mut message.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => lower(&mut entry.value),
                    EntryExpr::StructField(field) => lower(&mut field.value),
                }
            }
        }
    }
}

/// A tree that gives the value of another, wrapped up.
pub(super) fn answer(tree: IdedExpr) -> IdedExpr {
    global(tree.id, ANSWER, vec![tree])
}

fn lower_call(at: &mut IdedExpr) {
    let Expr::Call(call) = &mut at.expr else { return };
    match (call.func_name.as_str(), call.args.as_mut_slice()) {
        (operators::EQUALS, [a, b]) if !is_scalar(a) && !is_scalar(b) => SAME.clone_into(&mut call.func_name),
        (operators::NOT_EQUALS, [a, b]) if !is_scalar(a) && !is_scalar(b) => DIFFER.clone_into(&mut call.func_name),
        (operators::IN, [a, _]) if !is_scalar(a) => AMONG.clone_into(&mut call.func_name),
        (name, [path]) if call.target.is_none() && is_lenient(name) => soften(path),
        ("replace" | "join", _) if call.target.is_some() => {
            let name = if call.func_name == "join" { JOIN } else { REPLACE };
            let args = call.target.take().into_iter().map(|target| *target).chain(call.args.drain(..)).collect();
            *at = global(at.id, name, args);
        }
        // The accumulator of a loop is not copied: its step must keep its shape.
        (operators::ADD, [a, b]) if !is_number(a) && !is_number(b) && !is_accumulator(a) => {
            unmake_sum(a);
            unmake_sum(b);
            make(at);
        }
        ("format" | "quote" | "encode", _) if call.target.is_some() => make(at),
        ("age", [object]) if call.target.is_none() => {
            let object = mem::take(object);
            let created = field(field(object, "metadata"), "creationTimestamp");
            let moments = [IdedExpr { id: at.id, expr: Expr::Ident(NOW.to_owned()) }, created];
            let moments = moments.map(|moment| global(moment.id, "timestamp", vec![moment]));
            *at = global(at.id, operators::SUBSTRACT, moments.into());
        }
        _ => {}
    }
}

/// An element of a list or a value of a map, which holds a copy.
fn lower_member(at: &mut IdedExpr) {
    lower(at);
    if !matches!(at.expr, Expr::Literal(_) | Expr::List(_) | Expr::Map(_)) {
        make(at);
    }
}

/// Charges for the value of an expression.
fn make(at: &mut IdedExpr) {
    let inner = mem::take(at);
    *at = global(inner.id, MADE, vec![inner]);
}

/// Of sums inside a sum only the whole is charged, or a long one would need twice the stack.
fn unmake_sum(at: &mut IdedExpr) {
    let is_sum = |inner: &IdedExpr| matches!(&inner.expr, Expr::Call(call) if call.func_name == operators::ADD);
    if let Expr::Call(CallExpr { func_name, args, .. }) = &mut at.expr
        && func_name == MADE
        && args.first().is_some_and(is_sum)
        && let Some(sum) = args.pop()
    {
        *at = sum;
    }
}

fn is_number(at: &IdedExpr) -> bool {
    use LiteralValue::{Double, Int, UInt};
    matches!(at.expr, Expr::Literal(Int(_) | UInt(_) | Double(_)))
}

fn is_accumulator(at: &IdedExpr) -> bool {
    matches!(&at.expr, Expr::Ident(name) if name.starts_with('@'))
}

/// A literal that is equal to nothing but its like: the interpreter's own comparison will do.
fn is_scalar(at: &IdedExpr) -> bool {
    matches!(at.expr, Expr::Literal(_))
}

/// Makes each field and index on the way to a root an optional one.
fn soften(at: &mut IdedExpr) {
    match &mut at.expr {
        Expr::Select(select) if !select.test => {
            soften(&mut select.operand);
            let operand = mem::take(&mut *select.operand);
            let name = LiteralValue::String(mem::take(&mut select.field).into());
            let name = IdedExpr { id: at.id, expr: Expr::Literal(name) };
            *at = global(at.id, operators::OPT_SELECT, vec![operand, name]);
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            soften(&mut call.args[0]);
            operators::OPT_INDEX.clone_into(&mut call.func_name);
        }
        _ => {}
    }
}

fn field(operand: IdedExpr, name: &str) -> IdedExpr {
    let id = operand.id;
    let select = SelectExpr { operand: Box::new(operand), field: name.to_owned(), test: false };
    IdedExpr { id, expr: Expr::Select(select) }
}

fn global(id: u64, function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) }
}
