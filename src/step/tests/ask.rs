use std::time::Duration;

use tokio::time::Instant;

use super::super::testing::{Bench, told};
use crate::event::Class;
use crate::sim::{Effect, Matching, Rule, Verb};

const PLAN: &str = r#"
[steps.s]
apply = { object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "a" } } }
"#;

fn patches() -> Matching {
    Matching { verb: Some(Verb::Patch), ..Matching::default() }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_sent_again_and_told() {
    let bench = Bench::new(PLAN);
    bench.map("b", &[]);
    let _busy = bench.api.fault(Rule::next(1, patches(), Effect::Answer { code: 429, retry_after: 7 }));
    let _down = bench.api.fault(Rule::next(3, patches(), Effect::Answer { code: 503, retry_after: 0 }));
    let mut trial = bench.step("s");
    let began = Instant::now();
    trial.act().await.unwrap();
    // As long as the server asks, then 0.2, 0.4 and 0.8 s.
    assert_eq!(began.elapsed().as_millis(), 8400);
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    APPLY configmap/a again: The server has received too many requests and has asked us to try again later
    APPLY configmap/a again: the server is currently unable to handle the request
    APPLY configmap/a was answered after 4 refusals, in 8.4s
    configmap/a created
    "#);
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_at_the_deadline_and_not_before() {
    let bench = Bench::new(PLAN);
    bench.map("b", &[]);
    let _down = bench.api.fault(Rule::always(patches(), Effect::Answer { code: 500, retry_after: 0 }));
    let began = Instant::now();
    let error = bench.step_within("s", Duration::from_secs(60)).act().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    insta::assert_snapshot!(told(&error), @r#"
    unreachable: APPLY configmap/a: no definite answer within 1m00s, after 34 refusals
      observed Internal error occurred: etcdserver: request timed out
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_sent_again() {
    let bench = Bench::new(PLAN);
    bench.map("b", &[]);
    let _hangs = bench.api.fault(Rule::next(1, patches(), Effect::Delay(Duration::from_secs(3600))));
    let mut trial = bench.step("s");
    let began = Instant::now();
    trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 65);
    assert_eq!(trial.notes()[0], "APPLY configmap/a again: the API server did not answer within 1m05s");
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_that_the_server_asks_for_ends_with_the_step() {
    let bench = Bench::new(PLAN);
    bench.map("b", &[]);
    let _busy = bench.api.fault(Rule::always(patches(), Effect::Answer { code: 429, retry_after: 3600 }));
    let began = Instant::now();
    let error = bench.step_within("s", Duration::from_secs(60)).act().await.unwrap_err();
    assert_eq!((error.class, began.elapsed().as_secs()), (Class::Unreachable, 60));
    assert_eq!(bench.api.requests_of(Verb::Patch, "configmaps").len(), 1);
}
