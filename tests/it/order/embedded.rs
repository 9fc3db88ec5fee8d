//! The embedded arm: every scene under several seeds, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use lariat::sim::{Behaviour, Chance, Image, Life, Setup, Span, Start, World};
use serde_json::{Value, json};

use super::body::order::Order;
use super::body::recorded;
use super::body::scene::{Scene, scenes};
use super::body::story::Story;
use super::body::witness::play;
use super::decided::without_decided;

/// With how many seeds each scene is played, unless `LARIAT_SEEDS` says otherwise.
const SEEDS: u64 = 2;

const SECOND: Span = Span::millis(1000, 1010);

/// The scenes' scripts: a second of sleep, then ready or an end.
struct Shell;

impl Image for Shell {
    fn start(&self, start: &Start, chance: &mut Chance) -> Life {
        let script = start.pod.text("/spec/containers/0/command/2");
        let behaviour =
            if script.contains("exit 1") { Behaviour::ends(SECOND, 1) } else { Behaviour::ready_after(SECOND) };
        behaviour.start(start, chance)
    }
}

fn embedded(scene: &Scene, seed: u64) -> Story {
    World::runtime().expect("a runtime without threads can be made").block_on(async {
        let world = World::new(Setup::seeded(seed));
        world.image("busybox", Shell);
        world.machines().preload("busybox:1.36");
        let client = world.client();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "order-embedded"}});
        let asked = http::Request::post("/api/v1/namespaces").header("Content-Type", "application/json");
        let asked = asked.body(namespace.to_string().into_bytes()).expect("a path and a body are a request");
        client.request::<Value>(asked).await.expect("a namespace can be made");
        play(scene, &client, "order-embedded").await
    })
}

#[test]
fn the_embedded_controllers_keep_the_labs_order() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("it is a number"));
    let only = std::env::var("LARIAT_ORDERS_ONLY").unwrap_or_default();
    let (seeds, shown_seed) = (number("LARIAT_SEEDS").unwrap_or(SEEDS), number("LARIAT_ORDERS_SHOW"));
    let scenes: Vec<Scene> = scenes().into_iter().filter(|scene| scene.name.contains(&only)).collect();
    let lab: BTreeMap<&str, Vec<Story>> = scenes.iter().map(|scene| (scene.name, recorded(scene.name))).collect();
    let shown: BTreeSet<String> = lab.values().flatten().flat_map(Story::states).collect();
    let (mut facts, mut pairs, mut states) = (0, 0, BTreeSet::new());
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for scene in &scenes {
        let order = Order::of(&lab[scene.name]);
        facts += order.facts.len();
        pairs += order.pairs + order.together.len();
        for seed in 1..=seeds {
            let story = embedded(scene, seed);
            if shown_seed == Some(seed) {
                say(&format!("# {}\n{}", scene.name, story.text()));
            }
            let unseen = story.states().into_iter().filter(|state| !shown.contains(state));
            let departures = order.departures(&story).into_iter();
            for departure in departures.chain(unseen.map(|state| format!("unseen: {state}"))) {
                *told.entry(format!("{}: {departure}", scene.name)).or_default() += 1;
            }
            states.extend(story.states());
        }
    }
    let (left, idle) = without_decided(told.keys().cloned().collect());
    say(&format!(
        "{} scenes, {seeds} seeds: {facts} facts, {pairs} ordered pairs, {} states; {} departures decided, {} not",
        scenes.len(),
        states.len(),
        told.len() - left.len(),
        left.len()
    ));
    let left: String = left.iter().map(|departure| format!("{departure} [{} of {seeds}]\n", told[departure])).collect();
    assert!(left.is_empty(), "the lab does otherwise:\n{left}");
    assert!(idle.is_empty() || !only.is_empty(), "these decisions explain nothing: {idle:?}");
}

#[expect(clippy::print_stdout, reason = "how far the comparison goes is what it is run for")]
fn say(text: &str) {
    println!("{text}");
}
