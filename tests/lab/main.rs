//! The lab lane: run by `just lab-test`, on a real control plane with real nodes.

mod checks;
mod conformance;
#[path = "../it/conformance/body/mod.rs"]
mod conformance_body;
mod house;
mod live;
mod restart;
mod served;
mod verbs;

/// Held by tests that install the lab's chart: its definition and roles are the whole cluster's.
static GADGET: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Waits until no other test has the lab's chart installed.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    GADGET.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
