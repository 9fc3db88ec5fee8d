/// The field manager of every write, and the user of every patch.
pub(super) const MANAGER: &str = "lariat";

/// The label that says who made an object. It informs; nothing is selected by it alone.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "lariat");

/// The label that says which run made an object: what `lariat cleanup` selects by.
pub const RUN_LABEL: &str = "lariat.dev/run";
