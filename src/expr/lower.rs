//! Changes a syntax tree so that the interpreter does with it what we promise.
//!
//! - `==`, `!=` and `in` compare our lists and maps with the interpreter's own.
//! - Every loop counts its steps, and goes over a map by sorted keys.
//! - The argument of `keys` and `values` may be absent.
//! - `age(o)` becomes the present moment less the object's creation.

use std::mem;

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::env::NOW;
use super::function::{AMONG, ANSWER, DIFFER, EACH, SAME, is_lenient};

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
            for part in [
                &mut fold.iter_range,
                &mut fold.accu_init,
                &mut fold.loop_cond,
                &mut fold.loop_step,
                &mut fold.result,
            ] {
                lower(part);
            }
            let range = mem::take(&mut fold.iter_range);
            fold.iter_range = global(range.id, EACH, vec![range]);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(lower),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        lower(&mut entry.key);
                        lower(&mut entry.value);
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
        (operators::EQUALS, [a, b]) if !is_scalar(a) && !is_scalar(b) => call.func_name = SAME.to_owned(),
        (operators::NOT_EQUALS, [a, b]) if !is_scalar(a) && !is_scalar(b) => call.func_name = DIFFER.to_owned(),
        (operators::IN, [a, _]) if !is_scalar(a) => call.func_name = AMONG.to_owned(),
        (name, [path]) if call.target.is_none() && is_lenient(name) => soften(path),
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
