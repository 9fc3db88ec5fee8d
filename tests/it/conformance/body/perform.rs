//! A sequence done on a server.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::answer::Answer;
use super::normal::Names;
use super::place::Place;
use super::script::{Ask, Sequence, Step, filled};

/// What the headers are that clients act on.
const HEADERS: [&str; 6] = ["content-type", "retry-after", "warning", "location", "allow", "cache-control"];

/// Longer than anything here takes on a real server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a sequence and gives what it was answered. `number` tells it from the other sequences of its file.
pub(crate) async fn perform(sequence: &Sequence, number: usize, place: &dyn Place) -> Vec<Answer> {
    let namespace = place.namespace().to_owned();
    let group = format!("s{number}.{namespace}.example");
    let mut words = sequence.texts.clone();
    words.insert("ns".to_owned(), namespace.clone());
    words.insert("group".to_owned(), group.clone());
    let mut stage = Stage { client: place.client(), names: Names::new(&namespace, &group), made: Vec::new() };
    let mut watches: BTreeMap<&str, (String, JoinHandle<Raw>)> = BTreeMap::new();
    let mut answers = Vec::new();
    for step in &sequence.steps {
        let (request, raw) = match step {
            Step::Ask(ask) => {
                let raw = stage.ask(ask, &mut words).await;
                (format!("{} {}", ask.method, ask.path), raw)
            }
            Step::Watch { name, path } => {
                let opened = stage.open(&filled(path, &words)).await;
                watches.insert(name, (path.clone(), tokio::spawn(opened.read())));
                continue;
            }
            Step::Events { name } => {
                let (path, reader) = watches.remove(name.as_str()).expect("the watch was opened before");
                (format!("WATCH {path}"), reader.await.expect("reading a watch does not panic"))
            }
            Step::Sleep(time) => {
                tokio::time::sleep(*time).await;
                continue;
            }
            Step::Until { code, path } => {
                stage.until(*code, &filled(path, &words)).await;
                continue;
            }
            Step::Tended { path, pointer } => {
                place.tended(&filled(path, &words), pointer).await;
                continue;
            }
            Step::Running { pod, lines } => {
                place.running(pod, lines).await;
                stage.made.push(format!("/api/v1/namespaces/{namespace}/pods/{pod}"));
                continue;
            }
            Step::Exec { path } => (format!("EXEC {path}"), stage.exec(&filled(path, &words)).await),
        };
        let names = &mut stage.names;
        answers.push(Answer {
            sequence: sequence.title.clone(),
            request,
            code: raw.code,
            headers: raw.headers.iter().map(|(name, value)| (name.clone(), names.text(value))).collect(),
            body: names.body(&raw.body),
        });
    }
    place.clear(&stage.made).await;
    answers
}

struct Stage {
    client: kube::Client,
    names: Names,
    made: Vec<String>,
}

/// An answer as it came.
struct Raw {
    code: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// An answer whose body is still to be read.
struct Opened {
    code: u16,
    headers: BTreeMap<String, String>,
    lines: bool,
    body: Body,
}

impl Opened {
    async fn read(self) -> Raw {
        let mut bytes = Vec::new();
        let mut body = self.body;
        // What breaks off was said up to there.
        while let Some(Ok(frame)) = body.frame().await {
            bytes.extend(frame.into_data().unwrap_or_default());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = self.headers.get("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let parsed = if json && self.lines && self.code == 200 {
            text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>().map(Value::Array).ok()
        } else if json {
            serde_json::from_str(&text).ok()
        } else {
            None
        };
        Raw { code: self.code, headers: self.headers, body: parsed.unwrap_or(Value::String(text)) }
    }
}

/// Whether a watch from now on was refused because the server's own cache lags behind, and says to come again in
/// a second. With the lab's etcd, which is 3.4, it cannot ask how far that is and waits until something happens to the kind.
fn is_behind(path: &str, raw: &Raw) -> bool {
    let cause = raw.body.pointer("/0/object/details/causes/0/reason");
    !path.contains("resourceVersion=") && cause.is_some_and(|cause| cause == "ResourceVersionTooLarge")
}

impl Stage {
    async fn ask(&mut self, ask: &Ask, words: &mut BTreeMap<String, String>) -> Raw {
        let path = filled(&ask.path, words);
        let mut request = http::Request::builder().method(ask.method.as_str()).uri(&path);
        for (name, value) in &ask.headers {
            request = request.header(name, filled(value, words));
        }
        let body = filled(&ask.body, words);
        let request = request.body(Body::from(body.into_bytes())).expect("a request of a sequence is a request");
        let mut raw = self.send(request, path.contains("watch=")).await.read().await;
        let mut tries = 0;
        while is_behind(&path, &raw) && tries < 30 {
            tries += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            raw = self.open(&path).await.read().await;
        }
        if raw.code == 201 && !path.contains("dryRun") {
            self.remember(&ask.method, path.split('?').next().unwrap_or_default(), &raw.body);
        }
        for (word, at) in &ask.takes {
            let pointer: String = at.split('.').map(|key| format!("/{key}")).collect();
            let value = raw.body.pointer(&pointer).unwrap_or_else(|| panic!("{path}: no `{at}` in {}", raw.body));
            words.insert(word.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        raw
    }

    fn remember(&mut self, method: &str, path: &str, body: &Value) {
        if method != "POST" {
            self.made.push(path.to_owned());
        } else if let Some(name) = body.pointer("/metadata/name").and_then(Value::as_str)
            && !path.contains("/binding")
            && !path.contains("/eviction")
        {
            self.made.push(format!("{path}/{name}"));
        }
    }

    async fn send(&self, request: http::Request<Body>, lines: bool) -> Opened {
        let path = request.uri().to_string();
        let response = self.client.send(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (parts, body) = response.into_parts();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = HEADERS
            .iter()
            .filter_map(|name| {
                let values: Vec<String> = parts.headers.get_all(*name).iter().map(text).collect();
                (!values.is_empty()).then(|| ((*name).to_owned(), values.join("\n")))
            })
            .collect();
        Opened { code: parts.status.as_u16(), headers, lines, body }
    }

    async fn open(&self, path: &str) -> Opened {
        let request = http::Request::get(path).header("Accept", "application/json").header("User-Agent", "tester/1");
        self.send(request.body(Body::empty()).expect("a path of a sequence is a path"), true).await
    }

    async fn until(&self, code: u16, path: &str) {
        let mut waited = Duration::ZERO;
        loop {
            let opened = self.open(path).await;
            let now = opened.code;
            opened.read().await;
            if now == code {
                return;
            }
            assert!(waited < PATIENCE, "{path}: {now}, and never {code}");
            let step = Duration::from_millis(100);
            tokio::time::sleep(step).await;
            waited += step;
        }
    }

    /// What a command says: each message as channel and text.
    async fn exec(&self, path: &str) -> Raw {
        let request = http::Request::get(path).body(Vec::new()).expect("a path of a sequence is a path");
        let connection = self.client.connect(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut socket = connection.into_stream();
        let mut said: BTreeMap<u8, String> = BTreeMap::new();
        while let Some(Ok(message)) = socket.next().await {
            let data = message.into_data();
            if let Some((channel, text)) = data.split_first().filter(|(channel, _)| **channel < 5) {
                said.entry(*channel).or_default().push_str(&String::from_utf8_lossy(text));
            }
        }
        // An empty message opens a channel on some servers and says nothing.
        let body = said.into_iter().filter(|(_, text)| !text.is_empty()).map(|(channel, text)| {
            let value = serde_json::from_str(&text).ok().filter(|_| channel == 3).unwrap_or(Value::String(text));
            json!({"channel": channel, "said": value})
        });
        Raw { code: 101, headers: BTreeMap::new(), body: body.collect() }
    }
}
