//! What one evaluation may cost: the steps of its loops, and the bytes of the
//! texts, lists and maps that it puts together.
//!
//! CEL has no recursion and no assignment, so loops over loops and values
//! copied into values are the only ways to ask for more than the source shows.

use std::cell::Cell;

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelInt, CelList, CelMap, CelOptional, CelString, Kind};
use cel::common::value::{CowVal, Val};

use super::super::error::BUDGET;
use super::standard::{text, unfit};

/// What a list or map literal's element, a text put together and the like are charged with.
pub(in crate::expr) const MADE: &str = "@made";
/// `text.replace(old, new)`, refused before it is too long.
pub(in crate::expr) const REPLACE: &str = "@replace";
/// `list.join(separator)`, refused before it is too long.
pub(in crate::expr) const JOIN: &str = "@join";

/// How many steps the loops of one evaluation may take together.
///
/// Enough for a condition over ten thousand objects with a loop inside, and
/// done in half a second.
const MAX_STEPS: u64 = 200_000;

/// How many bytes one evaluation may put together.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

thread_local! {
    /// What is left for the evaluation that this thread is at: it never leaves the thread.
    static LEFT: Cell<(u64, u64)> = const { Cell::new((MAX_STEPS, MAX_BYTES)) };
}

/// Begins an evaluation, which may cost as much as any other.
pub(in crate::expr) fn refuel() {
    LEFT.set((MAX_STEPS, MAX_BYTES));
}

/// Pays for a loop before it begins.
pub(super) fn spend_steps(elements: i64) -> Result<(), ExecutionError> {
    let (steps, bytes) = LEFT.get();
    let left = steps.checked_sub(u64::try_from(elements).unwrap_or(0) + 1);
    let steps = left.ok_or_else(|| exceeded(format!("the loops take more than {MAX_STEPS} steps")))?;
    LEFT.set((steps, bytes));
    Ok(())
}

fn spend_bytes(made: usize) -> Result<(), ExecutionError> {
    let (steps, bytes) = LEFT.get();
    let left = bytes.checked_sub(u64::try_from(made).unwrap_or(u64::MAX));
    let most = MAX_BYTES >> 20;
    let bytes = left.ok_or_else(|| exceeded(format!("more than {most} MiB of text and lists are put together")))?;
    LEFT.set((steps, bytes));
    Ok(())
}

fn exceeded(message: String) -> ExecutionError {
    ExecutionError::function_error(BUDGET, message)
}

/// Roughly what a copy of a value takes. Ours are only pointed at.
fn weight(val: &dyn Val) -> usize {
    const SLOT: usize = 32;
    if let Some(text) = val.downcast_ref::<CelString>() {
        text.inner().len()
    } else if let Some(bytes) = val.downcast_ref::<CelBytes>() {
        bytes.inner().len()
    } else if let Some(list) = val.downcast_ref::<CelList>() {
        list.inner().iter().map(|item| SLOT + weight(item.as_ref())).sum()
    } else if let Some(map) = val.downcast_ref::<CelMap>() {
        map.inner().iter().map(|(key, value)| 2 * SLOT + weight(key.inner()) + weight(value.as_ref())).sum()
    } else if let Some(optional) = val.downcast_ref::<CelOptional>() {
        optional.option().map_or(0, weight)
    } else {
        SLOT
    }
}

pub(super) fn made<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    spend_bytes(weight(args[0].as_ref()))?;
    Ok(args.swap_remove(0))
}

pub(super) fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    const NAME: &str = "replace";
    let (target, old, new) = (text(NAME, &args, 0)?, text(NAME, &args, 1)?, text(NAME, &args, 2)?);
    let most = match args.get(3) {
        // A negative number stands for all of them.
        Some(most) => match most.downcast_ref::<CelInt>() {
            Some(most) => usize::try_from(*most.inner()).unwrap_or(usize::MAX),
            None => return Err(unfit(NAME, &args)),
        },
        None => usize::MAX,
    };
    let times = target.matches(old).take(most).count();
    spend_bytes(times.saturating_mul(new.len()).saturating_add(target.len()))?;
    Ok(CowVal::owned(CelString::from(target.replacen(old, new, times))))
}

pub(super) fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    const NAME: &str = "join";
    let separator = if args.len() > 1 { text(NAME, &args, 1)? } else { "" };
    let (Kind::List, Some(items)) = (args[0].get_type().kind(), args[0].as_iterable()) else {
        return Err(unfit(NAME, &args));
    };
    let (mut items, mut joined) = (items.iter(), String::new());
    let mut is_first = true;
    while let Some(item) = items.next() {
        let Some(item) = item.downcast_ref::<CelString>() else {
            let found = super::super::error::plain(item.get_type().name());
            return Err(ExecutionError::function_error(NAME, format!("expected texts in the list, found {found}")));
        };
        let separator = if is_first { "" } else { separator };
        is_first = false;
        spend_bytes(separator.len() + item.inner().len())?;
        joined.push_str(separator);
        joined.push_str(item.inner());
    }
    Ok(CowVal::owned(CelString::from(joined)))
}
