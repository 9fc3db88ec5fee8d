use std::fmt;

use crate::expr::{Cel, Env, Shared};
use crate::plan::{Selection, Source};

/// One object of a selection, or one entry of a map in it, as it was last seen.
#[derive(Clone, Debug)]
pub struct Track {
    /// The object's uid: another uid under the same name is another object.
    pub uid: String,
    /// The version of the object it was seen in.
    pub resource_version: String,
    /// The object, or the entry's value.
    pub o: Shared,
    /// For an entry: the object it is in.
    pub parent: Option<Shared>,
}

/// What a track is called: the object's namespace and name, and the entry's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackKey {
    /// Empty for kinds without namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The key of the map entry, if the track is one.
    pub key: Option<String>,
}

impl fmt::Display for TrackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.key {
            Some(key) => write!(f, "[{key}]"),
            None => Ok(()),
        }
    }
}

impl Track {
    /// The variables that an expression about this track sees.
    pub fn bind(&self, key: &TrackKey, env: &Env) -> Env {
        let env = env.child().with_shared("o", self.o.clone());
        match (&key.key, &self.parent) {
            (Some(entry), Some(parent)) => env.with("key", entry.as_str().into()).with_shared("parent", parent.clone()),
            _ => env,
        }
    }
}

/// How a selection makes tracks of an object: its own filter and `each`, after
/// those of the selection that it stands on.
#[derive(Clone, Debug, Default)]
pub struct Pipeline(Vec<Stage>);

/// One version of an object, as a list, a watch or the journal has it.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// Empty for kinds without namespace.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// Another uid under the same name is another object.
    pub uid: &'a str,
    /// The resource version.
    pub version: &'a str,
    /// The object.
    pub value: &'a Shared,
}

/// What a pipeline makes of one version of an object.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// The tracks, in order.
    pub tracks: Vec<(TrackKey, Track)>,
    /// Whether the object that entries are taken from is selected: then an entry that
    /// is not among the tracks is missing, and not gone with its object.
    pub parent: bool,
}

#[derive(Clone, Debug)]
struct Stage {
    filter: Option<Cel>,
    each: Option<Cel>,
    env: Env,
}

impl Pipeline {
    /// The stages from the API server's objects up to this selection, and the
    /// selection that asks the server.
    pub fn of<'a>(
        selection: &'a Selection,
        find: impl Fn(&crate::plan::SelectionId) -> &'a Selection,
    ) -> (&'a Selection, Self) {
        let mut stages = Vec::new();
        let mut at = selection;
        loop {
            stages.push(Stage { filter: at.filter.clone(), each: at.each.clone(), env: at.env.clone() });
            match &at.source {
                Source::Api(_) => break,
                Source::On(below) => at = find(below),
            }
        }
        stages.reverse();
        (at, Self(stages))
    }

    /// The tracks of one version of an object: none if a filter leaves it out.
    ///
    /// A filter that fails on an object does not select it; an `each` that is no map has no entries.
    pub fn tracks(&self, version: &Version<'_>) -> Vec<(TrackKey, Track)> {
        self.select(version).tracks
    }

    /// The tracks, and whether what they are entries of is selected.
    pub fn select(&self, version: &Version<'_>) -> Selected {
        let key = TrackKey { namespace: version.namespace.to_owned(), name: version.name.to_owned(), key: None };
        let track = Track {
            uid: version.uid.to_owned(),
            resource_version: version.version.to_owned(),
            o: version.value.clone(),
            parent: None,
        };
        let mut selected = Selected { tracks: vec![(key, track)], parent: false };
        for stage in &self.0 {
            if let Some(each) = &stage.each {
                selected.parent = !selected.tracks.is_empty();
                selected.tracks =
                    selected.tracks.iter().flat_map(|(key, track)| entries(each, key, track, &stage.env)).collect();
            }
            if let Some(filter) = &stage.filter {
                selected.tracks.retain(|(key, track)| filter.holds(&track.bind(key, &stage.env)).unwrap_or(false));
            }
        }
        selected
    }
}

fn entries(each: &Cel, key: &TrackKey, track: &Track, env: &Env) -> Vec<(TrackKey, Track)> {
    let Ok(map) = each.eval_shared(&track.bind(key, env)) else {
        return Vec::new();
    };
    map.members()
        .map(|(entry, value)| {
            let key = TrackKey { key: Some(entry.to_owned()), ..key.clone() };
            (key, Track { o: value, parent: Some(track.o.clone()), ..track.clone() })
        })
        .collect()
}
