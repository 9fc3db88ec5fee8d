use std::time::Duration;

use kube::core::Status;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Error, StepContext};
use crate::event::{Class, Note};
use crate::text;

/// The first wait before a refused request is sent again; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest such wait, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The longest time until one request is answered. An API server ends what takes it
/// longer than a minute (`--request-timeout`); beyond that nobody is there.
const ANSWER: Duration = Duration::from_secs(65);

/// Sends a request until it gets a definite answer or the step's time is over.
///
/// What passes by itself while a system is disrupted (no connection, 429, 5xx, an
/// admission webhook without endpoints) is sent again, and each such refusal is
/// left as evidence. There is no jitter: one client does not need it, and runs can be compared.
pub(super) async fn ask<T, E, F>(ctx: &StepContext, request: &str, send: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, E>>,
    Answer: From<E>,
{
    patiently(ctx, request, None, send).await
}

/// As `ask`, for what must not be done twice: it is not sent again after an error by
/// which it may have been done, nor when there is no answer at all.
pub(super) async fn ask_unless<T, E, F>(
    ctx: &StepContext,
    request: &str,
    done: fn(&E) -> bool,
    send: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, E>>,
    Answer: From<E>,
{
    patiently(ctx, request, Some(done), send).await
}

async fn patiently<T, E, F>(
    ctx: &StepContext,
    request: &str,
    done: Option<fn(&E) -> bool>,
    mut send: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, E>>,
    Answer: From<E>,
{
    let began = Instant::now();
    let mut wait = FIRST_WAIT;
    let mut refusals: Vec<String> = Vec::new();
    let mut count = 0_usize;
    loop {
        let now = Instant::now();
        let until = ctx.deadline.min(now + ANSWER);
        let Answer { class, said, again } = match timeout_at(until, send()).await {
            Ok(Ok(answer)) => {
                if count > 1 {
                    let spent = text::duration(began.elapsed());
                    ctx.note(Note::text(format!("{request} was answered after {count} refusals, in {spent}")));
                }
                return Ok(answer);
            }
            Ok(Err(error)) if done.is_some_and(|done| done(&error)) => Answer { again: None, ..Answer::from(error) },
            Ok(Err(error)) => Answer::from(error),
            Err(_) => Answer {
                class: Class::Unreachable,
                said: format!("the API server did not answer within {}", text::duration(until - now)),
                again: done.is_none().then_some(None),
            },
        };
        let Some(asked) = again else {
            return Err(Error::new(class, format!("{request}: {said}")));
        };
        count += 1;
        if !refusals.contains(&said) {
            ctx.note(Note::Retried { request: request.to_owned(), reason: said.clone() });
            refusals.push(said);
        }
        let next = Instant::now() + asked.unwrap_or(wait);
        if next >= ctx.deadline {
            sleep_until(ctx.deadline).await;
            let mut error = Error::new(
                class,
                format!(
                    "{request}: no definite answer within {}, after {}",
                    text::duration(ctx.timeout),
                    text::count(count, "refusal")
                ),
            );
            error.observed = refusals;
            return Err(error);
        }
        sleep_until(next).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// As `ask`, but an object that is not there is an answer.
pub(super) async fn ask_opt<T, F>(
    ctx: &StepContext,
    request: &str,
    mut send: impl FnMut() -> F,
) -> Result<Option<T>, Error>
where
    F: Future<Output = kube::Result<T>>,
{
    ask(ctx, request, || {
        let sent = send();
        async {
            match sent.await {
                Ok(found) => Ok(Some(found)),
                Err(kube::Error::Api(status)) if is_not_found(&status) => Ok(None),
                Err(error) => Err(error),
            }
        }
    })
    .await
}

/// Whether an object is not there. A kind that is not served is another matter:
/// such a 404 names no object.
pub(super) fn is_not_found(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

/// Whether a request that failed may have reached a server all the same.
pub(super) fn may_be_done(error: &kube::Error) -> bool {
    match error {
        kube::Error::Service(error) => {
            error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| !error.is_connect())
        }
        kube::Error::HyperError(_) => true,
        _ => false,
    }
}

/// An answer other than success.
#[expect(clippy::option_option, reason = "whether to ask again, and then whether the server says when")]
pub(super) struct Answer {
    class: Class,
    said: String,
    /// Whether it passes, and how long the server asks to wait.
    again: Option<Option<Duration>>,
}

impl From<kube::Error> for Answer {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::status(&status),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self { class: Class::Unreachable, said: text::causes(&error), again: Some(None) }
            }
            kube::Error::Auth(_) => Self { class: Class::Forbidden, said: text::causes(&error), again: None },
            other => Self { class: Class::Broken, said: text::causes(&other), again: None },
        }
    }
}

impl From<crate::record::Error> for Answer {
    fn from(error: crate::record::Error) -> Self {
        Self { class: error.class(), said: error.to_string(), again: error.passes().then_some(None) }
    }
}

impl Answer {
    fn status(status: &Status) -> Self {
        let after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
        let after = after.map(|seconds| Duration::from_secs(seconds.into()));
        // An admission webhook that can't be reached is answered with 500, or 503 before its first endpoint.
        let passes =
            status.code == 429 || status.code >= 500 || status.reason == "Timeout" || status.reason == "ServerTimeout";
        let class = match status.code {
            // The server is there and says what it waits for: a budget that never allows it is a definite answer.
            429 if is_budget(status) => Class::Timeout,
            401 | 403 if !is_admission(status) => Class::Forbidden,
            404 if is_not_found(status) => Class::Missing,
            429 | 500.. => Class::Unreachable,
            _ => Class::Refused,
        };
        let said = if status.message.is_empty() { format!("HTTP {}", status.code) } else { status.message.clone() };
        Self { class, said, again: passes.then_some(after) }
    }
}

/// Whether a disruption budget does not allow an eviction for now.
fn is_budget(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "DisruptionBudget"))
}

/// Whether a webhook or policy said no: that answer is about the object, not about who asks.
fn is_admission(status: &Status) -> bool {
    status.message.contains("admission webhook") || status.message.contains("ValidatingAdmissionPolicy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Answer {
        Answer::status(&Status {
            code,
            reason: reason.into(),
            message: message.into(),
            status: None,
            metadata: None,
            details: None,
        })
    }

    #[test]
    fn answers_pass_or_are_definite() {
        let table = [
            (status(429, "TooManyRequests", ""), Class::Unreachable, true),
            (status(500, "InternalError", "failed calling webhook: no endpoints available"), Class::Unreachable, true),
            (status(503, "ServiceUnavailable", ""), Class::Unreachable, true),
            (status(403, "Forbidden", "pods is forbidden"), Class::Forbidden, false),
            (status(403, "Forbidden", "admission webhook \"a\" denied the request"), Class::Refused, false),
            (status(409, "Conflict", ""), Class::Refused, false),
            (status(422, "Invalid", ""), Class::Refused, false),
        ];
        for (answer, class, passes) in table {
            assert_eq!((answer.class, answer.again.is_some()), (class, passes), "{}", answer.said);
        }
    }
}
