use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{Done, Error, StepContext};
use crate::cluster::{install_tls, reaches_out};
use crate::event::{Class, Note};
use crate::plan::verb::Http;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// The first wait before a server that can't be reached is asked again; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Most of a body.
const KEPT: usize = 1 << 20;
/// Most of a body that is shown.
const SHOWN: usize = 2000;

/// Sends one request and holds the answer against what is expected of it. A `GET` or
/// `HEAD` that reached nobody is sent again while there is time; anything else is
/// repeated only by a written `retry`.
///
/// Outputs: `status`, `body` (parsed if it is JSON, else text).
pub(super) async fn act(args: &Http, ctx: &StepContext) -> Result<Done, Error> {
    if !ctx.cluster.processes() {
        return Err(Error::new(
            Class::Missing,
            "time is virtual on this cluster, and a request is answered in real time; name a real one with `--context`",
        ));
    }
    let expected = ctx.get_opt(args.status.as_ref())?;
    let request = request(args, expected, ctx)?;
    let (status, body) = send(&request, ctx).await?;
    ctx.note(Note::pair("status", status));
    if !body.is_empty() {
        ctx.note(Note::Block { title: "body".to_owned(), text: cut(&body) });
    }
    let error = |message| Error::new(Class::Refused, message).observed(format!("{status}: {}", cut(&body)));
    let said = format!("`{} {}` answered {status}", request.method, request.shown);
    match expected {
        Some(expected) if status.as_u16() != expected => return Err(error(said).expected(format!("status {expected}"))),
        None if !status.is_success() => return Err(error(said).expected("a status of 2xx")),
        _ => {}
    }
    let value = serde_json::from_str(&body).unwrap_or(Value::String(body.clone()));
    if let Some(that) = &args.that {
        let env = ctx.env.child().with("status", status.as_u16().into()).with("body", value.clone());
        let unmet = |error: Error| Error { class: Class::Unmet, ..error }.expected(that.source());
        match that.holds(&env) {
            Ok(true) => {}
            Ok(false) => return Err(unmet(error(format!("{said}, and not what is expected of it")))),
            Err(source) => {
                let error = error(format!("{said}, of which the expectation can't be judged"));
                return Err(unmet(Error { source: Some(source.into()), ..error }));
            }
        }
    }
    Ok(Done::default().with("status", status.as_u16()).with("body", value))
}

struct Request {
    method: Method,
    /// The address without credentials.
    shown: String,
    ready: RequestBuilder,
}

fn request(args: &Http, expected: Option<u16>, ctx: &StepContext) -> Result<Request, Error> {
    let written = ctx.get(&args.url)?;
    let broken = |message: String| Error::new(Class::Broken, message);
    let url: reqwest::Url =
        written.parse().map_err(|error| broken(format!("`{written}` is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(broken(format!("`{written}` is not an address of http or https")));
    }
    let mut shown = url.clone();
    // An address with a host can always lose its credentials.
    let _ = (shown.set_username(""), shown.set_password(None));
    let method = ctx.get(&args.method)?;
    let method: Method =
        method.to_uppercase().parse().map_err(|_| broken(format!("`{method}` is not a method of HTTP")))?;
    let mut ready = client(expected)?.request(method.clone(), url);
    for (name, value) in &args.headers {
        ready = ready.header(name, ctx.get(value)?);
    }
    match (&args.body, &args.json) {
        (Some(_), Some(_)) => return Err(broken("a request has a `body` or a `json`, not both".to_owned())),
        (Some(body), None) => ready = ready.body(ctx.get(body)?),
        (None, Some(json)) => {
            ready = ready.json(&json.0.eval(&ctx.env).map_err(|error| Error::setting(error.into()))?);
        }
        (None, None) => {}
    }
    Ok(Request { method, shown: shown.to_string(), ready })
}

fn client(expected: Option<u16>) -> Result<Client, Error> {
    reaches_out("sends a request");
    install_tls();
    // Who expects a redirect wants to see it.
    let follows = !expected.is_some_and(|status| (300..400).contains(&status));
    Client::builder()
        .user_agent(concat!("lariat/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(if follows { Policy::limited(10) } else { Policy::none() })
        .build()
        .map_err(|error| Error::from_source(Class::Broken, "there is no way to make HTTP requests here", error))
}

async fn send(request: &Request, ctx: &StepContext) -> Result<(StatusCode, String), Error> {
    let what = format!("{} {}", request.method, request.shown);
    let may_repeat = matches!(request.method, Method::GET | Method::HEAD);
    let mut wait = FIRST_WAIT;
    let mut told = None;
    loop {
        let attempt = request.ready.try_clone().expect("a body that is no stream can be sent again");
        let answered = async {
            let response = attempt.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, read(response).await?))
        };
        let error = match answered.await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let said = innermost(&error);
        let passes = (error.is_connect() || error.is_timeout() || error.is_body() || error.is_request())
            && !error.is_redirect()
            && !error.is_builder();
        // Whoever would be asked again only when the time is over is not asked again.
        if !passes || !may_repeat || tokio::time::Instant::now() + wait >= ctx.deadline {
            let class = match passes {
                true => Class::Unreachable,
                false if error.is_redirect() => Class::Refused,
                false => Class::Broken,
            };
            return Err(Error::new(class, format!("`{what}` got no answer: {said}")));
        }
        if told.as_ref() != Some(&said) {
            ctx.note(Note::Retried { request: what.clone(), reason: said.clone() });
            told = Some(said);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// The body as text, but not more than is sensible.
async fn read(mut response: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(KEPT - body.len())]);
        if body.len() == KEPT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The cause at the bottom: reqwest's own sentences only repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
