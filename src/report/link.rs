use std::fmt::Write as _;

use crate::id::StepId;

use super::clean;

/// A step's anchor in the page, `/step/restart[03]/kill`: the same in every run of
/// a plan. The prefix keeps steps apart from the page's own sections.
pub(super) fn anchor(step: &StepId) -> String {
    format!("/step/{}", clean::line(step.as_str()).replace(' ', "_"))
}

/// The anchor as the fragment of a link; brackets and the like are percent-encoded,
/// because those who make links clickable in a plain text stop at them.
pub(super) fn fragment(step: &StepId) -> String {
    let mut link = String::from("#");
    encode(&anchor(step), &mut link);
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
