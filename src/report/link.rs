use std::fmt::Write as _;

use crate::id::{CheckId, StepId};

use super::clean;

/// A step's anchor in the page, `/step/restart[03]/kill`: the same in every run of
/// a plan. The prefix keeps steps apart from the page's own sections.
pub(super) fn anchor(step: &StepId) -> String {
    format!("/step/{}", clean::line(step.as_str()).replace(' ', "_"))
}

/// The anchor as the fragment of a link; brackets and the like are percent-encoded,
/// because those who make links clickable in a plain text stop at them.
pub(super) fn fragment(step: &StepId) -> String {
    to_anchor(&anchor(step))
}

/// A check's anchor in the page, `/check/file-states[03]`.
pub(super) fn check_anchor(check: &CheckId) -> String {
    format!("/check/{}", clean::line(check.as_str()).replace(' ', "_"))
}

/// The anchor of the nth deciding moment of a check.
pub(super) fn moment_anchor(check: &CheckId, n: usize) -> String {
    format!("{}/moment/{}", check_anchor(check), n + 1)
}

/// A link to a check.
pub(super) fn to_check(check: &CheckId) -> String {
    to_anchor(&check_anchor(check))
}

/// A link to any anchor of the page.
pub(super) fn to_anchor(anchor: &str) -> String {
    let mut link = String::from("#");
    encode(anchor, &mut link);
    link
}

/// A path in the run folder as a link.
pub(super) fn path(path: &str) -> String {
    let mut link = String::from("./");
    encode(path, &mut link);
    link
}

fn encode(text: &str, link: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            link.push(char::from(byte));
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_finds_its_anchor() {
        let step = StepId::root("volumes").index("a b").join("pod");
        assert_eq!(anchor(&step), "/step/volumes[a_b]/pod");
        assert_eq!(fragment(&step), "#/step/volumes%5Ba_b%5D/pod");
        assert_eq!(path("logs/ä.txt"), "./logs/%C3%A4.txt");
    }
}
