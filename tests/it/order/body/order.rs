//! What always came before what.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::story::{Fact, Story};

/// Whether nothing puts two facts in an order, even if they came in the same one every time: scheduler and
/// kubelets do their work on each pod for itself.
fn are_apart(one: &str, two: &str) -> bool {
    let (one, two) = (pod(one), pod(two));
    one.is_some() && two.is_some() && one != two
}

/// The pod that a scheduler or a kubelet did something to; one of `all pods a` may be any.
fn pod(fact: &str) -> Option<&str> {
    let done = [" says ", " container=", " conditions=", " phase=", " scheduled=", " ip="];
    let at = done.iter().filter_map(|done| fact.find(done)).min()?;
    match &fact[..at] {
        who if who.starts_with("all pods") => Some(fact),
        who => who.starts_with("pod ").then_some(who),
    }
}

/// The partial order of what happened every time.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// What happened in every story.
    pub(crate) facts: Vec<Fact>,
    /// Pairs that came in this order every time, and between which nothing always came.
    pub(crate) before: Vec<(usize, usize)>,
    /// Pairs that came at one moment every time.
    pub(crate) together: Vec<(usize, usize)>,
    /// How many pairs have an order, between others or not.
    pub(crate) pairs: usize,
}

impl Order {
    /// The order that all of these stories have in common.
    pub(crate) fn of(stories: &[Story]) -> Self {
        let all: Vec<BTreeMap<Fact, usize>> = stories.iter().map(Story::facts).collect();
        let Some((first, others)) = all.split_first() else {
            return Self { facts: Vec::new(), before: Vec::new(), together: Vec::new(), pairs: 0 };
        };
        let facts: Vec<Fact> =
            first.keys().filter(|fact| others.iter().all(|other| other.contains_key(*fact))).cloned().collect();
        let when: Vec<Vec<usize>> = all.iter().map(|when| facts.iter().map(|fact| when[fact]).collect()).collect();
        let always = |one: usize, two: usize, how: Ordering| when.iter().all(|when| when[one].cmp(&when[two]) == how);
        let (mut together, mut leaders) = (Vec::new(), Vec::<usize>::new());
        for fact in 0..facts.len() {
            match leaders.iter().find(|leader| always(**leader, fact, Ordering::Equal)) {
                Some(leader) => together.push((*leader, fact)),
                None => leaders.push(fact),
            }
        }
        let after: BTreeMap<usize, BTreeSet<usize>> = leaders
            .iter()
            .map(|one| {
                let later = leaders
                    .iter()
                    .filter(|two| always(*one, **two, Ordering::Less) && !are_apart(&facts[*one], &facts[**two]));
                (*one, later.copied().collect())
            })
            .collect();
        let mut before = Vec::new();
        for (one, later) in &after {
            for two in later {
                if !later.iter().any(|between| after[between].contains(two)) {
                    before.push((*one, *two));
                }
            }
        }
        let pairs = after.values().map(BTreeSet::len).sum();
        Self { facts, before, together, pairs }
    }

    /// How another story departs from it, in words. Whatever is out of order is so between two neighbours.
    pub(crate) fn departures(&self, story: &Story) -> Vec<String> {
        let when = story.facts();
        let mut told: Vec<String> =
            self.facts.iter().filter(|fact| !when.contains_key(*fact)).map(|fact| format!("never: {fact}")).collect();
        let mut compare = |pairs: &[(usize, usize)], how: Ordering, word: &str| {
            for (one, two) in pairs {
                let (one, two) = (&self.facts[*one], &self.facts[*two]);
                if let (Some(at_one), Some(at_two)) = (when.get(one), when.get(two))
                    && at_one.cmp(at_two) != how
                {
                    told.push(format!("not {one} {word} {two}"));
                }
            }
        };
        compare(&self.before, Ordering::Less, "before");
        compare(&self.together, Ordering::Equal, "together with");
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_to_different_pods_is_apart() {
        for (one, two, expected) in [
            ("pod a1 says Started", "pod a1 conditions=Ready", false),
            ("pod a1 says Started", "pod a2 conditions=Ready", true),
            ("all pods a says Started (2)", "pod a2 conditions=Ready", true),
            ("all pods says Started", "all pods container=running", true),
            ("pod x-0 conditions=Ready", "pod x-1 made", false),
            ("pod a1 gone", "pod a2 made", false),
            ("daemon set ready=2", "pod a2 says Started", false),
        ] {
            assert_eq!(are_apart(one, two), expected, "{one} and {two}");
            assert_eq!(are_apart(two, one), expected, "{two} and {one}");
        }
    }
}
