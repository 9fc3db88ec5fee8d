//! What runs in the pods, as far as exec and logs are concerned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Answers exec in the pods whose images it is registered for.
pub trait Program: Send + Sync {
    /// One command. It is a plain function of what is handed in: time that the command
    /// takes is said in the answer, not spent.
    fn exec(&self, exec: &Exec) -> Answer;

    /// A command that answers while it reads; `None` for those that read all and answer once.
    fn talk(&self, _exec: &Exec) -> Option<Box<dyn Talk>> {
        None
    }
}

/// A command that answers its input piece by piece. It ends with its input, successfully.
pub trait Talk: Send {
    /// What a piece of input makes it print.
    fn hear(&mut self, input: &[u8]) -> Says;
}

/// What is printed, each piece so long after the one before. It need not end.
pub type Says = Box<dyn Iterator<Item = (Duration, Vec<u8>)> + Send>;

impl<F: Fn(&Exec) -> Answer + Send + Sync> Program for F {
    fn exec(&self, exec: &Exec) -> Answer {
        self(exec)
    }
}

/// A command that somebody runs in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Its image.
    pub image: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// All that came on the standard input; empty without `stdin`.
    pub stdin: Vec<u8>,
}

/// What a command does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it prints.
    pub stdout: Vec<u8>,
    /// What it complains.
    pub stderr: Vec<u8>,
    /// Its exit code.
    pub code: i32,
    /// How long it takes, in virtual time. `None`: it never ends by itself.
    pub takes: Option<Duration>,
}

impl Answer {
    /// A command that prints this and succeeds at once.
    pub fn prints(text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: text.into(), takes: Some(Duration::ZERO), ..Self::default() }
    }

    /// A command that fails at once with this code and complaint.
    pub fn fails(code: i32, complaint: impl Into<Vec<u8>>) -> Self {
        Self { stderr: complaint.into(), code, takes: Some(Duration::ZERO), ..Self::default() }
    }

    /// The same, but it takes so long.
    #[must_use]
    pub fn after(self, takes: Duration) -> Self {
        Self { takes: Some(takes), ..self }
    }

    /// The same, but it never ends.
    #[must_use]
    pub fn hangs(self) -> Self {
        Self { takes: None, ..self }
    }
}

/// Whoever runs the pods: asked for commands and logs of the containers that it knows of.
///
/// Asked while the server's state is held, so it must not come back to the server.
pub trait Kubelets: Send + Sync {
    /// A container's inside, or the sentence with which its kubelet refuses; `None` if the pod is not known.
    fn enter(&self, exec: &Exec) -> Option<Result<Entered, String>>;

    /// What a container has printed, or the one before it; of a container that has not run nothing.
    /// The outer `None` is for pods that are not known.
    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Option<Option<Vec<LogLine>>>;

    /// Adds a line to the log of a pod's running containers; false if there are none.
    fn print(&self, namespace: &str, pod: &str, line: &LogLine) -> bool;

    /// Tells when something is printed.
    fn printed(&self) -> watch::Receiver<u64>;
}

/// The inside of a running container.
pub struct Entered {
    /// What answers where no program was registered with the server.
    pub program: Arc<dyn Program>,
    /// Closes when the container ends, and what runs in it with it.
    pub alive: watch::Receiver<()>,
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// The programs by where they run; the one registered last wins.
#[derive(Default)]
pub(crate) struct Programs {
    pub(crate) kubelets: Option<Arc<dyn Kubelets>>,
    by_place: Vec<(Place, Arc<dyn Program>)>,
    lines: Vec<(Place, LogLine)>,
    printed: watch::Sender<u64>,
}

/// Where a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In every container of an image: its name with or without a tag.
    Image(String),
    Pod(String, String),
}

/// A line that a pod has printed.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The container that printed it; `None` for every one of the pod.
    pub container: Option<String>,
    /// When.
    pub at: jiff::Timestamp,
    /// The line, without its end.
    pub text: String,
}

impl Programs {
    /// Runs a program in every container of an image.
    pub(crate) fn in_image(&mut self, image: &str, program: Arc<dyn Program>) {
        self.by_place.push((Place::Image(image.to_owned()), program));
    }

    /// Runs a program in one pod.
    pub(crate) fn in_pod(&mut self, namespace: &str, pod: &str, program: Arc<dyn Program>) {
        self.by_place.push((Place::Pod(namespace.to_owned(), pod.to_owned()), program));
    }

    /// Who answers a command.
    pub(crate) fn find(&self, exec: &Exec) -> Option<Arc<dyn Program>> {
        let runs_here = |place: &Place| match place {
            Place::Image(image) => exec.image == *image || without_tag(&exec.image) == image,
            Place::Pod(namespace, pod) => exec.namespace == *namespace && exec.pod == *pod,
        };
        self.by_place.iter().rev().find(|(place, _)| runs_here(place)).map(|(_, program)| program.clone())
    }

    /// Writes a line into a pod's log.
    pub(crate) fn print(&mut self, namespace: &str, pod: &str, line: LogLine) {
        if self.kubelets.as_ref().is_some_and(|kubelets| kubelets.print(namespace, pod, &line)) {
            return;
        }
        self.lines.push((Place::Pod(namespace.to_owned(), pod.to_owned()), line));
        self.printed.send_modify(|count| *count += 1);
    }

    /// Tells when something is printed.
    pub(crate) fn printed(&self) -> watch::Receiver<u64> {
        self.kubelets.as_ref().map_or_else(|| self.printed.subscribe(), |kubelets| kubelets.printed())
    }

    /// The lines of the container before the one that runs, if there was one.
    pub(crate) fn previous_log(&self, namespace: &str, pod: &str, container: &str) -> Option<Vec<LogLine>> {
        self.kubelets.as_ref()?.log(namespace, pod, container, true)?
    }

    /// The lines of a container. A line without a container is every container's.
    pub(crate) fn log(&self, namespace: &str, pod: &str, container: &str) -> Vec<LogLine> {
        let known = self.kubelets.as_ref().and_then(|kubelets| kubelets.log(namespace, pod, container, false));
        if let Some(lines) = known {
            return lines.unwrap_or_default();
        }
        let here = Place::Pod(namespace.to_owned(), pod.to_owned());
        let lines = self.lines.iter().filter(|(place, _)| *place == here).map(|(_, line)| line);
        lines.filter(|line| line.container.as_deref().is_none_or(|own| own == container)).cloned().collect()
    }
}

/// An image's name without its tag; a colon before the last slash is a port, not a tag.
fn without_tag(image: &str) -> &str {
    match image.rfind(':') {
        Some(at) if !image[at..].contains('/') => &image[..at],
        _ => image,
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<&Place> = self.by_place.iter().map(|(place, _)| place).collect();
        f.debug_struct("Programs").field("places", &places).field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_image_and_by_pod() {
        let mut programs = Programs::default();
        programs.in_image("registry:5000/db", Arc::new(|_: &Exec| Answer::prints("image")));
        programs.in_pod("x", "db-1", Arc::new(|_: &Exec| Answer::prints("pod")));
        let exec = |pod: &str, image: &str| Exec {
            namespace: "x".to_owned(),
            pod: pod.to_owned(),
            container: "c".to_owned(),
            image: image.to_owned(),
            command: Vec::new(),
            stdin: Vec::new(),
        };
        let answer = |exec: &Exec| programs.find(exec).map(|program| program.exec(exec).stdout);
        assert_eq!(answer(&exec("db-0", "registry:5000/db:v2")), Some(b"image".to_vec()));
        assert_eq!(answer(&exec("db-1", "registry:5000/db:v2")), Some(b"pod".to_vec()));
        assert_eq!(answer(&exec("db-0", "registry:5000/web")), None);
    }
}
