//! Names and labels of what Longhorn makes (longhorn-manager `types/types.go`).

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha224, Sha256, Sha512};

use super::release::Release;

/// On everything that Longhorn manages.
pub(super) const MANAGED_BY: (&str, &str) = ("longhorn.io/managed-by", "longhorn-manager");
/// The label that names a part of Longhorn.
pub(super) const COMPONENT: &str = "longhorn.io/component";
/// The label with a disk's UUID.
pub(super) const DISK: &str = "longhorn.io/disk-uuid";
/// The label with a node's name.
pub(super) const NODE: &str = "longhorn.io/node";
/// The component of backing image managers.
pub(super) const IMAGE_MANAGER: &str = "backing-image-manager";
/// The component of data sources.
pub(super) const DATA_SOURCE: &str = "backing-image-data-source";
/// The finalizer of every object of Longhorn.
pub(super) const FINALIZER: &str = "longhorn.io";
/// The label of replicas with their backing image.
pub(super) const REPLICA_IMAGE: &str = "longhorn.io/backing-image";
/// The label of volumes, engines and replicas.
pub(super) const VOLUME: &str = "longhornvolume";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes text");
        text
    })
}

/// The first hexadecimal digits of a text's SHA-512.
pub(super) fn sha512(text: &str, digits: usize) -> String {
    let mut all = hex(Sha512::digest(text.as_bytes()));
    all.truncate(digits);
    all
}

/// The name of the backing image manager for an image and a disk, in the scheme of a release.
pub(super) fn image_manager(release: &Release, image: &str, disk: &str) -> String {
    let whole = format!("{image}-{disk}");
    match (release.minor, release.patch) {
        (10, 2..) | (11.., _) => format!("bim-{}", hex(Sha224::digest(whole.as_bytes()))),
        (9, 2..) | (10, _) => format!("bim-{}", hex(Sha256::digest(whole.as_bytes()))),
        _ => format!("backing-image-manager-{}-{}", sha512(image, 4), disk.get(..4).unwrap_or(disk)),
    }
}

/// The name of an engine image's object.
pub(super) fn engine_image(image: &str) -> String {
    format!("ei-{}", sha512(image, 8))
}

/// The name of the instance manager of an image on a node.
pub(super) fn instance_manager(node: &str, image: &str) -> String {
    format!("instance-manager-{}", sha512(&format!("{node}{image}v1"), 32))
}

/// The label value by which instance managers of an image are found.
pub(super) fn instance_manager_image(image: &str) -> String {
    format!("imi-{}", sha512(&image.replace([':', '/'], "-"), 8))
}

/// The pod that prepares a backing image's first file.
pub(super) fn data_source_pod(image: &str) -> String {
    format!("backing-image-ds-{image}")
}

/// The labels of a backing image manager and its pod.
pub(super) fn image_manager_labels(node: &str, disk: &str) -> Value {
    json!({COMPONENT: IMAGE_MANAGER, DISK: disk, NODE: node, MANAGED_BY.0: MANAGED_BY.1})
}

/// The labels of a data source's pod.
pub(super) fn data_source_labels(image: &str, node: &str, disk: &str) -> Value {
    json!({
        COMPONENT: DATA_SOURCE, "longhorn.io/backing-image-data-source": image, DISK: disk, NODE: node,
        MANAGED_BY.0: MANAGED_BY.1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK_ID: &str = "11111111-2222-3333-4444-555555555555";
    const MANAGER: &str = "longhornio/backing-image-manager:v1.12.1";

    #[test]
    fn names_are_upstreams() {
        let name = |version: &str| image_manager(&Release::of(version), MANAGER, DISK_ID);
        assert_eq!(name("v1.12.1"), "bim-ce95ec9c66218edafe4cc53e3f3d31af83dbaa1cec21a6f37b96fbb0");
        assert_eq!(name("v1.9.2"), "bim-2cf6e7c42fc50b7c1d589fc2319de4c50a0dace192f4647d1ee8f1bcfd0f202f");
        assert_eq!(name("v1.8.0"), "backing-image-manager-97c9-1111");
        assert_eq!(engine_image("longhornio/longhorn-engine:v1.12.1"), "ei-62d20cb1");
        let manager = "longhornio/longhorn-instance-manager:v1.12.1";
        assert_eq!(instance_manager("node-1", manager), "instance-manager-4a6b19dd2530598d67a1761c8d33e27c");
        assert_eq!(instance_manager_image(manager), "imi-cb0c23ee");
    }
}
