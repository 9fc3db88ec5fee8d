//! Those who follow a watch, and a watch that is away when something is asked of it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::gaps::{Way, bench};
use super::{Bench, maps, seconds, soon};
use crate::record::{Change, Feed};
use crate::sim::{Effect, Ending, Matching, Rule, Verb};

fn state(feed: &Feed) -> Option<String> {
    let track = feed.tracks().values().next()?;
    track.o.value()["data"]["n"].as_str().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_hears_of_nothing_that_is_not_on_the_tape() {
    let bench = bench(|line| if line.contains("\"n\":\"1\"") { Way::ComesLater(5) } else { Way::Passes });
    bench.map("a", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(1).await;
    bench.change("a", "n", "1");
    let began = Instant::now();
    // Its own list has the version that the shared watch is still to show.
    let mut feed = bench.recorder.follow_query(maps()).unwrap();
    assert_eq!(soon(feed.changed()).await.unwrap(), Change::Listed { after_gap: false });
    assert_eq!(state(&feed).as_deref(), Some("1"));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(bench.told().contains("modified a v8"), "it stands in the journal before anybody acts on it");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_skips_and_holds_no_more_memory() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "0", "much": "x".repeat(1 << 20) }));
    let mut feed = bench.recorder.follow_query(maps()).unwrap();
    soon(feed.changed()).await.unwrap();
    for n in 1..=30 {
        bench.change("a", "n", &n.to_string());
        tokio::task::yield_now().await;
    }
    seconds(1).await;
    assert_eq!(bench.told().matches("modified").count(), 30, "the journal has every version");
    let mut seen = Vec::new();
    let trouble = loop {
        match soon(feed.changed()).await.unwrap() {
            Change::Changed(_) => seen.extend(state(&feed)),
            Change::Broken => break feed.trouble().unwrap().to_owned(),
            Change::Listed { .. } | Change::Resumed => panic!("nothing else is said before"),
        }
    };
    assert!((3..9).contains(&seen.len()), "64 MiB are a few versions of that size: {seen:?}");
    assert!(trouble.contains("faster than they could be looked at"), "{trouble}");
    assert_eq!(soon(feed.changed()).await.unwrap(), Change::Resumed);
    assert_eq!(soon(feed.changed()).await.unwrap(), Change::Listed { after_gap: true });
    assert_eq!((state(&feed).as_deref(), feed.trouble()), (Some("30"), None));
    bench.change("a", "n", "31");
    soon(feed.changed()).await.unwrap();
    assert_eq!(state(&feed).as_deref(), Some("31"), "it is as fast as the others again");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_not_called_late_before() {
    // The server takes the request and says in its first line that the version is forgotten.
    let bench = bench(|line| if line.contains("\"code\":410") { Way::ComesLater(0) } else { Way::Passes });
    bench.map("a", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    let delay = Effect::Delay(Duration::from_millis(400));
    let outage = bench.api.outage(Duration::from_secs(20));
    seconds(5).await;
    for name in ["one", "two"] {
        bench.api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })).unwrap();
    }
    bench.api.compact();
    seconds(16).await;
    drop(outage);
    let _slow = bench.api.fault(Rule::always(Matching::verb(Verb::Watch), delay));
    seconds(5).await;
    let told = bench.told();
    assert!(!told.contains(" late "), "{told}");
    assert_eq!(told.matches(" gap ").count(), 1, "{told}");
    assert!(told.contains("changed false"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_on_a_watch_that_is_away_has_a_gap() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    let away = bench.api.fault(Rule::always(Matching::verb(Verb::Watch).on("configmaps"), Effect::Refuse));
    bench.api.drop_watches("configmap", &Ending::Cut);
    seconds(5).await;
    // It came and went: no list shows that it was there.
    bench.map("short", &json!({}));
    bench.api.remove("configmap", "ns", "short");
    soon(hold.confirm()).await.unwrap();
    seconds(11).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"n":"0"}
    0 listed v7: 1, gone []
    0 gap 0.0-25.0s, changed false: error reading a body from connection: unexpected EOF during chunk size line; it had not come back when the window closed
    0 confirmed v9
    "#);
    drop(away);
    seconds(5).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 added short v8 = {}
    0 deleted short v9 ~ null
    0 late 25.0-26.6s: error reading a body from connection: unexpected EOF during chunk size line
    "#);
}
