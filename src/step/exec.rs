use futures::stream::{self, StreamExt as _};

use super::capture::Capture;
use super::container::{Container, Inside};
use super::shell::{self, Ran};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note};
use crate::plan::verb::Exec;
use crate::text;

/// How many lines of an output a report shows.
const REPORTED: usize = 40;

/// Runs a command in a pod's container. It is not repeated by itself, since nobody
/// knows what running it twice would do: a written `retry` says so.
///
/// Outputs: `stdout` and `stderr` (without the newline at the end; of more than a
/// megabyte the beginning and the end), `code`.
pub(super) async fn act(args: &Exec, ctx: &StepContext) -> Result<Done, Error> {
    let command = ctx.get(&args.command)?;
    if command.is_empty() {
        return Err(Error::new(Class::Broken, "`command` is empty"));
    }
    let stdin = ctx.get_opt(args.stdin.as_ref())?;
    let container = Container::find(
        Inside {
            on: args.on.as_ref(),
            pod: args.pod.as_ref(),
            namespace: args.namespace.as_ref(),
            container: args.container.as_ref(),
        },
        ctx,
    )
    .await?;
    ctx.note(Note::pair("container", &container));
    let input = stdin.map(|text| stream::iter([Ok(text.into_bytes().into())]).boxed());
    let ran = shell::run(&container, &command, input, ctx).await?;
    ctx.note(Note::pair("exit code", ran.code));
    if ran.left_input {
        ctx.note(Note::text("it ended before it had read all of its input"));
    }
    report("stdout", &ran.stdout, ctx);
    report("stderr", &ran.stderr, ctx);
    if !args.codes.contains(&ran.code) {
        return Err(wrong_code(&ran, &container, &args.codes));
    }
    Ok(Done::default().with("stdout", trimmed(&ran.stdout)).with("stderr", trimmed(&ran.stderr)).with("code", ran.code))
}

fn wrong_code(ran: &Ran, container: &Container, codes: &[i32]) -> Error {
    let codes: Vec<String> = codes.iter().map(i32::to_string).collect();
    ran.error(Class::Unmet, format!("`{}` in {container} ended with exit code {}", ran.shown, ran.code))
        .expected(format!("exit code {}", text::or(&codes)))
}

/// An output as a value: text, without the newline that ends its last line.
fn trimmed(output: &Capture) -> String {
    let mut text = output.text();
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Shows the end of an output.
fn report(name: &str, output: &Capture, ctx: &StepContext) {
    let lines = output.last_lines(REPORTED);
    if lines.is_empty() {
        return;
    }
    let all = output.text().lines().filter(|line| !line.trim().is_empty()).count();
    let title = if output.lost() > 0 || all > lines.len() {
        format!("{name}, its last {}", text::count(lines.len(), "line"))
    } else {
        name.to_owned()
    };
    ctx.note(Note::Block { title, text: lines.join("\n") });
}
