use std::time::Duration;

use kube::core::Status;

use super::{Error, StepContext};
use crate::event::{Class, Note};

/// The first wait before a refused request is sent again; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest such wait, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Sends a request until it gets a definite answer or the step's time is over.
///
/// What passes by itself while a system is disrupted (no connection, 429, 5xx, an
/// admission webhook without endpoints) is sent again, and each such refusal is
/// left as evidence. There is no jitter: one client does not need it, and runs can be compared.
pub(super) async fn ask<T, F>(
    ctx: &StepContext,
    request: &str,
    mut send: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut wait = FIRST_WAIT;
    let mut refused: Option<String> = None;
    loop {
        let answer = match tokio::time::timeout_at(ctx.deadline, send()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Answer::of(error),
            Err(_) => {
                let why = refused.unwrap_or_else(|| "the API server did not answer".to_owned());
                return Err(Error::new(
                    Class::Unreachable,
                    format!("{request}: no definite answer in time"),
                )
                .observed(why));
            }
        };
        let Answer { class, said, again } = answer;
        let Some(asked) = again else {
            return Err(Error::new(class, format!("{request}: {said}")));
        };
        if refused.as_ref() != Some(&said) {
            ctx.note(Note::Retried {
                request: request.to_owned(),
                reason: said.clone(),
            });
        }
        refused = Some(said);
        tokio::time::sleep(asked.unwrap_or(wait)).await;
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
    status.code == 404
        && status
            .details
            .as_ref()
            .is_some_and(|details| !details.name.is_empty())
}

/// An answer other than success.
struct Answer {
    class: Class,
    said: String,
    /// Whether it passes, and how long the server asks to wait.
    again: Option<Option<Duration>>,
}

impl Answer {
    fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::status(&status),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self {
                    class: Class::Unreachable,
                    said: chain(&error),
                    again: Some(None),
                }
            }
            kube::Error::Auth(_) => Self {
                class: Class::Forbidden,
                said: chain(&error),
                again: None,
            },
            other => Self {
                class: Class::Broken,
                said: chain(&other),
                again: None,
            },
        }
    }

    fn status(status: &Status) -> Self {
        let after = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0);
        let after = after.map(|seconds| Duration::from_secs(seconds.into()));
        // An admission webhook that can't be reached is answered with 500, or 503 before its first endpoint.
        let passes = status.code == 429
            || status.code >= 500
            || status.reason == "Timeout"
            || status.reason == "ServerTimeout";
        let class = match status.code {
            401 | 403 if !is_admission(status) => Class::Forbidden,
            429 | 500.. => Class::Unreachable,
            _ => Class::Refused,
        };
        let said = if status.message.is_empty() {
            format!("HTTP {}", status.code)
        } else {
            status.message.clone()
        };
        Self {
            class,
            said,
            again: passes.then_some(after),
        }
    }
}

/// Whether a webhook or policy said no: that answer is about the object, not about who asks.
fn is_admission(status: &Status) -> bool {
    status.message.contains("admission webhook")
        || status.message.contains("ValidatingAdmissionPolicy")
}

/// An error with its causes in one line; each part once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = String::new();
    let mut at = Some(error);
    while let Some(error) = at {
        at = error.source();
        // kube's errors end with the text of their source.
        if at.is_some_and(|below| error.to_string().ends_with(&below.to_string())) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&error.to_string());
    }
    said
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
            (
                status(
                    500,
                    "InternalError",
                    "failed calling webhook: no endpoints available",
                ),
                Class::Unreachable,
                true,
            ),
            (
                status(503, "ServiceUnavailable", ""),
                Class::Unreachable,
                true,
            ),
            (
                status(403, "Forbidden", "pods is forbidden"),
                Class::Forbidden,
                false,
            ),
            (
                status(
                    403,
                    "Forbidden",
                    "admission webhook \"a\" denied the request",
                ),
                Class::Refused,
                false,
            ),
            (status(409, "Conflict", ""), Class::Refused, false),
            (status(422, "Invalid", ""), Class::Refused, false),
        ];
        for (answer, class, passes) in table {
            assert_eq!(
                (answer.class, answer.again.is_some()),
                (class, passes),
                "{}",
                answer.said
            );
        }
    }
}
