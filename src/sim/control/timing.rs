//! How long things take, as one table. All ranges are drawn from the seed.
//!
//! Where a source says *lab*, it was measured on the project's lab: Kubernetes 1.34.4, three
//! kubelets with containerd on one machine. Upstream's constants are named with their place.

use std::time::Duration;

use super::chance::Span;

/// A write, from its wish to the server's answer: lab, 2 to 6 ms with etcd on the same machine.
pub const WRITE: Span = Span::millis(2, 6);

/// An event, from what it tells of to the server; those of one controller go one after another. Lab: it
/// comes before the same controller's next write.
pub const RECORDED: Span = Span::millis(1, 2);

/// Pulling an image that no node has: this project's choice (design, "Ready after 1–3 s" for what nobody registered).
pub const PULL: Span = Span::millis(600, 1_800);

/// Asking the registry about an image that is there already (`imagePullPolicy: Always`).
pub const PULL_CHECK: Span = Span::millis(80, 300);

/// From a container's start until an image that nobody registered is ready.
pub const UNKNOWN_READY: Span = Span::millis(100, 900);

/// A pod's sandbox with its network. Lab: from creation to Running 1.0 to 1.7 s, image present, one container.
pub const SANDBOX: Span = Span::millis(550, 1_000);

/// Creating and starting one container, until its kubelet knows that it runs. Lab: see above; 0.5 to 1.2 s
/// from an init container's end to the next one's start.
pub const CONTAINER: Span = Span::millis(300, 700);

/// From a container's end until its kubelet knows of it: the runtime is asked each second
/// (`genericPlegRelistPeriod` in `pkg/kubelet/kubelet.go`).
pub const NOTICED: Span = Span::millis(100, 1_000);

/// From the end of a stopped pod's last container until its status says so. Lab: 0.1 to 0.3 s.
pub const STOPPED: Span = Span::millis(80, 300);

/// From that status until the pod goes from the API: sandbox and volumes are taken down. Lab: 0.3 to 1.1 s.
pub const TAKEN_DOWN: Span = Span::millis(300, 1_000);

/// From a container's end until its status says `CrashLoopBackOff`. Lab: 11 s; until then it says how it ended.
pub const CRASH_SHOWN: Span = Span::millis(1_000, 9_000);

/// How much later than its back-off allows a container is started again: the next look at its pod.
/// Lab: 3 to 5 s (`backOffPeriod` of 10 s with 50 % jitter in `pkg/kubelet/pod_workers.go`).
pub const RESTART_LATE: Span = Span::millis(100, 5_000);

/// How soon a volume that is not there yet is asked for again
/// (`initialDurationBeforeRetry` in `pkg/util/goroutinemap/exponentialbackoff`, which then doubles up to 2 min 2 s).
pub const MOUNT_RETRY: Duration = Duration::from_millis(500);

/// The most grace that a force deletion leaves a container
/// (`minimumGracePeriodInSeconds` in `pkg/kubelet/kuberuntime/kuberuntime_manager.go`).
pub const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Waits before a container that ended is started again (`MaxContainerBackOff` and `backOffPeriod` in
/// `pkg/kubelet/kubelet.go`): at once, 10 s, doubled up to 5 min; forgotten after 10 min of running.
pub const RESTART_FIRST: Duration = Duration::from_secs(10);
/// The longest such wait.
pub const RESTART_MOST: Duration = Duration::from_mins(5);
/// After how long without a restart the waits begin anew.
pub const RESTART_FORGOTTEN: Duration = Duration::from_mins(10);

/// A kubelet renews its node's lease (`nodeLeaseRenewIntervalFraction` of `nodeLeaseDurationSeconds`: 0.25 of 40 s).
pub const LEASE_RENEWED: Duration = Duration::from_secs(10);
/// How long a lease is worth something.
pub const LEASE_LASTS: i64 = 40;
/// A kubelet writes its node's status though nothing changed (`nodeStatusReportFrequency`).
pub const NODE_REPORTED: Duration = Duration::from_mins(5);

/// The node controller looks at all nodes (`--node-monitor-period`).
pub const NODE_MONITORED: Duration = Duration::from_secs(5);
/// After how long without a lease a node counts as gone (`--node-monitor-grace-period`, 50 s since v1.32).
pub const NODE_GRACE: Duration = Duration::from_secs(50);

/// The scheduler's time for one pod: lab, 5 to 15 ms from creation to binding.
pub const SCHEDULING: Span = Span::millis(3, 12);
/// A pod that fits nowhere is tried again after this time at the latest
/// (`DefaultPodMaxInUnschedulablePodsDuration`); a change of nodes or pods comes first.
pub const UNSCHEDULABLE: Duration = Duration::from_mins(5);

/// From starting a process, such as the kubelet, until it works.
pub const PROCESS_START: Span = Span::millis(1_500, 4_000);
