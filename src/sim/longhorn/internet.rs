//! The addresses of the public test images, with what they give.

use std::time::Duration;

use super::name;
use crate::sim::net::{Internet, Site};

/// An image at an address.
pub(super) struct Published {
    pub(super) url: &'static str,
    pub(super) bytes: u64,
    pub(super) virtual_size: u64,
    /// The SHA-512 as upstream's tests state it; empty where they state none, and then one of the address stands for it.
    sha512: &'static str,
    /// The files in it that a pod can read, with their contents.
    pub(super) files: &'static [(&'static str, &'static str)],
}

const MIB: u64 = 1 << 20;
const PARROT: &[(&str, &str)] = &[("guests/catparrot.gif", "GIF89a: a cat that is a parrot\n")];

/// The public images of longhorn.md section 10. Where a size is not stated there, it is an assumption.
pub(super) const PUBLISHED: &[Published] = &[
    Published {
        url: "https://longhorn-backing-image.s3-us-west-1.amazonaws.com/parrot.qcow2",
        bytes: 16 * MIB,
        virtual_size: 32 * MIB,
        sha512: "bd79ab9e6d45abf4f3f0adf552a868074dd235c4698ce7258d521160e0ad79ffe555b94e7d4007add6e1a25f4526885eb25c53ce38f7d344dd4925b9f2cb5d3b",
        files: PARROT,
    },
    Published {
        url: "https://longhorn-backing-image.s3-us-west-1.amazonaws.com/parrot.raw",
        bytes: 32 * MIB,
        virtual_size: 32 * MIB,
        sha512: "304f3ed30ca6878e9056ee6f1b02b328239f0d0c2c1272840998212f9734b196371560b3b939037e4f4c2884ce457c2cbc9f0621f4f5d1ca983983c8cdf8cd9a",
        files: PARROT,
    },
    Published {
        url: "https://cchien-backing-image.s3.us-west-1.amazonaws.com/400MB.qcow2",
        bytes: 400 * MIB,
        virtual_size: 1024 * MIB,
        sha512: "",
        files: &[("400MB.txt", "four hundred megabytes, in few words\n")],
    },
    Published {
        url: "https://cloud-images.ubuntu.com/minimal/releases/focal/release-20200729/ubuntu-20.04-minimal-cloudimg-amd64.img",
        bytes: 193 * MIB,
        virtual_size: 2252 * MIB,
        sha512: "",
        files: &[],
    },
    Published {
        url: "https://github.com/rancher/k3os/releases/download/v0.11.0/k3os-amd64.iso",
        bytes: 545 * MIB,
        virtual_size: 545 * MIB,
        sha512: "",
        files: &[],
    },
];

impl Published {
    /// The digest that the address publishes.
    pub(super) fn digest(&self) -> String {
        if self.sha512.is_empty() { name::sha512(self.url, 128) } else { self.sha512.to_owned() }
    }
}

/// Publishes all of them.
pub(super) fn publish(internet: &Internet) {
    for image in PUBLISHED {
        let site =
            Site { latency: Duration::from_millis(120), speed: 20 * MIB, ..Site::new(image.bytes, image.digest()) };
        internet.publish(image.url, site);
    }
}

/// How large the device of an image is, if it is another size than its file's.
pub(super) fn virtual_size(url: &str) -> Option<u64> {
    PUBLISHED.iter().find(|image| image.url == url).map(|image| image.virtual_size)
}

/// The files in the image at an address.
pub(super) fn files(url: &str) -> &'static [(&'static str, &'static str)] {
    PUBLISHED.iter().find(|image| image.url == url).map_or(&[], |image| image.files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parrot_is_in_its_image() {
        assert_eq!(files(PUBLISHED[0].url)[0].0, "guests/catparrot.gif");
        assert_eq!(files("https://nowhere"), &[]);
    }
}
