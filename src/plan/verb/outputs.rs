/// One output of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// As expressions name it.
    pub name: &'static str,
    /// One sentence about it.
    pub about: &'static str,
}

const fn output(name: &'static str, about: &'static str) -> Output {
    Output { name, about }
}

/// What every step leaves, whatever it does.
pub const EVERY_STEP: &[Output] = &[
    output("started", "When it started, RFC 3339."),
    output("ended", "When it settled, RFC 3339."),
    output("took", "How long it took, in seconds."),
];

pub(super) const HELM: &[Output] = &[
    output("revision", "The release's revision after the command."),
    output("status", "The release's status, such as `deployed`."),
    output("images", "The images of the release's workloads: a list of `object`, `container`, `before`, `after`."),
];
pub(super) const UNINSTALL: &[Output] = &[output("status", "`uninstalled`, or `absent` if there was no such release.")];
pub(super) const APPLY: &[Output] = &[
    output("object", "The first object, as the API server accepted it."),
    output("objects", "All objects, as the API server accepted them."),
];
pub(super) const PATCH: &[Output] = &[
    output("object", "The first object, as the API server answered."),
    output("count", "How many objects were patched."),
];
pub(super) const DELETE: &[Output] =
    &[output("count", "How many objects were deleted."), output("names", "Their names.")];
pub(super) const DRAIN: &[Output] = &[output("count", "How many pods were evicted."), output("names", "Their names.")];
pub(super) const RESTART: &[Output] = &[output("generation", "The generation that the restart made.")];
pub(super) const SCALE: &[Output] = &[
    output("replicas", "How many replicas there are to be now."),
    output("before", "How many there were to be before."),
];
pub(super) const CORDON: &[Output] = &[output("changed", "Whether the node was not so before.")];
pub(super) const WAIT: &[Output] = &[
    output("object", "The first object that satisfied the condition."),
    output("objects", "All of them as of the moment it held; with `all` by the conditions' names."),
    output("count", "How many there are."),
];
pub(super) const KILL: &[Output] = &[
    output("uids", "The uids of the pods that were deleted."),
    output("names", "Their names."),
    output("count", "How many pods were deleted."),
    output("skew", "From the first delete request to the last, such as `812us`."),
];
/// Of a program, in a pod or here.
pub(super) const PROGRAM: &[Output] = &[
    output("stdout", "Standard output, without the last line break."),
    output("stderr", "Standard error, without the last line break."),
    output("code", "The exit code."),
];
pub(super) const FILE: &[Output] =
    &[output("sha256", "The digest in lower-case hexadecimal."), output("bytes", "How many bytes there are.")];
pub(super) const STEADY: &[Output] = &[
    output("writes", "How many blocks were written and read back."),
    output("wrong", "How many reads gave other bytes than were written."),
    output("stalls", "How often a write or read took longer than a second."),
    output("longest", "The longest of them, such as `1200ms`."),
];
pub(super) const DOWNLOAD: &[Output] = &[
    output("path", "Where the file lies in the cache."),
    output("sha512", "The digest in lower-case hexadecimal."),
    output("sha256", "The same for SHA-256, if `sha256` was given."),
    output("bytes", "How many bytes there are."),
];
pub(super) const HTTP: &[Output] =
    &[output("status", "The status code."), output("body", "The body: parsed if it is JSON, else as text.")];
pub(super) const EDIT: &[Output] = &[
    output("old", "The value that stood there: a whole number, or a text without its quotes."),
    output("new", "The value that stands there now, likewise."),
];
pub(super) const COLLECT: &[Output] = &[output("files", "The files that were written, relative to the run folder.")];
pub(super) const NOTHING: &[Output] = &[];
