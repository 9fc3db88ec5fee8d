//! exec over a WebSocket, in the protocol of kubelets: one channel a stream, a `Status` at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::call::Call;
use super::container;
use super::handler::{Body, respond};
use super::program::{Answer, Exec, Program, Says, Talk};
use super::state::State;
use super::status::Refusal;

/// The one protocol spoken. Since v5 a client can say that its input ends.
const PROTOCOL: &str = "v5.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;

/// A command that is about to run.
#[expect(clippy::struct_excessive_bools, reason = "these are the four switches of the request")]
pub(crate) struct Session {
    exec: Exec,
    program: Arc<dyn Program>,
    /// With a terminal there is one output, and the input does not end.
    tty: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    /// Changes when the server goes away, and the connection with it.
    outages: watch::Receiver<u64>,
    /// Closes when the container ends.
    alive: Option<watch::Receiver<()>>,
}

/// Checks that the pod can run the command and finds who answers it.
pub(crate) fn open(state: &State, call: &Call) -> Result<Session, Refusal> {
    let pod = state
        .store
        .get(&call.resource.drawer(), &call.key())
        .ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    let container = container::pick(pod, call.query.text("container"))?;
    if pod.at(&["spec", "nodeName"]).and_then(Value::as_str).unwrap_or_default().is_empty() {
        return Err(Refusal::bad_request(format!("pod {} does not have a host assigned", pod.name())));
    }
    let exec = Exec {
        namespace: call.namespace.clone(),
        pod: pod.name().to_owned(),
        container: container.name,
        image: container.image,
        command: call.query.texts("command").to_vec(),
        stdin: Vec::new(),
    };
    let entered = match state.programs.kubelets.as_ref().and_then(|kubelets| kubelets.enter(&exec)) {
        Some(Ok(entered)) => Some(entered),
        Some(Err(why)) => return Err(Refusal::unknown(format!("unable to upgrade connection: {why}"))),
        None => None,
    };
    let alive = entered.as_ref().map(|entered| entered.alive.clone());
    let program = state
        .programs
        .find(&exec)
        .or(entered.map(|entered| entered.program))
        .ok_or_else(|| Refusal::no_program(&exec.image))?;
    let flag = |name| call.query.flag(name);
    Ok(Session {
        exec,
        program,
        tty: flag("tty"),
        stdin: flag("stdin"),
        stdout: flag("stdout"),
        stderr: flag("stderr"),
        outages: state.outages.subscribe(),
        alive,
    })
}

/// Answers the request for an upgrade and runs the command on the connection that follows.
pub(crate) fn answer(session: Session, parts: &Parts, upgrade: Option<OnUpgrade>) -> Response<Body> {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (Some(upgrade), true) = (upgrade, text(header::UPGRADE).eq_ignore_ascii_case("websocket")) else {
        let refusal = Refusal::bad_request("Upgrade request required");
        return respond(400, "application/json", refusal.body().to_string());
    };
    let key = text(header::SEC_WEBSOCKET_KEY).to_owned();
    if !text(header::SEC_WEBSOCKET_PROTOCOL).split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        let refusal = Refusal::bad_request(format!("the embedded API server speaks {PROTOCOL} alone"));
        return respond(400, "application/json", refusal.body().to_string());
    }
    tokio::spawn(async move {
        // A client that goes away before or during the command needs no answer.
        if let Ok(connection) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
            let mut outages = session.outages.clone();
            tokio::select! {
                biased;
                _ = outages.changed() => {}
                _ = run(session, socket) => {}
            }
        }
    });
    let mut response = respond(200, "application/json", String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a legal header");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    response
}

type Failed = tokio_tungstenite::tungstenite::Error;

async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    mut session: Session,
    mut socket: WebSocketStream<S>,
) -> Result<(), Failed> {
    let mut alive = session.alive.take();
    let ended = async {
        match &mut alive {
            // Nothing is ever sent: it only closes.
            Some(alive) => while alive.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    };
    let killed = tokio::select! {
        biased;
        done = carry_out(session, &mut socket) => return done,
        () = ended => Answer::fails(137, ""),
    };
    finish(&killed, &mut socket).await
}

async fn carry_out<S: AsyncRead + AsyncWrite + Unpin>(
    mut session: Session,
    socket: &mut WebSocketStream<S>,
) -> Result<(), Failed> {
    if let Some(talk) = session.program.talk(&session.exec) {
        return if converse(talk, socket).await? { finish(&Answer::default(), socket).await } else { Ok(()) };
    }
    if session.stdin && !session.tty && !read_stdin(&mut session.exec.stdin, socket).await? {
        return Ok(());
    }
    let answer = session.program.exec(&session.exec);
    if !elapse(answer.takes, socket).await? {
        return Ok(());
    }
    if session.stdout {
        send(socket, STDOUT, &answer.stdout).await?;
    }
    if session.stderr || session.tty {
        send(socket, if session.tty { STDOUT } else { STDERR }, &answer.stderr).await?;
    }
    finish(&answer, socket).await
}

/// Tells how a command ended.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    answer: &Answer,
    socket: &mut WebSocketStream<S>,
) -> Result<(), Failed> {
    send(socket, STATUS, status(answer).to_string().as_bytes()).await?;
    // Without the code 1000 kubectl takes the end for an error of its own.
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

/// Lets a command answer while it reads, until its input ends; false when the client has gone.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut talk: Box<dyn Talk>,
    socket: &mut WebSocketStream<S>,
) -> Result<bool, Failed> {
    let mut says: VecDeque<Says> = VecDeque::new();
    let mut next: Option<(Instant, Vec<u8>)> = None;
    loop {
        while next.is_none()
            && let Some(first) = says.front_mut()
        {
            match first.next() {
                Some((after, text)) => next = Some((Instant::now() + after, text)),
                None => drop(says.pop_front()),
            }
        }
        let due = next.as_ref().map(|(at, _)| *at);
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = socket.next() => match message {
                None => return Ok(false),
                Some(message) => match message? {
                    Message::Binary(data) => match data.split_first() {
                        Some((&STDIN, rest)) => says.push_back(talk.hear(rest)),
                        Some((&CLOSE, &[STDIN])) => return Ok(true),
                        _ => {}
                    },
                    Message::Close(_) => return Ok(false),
                    _ => {}
                },
            },
            () = due => {
                if let Some((_, text)) = next.take() {
                    send(socket, STDOUT, &text).await?;
                }
            }
        }
    }
}

/// Reads the standard input to its end; false when the client has gone.
async fn read_stdin<S: AsyncRead + AsyncWrite + Unpin>(
    stdin: &mut Vec<u8>,
    socket: &mut WebSocketStream<S>,
) -> Result<bool, Failed> {
    while let Some(message) = socket.next().await {
        match message? {
            Message::Binary(data) => match data.split_first() {
                Some((&STDIN, rest)) => stdin.extend_from_slice(rest),
                Some((&CLOSE, &[STDIN])) => return Ok(true),
                _ => {}
            },
            Message::Close(_) => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}

/// Lets the command take its time; false when the client went away first.
async fn elapse<S: AsyncRead + AsyncWrite + Unpin>(
    takes: Option<Duration>,
    socket: &mut WebSocketStream<S>,
) -> Result<bool, Failed> {
    let over = async {
        match takes {
            Some(takes) => tokio::time::sleep(takes).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = &mut over => return Ok(true),
            message = socket.next() => match message {
                None | Some(Ok(Message::Close(_))) => return Ok(false),
                Some(message) => { message?; }
            },
        }
    }
}

/// Sends bytes on a channel, in pieces that every client takes.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    channel: u8,
    bytes: &[u8],
) -> Result<(), Failed> {
    for piece in bytes.chunks(32 * 1024) {
        let mut message = Vec::with_capacity(piece.len() + 1);
        message.push(channel);
        message.extend_from_slice(piece);
        socket.send(Message::Binary(Bytes::from(message))).await?;
    }
    Ok(())
}

/// How a kubelet reports the end of a command.
fn status(answer: &Answer) -> Value {
    if answer.code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    let code = answer.code;
    json!({
        "metadata": {}, "status": "Failure",
        "message": format!(
            "command terminated with non-zero exit code: command terminated with exit code {code}"
        ),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}
