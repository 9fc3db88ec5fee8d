use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::alone::{Alone, told};
use super::*;

async fn ask(alone: &mut Alone, arguments: Value) -> Result<Done, Error> {
    alone.act::<Http>(arguments, |args, ctx| act(args, ctx).boxed()).await
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    let health = ResponseTemplate::new(200).set_body_json(json!({ "state": "ready", "copies": 3 }));
    Mock::given(method("GET")).and(path("/health")).respond_with(health).mount(&server).await;
    let made = ResponseTemplate::new(201).set_body_string("made");
    Mock::given(method("POST"))
        .and(path("/things"))
        .and(header("x-who", "me"))
        .and(body_json(json!({ "name": "a" })))
        .respond_with(made)
        .mount(&server)
        .await;
    let moved = ResponseTemplate::new(301).insert_header("location", "/health");
    Mock::given(path("/moved")).respond_with(moved).mount(&server).await;
    let turn = ResponseTemplate::new(302).insert_header("location", "/loop");
    Mock::given(path("/loop")).respond_with(turn).mount(&server).await;
    server
}

/// An error with the server's port taken out.
fn said(server: &MockServer, error: Error) -> String {
    told(error).replace(&server.address().to_string(), "HOST")
}

#[tokio::test]
async fn status_and_body() {
    let server = server().await;
    let mut alone = Alone::new();
    let health = format!("{}/health", server.uri());
    let done =
        ask(&mut alone, json!({ "url": health, "that": "status == 200 && body.state == 'ready'" })).await.unwrap();
    insta::assert_snapshot!(Value::from(done.outputs), @r#"{"status":200,"body":{"state":"ready","copies":3}}"#);
    insta::assert_snapshot!(alone.notes(), @r#"
    status: 200 OK
    [body]
    {"state":"ready","copies":3}
    "#);
    let moved = format!("{}/moved", server.uri());
    let followed = ask(&mut alone, json!({ "url": moved })).await.unwrap();
    let seen = ask(&mut alone, json!({ "url": moved, "status": 301 })).await.unwrap();
    assert_eq!([&followed.outputs["status"], &seen.outputs["status"]], [&json!(200), &json!(301)]);
}

#[tokio::test]
async fn a_request_with_all_that_it_may_have() {
    let server = server().await;
    let arguments = json!({
        "url": format!("{}/things", server.uri()), "method": "post", "status": 201,
        "headers": { "x-who": "me" }, "json": { "name": "a" },
    });
    let done = ask(&mut Alone::new(), arguments).await.unwrap();
    assert_eq!(done.outputs["body"], "made");
}

#[tokio::test]
async fn an_answer_that_is_not_the_expected_one() {
    let server = server().await;
    let refused = async |path: &str, more: Value| {
        let mut arguments = json!({ "url": format!("{}{path}", server.uri()) });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said(&server, ask(&mut Alone::new(), arguments).await.unwrap_err())
    };
    insta::assert_snapshot!(refused("/nothing", json!({})).await, @"
    refused: `GET http://HOST/nothing` answered 404 Not Found
    expected a status of 2xx
    404 Not Found:
    ");
    insta::assert_snapshot!(refused("/health", json!({ "status": 204 })).await, @r#"
    refused: `GET http://HOST/health` answered 200 OK
    expected status 204
    200 OK: {"state":"ready","copies":3}
    "#);
    insta::assert_snapshot!(refused("/health", json!({ "that": "body.copies > 3" })).await, @r#"
    unmet: `GET http://HOST/health` answered 200 OK, and not what is expected of it
    expected body.copies > 3
    200 OK: {"state":"ready","copies":3}
    "#);
    insta::assert_snapshot!(refused("/health", json!({ "that": "body.replicas > 3" })).await, @r#"
    unmet: `GET http://HOST/health` answered 200 OK, of which the expectation can't be judged: no such key: `replicas`, in `body.replicas > 3`
    expected body.replicas > 3
    200 OK: {"state":"ready","copies":3}
    "#);
    insta::assert_snapshot!(refused("/loop", json!({})).await, @"refused: `GET http://HOST/loop` got no answer: too many redirects");
    insta::assert_snapshot!(refused("/health", json!({ "body": "a", "json": {} })).await, @"broken: a request has a `body` or a `json`, not both");
}

#[tokio::test]
async fn what_can_not_be_asked() {
    let refused = async |arguments: Value| told(ask(&mut Alone::new(), arguments).await.unwrap_err());
    insta::assert_snapshot!(refused(json!({ "url": "nowhere" })).await, @"broken: `nowhere` is not an address: relative URL without a base");
    insta::assert_snapshot!(refused(json!({ "url": "ftp://x/" })).await, @"broken: `ftp://x/` is not an address of http or https");
    insta::assert_snapshot!(refused(json!({ "url": "http://x/", "method": "no such" })).await, @"broken: `no such` is not a method of HTTP");
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_again() {
    // A port where nobody listens until somebody is heard asking again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut alone = Alone::new();
    let up = Arc::new(AtomicBool::new(false));
    let late = {
        let up = Arc::clone(&up);
        async move {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let listener = std::net::TcpListener::bind(port).unwrap();
            let server = MockServer::builder().listener(listener).start().await;
            Mock::given(path("/")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
            up.store(true, Ordering::Relaxed);
            server
        }
    };
    let (done, _server) = tokio::join!(ask(&mut alone, json!({ "url": format!("http://{port}/") })), late);
    assert!(up.load(Ordering::Relaxed));
    assert_eq!(done.unwrap().outputs["status"], 200);
    assert!(alone.notes().contains("again: Connection refused"), "{}", alone.notes());
}

#[tokio::test]
async fn only_a_question_is_asked_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{port}/");
    let mut alone = Alone::new();
    let error = ask(&mut alone, json!({ "url": url, "method": "POST" })).await.unwrap_err();
    assert_eq!((error.class, alone.notes().as_str()), (Class::Unreachable, ""));
    let mut hasty = Alone::new().within(Duration::from_millis(250));
    let error = ask(&mut hasty, json!({ "url": url })).await.unwrap_err();
    assert_eq!(error.class, Class::Unreachable);
    assert!(hasty.notes().contains("again"), "{}", hasty.notes());
}
