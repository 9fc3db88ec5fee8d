use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::api::AttachParams;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::ask::{ask_unless, may_be_done};
use super::container::Container;
use super::{Error, StepContext};
use crate::event::Class;

/// The streams of a command share one connection; the first byte of each message says
/// which it is (`apimachinery/pkg/util/remotecommand/constants.go`).
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;

/// Most bytes of one message to the command: what kubectl sends at once.
const PIECE: usize = 32 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What comes from a command in a container.
pub(super) struct Ears(SplitStream<Socket>);

/// What goes to it.
pub(super) struct Mouth(SplitSink<Socket, Message>);

/// One thing heard.
#[derive(Debug)]
pub(super) enum Heard {
    Stdout(Bytes),
    Stderr(Bytes),
    Ended(Ending),
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this exit code.
    Code(i32),
    /// It was never run, for this reason.
    NotRun(String),
}

/// The connection to a running command broke: whether it goes on is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) String);

/// Starts a command. Nothing was run if this fails, but for a connection that broke
/// while the answer was on its way: that is not tried again.
pub(super) async fn start(
    container: &Container,
    command: &[String],
    stdin: bool,
    ctx: &StepContext,
) -> Result<(Ears, Mouth), Error> {
    let client = ctx.client()?;
    let params = AttachParams {
        container: Some(container.name.clone()),
        stdin,
        stdout: true,
        stderr: true,
        ..AttachParams::default()
    };
    let pods = format!("/api/v1/namespaces/{}/pods", container.namespace);
    let request = kube::core::Request::new(pods)
        .exec(&container.pod, command, &params)
        .map_err(|error| Error::from_source(Class::Broken, "the command can't be asked for", error))?;
    let called = format!("EXEC pods/{}", container.pod);
    let connection = ask_unless(ctx, &called, may_be_done, || client.connect(request.clone())).await?;
    if stdin && !connection.supports_stream_close() {
        return Err(Error::new(Class::Broken, "the API server can't tell a command where its input ends")
            .expected("the exec protocol v5, which servers speak since Kubernetes 1.30"));
    }
    let (mouth, ears) = connection.into_stream().split();
    Ok((Ears(ears), Mouth(mouth)))
}

impl Ears {
    /// The next that comes. Nothing is lost when this is dropped and called again.
    pub(super) async fn hear(&mut self) -> Result<Heard, Lost> {
        let mut farewell = None;
        loop {
            let message = match self.0.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Lost(error.to_string())),
                None => {
                    let farewell = farewell.unwrap_or_else(|| "it was closed".to_owned());
                    return Err(Lost(farewell));
                }
            };
            let data = match message {
                Message::Binary(data) if !data.is_empty() => data,
                Message::Close(Some(frame)) if !frame.reason.is_empty() => {
                    farewell = Some(frame.reason.to_string());
                    continue;
                }
                _ => continue,
            };
            // The server opens each stream with an empty message.
            match data[0] {
                STDOUT if data.len() > 1 => return Ok(Heard::Stdout(data.slice(1..))),
                STDERR if data.len() > 1 => return Ok(Heard::Stderr(data.slice(1..))),
                STATUS if data.len() > 1 => {
                    return ending(&data[1..]).map(Heard::Ended);
                }
                _ => {}
            }
        }
    }
}

impl Mouth {
    /// Gives the command bytes to read; returns when they are on their way.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        for piece in bytes.chunks(PIECE) {
            self.send(STDIN, piece).await?;
        }
        Ok(())
    }

    /// Tells the command that its input has ended.
    pub(super) async fn end(&mut self) -> Result<(), Lost> {
        self.send(CLOSE, &[STDIN]).await
    }

    /// Keeps a quiet connection from being taken for a forgotten one.
    pub(super) async fn ping(&mut self) -> Result<(), Lost> {
        let sent = self.0.send(Message::Ping(Bytes::new())).await;
        sent.map_err(|error| Lost(error.to_string()))
    }

    async fn send(&mut self, channel: u8, bytes: &[u8]) -> Result<(), Lost> {
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.push(channel);
        message.extend_from_slice(bytes);
        let sent = self.0.send(Message::Binary(message.into())).await;
        sent.map_err(|error| Lost(error.to_string()))
    }
}

/// Reads the `Status` at a command's end: success, an exit code as the cause, or why it was not run.
fn ending(body: &[u8]) -> Result<Ending, Lost> {
    let status: Value =
        serde_json::from_slice(body).map_err(|error| Lost(format!("the command's status can't be read: {error}")))?;
    if status["status"] == "Success" {
        return Ok(Ending::Code(0));
    }
    let code = status["details"]["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|cause| cause["reason"] == "ExitCode")
        .and_then(|cause| cause["message"].as_str()?.parse().ok());
    Ok(match code {
        Some(code) => Ending::Code(code),
        None => Ending::NotRun(status["message"].as_str().unwrap_or("the server gives no reason").to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_an_exit_code_or_a_reason() {
        let cases = [
            (r#"{"status":"Success"}"#, Some(Ending::Code(0))),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode","message":"command terminated","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
                Some(Ending::Code(3)),
            ),
            (
                r#"{"status":"Failure","reason":"InternalError","message":"no such executable"}"#,
                Some(Ending::NotRun("no such executable".into())),
            ),
            ("{", None),
        ];
        for (body, expected) in cases {
            assert_eq!(ending(body.as_bytes()).ok(), expected, "{body}");
        }
    }
}
