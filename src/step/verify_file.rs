use super::container::{Container, Inside};
use super::file::{File, is_sha256};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note};
use crate::plan::verb::VerifyFile;
use crate::text;

/// Reads a file in a pod and compares its digest. The first mismatch is a failure at
/// once: bytes that are wrong now were wrong when they were read.
///
/// Outputs: `sha256`, `bytes`.
pub(super) async fn act(args: &VerifyFile, ctx: &StepContext) -> Result<Done, Error> {
    let wanted = ctx.get(&args.sha256)?;
    if !is_sha256(&wanted) {
        return Err(Error::new(Class::Broken, format!("`{wanted}` is no sha256 digest"))
            .expected("64 lower-case hexadecimal digits"));
    }
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
    let file = File::new(&container, ctx.get(&args.path)?)?;
    let bytes = file.size(ctx).await?;
    let found = file.sha256(ctx).await?;
    if found != wanted {
        return Err(Error::new(Class::Unmet, format!("{} has another digest than it must have", file.called()))
            .expected(format!("sha256 {wanted}"))
            .observed(format!("sha256 {found}, of {bytes} bytes")));
    }
    ctx.note(Note::text(format!("{} is as it must be: {}, sha256 {found}", file.called(), text::bytes(bytes))));
    Ok(Done::default().with("sha256", found).with("bytes", bytes))
}
