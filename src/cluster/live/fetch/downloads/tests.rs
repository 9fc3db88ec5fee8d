use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::cluster::live::server::{Reply, Server, serve};

const TAG: &str = "\"v1\"";

fn file() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn sums_of(bytes: &[u8]) -> Sums {
    let mut digests = super::super::Digests::new(true);
    digests.update(bytes);
    digests.finish()
}

fn downloads(cache: &Path) -> Downloads {
    let patience = Patience {
        connect: Duration::from_secs(5),
        silence: Duration::from_millis(300),
        waits: vec![Duration::from_millis(10); 3],
    };
    Downloads::with_patience(cache.to_owned(), "lariat/test", patience)
}

fn wanted(url: String) -> Wanted {
    Wanted { urls: vec![url], ..Wanted::default() }
}

async fn fetch(cache: &Path, wanted: &Wanted) -> Result<Fetched, FetchError> {
    downloads(cache).fetch(wanted, &|_, _| {}).await
}

/// The sentence of a failed fetch, with the server's port and what differs between runs taken out.
async fn refused(wanted: &Wanted) -> (Class, String) {
    let cache = tempfile::tempdir().unwrap();
    let error = fetch(cache.path(), wanted).await.expect_err("nothing is to be had");
    let left: Vec<_> = walk(cache.path()).into_iter().filter(|path| path.contains("/sha512/")).collect();
    assert!(left.is_empty(), "a failed fetch keeps no whole file: {left:?}");
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    let message = error.message.replace(&*cache.path().to_string_lossy(), "CACHE");
    (error.class, port.replace_all(&message, "HOST").into_owned())
}

fn walk(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(walk(&entry.path()));
        } else {
            all.push(entry.path().to_string_lossy().into_owned());
        }
    }
    all
}

fn is_partial(path: &str) -> bool {
    path.contains("/partial/") && !path.contains(".json")
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let server = Server::of_file(TAG, file()).await;
    let cache = tempfile::tempdir().unwrap();
    let sums = sums_of(&file());
    let wanted = Wanted {
        sha512: Some(sums.sha512.to_uppercase()),
        sha256: sums.sha256.clone(),
        bytes: Some(sums.bytes),
        ..wanted(server.url("/f"))
    };
    let last = AtomicU64::new(0);
    let progress = |done, _| last.store(done, Ordering::Relaxed);
    let first = downloads(cache.path()).fetch(&wanted, &progress).await.unwrap();
    assert_eq!(last.into_inner(), sums.bytes);
    assert_eq!(fs::read(&first.path).unwrap(), file());
    assert_eq!((first.sha512.as_str(), first.bytes, first.resumed), (sums.sha512.as_str(), sums.bytes, 0));
    assert_eq!(first.from, Some(server.url("/f")));
    let again = fetch(cache.path(), &wanted).await.unwrap();
    let by_sha256 = Wanted { sha512: None, ..wanted };
    let by_sha256 = fetch(cache.path(), &by_sha256).await.unwrap();
    assert_eq!([&again.from, &by_sha256.from], [&None, &None]);
    assert_eq!([&again.path, &by_sha256.path], [&first.path, &first.path]);
    assert_eq!(server.heard().len(), 1);
    let asked = &server.heard()[0];
    assert_eq!((asked.header("user-agent"), asked.header("accept-encoding")), (Some("lariat/test"), Some("identity")));
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again() {
    let server = Server::of_file(TAG, file()).await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = Wanted { sha512: Some(sums_of(&file()).sha512), ..wanted(server.url("/f")) };
    let first = fetch(cache.path(), &wanted).await.unwrap();
    fs::write(&first.path, "bit rot").unwrap();
    let second = fetch(cache.path(), &wanted).await.unwrap();
    assert!(second.from.is_some());
    assert_eq!(fs::read(second.path).unwrap(), file());
}

#[tokio::test]
async fn without_a_digest_the_server_is_asked_whether_it_changed() {
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    let server = Server::start(move |asked, _| {
        let version = now.load(Ordering::Relaxed);
        serve(asked, &format!("\"v{version}\""), format!("version {version}").as_bytes())
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = wanted(server.url("/f"));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let fetched = fetch(cache.path(), &wanted).await.unwrap();
        seen.push((fs::read_to_string(fetched.path).unwrap(), fetched.from.is_some()));
    }
    version.store(2, Ordering::Relaxed);
    let fetched = fetch(cache.path(), &wanted).await.unwrap();
    seen.push((fs::read_to_string(fetched.path).unwrap(), fetched.from.is_some()));
    assert_eq!(seen, [("version 1".to_owned(), true), ("version 1".to_owned(), false), ("version 2".to_owned(), true)]);
}

#[tokio::test]
async fn a_short_body_is_gone_on_with() {
    let server = Server::start(|asked, nth| match nth {
        0 => Reply::new("200 OK").header("etag", TAG).cut(&file(), 500_000),
        1 => Reply { body: file()[500_000..700_000].to_vec(), ..serve(asked, TAG, &file()) },
        _ => serve(asked, TAG, &file()),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = Wanted { sha512: Some(sums_of(&file()).sha512), ..wanted(server.url("/f")) };
    let fetched = fetch(cache.path(), &wanted).await.unwrap();
    assert_eq!((fetched.resumed, fs::read(fetched.path).unwrap()), (2, file()));
    let ranges: Vec<_> = server
        .heard()
        .iter()
        .map(|asked| format!("{:?} {:?}", asked.header("range"), asked.header("if-range")))
        .collect();
    assert_eq!(
        ranges,
        ["None None", "Some(\"bytes=500000-\") Some(\"\\\"v1\\\"\")", "Some(\"bytes=700000-\") Some(\"\\\"v1\\\"\")"]
    );
}

#[tokio::test]
async fn a_dropped_fetch_is_gone_on_with_by_the_next() {
    let server = Server::start(|asked, nth| match nth {
        0 => Reply {
            pause: Some(Duration::from_mins(1)),
            ..Reply::new("200 OK").header("etag", TAG).body(&vec![7; 4 << 20])
        },
        _ => serve(asked, TAG, &vec![7; 4 << 20]),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = wanted(server.url("/f"));
    let half = async {
        let size = || fs::metadata(walk(cache.path()).iter().find(|path| is_partial(path))?).ok();
        while size().is_none_or(|file| file.len() == 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Patience { silence: Duration::from_secs(30), ..Patience::default() };
    let first = Downloads::with_patience(cache.path().to_owned(), "lariat/test", patience);
    tokio::select! {
        biased;
        _ = first.fetch(&wanted, &|_, _| {}) => panic!("the server stops half-way"),
        () = half => {}
    }
    let fetched = fetch(cache.path(), &wanted).await.unwrap();
    assert_eq!((fetched.bytes, fetched.resumed), (4 << 20, 1));
}

#[tokio::test]
async fn a_file_that_changed_in_between_starts_again() {
    let server = Server::start(|asked, nth| match nth {
        0 => Reply::new("200 OK").header("etag", TAG).cut(&file(), 500_000),
        _ => serve(asked, "\"v2\"", b"the new version"),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch(cache.path(), &wanted(server.url("/f"))).await.unwrap();
    assert_eq!((fs::read(&fetched.path).unwrap().as_slice(), fetched.resumed), (b"the new version".as_slice(), 0));
}

#[tokio::test]
async fn a_part_of_another_version_is_not_taken() {
    // A server that does not know If-Range.
    let server = Server::start(|asked, nth| match (nth, asked.header("range")) {
        (0, _) => Reply::new("200 OK").header("etag", TAG).cut(&file(), 500_000),
        (_, Some(_)) => Reply::new("206 Partial Content")
            .header("etag", "\"v2\"")
            .header("content-range", "bytes 500000-1199999/1200000")
            .body(&vec![0; 700_000]),
        (_, None) => serve(asked, "\"v2\"", b"the new version"),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch(cache.path(), &wanted(server.url("/f"))).await.unwrap();
    assert_eq!(fs::read(&fetched.path).unwrap(), b"the new version");
}

#[tokio::test]
async fn a_server_without_validators_starts_again() {
    let server = Server::start(|_, nth| match nth {
        0 => Reply::new("200 OK").cut(&file(), 500_000),
        _ => Reply::new("200 OK").body(&file()),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch(cache.path(), &wanted(server.url("/f"))).await.unwrap();
    assert_eq!((fetched.bytes, fetched.resumed), (1_200_000, 0));
    assert!(server.heard().iter().all(|asked| asked.header("range").is_none()));
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    let server = Server::start(|asked, nth| match nth {
        0 => Reply::new("503 Service Unavailable").header("retry-after", "0"),
        1 => Reply::new("429 Too Many Requests").header("retry-after", "0"),
        _ => serve(asked, TAG, b"at last"),
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    assert_eq!(fetch(cache.path(), &wanted(server.url("/f"))).await.unwrap().bytes, 7);
}

#[tokio::test]
async fn mirrors_are_asked_in_order() {
    let none = Server::start(|_, _| Reply::new("404 Not Found")).await;
    let good = Server::of_file(TAG, file()).await;
    let never = Server::of_file(TAG, file()).await;
    let cache = tempfile::tempdir().unwrap();
    let urls = [&none, &good, &never].map(|server| server.url("/f")).to_vec();
    let fetched = fetch(cache.path(), &Wanted { urls, ..Wanted::default() }).await.unwrap();
    assert_eq!(fetched.from, Some(good.url("/f")));
    assert_eq!([none.heard().len(), never.heard().len()], [1, 0]);
}

#[tokio::test]
async fn who_wants_the_same_waits_for_it() {
    let server =
        Server::start(|asked, _| Reply { pause: Some(Duration::from_millis(200)), ..serve(asked, TAG, &file()) }).await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = Wanted { sha512: Some(sums_of(&file()).sha512), ..wanted(server.url("/f")) };
    let (one, two) = tokio::join!(fetch(cache.path(), &wanted), fetch(cache.path(), &wanted));
    assert_eq!(one.unwrap().path, two.unwrap().path);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_definite_no() {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/loop" => Reply::new("302 Found").header("location", "/loop"),
        "/part" => Reply::new("206 Partial Content").header("content-range", "bytes 0-4/5").body(b"hello"),
        "/hello" => Reply::new("200 OK").header("etag", TAG).body(b"hello"),
        _ => Reply::new("404 Not Found").body(b"no"),
    })
    .await;
    let at = |path: &str| wanted(server.url(path));
    let said = async |wanted: Wanted| {
        let (class, message) = refused(&wanted).await;
        format!("{class}: {message}")
    };
    insta::assert_snapshot!(said(at("/nothing")).await, @"refused: `http://HOST/nothing` answered 404 Not Found");
    insta::assert_snapshot!(said(at("/loop")).await, @"refused: `http://HOST/loop` leads nowhere: too many redirects");
    insta::assert_snapshot!(said(at("/part")).await, @"broken: `http://HOST/part` answered 206 with a part of the file, though all of it was asked for");
    insta::assert_snapshot!(said(Wanted { bytes: Some(6), ..at("/hello") }).await, @"unmet: `http://HOST/hello` has 5 bytes, expected 6");
    insta::assert_snapshot!(said(Wanted { sha256: Some("ab".repeat(32)), ..at("/hello") }).await, @"unmet: `http://HOST/hello` has the SHA-256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824, expected abababababababababababababababababababababababababababababababab");
    insta::assert_snapshot!(said(Wanted { sha512: Some("ab".repeat(64)), ..at("/hello") }).await, @"unmet: `http://HOST/hello` has the SHA-512 9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043, expected abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab");
    insta::assert_snapshot!(said(Wanted { urls: vec![server.url("/nothing"), server.url("/loop")], ..Wanted::default() }).await, @"refused: none of 2 addresses gave the file: `http://HOST/nothing` answered 404 Not Found; `http://HOST/loop` leads nowhere: too many redirects");
}

#[tokio::test]
async fn a_range_that_was_not_asked_for() {
    let said = async |range: &'static str| {
        let server = Server::start(move |_, nth| match nth {
            0 => Reply::new("200 OK").header("etag", TAG).cut(&file(), 500_000),
            _ => Reply::new("206 Partial Content").header("content-range", range).body(b"x"),
        })
        .await;
        let (class, message) = refused(&wanted(server.url("/f"))).await;
        format!("{class}: {message}")
    };
    insta::assert_snapshot!(said("bytes 0-99/1200000").await, @"broken: `http://HOST/f` answered 206 with `bytes 0-99/1200000`, asked for bytes from 500000 on");
    insta::assert_snapshot!(said("bytes 500000-500000/500001").await, @"broken: `http://HOST/f` answered 206 with `bytes 500000-500000/500001`, said 1200000 bytes in all before");
    insta::assert_snapshot!(said("all of it").await, @"broken: `http://HOST/f` answered 206 without a readable Content-Range (`all of it`)");
}

#[tokio::test]
async fn a_server_that_never_gives_all_of_it() {
    let said = async |server: &Server, path: &str| {
        let (class, message) = refused(&wanted(server.url(path))).await;
        format!("{class}: {message}")
    };
    let broken = Server::start(|asked, _| match asked.path.as_str() {
        "/short" => Reply {
            body: if asked.header("range").is_some() { Vec::new() } else { b"hel".to_vec() },
            ..serve(asked, TAG, b"hello")
        },
        "/silent" => Reply { pause: Some(Duration::from_mins(1)), ..Reply::new("200 OK").body(b"hello") },
        _ => Reply::new("502 Bad Gateway"),
    })
    .await;
    insta::assert_snapshot!(said(&broken, "/busy").await, @"unreachable: `http://HOST/busy` answered 502 Bad Gateway, tried 4 times");
    assert_eq!(broken.heard().len(), 4, "one try and three more");
    insta::assert_snapshot!(said(&broken, "/silent").await, @"unreachable: `http://HOST/silent` broke off after 2 of 5 bytes (operation timed out), tried 4 times");
    insta::assert_snapshot!(said(&broken, "/short").await, @"unreachable: `http://HOST/short` broke off after 3 of 5 bytes (end of file before message length reached), tried 4 times");
    let gone = {
        let server = Server::of_file(TAG, Vec::new()).await;
        server.url("/f")
    };
    let (class, message) = refused(&wanted(gone)).await;
    insta::assert_snapshot!(format!("{class}: {message}"), @"unreachable: `http://HOST/f` can't be reached: Connection refused (os error 111), tried 4 times");
}

#[tokio::test]
async fn what_can_not_be_asked_for() {
    let said = async |url: &str, sha512: &str| {
        let wanted = Wanted { sha512: Some(sha512.to_owned()), ..wanted(url.to_owned()) };
        let (class, message) = refused(&wanted).await;
        format!("{class}: {message}")
    };
    insta::assert_snapshot!(said("file:///etc/passwd", "").await, @"broken: `file:///etc/passwd` is not an address of http or https");
    insta::assert_snapshot!(said("not an address", "").await, @"broken: `not an address` is not an address: relative URL without a base");
    insta::assert_snapshot!(said("http://127.0.0.1:1/", "abc").await, @"broken: the SHA-512 `abc` is not one: expected 128 hexadecimal digits");
    let (class, message) = refused(&Wanted::default()).await;
    insta::assert_snapshot!(format!("{class}: {message}"), @"broken: there is no address to download from");
}

#[tokio::test]
async fn credentials_in_an_address_are_not_shown() {
    let server = Server::start(|_, _| Reply::new("404 Not Found")).await;
    let url = server.url("/f").replace("http://", "http://me:hunter2@");
    let (_, message) = refused(&wanted(url)).await;
    assert_eq!(message, "`http://HOST/f` answered 404 Not Found");
    assert!(server.heard()[0].header("authorization").is_some());
}

#[tokio::test]
async fn a_cache_that_can_not_be_written() {
    let server = Server::of_file(TAG, file()).await;
    let folder = tempfile::tempdir().unwrap();
    // A file where a folder must be: root is stopped by it too, unlike by permissions.
    fs::write(folder.path().join("cache"), "").unwrap();
    let error = fetch(&folder.path().join("cache"), &wanted(server.url("/f"))).await.unwrap_err();
    assert_eq!(error.class, Class::Broken);
    let message = error.message.replace(&*folder.path().to_string_lossy(), "FOLDER");
    insta::assert_snapshot!(message, @"can't make `FOLDER/cache/locks` in the cache: Not a directory (os error 20)");
    let store = Store::new("/cache".into());
    let said = |kind: std::io::ErrorKind| store.trouble("write", Path::new("/cache/x"), &kind.into()).message;
    insta::assert_snapshot!(said(std::io::ErrorKind::StorageFull), @"the disk of the cache `/cache` is full; make room there");
    insta::assert_snapshot!(said(std::io::ErrorKind::ReadOnlyFilesystem), @"the cache `/cache` can't be written to: read-only filesystem or storage medium");
}
