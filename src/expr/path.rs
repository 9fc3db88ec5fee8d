use std::ops::Range;

/// A way from a free variable into its value, as the source shows it:
/// `steps.kill.uids` is `steps`, `kill`, `uids`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The variable first. Never empty.
    pub parts: Vec<Part>,
    /// Bytes of the source that spell it; the whole source where a macro hides them.
    pub span: Range<usize>,
    /// Whether something on the way may be absent: `o.?a`, `m[?'k']`, the argument of `keys` and `values`.
    pub optional: bool,
    /// Whether it is only asked for, as in `has(o.a)`.
    pub tested: bool,
}

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A field or a string key: `.a`, `['a']`.
    Name(String),
    /// A position in a list: `[0]`.
    Index(i64),
    /// An index that only evaluation knows: `[item]`. What follows it is listed all the same.
    Dynamic,
}

impl Path {
    /// The name of the variable.
    pub fn root(&self) -> &str {
        self.parts.first().and_then(Part::name).unwrap_or_default()
    }

    /// The name at a place of the path, if there is one and it is a name.
    pub fn name(&self, place: usize) -> Option<&str> {
        self.parts.get(place).and_then(Part::name)
    }

    pub(super) fn moved(mut self, offset: usize) -> Self {
        self.span = self.span.start + offset..self.span.end + offset;
        self
    }
}

impl Part {
    /// The name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Part::Name(name) => Some(name),
            Part::Index(_) | Part::Dynamic => None,
        }
    }
}

impl std::fmt::Display for Path {
    /// As a user would write it, `[…]` for a dynamic index.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, part) in self.parts.iter().enumerate() {
            match part {
                Part::Name(name) if place == 0 => write!(f, "{name}")?,
                Part::Name(name) if is_identifier(name) => write!(f, ".{name}")?,
                Part::Name(name) => write!(f, "['{name}']")?,
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Dynamic => write!(f, "[…]")?,
            }
        }
        Ok(())
    }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(super::scan::is_word)
}
