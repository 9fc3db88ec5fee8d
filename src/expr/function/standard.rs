//! The interpreter's environment: the standard library, its extensions, and
//! our functions.

use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelOptional, CelString, DYN_TYPE, Kind};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError, extensions};

use super::super::node::{same, size};
use super::answer::{ANSWER, answer};
use super::budget::{self, JOIN, MADE, REPLACE, spend_steps};
use super::{object, quantity, version};

/// `a == b` for values of any maker.
pub(in crate::expr) const SAME: &str = "@same";
/// `a != b` for values of any maker.
pub(in crate::expr) const DIFFER: &str = "@differ";
/// `a in b` for values of any maker.
pub(in crate::expr) const AMONG: &str = "@among";
/// What a loop goes over.
pub(in crate::expr) const EACH: &str = "@each";

/// The longest list that `range` makes.
const MAX_RANGE: i64 = 10_000;

/// The environment that everything is compiled and evaluated with.
pub(in crate::expr) fn standard() -> &'static Arc<Env> {
    static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib().with_optional_support(true);
        env.add_extension(extensions::strings).expect("the standard library has none of these names");
        env.add_extension(extensions::lists).expect("the standard library has none of these names");
        env.add_extension(extensions::math).expect("the standard library has none of these names");
        env.add_extension(extensions::encoders).expect("the standard library has none of these names");
        for (name, arguments, function) in OURS {
            let types = (0..*arguments).map(|_| DYN_TYPE).collect();
            env.add_overload(name, &format!("{name}/{arguments}"), types, *function)
                .expect("each name stands once in the table with as many arguments");
        }
        env.add_type(version::TYPE).expect("the standard library has no such type");
        Arc::new(env)
    });
    &STANDARD
}

const OURS: &[(&str, usize, Function)] = &[
    (SAME, 2, |args| Ok(boolean(same(args[0].as_ref(), args[1].as_ref())))),
    (DIFFER, 2, |args| Ok(boolean(!same(args[0].as_ref(), args[1].as_ref())))),
    (AMONG, 2, among),
    (EACH, 1, each),
    (MADE, 1, budget::made),
    (ANSWER, 1, answer),
    (JOIN, 1, budget::join),
    (JOIN, 2, budget::join),
    (REPLACE, 3, budget::replace),
    (REPLACE, 4, budget::replace),
    ("keys", 1, keys),
    ("values", 1, values),
    ("range", 1, range),
    ("ready", 1, object::ready),
    ("condition", 2, object::condition),
    ("quantity", 1, quantity::quantity),
    ("semver", 1, version::semver),
];

pub(super) fn boolean<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

/// The error for arguments of types that a function does not take.
pub(super) fn unfit(function: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    ExecutionError::no_such_overload(function, args.iter().map(|arg| arg.get_type().name().to_owned()).collect())
}

/// A text argument.
pub(super) fn text<'a>(function: &str, args: &'a [CowVal<'_, '_>], place: usize) -> Result<&'a str, ExecutionError> {
    match args[place].downcast_ref::<CelString>() {
        Some(text) => Ok(text.inner()),
        None => Err(unfit(function, args)),
    }
}

fn among<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (value, container) = (args[0].as_ref(), args[1].as_ref());
    match (container.get_type().kind(), container.as_iterable(), container.as_container()) {
        (Kind::List, Some(items), _) => {
            let mut items = items.iter();
            while let Some(item) = items.next() {
                if same(item, value) {
                    return Ok(boolean(true));
                }
            }
            Ok(boolean(false))
        }
        (_, _, Some(container)) => container.contains(value).map(boolean).map_err(|_| unfit(AMONG, &args)),
        _ => Err(unfit(AMONG, &args)),
    }
}

/// Counts the steps of a loop before it begins, and puts the keys of a map in order.
fn each<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    spend_steps(size(args[0].as_ref()))?;
    if args[0].downcast_ref::<CelMap>().is_some() {
        return Ok(CowVal::owned(CelList::from(sorted_keys(args[0].as_ref()))));
    }
    Ok(args.swap_remove(0))
}

fn sorted_keys<'v>(map: &(dyn Val + 'v)) -> Vec<Box<dyn Val + 'v>> {
    if let Some(map) = map.downcast_ref::<CelMap>() {
        let mut keys: Vec<&CelMapKey> = map.keys().collect();
        keys.sort();
        return keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    }
    let mut keys = Vec::new();
    if let Some(map) = map.as_iterable() {
        let mut each = map.iter();
        while let Some(key) = each.next() {
            keys.push(key.clone_as_boxed());
        }
    }
    keys
}

/// The map that an argument is or holds; nothing if it is absent.
fn map_of<'a, 'v>(function: &str, args: &'a [CowVal<'_, 'v>]) -> Result<Option<&'a (dyn Val + 'v)>, ExecutionError> {
    let mut val = args[0].as_ref();
    while let Some(optional) = val.downcast_ref::<CelOptional>() {
        match optional.option() {
            Some(held) => val = held,
            None => return Ok(None),
        }
    }
    match val.get_type().kind() {
        Kind::Map => Ok(Some(val)),
        Kind::NullType => Ok(None),
        _ => Err(ExecutionError::no_such_overload(function, vec![val.get_type().name().to_owned()])),
    }
}

fn keys<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let keys = map_of("keys", &args)?.map(sorted_keys).unwrap_or_default();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn values<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut values: Vec<Box<dyn Val + 'v>> = Vec::new();
    if let Some(map) = map_of("values", &args)? {
        for key in sorted_keys(map) {
            if let Some(map) = map.as_indexer() {
                values.push(map.get(key.as_ref())?.into_owned());
            }
        }
    }
    Ok(CowVal::owned(CelList::from(values)))
}

fn range<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let n = args[0].downcast_ref::<CelInt>().map(|n| *n.inner()).ok_or_else(|| unfit("range", &args))?;
    if n > MAX_RANGE {
        let message = format!("{n} numbers were asked for, at most {MAX_RANGE} are made");
        return Err(ExecutionError::function_error("range", message));
    }
    spend_steps(n)?;
    let numbers = (0..n).map(|i| Box::new(CelInt::from(i)) as Box<dyn Val + 'v>).collect::<Vec<_>>();
    Ok(CowVal::owned(CelList::from(numbers)))
}

/// A duration or timestamp as the function `string` writes it.
pub(in crate::expr) fn spell(val: &dyn Val) -> Result<String, String> {
    let refusal = || format!("a {} has no text", super::super::error::plain(val.get_type().name()));
    let args = vec![CowVal::Borrowed(val)];
    let string = standard().find_overload("string", &args).ok_or_else(refusal)?;
    let text = string(args).map_err(|_| refusal())?;
    text.downcast_ref::<CelString>().map(|text| text.inner().to_owned()).ok_or_else(refusal)
}
