//! The embedded arm: every scenario with several seeds, in virtual time.

use std::fs;
use std::time::Duration;

use lariat::sim::{Behaviour, Chance, Image, Life, Setup, Span, Start, World};
use serde_json::json;

use super::body::file;
use super::body::partial::Partial;
use super::body::scenario::{FAILS, scenarios};
use super::body::stage::perform;

const NAMESPACE: &str = "order";
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// What the scenarios' scripts do: fail after a second, or stay until told to stop.
struct Busybox;

impl Image for Busybox {
    fn start(&self, start: &Start, chance: &mut Chance) -> Life {
        let stays = Behaviour::sleeps();
        let fails = Behaviour { ends: Some((Span::exactly(Duration::from_secs(1)), 1)), ..Behaviour::sleeps() };
        let script = start.pod.text("/spec/containers/0/command/2");
        if script == FAILS { fails.start(start, chance) } else { stays.start(start, chance) }
    }
}

#[test]
fn controllers_do_things_in_an_order_that_the_real_ones_keep() {
    let mut told = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for scenario in scenarios() {
        let recorded = fs::read_to_string(file(scenario.name)).expect("every scenario is recorded");
        let partial = Partial::read(&recorded);
        assert!(partial.before.len() >= 10, "{}: the recording says next to nothing", scenario.name);
        for seed in SEEDS {
            let runtime = World::runtime().expect("a runtime can be made");
            let run = runtime.block_on(async {
                let world = World::new(Setup::seeded(seed));
                world.image("busybox", Busybox);
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
                world.api().put(namespace).expect("a namespace can be put");
                perform(&scenario, &world.client(), NAMESPACE).await
            });
            for breach in partial.breaches(&run) {
                told.entry(format!("{}: {breach}", scenario.name)).or_default().push(seed);
            }
        }
    }
    assert!(told.is_empty(), "what real controllers never do, with the seeds that do it: {told:#?}");
}
