//! Probes: when they run and what they make of the answers.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Which probe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Startup,
    Readiness,
    Liveness,
}

/// A probe of a running container.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) role: Role,
    pub(super) next: Timestamp,
    period: SignedDuration,
    success: i64,
    failure: i64,
    port: Option<i64>,
    /// How it is asked, for the sentence about its failure.
    how: &'static str,
    streak: i64,
    last: Option<bool>,
}

/// What the container says of itself when it is probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    pub(super) ready: bool,
    pub(super) alive: bool,
}

impl Probe {
    /// The probe as a container's specification has it.
    ///
    /// The first one comes right after the start. One with an initial delay comes with its worker's first
    /// tick after that: the look at the container that runs winds the ticks anew (`manualTriggerCh` in
    /// `pkg/kubelet/prober/worker.go`), so that it is a second later than its period, or, `soon`, as early as it
    /// may, counted from the start that the runtime tells. Recorded with 3 s and 5 s: 6.0 s, or 2.0 s.
    pub(super) fn of(spec: &Value, ports: &Value, role: Role, started: Timestamp, soon: bool) -> Option<Self> {
        let number = |field: &str, default: i64| spec[field].as_i64().unwrap_or(default);
        spec.as_object()?;
        let delay = SignedDuration::from_secs(number("initialDelaySeconds", 0));
        let (period, second) =
            (SignedDuration::from_secs(number("periodSeconds", 10).max(1)), SignedDuration::from_secs(1));
        let first = match (delay.is_zero(), soon) {
            (true, _) => delay,
            (false, true) => delay - second,
            (false, false) => delay.max(period + second),
        };
        let how = ["httpGet", "tcpSocket", "grpc"].into_iter().find(|how| !spec[*how].is_null()).unwrap_or("exec");
        let port = match &spec[how]["port"] {
            Value::String(name) => {
                let named = ports.as_array().into_iter().flatten().find(|port| port["name"] == name.as_str());
                named.and_then(|port| port["containerPort"].as_i64())
            }
            number => number.as_i64(),
        };
        Some(Self {
            role,
            next: started + first + SignedDuration::from_millis(20),
            period,
            success: number("successThreshold", 1),
            failure: number("failureThreshold", 3),
            port,
            how,
            streak: 0,
            last: None,
        })
    }

    /// Runs it: `Some` if it has now succeeded or failed often enough to count.
    pub(super) fn run(&mut self, health: Health, serves: Option<&[i64]>, now: Timestamp) -> Ran {
        while self.next <= now {
            self.next += self.period;
        }
        let open = match (self.port, serves) {
            (Some(port), Some(serves)) => serves.contains(&port),
            _ => true,
        };
        let good = match self.role {
            Role::Startup | Role::Readiness => health.ready,
            Role::Liveness => health.alive,
        } && open;
        self.streak = if self.last == Some(good) { self.streak + 1 } else { 1 };
        self.last = Some(good);
        let enough = if good { self.success } else { self.failure };
        Ran { good, counts: self.streak >= enough }
    }

    /// Whether it is run out of turn: a kubelet probes a container that is not ready each time it
    /// looks at the pod (`manualTriggerCh`), and a program that gets ready gives it a reason to look.
    pub(super) fn is_hastened(&self, ready: Option<bool>) -> bool {
        self.role == Role::Readiness && self.last == Some(false) && ready == Some(true)
    }

    /// The sentence of its failure's event.
    pub(super) fn complaint(&self, ip: &str) -> String {
        let role = match self.role {
            Role::Startup => "Startup",
            Role::Readiness => "Readiness",
            Role::Liveness => "Liveness",
        };
        let port = self.port.unwrap_or_default();
        match self.how {
            "httpGet" => format!("{role} probe failed: HTTP probe failed with statuscode: 503"),
            "tcpSocket" => format!("{role} probe failed: dial tcp {ip}:{port}: connect: connection refused"),
            "grpc" => format!("{role} probe failed: service unhealthy (responded with \"NOT_SERVING\")"),
            _ => format!("{role} probe failed: "),
        }
    }
}

/// One run of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) good: bool,
    /// Whether it was so often enough in a row.
    pub(super) counts: bool,
}
