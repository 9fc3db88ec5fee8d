//! What was seen, told so that two times can be compared: objects have parts to play instead of names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::state::state;

/// One version of an object, from a watch.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) gone: bool,
    pub(crate) object: Value,
}

/// What happened, in the order of the server's revisions: lines such as `pod a1: phase=Running …`,
/// `pod a1: gone` and `pod a1 says Killing`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// The states from which it began.
    pub(crate) given: Vec<String>,
    pub(crate) lines: Vec<String>,
}

/// What happened at one moment: a state reached, an end, something said; with its number where it happens again.
pub(crate) type Fact = String;

impl Story {
    /// The story of what was seen; so many came before the act.
    pub(crate) fn of(seen: &[Seen], given: usize) -> Self {
        let act = seen[..given].iter().map(revision).max().unwrap_or_default();
        let mut seen: Vec<&Seen> = seen.iter().collect();
        seen.sort_by_key(|seen| revision(seen));
        let parts = parts(&seen, act);
        let mut story = Self::default();
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        let mut said = BTreeSet::new();
        for seen in seen {
            if seen.object["kind"] == "Event" {
                let about = &seen.object["involvedObject"];
                let about = parts.get(about["uid"].as_str().unwrap_or_default());
                let reason = seen.object["reason"].as_str().unwrap_or_default();
                // Told again, an event is counted: the same object.
                if let Some(part) = about
                    && said.insert(uid(&seen.object))
                    && revision(seen) > act
                {
                    story.lines.push(format!("{part} says {reason}"));
                }
                continue;
            }
            let part = &parts[uid(&seen.object)];
            let fields: Vec<String> = state(&seen.object).iter().map(|(key, value)| format!("{key}={value}")).collect();
            let line = if seen.gone { format!("{part}: gone") } else { format!("{part}: {}", fields.join(" ")) };
            if known.get(part.as_str()) != Some(&line) {
                if revision(seen) > act {
                    story.lines.push(line.clone());
                }
                known.insert(part, line);
            }
            if revision(seen) <= act {
                story.given = known.values().cloned().collect();
            }
        }
        story
    }

    /// The stories in a file.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let mut stories: Vec<Self> = Vec::new();
        for line in text.lines() {
            if line.starts_with('#') {
                stories.push(Self::default());
            } else if let Some(story) = stories.last_mut() {
                match line.strip_prefix("given ") {
                    Some(line) => story.given.push(line.to_owned()),
                    None => story.lines.push(line.to_owned()),
                }
            }
        }
        stories
    }

    /// As it stands in a file.
    pub(crate) fn text(&self) -> String {
        let given = self.given.iter().map(|line| format!("given {line}\n"));
        given.chain(self.lines.iter().map(|line| format!("{line}\n"))).collect()
    }

    /// All states of it, by what kind of thing they are of.
    pub(crate) fn states(&self) -> BTreeSet<String> {
        let states = self.given.iter().chain(&self.lines).filter_map(|line| line.split_once(": "));
        states.map(|(part, state)| format!("{}: {state}", kind(part))).collect()
    }

    /// What happened when: each fact with the number of its line.
    pub(crate) fn facts(&self) -> BTreeMap<Fact, usize> {
        let mut known: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (part, state) in self.given.iter().filter_map(|line| line.split_once(": ")) {
            known.insert(part, pairs(state));
        }
        let mut facts = BTreeMap::new();
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for (number, line) in self.lines.iter().enumerate() {
            let mut happened = Vec::new();
            if let Some((part, state)) = line.split_once(": ") {
                let new = pairs(state);
                let old = known.insert(part, new.clone());
                if old.is_none() {
                    happened.push((part, "made".to_owned()));
                }
                let old = old.unwrap_or_default();
                if state == "gone" {
                    happened.push((part, "gone".to_owned()));
                    known.remove(part);
                } else {
                    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
                    for key in keys.into_iter().filter(|key| old.get(key) != new.get(key)) {
                        happened.push((part, format!("{key}={}", new.get(key).copied().unwrap_or("none"))));
                    }
                }
            } else if let Some((part, reason)) = line.split_once(" says ") {
                happened.push((part, format!("says {reason}")));
            }
            for (part, what) in happened {
                // Of pods that are alike it counts how many of them did it, besides which.
                for who in [Some(part.to_owned()), group(part)].into_iter().flatten() {
                    let fact = format!("{who} {what}");
                    let time = times.entry(fact.clone()).or_default();
                    *time += 1;
                    facts.insert(if *time == 1 { fact } else { format!("{fact} ({time})") }, number);
                }
            }
        }
        facts
    }
}

fn pairs(state: &str) -> BTreeMap<&str, &str> {
    state.split(' ').filter_map(|pair| pair.split_once('=')).collect()
}

/// The kind of thing that a part is: `pod a1` and `pod x-0` are pods.
fn kind(part: &str) -> &str {
    ["pod", "daemon set", "replica set", "stateful set", "config map"]
        .into_iter()
        .find(|kind| part.starts_with(kind))
        .unwrap_or_else(|| part.split(' ').next().unwrap_or(part))
}

/// `all pods a` for `pod a1`.
fn group(part: &str) -> Option<String> {
    let name = part.strip_prefix("pod ")?;
    let letter = name.trim_end_matches(|byte: char| byte.is_ascii_digit());
    (letter.len() < name.len() && !letter.contains('-')).then(|| format!("all pods {letter}").trim_end().to_owned())
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn revision(seen: &Seen) -> u64 {
    let text = seen.object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Who plays which part. Pods of one template have its letter and a number: those that were there
/// before, in the order in which they are deleted, others in the order in which they are made.
fn parts(seen: &[&Seen], act: u64) -> BTreeMap<String, String> {
    let mut letters: Vec<String> = Vec::new();
    let mut letter = |object: &Value| {
        let labels = &object["metadata"]["labels"];
        let hash = labels["controller-revision-hash"].as_str().or(labels["pod-template-hash"].as_str());
        let Some(hash) = hash else { return String::new() };
        let known = letters.iter().position(|own| own == hash).unwrap_or_else(|| {
            letters.push(hash.to_owned());
            letters.len() - 1
        });
        char::from(b'a' + u8::try_from(known).expect("a scene has few templates")).to_string()
    };
    let mut parts = BTreeMap::new();
    let mut alike: BTreeMap<String, Vec<(u64, u64, &str)>> = BTreeMap::new();
    let mut revisions = 0_u8;
    for first in seen {
        let (object, kind) = (&first.object, first.object["kind"].as_str().unwrap_or_default());
        if kind == "Event" || parts.contains_key(uid(object)) {
            continue;
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let part = match kind {
            "DaemonSet" => "daemon set".to_owned(),
            "StatefulSet" => "stateful set".to_owned(),
            "ReplicaSet" => format!("replica set {}", letter(object)),
            "ControllerRevision" => {
                revisions += 1;
                format!("revision {revisions}")
            }
            "ConfigMap" => format!("config map {name}"),
            "Pod" if object["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet" => format!("pod {name}"),
            "Pod" => {
                let leaves = seen.iter().filter(|seen| uid(&seen.object) == uid(object));
                let leaves = leaves
                    .filter(|seen| seen.gone || !seen.object["metadata"]["deletionTimestamp"].is_null())
                    .map(|seen| revision(seen))
                    .min();
                let made = revision(first);
                let turn = if made <= act { leaves.unwrap_or(u64::MAX) } else { u64::MAX };
                alike.entry(letter(object)).or_default().push((turn, made, uid(object)));
                String::new()
            }
            other => other.to_lowercase(),
        };
        parts.insert(uid(object).to_owned(), part);
    }
    for (letter, mut pods) in alike {
        pods.sort_unstable();
        for (number, (_, _, uid)) in pods.iter().enumerate() {
            parts.insert((*uid).to_owned(), format!("pod {letter}{}", number + 1));
        }
    }
    parts
}
