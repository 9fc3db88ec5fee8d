use serde_json::json;

use super::{Bench, maps, query, seconds, soon};
use crate::sim::{Effect, Ending, Matching, Rule, Verb};

#[tokio::test(start_paused = true)]
async fn every_version_is_recorded_from_the_first_list_on() {
    let bench = Bench::new();
    bench.map("a", &json!({ "state": "busy", "old": "1" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    let armed = soon(hold.synced()).await.unwrap();
    assert_eq!((armed.watch.0, armed.version), (0, bench.api.revision().to_string()));
    // All in one burst: none is skipped.
    bench.change("a", "state", "ready");
    bench.change("a", "state", "busy");
    bench.api.change("configmap", "ns", "a", |map| drop(map["data"].as_object_mut().unwrap().remove("old")));
    bench.change("a", "old", "1");
    bench.map("b", &json!({ "n": "1" }));
    bench.api.remove("configmap", "ns", "b");
    bench.map("b", &json!({ "n": "1" }));
    seconds(1).await;
    let edge = soon(hold.confirm()).await.unwrap();
    assert_eq!((edge.watch.0, edge.version), (0, bench.api.revision().to_string()));
    drop(hold);
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"state":"busy","old":"1"}
    0 listed v7: 1, gone []
    0 modified a v8 ~ {"state":"ready"}
    0 modified a v9 ~ {"state":"busy"}
    0 modified a v10 ~ {"old":null}
    0 modified a v11 ~ {"old":"1"}
    0 added b v12 = {"n":"1"}
    0 deleted b v13 ~ null
    0 added b v14 = {"n":"1"}
    0 confirmed v14
    0 closed
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_version_is_on_the_tape_before_anybody_hears_of_it() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "0" }));
    let mut feed = bench.recorder.follow_query(maps()).unwrap();
    soon(feed.changed()).await.unwrap();
    for n in 1..5 {
        bench.change("a", "n", &n.to_string());
        soon(feed.changed()).await.unwrap();
        let told = bench.told();
        assert!(told.contains(&format!("{{\"n\":\"{n}\"}}")), "{told}");
    }
    drop(feed);
    seconds(1).await;
    assert_eq!(bench.told(), "0 closed\n");
    assert_eq!(bench.api.open_watches("configmaps"), 0);
}

#[tokio::test(start_paused = true)]
async fn who_needs_the_same_shares_a_watch_and_is_armed_with_a_list_of_its_own() {
    let bench = Bench::new();
    let first = bench.recorder.hold(maps()).unwrap();
    let before = soon(first.synced()).await.unwrap();
    bench.map("a", &json!({}));
    let second = bench.recorder.hold(maps()).unwrap();
    let armed = soon(second.synced()).await.unwrap();
    assert_eq!(armed.version, bench.api.revision().to_string());
    assert_eq!(soon(first.synced()).await.unwrap(), before);
    drop(first);
    seconds(1).await;
    bench.map("b", &json!({}));
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed v5: 0, gone []
    0 added a v7 = {}
    0 added b v8 = {}
    "#);
    assert_eq!(bench.api.requests_of(Verb::Watch, "configmaps").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_confirms_every_open_watch_once() {
    let bench = Bench::new();
    bench.map("a", &json!({}));
    let hold = bench.recorder.hold(maps()).unwrap();
    let other = bench.recorder.hold(query("secrets")).unwrap();
    soon(hold.synced()).await.unwrap();
    soon(other.synced()).await.unwrap();
    soon(bench.recorder.finish()).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    1 opened secrets
    0 listed a v7 = {}
    0 listed v7: 1, gone []
    1 listed v7: 0, gone []
    0 confirmed v7
    0 closed
    1 confirmed v7
    1 closed
    "#);
    assert!(bench.recorder.hold(maps()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_definite_no_reaches_whoever_waits() {
    let bench = Bench::new();
    let no = Effect::Answer { code: 403, retry_after: 0 };
    let _guard = bench.api.fault(Rule::always(Matching::verb(Verb::List), no));
    let hold = bench.recorder.hold(maps()).unwrap();
    let error = soon(hold.synced()).await.unwrap_err();
    assert_eq!(error.class(), crate::event::Class::Forbidden);
    assert!(soon(hold.confirm()).await.is_err());
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 closed
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_was_resumed_from_where_it_was_is_late_and_no_gap() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    bench.change("a", "n", "1");
    seconds(10).await;
    let outage = bench.api.outage(std::time::Duration::from_secs(30));
    seconds(5).await;
    bench.change("a", "n", "2");
    bench.change("a", "n", "3");
    seconds(35).await;
    drop(outage);
    // An orderly end that is resumed at once is nothing to tell.
    bench.api.drop_watches("configmap", &Ending::Closed);
    bench.change("a", "n", "4");
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"n":"0"}
    0 listed v7: 1, gone []
    0 modified a v8 ~ {"n":"1"}
    0 modified a v9 ~ {"n":"2"}
    0 modified a v10 ~ {"n":"3"}
    0 late 10.0-50.5s: error reading a body from connection: unexpected EOF during chunk size line
    0 modified a v11 ~ {"n":"4"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_a_gap_and_what_changed_is_seen_after_it() {
    let bench = Bench::new();
    for name in ["same", "changed", "gone"] {
        bench.map(name, &json!({ "n": "0" }));
    }
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    let outage = bench.api.outage(std::time::Duration::from_secs(30));
    seconds(5).await;
    bench.change("changed", "n", "1");
    bench.api.remove("configmap", "ns", "gone");
    bench.map("new", &json!({}));
    bench.api.compact();
    seconds(30).await;
    drop(outage);
    // Nothing changed: a gap all the same, and it says so.
    for name in ["one", "two"] {
        bench.api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })).unwrap();
    }
    bench.api.compact();
    bench.api.drop_watches("configmap", &Ending::Expired);
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed changed v8 = {"n":"0"}
    0 listed gone v9 = {"n":"0"}
    0 listed same v7 = {"n":"0"}
    0 listed v9: 3, gone []
    0 listed changed v10 ~ {"n":"1"}
    0 listed new v12 = {}
    0 listed v12: 3, gone ["gone"]
    0 gap 0.0-40.5s, changed true: the API server had forgotten version 9 (410 Gone)
    0 listed v14: 3, gone []
    0 gap 40.5-45.0s, changed false: the API server had forgotten version 12 (410 Gone)
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_restarted_has_forgotten_and_its_store_has_not() {
    let bench = Bench::new();
    for name in ["same", "changed", "gone"] {
        bench.map(name, &json!({ "n": "0" }));
    }
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    let outage = bench.api.outage(std::time::Duration::from_secs(30));
    seconds(5).await;
    bench.change("changed", "n", "1");
    bench.change("changed", "n", "0");
    bench.api.remove("configmap", "ns", "gone");
    bench.map("short", &json!({ "n": "0" }));
    bench.api.remove("configmap", "ns", "short");
    // Its cache begins where it was started.
    let _guard = bench.api.fault(Rule::next(1, Matching::verb(Verb::Watch).on("configmaps"), Effect::Expire));
    seconds(30).await;
    drop(outage);
    bench.change("same", "n", "1");
    seconds(1).await;
    soon(hold.confirm()).await.unwrap();
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed changed v8 = {"n":"0"}
    0 listed gone v9 = {"n":"0"}
    0 listed same v7 = {"n":"0"}
    0 listed v9: 3, gone []
    0 modified changed v10 ~ {"n":"1"}
    0 modified changed v11 ~ {"n":"0"}
    0 deleted gone v12 ~ null
    0 added short v13 = {"n":"0"}
    0 deleted short v14 ~ null
    0 late 0.0-41.5s: error reading a body from connection: unexpected EOF during chunk size line; then the API server's cache did not reach back to version 9 (410 Gone), and 5 versions of the store since then were read one by one
    0 modified same v15 ~ {"n":"1"}
    0 confirmed v15
    "#);
}
