use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::mpsc;

use crate::cluster::{Answer, Fetch, FetchError, FetchTrouble, Fetched, Progressed, Wanted};

/// The internet that an embedded cluster downloads from: addresses with what they give.
///
/// Nothing is transferred, hashed or written. A download takes the virtual time that its
/// size needs and reports the digest that is registered. Clones are the same internet.
#[derive(Clone, Debug, Default)]
pub struct Internet {
    sites: Arc<Mutex<BTreeMap<String, Site>>>,
    troubles: Arc<Mutex<Vec<Trouble>>>,
}

/// What goes wrong at all addresses that begin alike.
#[derive(Debug)]
struct Trouble {
    id: u64,
    prefix: String,
    fault: SiteFault,
    tell: mpsc::UnboundedSender<String>,
}

/// Something goes wrong at addresses for as long as this is held.
#[derive(Debug)]
pub struct Troubled {
    internet: Internet,
    id: u64,
}

impl Drop for Troubled {
    fn drop(&mut self) {
        self.internet.troubles().retain(|trouble| trouble.id != self.id);
    }
}

/// What one address gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The published size.
    pub bytes: u64,
    /// The published SHA-512, lower-case hexadecimal.
    pub sha512: String,
    /// The published SHA-256, if somebody asks for it.
    pub sha256: Option<String>,
    /// Bytes a second.
    pub speed: u64,
    /// Until the first byte.
    pub latency: Duration,
    /// What goes wrong at it.
    pub fault: Option<SiteFault>,
}

/// What goes wrong at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteFault {
    /// Every request is answered with this status.
    Status(u16),
    /// The connection breaks after so many bytes, once; the download is gone on with from there.
    BreaksOnce(u64),
    /// The connection breaks after so many bytes, each time.
    Breaks(u64),
    /// Other bytes than the published ones come.
    OtherBytes,
    /// So many bytes a second come at most.
    Slow(u64),
}

/// An address is known for as long as this is held: what a pod serves goes with it.
#[derive(Debug)]
pub struct Serving {
    internet: Internet,
    url: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.internet.sites().remove(&self.url);
    }
}

/// How often a download tells how far it is.
const TELL: Duration = Duration::from_secs(1);

/// How often a broken transfer is taken up again, as real downloads do.
const TRIES: u32 = 4;

/// The wait before it is taken up again.
const WAIT: Duration = Duration::from_secs(1);

/// What a line carries where nobody said otherwise: 100 Mbit/s.
const SPEED: u64 = 12_500_000;

impl Site {
    /// A file of this size and digest, at the usual speed.
    pub fn new(bytes: u64, sha512: impl Into<String>) -> Self {
        let latency = Duration::from_millis(80);
        Self { bytes, sha512: sha512.into(), sha256: None, speed: SPEED, latency, fault: None }
    }
}

impl Internet {
    /// Makes an address known, in place of what it gave before.
    pub fn publish(&self, url: impl Into<String>, site: Site) {
        self.sites().insert(url.into(), site);
    }

    /// Makes an address known for a while.
    #[must_use = "the address is known for as long as this is held"]
    pub fn serve(&self, url: impl Into<String>, site: Site) -> Serving {
        let url = url.into();
        self.publish(url.clone(), site);
        Serving { internet: self.clone(), url }
    }

    /// Changes what an address gives. False if it is not known.
    pub fn change(&self, url: &str, act: impl FnOnce(&mut Site)) -> bool {
        self.sites().get_mut(url).map(act).is_some()
    }

    /// Makes something go wrong at all addresses that begin with this, whatever they gave before; tells which are asked.
    pub fn trouble(&self, prefix: &str, fault: SiteFault, tell: mpsc::UnboundedSender<String>) -> Troubled {
        let mut troubles = self.troubles();
        let id = troubles.iter().map(|trouble| trouble.id + 1).max().unwrap_or_default();
        troubles.push(Trouble { id, prefix: prefix.to_owned(), fault, tell });
        Troubled { internet: self.clone(), id }
    }

    fn troubles(&self) -> MutexGuard<'_, Vec<Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an address gives to somebody who asks it now.
    pub fn answer(&self, url: &str) -> Option<Site> {
        let mut site = self.sites().get(url)?.clone();
        if let Some(trouble) = self.troubles().iter().find(|trouble| url.starts_with(&trouble.prefix)) {
            // Who does not listen any more has heard enough.
            let _ = trouble.tell.send(url.to_owned());
            match trouble.fault {
                SiteFault::Slow(speed) => site.speed = site.speed.min(speed),
                ref fault => site.fault = Some(fault.clone()),
            }
        }
        Some(site)
    }

    fn sites(&self) -> MutexGuard<'_, BTreeMap<String, Site>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn get(&self, wanted: &Wanted, progress: Progressed<'_>) -> Result<Fetched, FetchError> {
        let mut troubles = Vec::new();
        for url in &wanted.urls {
            match self.from(url, wanted, progress).await {
                Ok(fetched) => return Ok(fetched),
                // Other bytes than wanted are an answer: no other address is asked.
                Err(trouble) if trouble.is_answer() => return Err(trouble.into()),
                Err(trouble) => troubles.push(trouble),
            }
        }
        Err(FetchTrouble::all(troubles).into())
    }

    async fn from(&self, url: &str, wanted: &Wanted, progress: Progressed<'_>) -> Result<Fetched, FetchTrouble> {
        let site = self.answer(url).ok_or_else(|| FetchTrouble::Unknown(url.to_owned()))?;
        tokio::time::sleep(site.latency).await;
        if let Some(SiteFault::Status(code)) = site.fault {
            let tries = if FetchTrouble::passes(code) { TRIES } else { 1 };
            tokio::time::sleep((WAIT + site.latency) * (tries - 1)).await;
            return Err(FetchTrouble::Status { url: url.to_owned(), code, tries });
        }
        let (mut done, mut tries, mut resumed) = (0, 1, 0);
        while done < site.bytes {
            let piece = u64::try_from(TELL.as_millis()).unwrap_or(u64::MAX).saturating_mul(site.speed) / 1000;
            let end = match site.fault {
                Some(SiteFault::BreaksOnce(at)) if resumed == 0 => at.min(site.bytes),
                Some(SiteFault::Breaks(at)) => at.min(site.bytes),
                _ => site.bytes,
            };
            let piece = piece.max(1).min(end.saturating_sub(done));
            if piece > 0 {
                tokio::time::sleep(Duration::from_micros(piece.saturating_mul(1_000_000) / site.speed.max(1))).await;
                done += piece;
                progress(done, Some(site.bytes));
            } else {
                if tries == TRIES {
                    return Err(FetchTrouble::Broke { url: url.to_owned(), done, of: site.bytes, tries });
                }
                tries += 1;
                resumed += 1;
                tokio::time::sleep(WAIT + site.latency).await;
            }
        }
        let sha512 = match site.fault {
            Some(SiteFault::OtherBytes) => flipped(&site.sha512),
            _ => site.sha512.clone(),
        };
        let sha256 = match (&site.fault, &site.sha256) {
            (Some(SiteFault::OtherBytes), Some(sum)) => Some(flipped(sum)),
            (_, sum) => sum.clone(),
        };
        FetchTrouble::compare(url, wanted, site.bytes, &sha512, sha256.as_deref())?;
        let name = url.rsplit('/').next().unwrap_or_default();
        Ok(Fetched {
            path: PathBuf::from("embedded").join(&sha512).join(name),
            sha512,
            sha256: sha256.filter(|_| wanted.sha256.is_some()),
            bytes: site.bytes,
            from: Some(url.to_owned()),
            resumed,
        })
    }
}

/// A digest of other bytes.
fn flipped(sum: &str) -> String {
    let first = if sum.starts_with('0') { '1' } else { '0' };
    std::iter::once(first).chain(sum.chars().skip(1)).collect()
}

impl Fetch for Internet {
    fn fetch<'a>(&'a self, wanted: &'a Wanted, progress: Progressed<'a>) -> Answer<'a, Fetched, FetchError> {
        self.get(wanted, progress).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const URL: &str = "https://example.com/a.img";

    fn wanted() -> Wanted {
        Wanted { urls: vec![URL.into()], sha512: Some("ab".repeat(64)), ..Wanted::default() }
    }

    fn internet(fault: Option<SiteFault>) -> Internet {
        let internet = Internet::default();
        internet.publish(URL, Site { fault, sha256: Some("cd".repeat(32)), ..Site::new(125_000_000, "ab".repeat(64)) });
        internet
    }

    async fn said(internet: &Internet, wanted: &Wanted) -> String {
        let error = internet.fetch(wanted, &|_, _| {}).await.unwrap_err();
        format!("{}: {}", error.class, error.message)
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_takes_the_time_of_its_bytes() {
        let (start, steps) = (Instant::now(), Mutex::new(Vec::new()));
        let tell = |done, total| steps.lock().unwrap().push((done, total));
        let fetched = internet(None).fetch(&wanted(), &tell).await.unwrap();
        assert_eq!((fetched.bytes, fetched.resumed, fetched.sha256), (125_000_000, 0, None));
        assert_eq!(start.elapsed().as_millis(), 10_080);
        assert_eq!(steps.lock().unwrap().len(), 10);
        let broken = internet(Some(SiteFault::BreaksOnce(5)));
        assert_eq!(broken.fetch(&wanted(), &|_, _| {}).await.unwrap().resumed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_is_told_as_for_real_downloads() {
        insta::assert_snapshot!(said(&internet(Some(SiteFault::Status(404))), &wanted()).await, @"refused: `https://example.com/a.img` answered 404 Not Found");
        insta::assert_snapshot!(said(&internet(Some(SiteFault::Breaks(5))), &wanted()).await, @"unreachable: `https://example.com/a.img` broke off after 5 of 125000000 bytes, tried 4 times");
        insta::assert_snapshot!(said(&internet(Some(SiteFault::OtherBytes)), &wanted()).await, @"unmet: `https://example.com/a.img` has the SHA-512 0bababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab, expected abababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababababab");
        insta::assert_snapshot!(said(&internet(None), &Wanted { bytes: Some(7), ..wanted() }).await, @"unmet: `https://example.com/a.img` has 125000000 bytes, expected 7");
        insta::assert_snapshot!(said(&internet(None), &Wanted { sha256: Some("ef".repeat(32)), ..wanted() }).await, @"unmet: `https://example.com/a.img` has the SHA-256 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd, expected efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef");
        insta::assert_snapshot!(said(&Internet::default(), &wanted()).await, @"missing: the embedded internet does not have `https://example.com/a.img`; it is downloaded for real on a cluster that `--context` names");
        let both = Wanted { urls: vec!["https://nowhere.example/x".into(), URL.into()], ..wanted() };
        insta::assert_snapshot!(said(&internet(Some(SiteFault::Status(503))), &both).await, @"missing: none of 2 addresses gave the file: the embedded internet does not have `https://nowhere.example/x`; it is downloaded for real on a cluster that `--context` names; `https://example.com/a.img` answered 503 Service Unavailable, tried 4 times");
        assert!(internet(None).fetch(&both, &|_, _| {}).await.is_ok(), "the next address is asked");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_served_goes_with_its_server() {
        let internet = Internet::default();
        let serving = internet.serve(URL, Site::new(1, "ab".repeat(64)));
        assert!(internet.fetch(&wanted(), &|_, _| {}).await.is_ok());
        drop(serving);
        assert!(internet.fetch(&wanted(), &|_, _| {}).await.is_err());
    }
}
