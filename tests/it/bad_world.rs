//! What a run meets outside: web servers, helm, certificates. Each misfortune is one sentence,
//! the right exit code, and nothing half-done.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Bench, Ran};

/// Answers every request with the same bytes, for as long as the test runs.
fn web(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it has an address"));
    let base = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection comes in whole");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket can be shared")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // Who has heard enough hangs up.
            let _ = stream.write_all(answer(&base).as_bytes());
        }
    });
    address
}

fn download(answer: &'static str, more: &str) -> (Bench, Ran) {
    let url = web(move |base| answer.replace("BASE", base));
    let bench = Bench::with(&format!(
        "[plan]\nname = \"get\"\n[steps.get]\ntimeout = \"20s\"\ndownload = {{ url = \"{url}/file\", {more} }}\n"
    ));
    let ran = bench.lariat(["run", "plan.toml"]);
    (bench, ran)
}

/// How many whole files the cache holds.
fn kept(bench: &Bench) -> usize {
    let mut files = 0;
    let mut folders = vec![bench.path().join(".cache")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files += usize::from(std::fs::read(entry.path()).is_ok_and(|bytes| bytes == b"hello"));
            }
        }
    }
    files
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn a_url_that_does_not_give_the_file() {
    let no_file = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    download(no_file, "").1.expect(1, &["/file", "404"]);
    let round = "HTTP/1.1 302 Found\r\nLocation: BASE/file\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    download(round, "").1.expect(1, &["/file", "redirect"]);
    let wrong_part = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-7/8\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    download(wrong_part, "").1.expect(4, &["answered 206 with a part of the file"]);
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhello";
    download(short, "").1.expect(4, &["5 of 50 bytes"]);
}

#[test]
fn a_file_is_kept_only_with_the_digest_that_was_asked_for() {
    let (bench, ran) = download(HELLO, &format!("sha256 = \"{HELLO_SHA256}\""));
    ran.expect(0, &[]);
    assert_eq!(kept(&bench), 1);
    let other = HELLO_SHA256.replace("2cf2", "2cf3");
    let (bench, ran) = download(HELLO, &format!("sha256 = \"{other}\""));
    ran.expect(1, &[HELLO_SHA256, &other]);
    assert_eq!(kept(&bench), 0);
}

/// Runs a helm step with a script in helm's place, against an empty cluster.
fn helm(script: Option<&str>) -> Ran {
    let api = lariat::sim::Api::new(lariat::sim::Options::new());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    let served = runtime.block_on(api.serve()).expect("a port is free");
    let bench = Bench::with(
        "[plan]\nname = \"up\"\nnamespace = \"default\"\n[steps.up]\ntimeout = \"20s\"\nhelm-install = { release = \"r\", chart = \"repo/chart\" }\n",
    );
    served.write_kubeconfig(&bench.path().join("config"), "lab").expect("a file can be written");
    let program = bench.path().join("bin/helm");
    if let Some(script) = script {
        bench.write("bin/helm", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    }
    let mut command = bench.command(["run", "plan.toml", "--context", "lab", "--kubeconfig", "config", "--yes"]);
    command.env("HELM", &program).output().expect("the binary can be started").into()
}

#[test]
fn a_helm_that_is_missing_old_or_speaks_no_json() {
    helm(None).expect(4, &["bin/helm` is not there"]);
    helm(Some("echo v2.17.0")).expect(4, &["helm v2.17.0 is too old", "3.10"]);
    helm(Some("echo hello")).expect(4, &["hello", "version"]);
    let no_json = "case $1 in version) echo v3.18.0;; status) echo 'Error: release: not found' >&2; exit 1;; *) echo deployed;; esac";
    helm(Some(no_json)).expect(4, &["JSON", "deployed"]);
}

#[test]
fn a_certificate_that_has_expired() {
    let bench = Bench::with(
        "[plan]\nname = \"look\"\n[objects.pods]\nresource = \"pods\"\n[steps.look]\nwait = { on = \"pods\", min = 0 }\n",
    );
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cluster/live/testdata");
    let server = web(|_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    let mut config = String::from("apiVersion: v1\nkind: Config\n");
    write!(
        config,
        "clusters: [{{ name: c, cluster: {{ server: \"{server}\" }} }}]\n\
         users: [{{ name: u, user: {{ client-certificate: \"{certificates}/expired.pem\", client-key: \"{certificates}/key.pem\" }} }}]\n\
         contexts: [{{ name: lab, context: {{ cluster: c, user: u }} }}]\n"
    )
    .expect("a text takes more text");
    bench.write("config", config);
    bench
        .lariat(["run", "plan.toml", "--context", "lab", "--kubeconfig", "config"])
        .expect(4, &["`lab` expired on 2021-02-03T04:05:06Z"]);
    assert!(!bench.path().join("reports").exists());
}
