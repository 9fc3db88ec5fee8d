//! What a server has to offer to a sequence, besides its API.

use futures::future::BoxFuture;

/// A server on which sequences are run, in a namespace of their own.
pub(crate) trait Place: Sync {
    /// The way in.
    fn client(&self) -> kube::Client;

    /// The namespace. Its name is long enough and odd enough to be found again in answers.
    fn namespace(&self) -> &str;

    /// Makes a pod of one container `main` that runs and has printed these lines.
    fn running<'a>(&'a self, pod: &'a str, lines: &'a [String]) -> BoxFuture<'a, ()>;

    /// Waits until the server's controllers have written something at this place of an object. Where none run,
    /// there is nothing to wait for.
    fn tended<'a>(&'a self, path: &'a str, pointer: &'a str) -> BoxFuture<'a, ()>;

    /// Makes room for the next sequence: takes away what is at these paths.
    fn clear<'a>(&'a self, made: &'a [String]) -> BoxFuture<'a, ()>;
}
