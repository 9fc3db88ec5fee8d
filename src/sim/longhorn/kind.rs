//! Longhorn's own kinds.

use std::borrow::Cow;

use crate::sim::Kind;

macro_rules! kinds {
    ($($name:ident = $plural:literal $kind:literal;)*) => {
        $(
            #[doc = concat!("`", $kind, "` of `longhorn.io/v1beta2`.")]
            pub(super) const $name: Kind = Kind {
                group: Cow::Borrowed("longhorn.io"),
                version: Cow::Borrowed("v1beta2"),
                plural: Cow::Borrowed($plural),
                kind: Cow::Borrowed($kind),
                namespaced: true,
            };
        )*
    };
}

kinds! {
    BACKING_IMAGE = "backingimages" "BackingImage";
    DATA_SOURCE = "backingimagedatasources" "BackingImageDataSource";
    IMAGE_MANAGER = "backingimagemanagers" "BackingImageManager";
    VOLUME = "volumes" "Volume";
    ENGINE = "engines" "Engine";
    REPLICA = "replicas" "Replica";
    ENGINE_IMAGE = "engineimages" "EngineImage";
    INSTANCE_MANAGER = "instancemanagers" "InstanceManager";
    SETTING = "settings" "Setting";
    NODE = "nodes" "Node";
    ATTACHMENT = "volumeattachments" "VolumeAttachment";
}
