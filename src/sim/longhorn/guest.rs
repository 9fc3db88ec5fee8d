//! Longhorn on guests of a cluster elsewhere.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::gate::{Gate, Ground};
use super::whole::Longhorn;
use crate::sim::{Charts, Guests, Internet, StandInHelm};

/// The embedded Longhorn in a cluster elsewhere, a real one for example: its pods run on guests, its managers
/// work through that cluster's API.
///
/// Whatever its controllers lean on is then that API server's, and of its scheduler, workload controllers
/// and garbage collector. Disks, servers and data are of this process, as in an embedded cluster.
pub struct GuestLonghorn {
    longhorn: Longhorn,
    helm: StandInHelm,
}

impl fmt::Debug for GuestLonghorn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestLonghorn").finish_non_exhaustive()
    }
}

impl GuestLonghorn {
    /// Makes Longhorn's images known on the guests. Nothing is installed yet.
    pub fn on(guests: &Guests, gate: impl Gate + 'static, online: &Internet) -> Self {
        let setting = guests.setting("longhorn-manager", "");
        let helm = guests.setting("helm", "");
        let mut charts = Charts::default();
        let ground = Ground { machines: guests.machines().clone(), setting, gate: Arc::new(gate) };
        let longhorn = Longhorn::onto(ground, &mut charts, online);
        Self { longhorn, helm: StandInHelm::new(helm.client, helm.clock, charts) }
    }

    /// What installs it: the stand-in for helm, on that cluster.
    pub fn helm(&self) -> &StandInHelm {
        &self.helm
    }

    /// The values that keep all of it on guests: the chart's own workloads and what managers make.
    pub fn values() -> Vec<(String, Value)> {
        let taint = Guests::TAINT;
        [
            ("global.nodeSelector", json!({taint: "true"})),
            ("global.tolerations", json!([{"key": taint, "operator": "Exists", "effect": "NoSchedule"}])),
            ("defaultSettings.systemManagedComponentsNodeSelector", json!(format!("{taint}:true"))),
            ("defaultSettings.taintToleration", json!(format!("{taint}:NoSchedule"))),
        ]
        .map(|(path, value)| (path.to_owned(), value))
        .into()
    }

    /// Builds a wrong into it, by its name (`Embedded::wrongs` has them). False if there is none of that name.
    pub fn wrong(&self, name: &str) -> bool {
        self.longhorn.wrong(name)
    }

    /// Which invariants of it were broken so far: each is a mistake of the imitation, or of what it leans on.
    pub fn broken(&self) -> Vec<String> {
        self.longhorn.broken()
    }

    /// How many finished files of backing images were deleted on the guests' disks so far.
    pub fn deletions(&self) -> usize {
        self.longhorn.deletions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Rendering;
    use crate::sim::longhorn::{chart, release};

    #[test]
    fn the_values_keep_all_of_the_chart_on_guests() {
        for version in release::CHARTS {
            let chart = chart::longhorn(version);
            let mut values = chart.values.clone();
            for (path, value) in GuestLonghorn::values() {
                let (table, field) = path.split_once('.').expect("they are one level deep");
                values[table][field] = value;
            }
            let at = Rendering {
                release: "longhorn",
                namespace: "longhorn-system",
                revision: 1,
                is_upgrade: false,
                version,
                app_version: "",
                values: &values,
            };
            let rendered = (chart.render)(&at).expect("it renders");
            let pods: Vec<&Value> =
                rendered.objects.iter().filter_map(|object| object.pointer("/spec/template/spec")).collect();
            assert_eq!(pods.len(), 6, "a daemon set, two deployments, three hooks");
            for pod in pods {
                assert_eq!(pod["nodeSelector"], json!({"lariat.dev/guest": "true"}));
                assert_eq!(pod["tolerations"][0]["key"], Guests::TAINT);
            }
        }
    }
}
