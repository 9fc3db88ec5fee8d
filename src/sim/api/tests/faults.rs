//! Faults as a client meets them.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api as Typed, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::super::{Api, Effect, Ending, Matching, Options, Rule, Verb};

fn maps(api: &Api) -> Typed<ConfigMap> {
    Typed::namespaced(api.client(), "default")
}

fn named(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_fail_as_often_as_the_rule_says() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let lists = Matching::verb(Verb::List).on("configmaps");
    let guard = api.fault(Rule::next(2, lists.clone(), Effect::Answer { code: 429, retry_after: 7 }));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(match maps.list(&ListParams::default()).await {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(other) => panic!("{other}"),
        });
    }
    assert_eq!(codes, [429, 429, 200]);
    drop(guard);
    let guard = api.fault(Rule::always(lists, Effect::Answer { code: 503, retry_after: 0 }));
    assert!(maps.list(&ListParams::default()).await.is_err());
    drop(guard);
    assert!(maps.list(&ListParams::default()).await.is_ok(), "a fault goes with its guard");
}

#[tokio::test(start_paused = true)]
async fn nobody_connects_during_an_outage() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let version = api.revision().to_string();
    let mut watch = maps.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    let arrived = api.requests().len();
    let _outage = api.outage(Duration::from_secs(10));
    assert!(matches!(watch.try_next().await, Ok(None) | Err(_)), "open watches break");
    let refused = maps.get("m").await.unwrap_err();
    let kube::Error::Service(source) = &refused else { panic!("{refused}") };
    assert!(source.to_string().contains("Connection refused"));
    assert_eq!(api.requests().len(), arrived, "what was refused has not arrived");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(maps.get_opt("m").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_a_write_that_happened() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let creates = Matching::verb(Verb::Create);
    let _lost = api.fault(Rule::next(1, creates, Effect::LoseAnswer));
    assert!(maps.create(&PostParams::default(), &named("m")).await.is_err());
    let again = maps.create(&PostParams::default(), &named("m")).await.unwrap_err();
    assert!(matches!(again, kube::Error::Api(status) if status.reason == "AlreadyExists"));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_answer_takes_virtual_time() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let _slow = api.fault(Rule::always(Matching::default(), Effect::Delay(Duration::from_secs(30))));
    let before = api.clock().elapsed();
    maps.get_opt("m").await.unwrap();
    assert_eq!(api.clock().elapsed().since(before).duration(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn watches_end_expire_or_break() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let version = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut ends = Vec::new();
    for ending in [Ending::Closed, Ending::Expired, Ending::Cut] {
        let mut watch = maps.watch(&WatchParams::default(), &version).await.unwrap().boxed();
        api.drop_watches("ConfigMap", &ending);
        ends.push(match watch.try_next().await {
            Ok(None) => "end".to_owned(),
            Ok(Some(WatchEvent::Error(error))) => format!("{} {}", error.code, error.reason),
            Ok(Some(_)) => "event".to_owned(),
            Err(_) => "broken".to_owned(),
        });
    }
    // The kube client takes a body that breaks off for one that ends.
    assert_eq!(ends, ["end", "410 Expired", "end"]);
    let watches = Matching::verb(Verb::Watch);
    let _once = api.fault(Rule::next(1, watches, Effect::Expire));
    let mut watch = maps.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    assert!(matches!(watch.try_next().await, Ok(Some(WatchEvent::Error(error))) if error.code == 410));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_gets_bookmarks_and_its_timeout() {
    let api = Api::new(Options::new());
    let maps = maps(&api);
    let version = api.revision().to_string();
    let parameters = WatchParams { timeout: Some(150), ..WatchParams::default() };
    let mut watch = maps.watch(&parameters, &version).await.unwrap().boxed();
    let begun = api.clock().elapsed();
    let mut at = Vec::new();
    while let Some(event) = watch.try_next().await.unwrap() {
        assert!(matches!(event, WatchEvent::Bookmark(_)));
        at.push(api.clock().elapsed().since(begun).duration().as_secs());
    }
    assert_eq!(at, [60, 120, 148]);
    assert_eq!(api.clock().elapsed().since(begun).duration().as_secs(), 150);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_tells_when_each_kill_arrived() {
    let api = Api::new(Options::new());
    for name in ["a", "b"] {
        api.put(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
        }))
        .unwrap();
    }
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "default");
    let force = DeleteParams::default().grace_period(0);
    let (a, b) = futures::future::join(pods.delete("a", &force), pods.delete("b", &force)).await;
    assert!(a.is_ok() && b.is_ok());
    let kills = api.requests_of(Verb::Delete, "pods");
    assert_eq!(kills.iter().map(|kill| kill.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(kills[0].at, kills[1].at);
}
