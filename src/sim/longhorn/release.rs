//! Releases: what a version brings, and which API versions an image has.

/// A release of Longhorn, as far as it behaves differently from others.
///
/// A test build of the same release has a tag with a suffix: `v1.12.1-api4` and
/// `v1.12.1-api4-min4` stand for images whose constants were raised as the recipes of the
/// manual test do (`CurrentBackingImageManagerAPIVersion` and its minimum, or
/// `BackingImageManagerAPIVersion` and its minimum).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// As `current-longhorn-version` says it, with the `v`.
    pub(super) version: String,
    pub(super) minor: u32,
    pub(super) patch: u32,
    /// The API version of backing image managers, and the lowest that is taken.
    pub(super) api: Api,
}

/// An API version and the lowest that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) current: i64,
    pub(super) min: i64,
}

/// The versions of Longhorn whose chart is known.
pub(super) const CHARTS: [&str; 6] = ["1.10.2", "1.11.1", "1.11.3", "1.12.0", "1.12.1", "1.12.2"];

impl Release {
    /// The release of a tag such as `v1.12.1`, or of an image with one. A build from its sources with
    /// other API versions says that it is the release (recorded: `v1.12.1` of both).
    pub(super) fn of(image: &str) -> Self {
        let last = image.rsplit('/').next().unwrap_or_default();
        let tag = last.rsplit_once(':').map_or(last, |(_, tag)| tag);
        let bare = tag.trim_start_matches('v');
        let plain = bare.split('-').next().unwrap_or_default();
        let mut numbers = plain.split('.').map(|number| number.parse().unwrap_or(0));
        let (_, minor, patch) = (numbers.next(), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Self { version: format!("v{plain}"), minor, patch, api: Api::of(bare) }
    }

    /// Whether a node that is not ready takes its disks along (longhorn-manager 76867d02c).
    pub(super) fn disks_follow_nodes(&self) -> bool {
        self.minor >= 11
    }
}

impl Api {
    /// The API of a tag: 3 with minimum 3 since v1.3.0, unless its suffix says otherwise.
    pub(super) fn of(tag: &str) -> Self {
        let tag = tag.rsplit('/').next().unwrap_or_default();
        let tag = tag.rsplit_once(':').map_or(tag, |(_, tag)| tag);
        let number = |word: &str| {
            tag.split('-').find_map(|part| part.strip_prefix(word)).and_then(|number| number.parse::<i64>().ok())
        };
        let current = number("api").unwrap_or(3);
        Self { current, min: number("min").unwrap_or(3) }
    }

    /// Whether a manager of this API works with a backing image manager of that one.
    pub(super) fn takes(self, other: Self) -> bool {
        other.current >= self.min && self.current >= other.min
    }
}

/// Whether an upgrade from one version to another is allowed (longhorn-manager `upgrade/util/util.go`):
/// the same minor and not lower, or the next one. Answers with upstream's reason if not.
pub(super) fn path(from: &str, to: &str) -> Result<(), String> {
    let (old, new) = (Release::of(from), Release::of(to));
    if new.minor == old.minor && new.patch < old.patch || new.minor < old.minor {
        return Err(format!("downgrading from {} to {} is not supported", old.version, new.version));
    }
    if new.minor > old.minor + 1 {
        return Err(format!("upgrading from {} to {} is not supported", old.version, new.version));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_release_and_api_it_is() {
        let plain = Release::of("docker.io/longhornio/longhorn-manager:v1.12.1");
        assert_eq!((plain.version.as_str(), plain.minor, plain.patch), ("v1.12.1", 12, 1));
        assert_eq!(plain.api, Api { current: 3, min: 3 });
        let raised = Release::of("reg:5000/longhorn-manager:v1.12.1-api4-min4");
        assert_eq!(raised.api, Api { current: 4, min: 4 });
        assert_eq!(raised.minor, 12);
    }

    #[test]
    fn the_table_of_pairs_is_upstreams() {
        // longhorn.md section 5: who is compatible with whom.
        let (old, raised, both) = (Api::of("v1"), Api::of("v1-api4"), Api::of("v1-api4-min4"));
        assert!(raised.takes(old) && raised.takes(both), "A: the manager's current alone is raised");
        assert!(!both.takes(old) && both.takes(both), "B: both are raised");
        assert!(!old.takes(both), "mistake 1: the image manager alone is raised");
    }

    #[test]
    fn the_path_is_checked() {
        assert!(path("v1.11.3", "v1.12.1").is_ok());
        assert!(path("v1.12.1", "v1.12.1-api4").is_ok());
        assert!(path("v1.10.2", "v1.12.1").is_err());
        assert!(path("v1.12.1", "v1.11.3").is_err());
    }
}
