//! The way out: a value of ours inside one that the interpreter lets go.

use std::sync::Arc;

use cel::common::value::CowVal;
use cel::objects::Opaque;
use cel::{ExecutionError, Value};

use super::super::node::Node;

/// The function that wraps a value up.
pub(in crate::expr) const ANSWER: &str = "@answer";

/// A value, or why it has no form outside.
#[derive(Debug)]
struct Answer(Result<Node, String>);

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Answer {}

impl Opaque for Answer {
    fn runtime_type_name(&self) -> &'static str {
        ANSWER
    }
}

pub(super) fn answer<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let answer = Answer(Node::from_val(args[0].as_ref()));
    Value::Opaque(Arc::new(answer)).try_into().map(CowVal::Owned)
}

/// Unwraps what [`ANSWER`] gave.
pub(in crate::expr) fn take_answer(value: &Value) -> Result<Node, String> {
    let answer = match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<Answer>(),
        _ => None,
    };
    answer.expect("the tree that is evaluated for its value ends in `@answer`").0.clone()
}
