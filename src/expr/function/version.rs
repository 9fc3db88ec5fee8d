use std::any::Any;
use std::cmp::Ordering;
use std::fmt;

use cel::ExecutionError;
use cel::common::traits::Comparer;
use cel::common::types::Type;
use cel::common::value::{CowVal, StaticVal, Val};

use super::standard::text;

const NAME: &str = "semver";

/// The type of a [`Version`]: `type(x) == semver`.
pub(super) const TYPE: Type = Type::new_unspecified_type("semver");

/// A semantic version as a value of an expression.
///
/// Build metadata (`+k3s1`) does not order versions and does not tell them apart.
#[derive(Debug, Clone)]
pub(in crate::expr) struct Version(semver::Version);

/// `semver('v1.12.1')`.
pub(super) fn semver<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = text(NAME, &args, 0)?;
    let version = text.strip_prefix('v').unwrap_or(text).parse().map_err(|_| {
        let message = format!("`{text}` is not a version; write three numbers, as in `1.12.1` or `v1.13.0-rc1`");
        ExecutionError::function_error(NAME, message)
    })?;
    Ok(CowVal::owned(Version(version)))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Val for Version {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static HELD: Type = TYPE;
        &HELD
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Version>().is_some_and(|other| self.0.cmp_precedence(&other.0) == Ordering::Equal)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Version {}

impl Comparer for Version {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        match other.downcast_ref::<Version>() {
            Some(other) => Ok(self.0.cmp_precedence(&other.0)),
            None => {
                Err(ExecutionError::UnexpectedType { got: other.get_type().name().to_owned(), want: NAME.to_owned() })
            }
        }
    }
}
