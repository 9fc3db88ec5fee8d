use super::Event;

/// Where events go. An answer of `Ok` means *written*: whoever said the event
/// may act on it.
pub trait Sink: Send {
    /// Takes one event; returns once it is written.
    fn put(&mut self, event: &Event) -> Result<(), NotWritten>;
}

/// The stream could not be kept: the cluster may finish safely, the verdict is spoilt.
#[derive(Debug, thiserror::Error)]
#[error("the event was not written: {0}")]
pub struct NotWritten(pub String);

impl Sink for Vec<Event> {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        self.push(event.clone());
        Ok(())
    }
}
