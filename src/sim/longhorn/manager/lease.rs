//! The leases by which managers start one after another (client-go's leader election, 20/10/2 s).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::Hand;
use crate::clock::Clock;
use crate::sim::{Chance, Kind, Span};

/// After how long a lease that nobody renews is anybody's.
const LASTS: i64 = 20;
/// How long one who did not get it waits: 2 s, with client-go's jitter.
const RETRY: Span = Span::millis(1000, 3200);

/// Waits until the lease of this name is held by this node.
pub(super) async fn acquire(hand: &Hand, clock: &Clock, chance: &mut Chance, name: &str, node: &str) {
    while !try_acquire(hand, clock, name, node).await {
        tokio::time::sleep(chance.draw(RETRY)).await;
    }
}

async fn try_acquire(hand: &Hand, clock: &Clock, name: &str, node: &str) -> bool {
    let now = clock.now();
    let spec = |transitions: i64| {
        json!({
            "holderIdentity": node, "leaseDurationSeconds": LASTS, "acquireTime": micro(now), "renewTime": micro(now),
            "leaseTransitions": transitions,
        })
    };
    let Some(mut lease) = hand.get(&Kind::LEASE, name).await else {
        return hand.create(&Kind::LEASE, json!({"metadata": {"name": name}, "spec": spec(0)})).await.is_ok();
    };
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
    let renewed: Option<Timestamp> = lease["spec"]["renewTime"].as_str().and_then(|at| at.parse().ok());
    let expired = renewed.is_none_or(|at| now.duration_since(at).as_secs() >= LASTS);
    if !holder.is_empty() && holder != node && !expired {
        return false;
    }
    lease["spec"] = spec(lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default() + 1);
    hand.replace(&Kind::LEASE, &lease).await.is_ok()
}

/// Takes a lease that nobody has yet, for good.
pub(super) async fn keep(hand: &Hand, clock: &Clock, name: &str, node: &str) {
    if hand.get(&Kind::LEASE, name).await.is_none() {
        // Who is refused finds that another manager was quicker.
        let _ = try_acquire(hand, clock, name, node).await;
    }
}

/// Lets go of it.
pub(super) async fn release(hand: &Hand, name: &str) {
    // Who is refused holds it until it expires, as with client-go.
    let _ = hand.patch(&Kind::LEASE, name, &json!({"spec": {"holderIdentity": ""}})).await;
}

fn micro(at: Timestamp) -> Value {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
}
