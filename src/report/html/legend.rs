use std::collections::{BTreeMap, BTreeSet};

use super::markup::Markup;
use crate::report::clean;

/// How many colours there are; values beyond share them and keep their letter.
const COLOURS: usize = 8;

/// How many values are explained; the others say theirs on hover and in words.
const EXPLAINED: usize = 24;

/// What each value of a lane is drawn as: a letter and a colour.
#[derive(Default)]
pub(super) struct Legend<'a> {
    values: Vec<(&'a str, String)>,
    places: BTreeMap<&'a str, usize>,
    taken: BTreeSet<char>,
}

impl<'a> Legend<'a> {
    /// Learns these values, in the order in which they come.
    pub(super) fn of(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut legend = Self::default();
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            legend.learn(value);
        }
        legend
    }

    /// The first letter of the value that is still free, else any free letter, else a dot.
    /// What begins with `!` is the opposite of another value, and drawn as that sign.
    fn learn(&mut self, value: &'a str) {
        if self.places.contains_key(value) {
            return;
        }
        let own = value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase());
        let opposite = value.chars().take(1).filter(|c| *c == '!');
        let letter =
            opposite.chain(own.take(40)).chain('A'..='Z').chain('0'..='9').find(|letter| !self.taken.contains(letter));
        self.taken.extend(letter);
        self.places.insert(value, self.values.len());
        self.values.push((value, letter.map_or_else(|| "·".to_owned(), String::from)));
    }

    /// The letter that stands for a value.
    pub(super) fn letter(&self, value: &str) -> &str {
        self.places.get(value).map_or("·", |place| self.values[*place].1.as_str())
    }

    /// The class that gives it its colour, and the colour where there is no style sheet.
    pub(super) fn colour(&self, value: &str) -> (String, &'static str) {
        const FILLS: [&str; COLOURS] =
            ["#bfe3d0", "#f6d9a8", "#c9d8f6", "#f3c6d3", "#dccff3", "#d6e8a9", "#b9e3ec", "#e3d3c2"];
        let n = self.places.get(value).copied().unwrap_or(0) % COLOURS;
        (format!("v{n}"), FILLS[n])
    }

    /// What the letters mean, and the signs besides.
    pub(super) fn write(&self, page: &mut Markup) {
        page.raw("<p class=\"legend lanes-legend\">");
        for (value, letter) in self.values.iter().take(EXPLAINED) {
            let (class, _) = self.colour(value);
            page.raw("<span class=\"item\">").element("span", &[("class", &format!("key value {class}"))], letter);
            page.raw(" ").text(&clean::ellipsis(value, 40)).raw("</span> ");
        }
        if self.values.len() > EXPLAINED {
            page.text(&format!("and {} more values, told on hover ", self.values.len() - EXPLAINED));
        }
        page.raw("<span class=\"item\"><span class=\"key rail-key\"></span> not there</span> <span class=\"item\"><span class=\"key gap\"></span> a gap: versions may be missing</span> <span class=\"item\"><span class=\"key late\"></span> late: nothing is missing</span> <span class=\"item\"><span class=\"key fault\"></span> a disturbance</span></p>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_different_and_near_the_value() {
        let legend = Legend::of(["ready", "unknown", "", "ready", "running", "rrr", "failed", "√", "!(ready)"]);
        let letters = ["ready", "unknown", "running", "rrr", "failed", "√"].map(|value| legend.letter(value));
        assert_eq!(letters, ["R", "U", "N", "A", "F", "B"]);
        assert_eq!((legend.colour("failed").0.as_str(), legend.letter("!(ready)")), ("v4", "!"));
        let many: Vec<String> = (0..100).map(|n| format!("state {n}")).collect();
        let legend = Legend::of(many.iter().map(String::as_str));
        let letters: BTreeSet<&str> = many.iter().map(|value| legend.letter(value)).collect();
        assert_eq!(letters.len(), 37);
    }
}
