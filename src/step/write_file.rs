use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use ring::digest;
use tokio::time::Instant;

use super::chance::chance;
use super::container::{Container, Inside};
use super::file::{File, hex};
use super::shell::Input;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::WriteFile;
use crate::text;

/// Bytes are made, read and hashed in pieces of this size.
const PIECE: usize = 256 << 10;

/// The shortest time between two words about progress.
const BREATH: Duration = Duration::from_millis(250);

/// Streams bytes into a file in a pod, with fsync. The digest is computed on the way
/// and compared with the file read back, whose bytes may still come from the node's
/// memory: what is on the disk shows when `verify-file` reads it in another pod, or
/// after a restart.
///
/// Outputs: `sha256`, `bytes`.
pub(super) async fn act(args: &WriteFile, ctx: &StepContext) -> Result<Done, Error> {
    let content = Content::of(args, ctx)?;
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
    let sent = Arc::new(Mutex::new(Sent::nothing()));
    file.write(|| content.stream(&sent, ctx), ctx).await?;
    let (wanted, bytes) = {
        let sent = sent.lock().expect("nobody panics while counting bytes");
        (hex(sent.digest.clone().finish().as_ref()), sent.bytes)
    };
    ctx.progress(Progress {
        say: format!("{} written, reading back", text::bytes(bytes)),
        unmet: Vec::new(),
        done: Some(bytes),
        total: Some(bytes),
    });
    let size = file.size(ctx).await?;
    let found = file.sha256(ctx).await?;
    if size != bytes || found != wanted {
        return Err(Error::new(
            Class::Unmet,
            format!("{} was written and reads back as something else", file.called()),
        )
        .expected(format!("{bytes} bytes with sha256 {wanted}"))
        .observed(format!("{size} bytes with sha256 {found}")));
    }
    ctx.note(Note::text(format!("{} written and read back: {}, sha256 {wanted}", file.called(), text::bytes(bytes))));
    Ok(Done::default().with("sha256", wanted).with("bytes", bytes))
}

/// What somebody needs to know who writes a downloaded file into a pod of the embedded cluster.
const NO_CONTENT: &str = "a file of this machine: what the embedded cluster downloads has a size and a digest and no \
                          content; on a real cluster, with `--context`, it has";

/// Where the bytes come from.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is not moved about")]
enum Content {
    Chance { from: ChaCha8Rng, size: u64 },
    Local { path: PathBuf },
}

/// What has been given to the command so far.
struct Sent {
    digest: digest::Context,
    bytes: u64,
}

impl Sent {
    fn nothing() -> Self {
        Self { digest: digest::Context::new(&digest::SHA256), bytes: 0 }
    }
}

impl Content {
    fn of(args: &WriteFile, ctx: &StepContext) -> Result<Self, Error> {
        match (ctx.get_opt(args.size.as_ref())?, ctx.get_opt(args.file.as_ref())?) {
            (Some(size), None) => Ok(Self::Chance { from: chance(ctx), size: size.0 }),
            (None, Some(file)) => Ok(Self::Local { path: ctx.path(&file) }),
            _ => Err(Error::new(Class::Broken, "this step must say what to write: either `size` or `file`")),
        }
    }

    /// The bytes from the first on, counted as they go.
    fn stream<'a>(&'a self, sent: &Arc<Mutex<Sent>>, ctx: &'a StepContext) -> Result<Input<'a>, Error> {
        let (reader, total) = self.open().map_err(|error| {
            let made_up = error.class == Class::Missing && !ctx.cluster.processes();
            if made_up { error.expected(NO_CONTENT) } else { error }
        })?;
        let sent = sent.clone();
        *sent.lock().expect("nobody panics while counting bytes") = Sent::nothing();
        let stream = stream::try_unfold((reader, Instant::now()), move |(mut reader, mut said)| {
            let sent = sent.clone();
            async move {
                let Some(bytes) = reader.next()? else {
                    return Ok(None);
                };
                let done = {
                    let mut sent = sent.lock().expect("nobody panics while counting bytes");
                    sent.digest.update(&bytes);
                    sent.bytes += bytes.len() as u64;
                    sent.bytes
                };
                if said.elapsed() >= BREATH {
                    said = Instant::now();
                    ctx.progress(Progress {
                        say: format!("{} of {}", text::bytes(done), text::bytes(total)),
                        unmet: Vec::new(),
                        done: Some(done),
                        total: Some(total),
                    });
                }
                Ok(Some((bytes, (reader, said))))
            }
        });
        Ok(stream.boxed())
    }

    fn open(&self) -> Result<(Reader, u64), Error> {
        match self {
            Self::Chance { from, size } => Ok((Reader::Chance { from: from.clone(), left: *size }, *size)),
            Self::Local { path } => {
                let opened = std::fs::File::open(path)
                    .and_then(|file| Ok((file.metadata()?.len(), file)))
                    .map_err(|error| unreadable(path, error))?;
                Ok((Reader::Local(opened.1, path.clone()), opened.0))
            }
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is not moved about")]
enum Reader {
    Chance { from: ChaCha8Rng, left: u64 },
    Local(std::fs::File, PathBuf),
}

impl Reader {
    /// The next piece. A local file is read inline: a thread for it would keep virtual time from passing.
    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = match self {
            Self::Chance { from, left } => {
                let size = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                let mut piece = vec![0; size];
                from.fill_bytes(&mut piece);
                *left -= size as u64;
                piece
            }
            Self::Local(file, path) => {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece).map_err(|error| unreadable(path, error))?;
                piece.truncate(read);
                piece
            }
        };
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let class = if error.kind() == std::io::ErrorKind::NotFound { Class::Missing } else { Class::Broken };
    Error::from_source(class, format!("the local file `{}` can't be read", path.display()), error)
}
