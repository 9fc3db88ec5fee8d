use std::time::Duration;

use super::{Done, Error, StepContext};
use crate::cluster::Wanted;
use crate::event::{Note, Progress};
use crate::plan::verb::Download;

/// Fetches a file into the cache, checked by what is known of it.
///
/// Outputs: `path`, `sha512`, `bytes`, and `sha256` if one was asked for.
pub(super) async fn act(args: &Download, ctx: &StepContext) -> Result<Done, Error> {
    let mut urls = vec![ctx.get(&args.url)?];
    urls.extend(ctx.get(&args.mirrors)?);
    let digest = |setting| Ok::<_, Error>(ctx.get_opt(setting)?.filter(|digest: &String| !digest.is_empty()));
    let wanted = Wanted {
        urls,
        sha512: digest(args.sha512.as_ref())?,
        sha256: digest(args.sha256.as_ref())?,
        bytes: ctx.get_opt(args.size.as_ref())?.map(|bytes| bytes.0),
    };
    let began = tokio::time::Instant::now();
    let progress = |done, total: Option<u64>| {
        let of = total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
        ctx.progress(Progress { say: format!("{}{of}", size(done)), done: Some(done), total, ..Progress::default() });
    };
    let fetched = ctx.cluster.fetch().fetch(&wanted, &progress).await?;
    match &fetched.from {
        Some(url) => {
            ctx.note(Note::pair("from", url));
            ctx.note(Note::pair("rate", rate(fetched.bytes, began.elapsed())));
        }
        None => ctx.note(Note::text("it was in the cache, and still has the same digest")),
    }
    if fetched.resumed > 0 {
        ctx.note(Note::pair("resumed", fetched.resumed));
    }
    ctx.note(Note::pair("size", format!("{} bytes", fetched.bytes)));
    ctx.note(Note::pair("SHA-512", &fetched.sha512));
    if wanted.sha512.is_none() && wanted.sha256.is_none() {
        ctx.note(Note::text("no digest was asked for, so that nothing vouches for the file but its server"));
    }
    let done = Done::default()
        .with("path", fetched.path.to_string_lossy())
        .with("sha512", fetched.sha512)
        .with("bytes", fetched.bytes);
    Ok(match fetched.sha256 {
        Some(sha256) => done.with("sha256", sha256),
        None => done,
    })
}

/// A size as people read it: `512 B`, `1.2 MiB`.
fn size(bytes: u64) -> String {
    let mut unit = "B";
    let (mut whole, mut tenth) = (bytes, 0);
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (whole, tenth, unit) = (whole / 1024, whole % 1024 * 10 / 1024, larger);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenth} {unit}") }
}

fn rate(bytes: u64, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{}/s", size(bytes.saturating_mul(1000) / millis))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::alone::{Alone, told};
    use super::*;
    use crate::event::Class;

    #[tokio::test]
    async fn a_file_and_what_is_known_of_it() {
        let server = MockServer::start().await;
        Mock::given(path("/file"))
            .respond_with(ResponseTemplate::new(200).set_body_string("hello"))
            .mount(&server)
            .await;
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let arguments = |sha256: &str| {
            let (gone, there) = (format!("{}/gone", server.uri()), format!("{}/file", server.uri()));
            json!({ "url": gone, "mirrors": [there], "sha512": "", "sha256": sha256, "size": "5" })
        };
        let mut alone = Alone::new();
        let done = alone.act::<Download>(arguments(sha256), |args, ctx| act(args, ctx).boxed()).await.unwrap();
        assert_eq!(std::fs::read_to_string(done.outputs["path"].as_str().unwrap()).unwrap(), "hello");
        assert_eq!((&done.outputs["bytes"], &done.outputs["sha256"]), (&json!(5), &json!(sha256)));
        let notes = alone.notes();
        assert!(notes.starts_with(&format!("from: {}/file\nrate: ", server.uri())), "{notes}");
        assert_eq!(alone.progress().last().unwrap().say, "5 B of 5 B");
        alone.act::<Download>(arguments(sha256), |args, ctx| act(args, ctx).boxed()).await.unwrap();
        assert!(alone.notes().contains("it was in the cache"));

        let wrong = alone.act::<Download>(arguments(&"0".repeat(64)), |args, ctx| act(args, ctx).boxed()).await;
        let error = wrong.unwrap_err();
        assert_eq!(error.class, Class::Unmet);
        assert!(told(error).contains(&format!("has the SHA-256 {sha256}, expected 0000")));
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1023, 1024, 1536, 1_048_575, 1_048_576, 5 << 30, u64::MAX];
        assert_eq!(
            sizes.map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "1.0 MiB", "5.0 GiB", "16777215.9 TiB"]
        );
        assert_eq!(rate(3 << 20, Duration::from_millis(1500)), "2.0 MiB/s");
        assert_eq!(rate(1, Duration::ZERO), "1000 B/s");
    }
}
