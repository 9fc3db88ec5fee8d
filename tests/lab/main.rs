//! The lab lane: run by `just lab-test`, on a real control plane with real nodes.

mod api_server;
mod checks;
mod conformance;
#[path = "../it/conformance/body/mod.rs"]
mod conformance_body;
mod foreign;
mod house;
mod live;
mod order;
#[path = "../it/order/body/mod.rs"]
mod order_body;
mod process;
mod recorder;
mod restart;
mod served;
mod verbs;
mod way;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Read by tests that need the API server to stay, written by those that stop it.
static SERVER: RwLock<()> = RwLock::const_new(());

/// Held by tests that install the lab's chart: its definition and roles are the whole cluster's.
static GADGET: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Until this is dropped no test stops the API server.
async fn steady() -> RwLockReadGuard<'static, ()> {
    SERVER.read().await
}

/// As `steady`, for tests without a runtime.
fn steadily() -> RwLockReadGuard<'static, ()> {
    SERVER.blocking_read()
}

/// Waits until no other test needs the API server.
fn disturbing() -> RwLockWriteGuard<'static, ()> {
    SERVER.blocking_write()
}

/// As `disturbing`, for tests on a runtime.
async fn undisturbed() -> RwLockWriteGuard<'static, ()> {
    SERVER.write().await
}

/// Waits until no other test has the lab's chart installed; until this is dropped no test stops the API server.
fn alone() -> (RwLockReadGuard<'static, ()>, std::sync::MutexGuard<'static, ()>) {
    let chart = GADGET.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    (steadily(), chart)
}
