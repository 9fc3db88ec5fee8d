use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;

use super::Error;
use super::list::{FIRST_WAIT, LONGEST_WAIT, page};
use super::object::{Object, ObjectKey, number};
use super::query::Address;
use super::stream::{self, Trouble};
use crate::event::How;

/// Most versions that are read one by one: at a few milliseconds each a matter of seconds.
const STEPS: u64 = 500;

/// Most objects that are listed at each of them.
pub(super) const OBJECTS: u64 = 500;

/// How often one version is asked for: an API server that has just started refuses some requests.
const TRIES: u32 = 20;

/// What happened between two versions.
pub(super) struct Walked {
    pub(super) changes: Vec<(Object, How)>,
    /// The version that was reached.
    pub(super) version: String,
    /// How many versions were read.
    pub(super) steps: u64,
}

/// Reads every version of the store from one on, one by one; `None` if that can't be done.
///
/// An API server that has been restarted answers 410 to every watch from before: its cache is
/// empty. The store still knows, until it is compacted, and lists as of any exact version.
/// Each version of etcd is the write of one object, so nothing that happened falls between two.
pub(super) async fn walk(
    client: Client,
    address: Address,
    secret: bool,
    mut known: BTreeMap<ObjectKey, Arc<Object>>,
    from: u64,
) -> Option<Walked> {
    let now = patient(&client, || address.roll(None)).await?;
    let to = number(&page(&now, true).ok()?.version)?;
    let steps = to.checked_sub(from).filter(|steps| *steps <= STEPS)?;
    let mut changes = Vec::new();
    for version in from + 1..=to {
        let bytes = patient(&client, || address.exact(version)).await?;
        let page = page(&bytes, secret).ok()?;
        if page.next.is_some() {
            return None;
        }
        let there: BTreeMap<ObjectKey, Arc<Object>> =
            page.objects.into_iter().map(|object| (object.key.clone(), object)).collect();
        for (key, object) in &known {
            if there.get(key).is_none_or(|new| new.uid != object.uid) {
                changes.push((object.gone_at(version), How::Deleted));
            }
        }
        for (key, object) in &there {
            match known.get(key).filter(|old| old.uid == object.uid) {
                Some(old) if old.version == object.version => {}
                Some(_) => changes.push((Object::clone(object), How::Modified)),
                None => changes.push((Object::clone(object), How::Added)),
            }
        }
        known = there;
    }
    Some(Walked { changes, version: to.to_string(), steps })
}

/// One answer, asked for again while the trouble may pass.
async fn patient(client: &Client, request: impl Fn() -> http::Request<Vec<u8>>) -> Option<bytes::Bytes> {
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        match stream::bytes(client, request()).await {
            Ok(bytes) => return Some(bytes),
            Err(Trouble::Error(Error::Unreachable(_))) => {}
            Err(_) => return None,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    None
}
