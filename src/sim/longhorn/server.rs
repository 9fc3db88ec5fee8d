//! The servers in pods of backing image managers: a list of files, forgotten with the pod.
//!
//! What a request leads to is known when it is made (virtual time and the seed decide), so a
//! file carries its future as a list of states with their times; a sender that dies cuts it short.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::store::{Content, Disks, FileName};

/// How fast SHA-512 is, in bytes a second.
const HASH: u64 = 400_000_000;
/// The server looks at its files this often, and tells whoever watches it that something has changed
/// (backing-image-manager `pkg/types/types.go`).
const MONITOR: SignedDuration = SignedDuration::from_secs(3);
/// How many receivers a sender serves at once.
pub(super) const RECEIVERS: usize = 3;

/// The servers that run, by the name of their pod, which is also that of the manager.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    servers: BTreeMap<String, Server>,
}

/// One server.
#[derive(Clone, Debug)]
struct Server {
    disk: String,
    /// Since when it looks at its files.
    since: Timestamp,
    files: BTreeMap<String, Served>,
}

/// A file as its server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) uuid: String,
    pub(super) content: Content,
    /// The manager that sends it.
    pub(super) from: Option<String>,
    /// What it will be, from when on; sorted by time.
    future: Vec<(Timestamp, Stage)>,
    /// Whether what it came to stands on the disk.
    stored: bool,
}

/// What a file is at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Starting,
    /// Bytes come until then.
    Coming {
        until: Timestamp,
    },
    Ready,
    Failed(String),
}

/// What a server says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) uuid: String,
    pub(super) state: &'static str,
    pub(super) progress: i64,
    pub(super) message: String,
    pub(super) content: Content,
    pub(super) from: Option<String>,
    /// How many receivers it serves.
    pub(super) sending: usize,
}

impl Served {
    fn stage(&self, now: Timestamp) -> (&Stage, Timestamp) {
        let past = self.future.iter().rev().find(|(at, _)| *at <= now).or_else(|| self.future.first());
        past.map_or((&Stage::Pending, now), |(at, stage)| (stage, *at))
    }

    /// When it says something else: at its next stage, and all the time while bytes come.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self.stage(now) {
            (Stage::Coming { until }, _) if now < *until => Some(now),
            _ => self.future.iter().map(|(at, _)| *at).find(|at| *at > now),
        }
    }

    fn transfers(&self, now: Timestamp) -> bool {
        self.from.is_some() && matches!(self.stage(now).0, Stage::Pending | Stage::Starting | Stage::Coming { .. })
    }
}

/// The last look of a server at its files that is not later than this; before its first one there is none of use.
fn look(since: Timestamp, now: Timestamp) -> Timestamp {
    let looks = now.duration_since(since).as_millis().div_euclid(MONITOR.as_millis());
    since + MONITOR * i32::try_from(looks).unwrap_or(i32::MAX)
}

fn hashing(size: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(size.saturating_mul(1000) / HASH).unwrap_or(i64::MAX))
        .max(SignedDuration::from_millis(2))
}

impl Servers {
    /// A pod's server starts, with an empty list; it looks at it `since` a time.
    pub(super) fn start(&mut self, name: &str, disk: &str, since: Timestamp) {
        self.servers.insert(name.to_owned(), Server { disk: disk.to_owned(), since, files: BTreeMap::new() });
    }

    /// A pod's server ends; what it sent breaks off.
    pub(super) fn stop(&mut self, name: &str, disks: &mut Disks, now: Timestamp) {
        self.settle(disks, now);
        self.servers.remove(name);
        for file in self.servers.values_mut().flat_map(|server| server.files.values_mut()) {
            if file.from.as_deref() == Some(name) && file.transfers(now) {
                file.future.retain(|(at, _)| *at <= now);
                file.future
                    .push((now, Stage::Failed("failed to process sync file: connection reset by peer".to_owned())));
            }
        }
    }

    /// Puts on the disks what has become complete by now.
    pub(super) fn settle(&mut self, disks: &mut Disks, now: Timestamp) {
        for server in self.servers.values_mut() {
            for (image, file) in &mut server.files {
                if file.stored {
                    continue;
                }
                let name = FileName::new(image, &file.uuid);
                match file.stage(now) {
                    (Stage::Ready, at) => {
                        disks.finish(&server.disk, name, file.content.clone(), at);
                        file.stored = true;
                    }
                    (Stage::Failed(_), _) => {
                        disks.drop_partial(&server.disk, &name);
                        file.stored = true;
                    }
                    _ => {}
                }
            }
        }
    }

    /// All files of a server.
    pub(super) fn files(&self, name: &str, now: Timestamp) -> BTreeMap<String, Told> {
        let sending = |image: &str| {
            let receives = |server: &&Server| {
                let file = server.files.get(image);
                file.is_some_and(|file| file.from.as_deref() == Some(name) && file.transfers(now))
            };
            self.servers.values().filter(receives).count()
        };
        let files = self.servers.get(name).into_iter().flat_map(|server| &server.files);
        files.map(|(image, file)| (image.clone(), told(file, sending(image), now))).collect()
    }

    /// When a server looks at its files next after something has changed at it by itself.
    pub(super) fn next(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let server = self.servers.get(name)?;
        let changes = server.files.values().filter_map(|file| file.next(now)).min()?;
        let last = look(server.since, changes);
        Some(if last == changes && changes > now { last } else { last + MONITOR })
    }

    /// When a server looks at its files next.
    pub(super) fn next_look(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        self.servers.get(name).map(|server| look(server.since, now) + MONITOR)
    }

    /// A server's last look at its files, and what it saw.
    pub(super) fn looked(&self, name: &str, now: Timestamp) -> Option<(Timestamp, BTreeMap<String, Told>)> {
        let server = self.servers.get(name)?;
        let at = look(server.since, now);
        let mut seen = self.files(name, at);
        seen.retain(|image, _| server.files[image].future.first().is_some_and(|(asked, _)| *asked <= at));
        Some((at, seen))
    }

    /// Fetches a data source's finished work file, or takes up the file that is there already.
    /// `work` is what the data source prepared; without it the file has to be there. What is not there is
    /// looked for when the work `begins`.
    #[expect(clippy::too_many_arguments, reason = "they are one request's fields")]
    pub(super) fn fetch(
        &mut self,
        name: &str,
        disks: &mut Disks,
        file: &FileName,
        checksum: &str,
        work: Option<Content>,
        begins: Timestamp,
        now: Timestamp,
    ) {
        let Some(disk) = self.servers.get(name).map(|server| server.disk.clone()) else { return };
        let (content, future) = match (reused(disks, &disk, file, checksum), work) {
            (Some((content, at)), _) => (content, vec![(now, Stage::Pending), (now + at, Stage::Ready)]),
            (None, Some(content)) => {
                let ready = begins + hashing(content.size);
                (content, vec![(now, Stage::Starting), (ready, Stage::Ready)])
            }
            (None, None) => {
                // What can't be reused is removed before anything else.
                disks.delete(&disk, file, now, "reuse failed");
                let why = "failed to process sync file: syncing file should be directly reused but failed";
                let future = vec![(now, Stage::Starting), (begins, Stage::Failed(why.to_owned()))];
                (Content::default(), future)
            }
        };
        let known = disks.finished(&disk, file).is_some_and(|finished| finished.content == content);
        let served = Served { uuid: file.uuid.clone(), content, from: None, future, stored: known };
        self.servers.get_mut(name).map(|server| server.files.insert(file.image.clone(), served));
    }

    /// Gets a file from another server, unless it is there already.
    #[expect(clippy::too_many_arguments, reason = "they are one request's fields")]
    pub(super) fn sync(
        &mut self,
        name: &str,
        disks: &mut Disks,
        file: &FileName,
        from: &str,
        content: Content,
        speed: u64,
        begins: Timestamp,
        now: Timestamp,
    ) {
        let Some(disk) = self.servers.get(name).map(|server| server.disk.clone()) else { return };
        let served = if let Some((content, at)) = reused(disks, &disk, file, &content.sha512) {
            let future = vec![(now, Stage::Pending), (now + at, Stage::Ready)];
            Served { uuid: file.uuid.clone(), content, from: Some(from.to_owned()), future, stored: true }
        } else {
            disks.delete(&disk, file, now, "reuse failed");
            disks.begin(&disk, file.clone(), content.clone());
            let lasts = Duration::from_millis(content.size.saturating_mul(1000) / speed.max(1));
            let until = begins + SignedDuration::try_from(lasts).unwrap_or(SignedDuration::ZERO);
            let ready = until + hashing(content.size);
            let future = vec![(now, Stage::Starting), (begins, Stage::Coming { until }), (ready, Stage::Ready)];
            Served { uuid: file.uuid.clone(), content, from: Some(from.to_owned()), future, stored: false }
        };
        self.servers.get_mut(name).map(|server| server.files.insert(file.image.clone(), served));
    }

    /// Deletes a file from the list and from the disk.
    pub(super) fn delete(&mut self, name: &str, disks: &mut Disks, file: &FileName, now: Timestamp, why: &'static str) {
        self.settle(disks, now);
        if let Some(server) = self.servers.get_mut(name) {
            server.files.remove(&file.image);
            disks.delete(&server.disk, file, now, why);
        }
    }

    /// How many transfers come in at a server.
    pub(super) fn receiving(&self, name: &str, now: Timestamp) -> usize {
        let files = self.servers.get(name).into_iter().flat_map(|server| server.files.values());
        files.filter(|file| file.transfers(now)).count()
    }
}

/// The file that is there, if it is the wanted one, and how long it takes to be sure.
fn reused(disks: &Disks, disk: &str, file: &FileName, checksum: &str) -> Option<(Content, SignedDuration)> {
    let finished = disks.finished(disk, file)?;
    let wanted = checksum.is_empty() || checksum == finished.content.sha512;
    let takes = if finished.hashed { SignedDuration::from_millis(2) } else { hashing(finished.content.size) };
    wanted.then(|| (finished.content.clone(), takes))
}

fn told(file: &Served, sending: usize, now: Timestamp) -> Told {
    let (stage, since) = file.stage(now);
    let (state, progress, message) = match stage {
        Stage::Pending => ("pending", 0, String::new()),
        Stage::Starting => ("starting", 0, String::new()),
        Stage::Coming { until } => {
            let whole = until.duration_since(since).as_millis().max(1);
            let part = now.duration_since(since).as_millis().clamp(0, whole);
            ("in-progress", i64::try_from(part * 100 / whole).unwrap_or(100).min(99), String::new())
        }
        Stage::Ready => ("ready", 100, String::new()),
        Stage::Failed(why) => ("failed", 0, why.clone()),
    };
    Told {
        uuid: file.uuid.clone(),
        state,
        progress,
        message,
        content: file.content.clone(),
        from: file.from.clone(),
        sending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn image() -> Content {
        Content { size: 100_000_000, virtual_size: 100_000_000, sha512: "abc".to_owned() }
    }

    fn state(servers: &Servers, name: &str, now: Timestamp) -> &'static str {
        servers.files(name, now)["large"].state
    }

    #[test]
    fn a_look_sees_what_was_asked_for_before_it() {
        let (mut servers, mut disks, file) = (Servers::default(), Disks::default(), FileName::new("large", "u"));
        servers.start("one", "d1", at(1));
        servers.fetch("one", &mut disks, &file, "", Some(image()), at(6), at(5));
        let seen =
            |now: i64| servers.looked("one", at(now)).map(|(at, seen)| (at, seen.get("large").map(|own| own.state)));
        assert_eq!(seen(6), Some((at(4), None)));
        assert_eq!(seen(7), Some((at(7), Some("ready"))));
        assert_eq!(seen(9), Some((at(7), Some("ready"))));
        assert_eq!(state(&servers, "one", at(5)), "starting", "the first file is moved a second after the request");
    }

    #[test]
    fn a_restarted_server_takes_up_what_is_on_its_disk() {
        let (mut servers, mut disks, file) = (Servers::default(), Disks::default(), FileName::new("large", "u"));
        disks.finish("d1", file.clone(), image(), at(0));
        let inode = disks.finished("d1", &file).map(|own| own.inode);
        servers.start("one", "d1", at(1));
        servers.fetch("one", &mut disks, &file, "abc", None, at(3), at(2));
        servers.settle(&mut disks, at(3));
        assert_eq!(state(&servers, "one", at(3)), "ready");
        assert_eq!(disks.finished("d1", &file).map(|own| own.inode), inode, "nothing was transferred");
        assert_eq!(disks.deletions, []);
    }

    #[test]
    fn another_digest_destroys_the_file_and_fails() {
        let (mut servers, mut disks, file) = (Servers::default(), Disks::default(), FileName::new("large", "u"));
        disks.finish("d1", file.clone(), image(), at(0));
        servers.start("one", "d1", at(1));
        servers.fetch("one", &mut disks, &file, "other", None, at(3), at(2));
        assert_eq!(state(&servers, "one", at(2)), "starting");
        assert_eq!(state(&servers, "one", at(3)), "failed");
        assert_eq!(disks.deletions.len(), 1);
    }

    #[test]
    fn a_transfer_shows_itself_ends_and_is_cut_with_its_sender() {
        let (mut servers, mut disks, file) = (Servers::default(), Disks::default(), FileName::new("large", "u"));
        disks.finish("d1", file.clone(), image(), at(0));
        for (name, disk) in [("one", "d1"), ("two", "d2"), ("three", "d3")] {
            servers.start(name, disk, at(1));
        }
        servers.fetch("one", &mut disks, &file, "abc", None, at(2), at(1));
        servers.sync("two", &mut disks, &file, "one", image(), 10_000_000, at(3), at(2));
        assert_eq!(state(&servers, "two", at(2)), "starting");
        assert_eq!(state(&servers, "two", at(6)), "in-progress");
        assert_eq!(servers.files("two", at(6))["large"].progress, 30);
        assert_eq!(servers.files("one", at(6))["large"].sending, 1);
        assert_eq!(servers.next("two", at(2)), Some(at(4)), "it looks each three seconds since its start");
        assert_eq!(servers.next("two", at(4)), Some(at(7)), "while bytes come each look sees something new");
        servers.settle(&mut disks, at(14));
        assert_eq!(state(&servers, "two", at(14)), "ready");
        assert!(disks.finished("d2", &file).is_some());
        servers.sync("three", &mut disks, &file, "one", image(), 10_000_000, at(21), at(20));
        servers.stop("one", &mut disks, at(23));
        assert_eq!(state(&servers, "three", at(24)), "failed");
        servers.settle(&mut disks, at(60));
        assert_eq!(disks.finished("d3", &file), None);
    }
}
