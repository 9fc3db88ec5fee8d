use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::time::Instant;

use super::Sums;
use super::store::{Store, Version};
use super::transfer::{Came, Fault, Next, Transfer};
use crate::cluster::{Answer, Fetch, FetchError, Fetched, Progressed, Wanted, install_tls};
use crate::event::Class;

/// How often progress is told, at most.
const TELL: Duration = Duration::from_millis(250);
/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// A transfer that brought this much did some good, and is not counted against the server.
const WORTH: u64 = 64 << 10;

/// Downloads over the network.
pub(in crate::cluster::live) struct Downloads {
    store: Store,
    user_agent: String,
    patience: Patience,
    client: OnceLock<Client>,
}

/// How long is waited for what.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// For a connection.
    pub(super) connect: Duration,
    /// For the next bytes.
    pub(super) silence: Duration,
    /// Between tries; when they are used up the address is given up.
    pub(super) waits: Vec<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            waits: [500, 1_000, 2_000, 4_000].map(Duration::from_millis).to_vec(),
        }
    }
}

impl Downloads {
    pub(in crate::cluster::live) fn new(cache: PathBuf, user_agent: &str) -> Self {
        Self::with_patience(cache, user_agent, Patience::default())
    }

    pub(super) fn with_patience(cache: PathBuf, user_agent: &str, patience: Patience) -> Self {
        Self { store: Store::new(cache), user_agent: user_agent.to_owned(), patience, client: OnceLock::new() }
    }

    /// The HTTP client, made when it is first needed: it reads the system's certificates.
    fn client(&self) -> Result<&Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        crate::cluster::reaches_out("downloads");
        install_tls();
        let client = Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(self.patience.connect)
            .read_timeout(self.patience.silence)
            .redirect(Policy::limited(REDIRECTS))
            // Bytes are digested as they are served.
            .no_gzip()
            .build();
        let client = client.map_err(|error| FetchError {
            class: Class::Broken,
            message: "there is no way to make HTTP requests here".to_owned(),
            source: Some(error.into()),
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn get(&self, wanted: &Wanted, progress: Progressed<'_>) -> Result<Fetched, FetchError> {
        let goal = Goal::new(wanted)?;
        let told = Throttle::new(progress);
        let tell = |done, total| told.tell(done, total);
        let name = goal.name();
        let _lock = self.store.lock(&name, &|have| tell(have, goal.bytes)).await?;
        if let Some(sha512) = goal.known_digest(&self.store)
            && let Some((path, sums)) =
                self.store.whole(&sha512, goal.sha256.is_some(), &|done| tell(done, goal.bytes)).await
        {
            goal.check(&format!("`{}` in the cache", path.display()), &sums)?;
            return Ok(fetched(path, sums, None, 0));
        }
        let mut faults = Vec::new();
        for (url, shown) in &goal.urls {
            match self.from(url, shown, &goal, &name, &tell).await {
                Ok(fetched) => {
                    progress(fetched.bytes, Some(fetched.bytes));
                    return Ok(fetched);
                }
                Err(fault) if fault.next == Next::Stop => return Err(fault.error),
                Err(fault) => faults.push(fault.error),
            }
        }
        Err(all_of(faults))
    }

    /// Gets the file from one address, as often as it takes and makes sense.
    async fn from(
        &self,
        url: &str,
        shown: &str,
        goal: &Goal,
        name: &str,
        progress: Progressed<'_>,
    ) -> Result<Fetched, Fault> {
        let client = self.client().map_err(|error| Fault { next: Next::Stop, ..Fault::from(error) })?;
        let transfer = Transfer {
            client,
            store: &self.store,
            name,
            url,
            shown,
            bytes: goal.bytes,
            sha256: goal.sha256.is_some(),
            progress,
        };
        let known = if goal.has_digest() { None } else { self.known(url).await };
        let mut waits = self.patience.waits.iter();
        let (mut tries, mut resumed) = (0, 0);
        loop {
            let fault = match transfer.run(known.as_ref().map(|(version, ..)| version)).await {
                Ok(Came::Whole { version, sums, resumed: again }) => {
                    goal.check(&format!("`{shown}`"), &sums).map_err(|error| {
                        self.store.forget(name);
                        Fault { next: Next::Stop, ..Fault::from(error) }
                    })?;
                    let kept = self.store.keep(name, version, &sums);
                    let path = kept.map_err(|error| Fault { next: Next::Stop, ..Fault::from(error) })?;
                    return Ok(fetched(path, sums, Some(url.to_owned()), resumed + u32::from(again)));
                }
                Ok(Came::Unchanged) => {
                    let (_, path, sums) = known.expect("the server was asked about what is known");
                    goal.check(&format!("`{shown}`"), &sums)
                        .map_err(|error| Fault { next: Next::Stop, ..Fault::from(error) })?;
                    return Ok(fetched(path, sums, None, 0));
                }
                Err(fault) => fault,
            };
            tries += 1;
            let Next::Again(asked) = fault.next else {
                return Err(fault);
            };
            resumed += u32::from(fault.resumed);
            if fault.gained >= WORTH {
                waits = self.patience.waits.iter();
            }
            let Some(wait) = waits.next() else {
                return Err(fault.after(tries));
            };
            tokio::time::sleep(asked.unwrap_or(*wait)).await;
        }
    }

    /// What this address gave last, if all of it is still in the cache and the
    /// server can be asked whether it changed.
    async fn known(&self, url: &str) -> Option<(Version, PathBuf, Sums)> {
        let version = self.store.last(url)?;
        if version.etag.is_none() && version.last_modified.is_none() {
            return None;
        }
        let (path, sums) = self.store.whole(version.sha512.as_deref()?, false, &|_| {}).await?;
        Some((version, path, sums))
    }
}

impl Fetch for Downloads {
    fn fetch<'a>(&'a self, wanted: &'a Wanted, progress: Progressed<'a>) -> Answer<'a, Fetched, FetchError> {
        Box::pin(self.get(wanted, progress))
    }
}

impl From<FetchError> for Fault {
    fn from(error: FetchError) -> Self {
        Self { error, next: Next::Mirror, gained: 0, resumed: false }
    }
}

fn fetched(path: PathBuf, sums: Sums, from: Option<String>, resumed: u32) -> Fetched {
    let Sums { sha512, sha256, bytes } = sums;
    Fetched { path, sha512, sha256, bytes, from, resumed }
}

/// What every address said, if none gave the file. A definite no stands only if all said no.
fn all_of(mut faults: Vec<FetchError>) -> FetchError {
    if faults.len() == 1 {
        return faults.remove(0);
    }
    let class = faults.iter().map(|fault| fault.class).max().unwrap_or(Class::Missing);
    let said: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
    let message = format!("none of {} addresses gave the file: {}", said.len(), said.join("; "));
    FetchError { class, message, source: None }
}

/// What is wanted, checked before anybody is asked.
struct Goal {
    /// Each address, and as it is shown.
    urls: Vec<(String, String)>,
    sha512: Option<String>,
    sha256: Option<String>,
    bytes: Option<u64>,
}

impl Goal {
    fn new(wanted: &Wanted) -> Result<Self, FetchError> {
        let wrong = |message| FetchError { class: Class::Broken, message, source: None };
        let digest = |name: &str, digest: &Option<String>, length: usize| {
            let Some(digest) = digest.as_deref().map(str::trim).filter(|digest| !digest.is_empty()) else {
                return Ok(None);
            };
            if digest.len() != length || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(wrong(format!("the {name} `{digest}` is not one: expected {length} hexadecimal digits")));
            }
            Ok(Some(digest.to_ascii_lowercase()))
        };
        let mut urls = Vec::new();
        for written in &wanted.urls {
            let mut url =
                Url::parse(written).map_err(|error| wrong(format!("`{written}` is not an address: {error}")))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(wrong(format!("`{written}` is not an address of http or https")));
            }
            // An address with a host can always lose its credentials.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            urls.push((written.clone(), url.to_string()));
        }
        if urls.is_empty() {
            return Err(wrong("there is no address to download from".to_owned()));
        }
        Ok(Self {
            urls,
            sha512: digest("SHA-512", &wanted.sha512, 128)?,
            sha256: digest("SHA-256", &wanted.sha256, 64)?,
            bytes: wanted.bytes,
        })
    }

    fn has_digest(&self) -> bool {
        self.sha512.is_some() || self.sha256.is_some()
    }

    /// Names what is fetched: whoever wants the same waits for it.
    fn name(&self) -> String {
        match (&self.sha512, &self.sha256) {
            (Some(sha512), _) => format!("sha512-{sha512}"),
            (None, Some(sha256)) => format!("sha256-{sha256}"),
            (None, None) => format!("url-{}", super::digest::name_of(&self.urls[0].0)),
        }
    }

    fn known_digest(&self, store: &Store) -> Option<String> {
        self.sha512.clone().or_else(|| store.by_sha256(self.sha256.as_deref()?))
    }

    /// Holds what came against what is wanted.
    fn check(&self, what: &str, sums: &Sums) -> Result<(), FetchError> {
        let digests = [("SHA-512", &self.sha512, Some(&sums.sha512)), ("SHA-256", &self.sha256, sums.sha256.as_ref())];
        let wrong = digests.into_iter().find_map(|(name, expected, found)| {
            let (expected, found) = expected.as_ref().zip(found)?;
            (expected != found).then(|| format!("{what} has the {name} {found}, expected {expected}"))
        });
        let wrong = wrong.or_else(|| {
            let expected = self.bytes.filter(|expected| *expected != sums.bytes)?;
            Some(format!("{what} has {} bytes, expected {expected}", sums.bytes))
        });
        match wrong {
            Some(message) => Err(FetchError { class: Class::Unmet, message, source: None }),
            None => Ok(()),
        }
    }
}

/// Passes progress on, but not at every chunk.
struct Throttle<'a> {
    progress: Progressed<'a>,
    told: Mutex<Option<Instant>>,
}

impl<'a> Throttle<'a> {
    fn new(progress: Progressed<'a>) -> Self {
        Self { progress, told: Mutex::new(None) }
    }

    fn tell(&self, done: u64, total: Option<u64>) {
        let now = tokio::time::Instant::now();
        let mut told = self.told.lock().expect("nobody panics while telling progress");
        if told.is_none_or(|told| now - told >= TELL) {
            *told = Some(now);
            (self.progress)(done, total);
        }
    }
}

#[cfg(test)]
mod tests;
