//! Settings: their defaults, and who may write which value (longhorn-manager `types/setting.go`).

use std::sync::LazyLock;

use serde_json::Value;

use super::release::Release;
use crate::sim::Object;

/// One setting.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) rule: Rule,
}

/// A setting as an installation makes it.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) name: &'static str,
    /// The minor release that brought it; 0 where it was there in all that are imitated.
    since: u32,
    /// Whether a manager says that it is applied.
    pub(super) applied: bool,
    value: &'static str,
    /// Its value up to v1.11.
    before: &'static str,
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Written by managers alone.
    ReadOnly,
    /// Whole number, not below this.
    Number(i64),
    /// `true` or `false`.
    Truth,
    /// One number, or one for each data engine as JSON.
    PerEngine,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Anything.
    Text,
}

const fn of(name: &'static str, default: &'static str, rule: Rule) -> Definition {
    Definition { name, default, rule }
}

/// The setting with the version that the managers' resources are at.
pub(super) const CURRENT_VERSION: &str = "current-longhorn-version";
/// The default images that managers write from their flags.
pub(super) const ENGINE_IMAGE: &str = "default-engine-image";
/// As above.
pub(super) const INSTANCE_MANAGER_IMAGE: &str = "default-instance-manager-image";
/// As above.
pub(super) const IMAGE_MANAGER_IMAGE: &str = "default-backing-image-manager-image";
/// As above.
pub(super) const SUPPORT_BUNDLE_IMAGE: &str = "support-bundle-manager-image";
/// The version of the API's definitions.
pub(super) const API_VERSION: &str = "crd-api-version";
/// How many volumes of a node are upgraded at once; 0 for none.
pub(super) const UPGRADE_LIMIT: &str = "concurrent-automatic-engine-upgrade-per-node-limit";
/// How many copies come in at a node at once; 0 for none.
pub(super) const REPLENISH_LIMIT: &str = "concurrent-backing-image-replenish-per-node-limit";
/// How many copies a backing image has, if it does not say so.
pub(super) const MIN_COPIES: &str = "default-min-number-of-backing-image-copies";
/// Minutes until an unused copy goes.
pub(super) const CLEANUP_WAIT: &str = "backing-image-cleanup-wait-interval";
/// Seconds until what is lost everywhere is downloaded again.
pub(super) const RECOVERY_WAIT: &str = "backing-image-recovery-wait-interval";
/// Whether Longhorn may be uninstalled.
pub(super) const DELETING_CONFIRMED: &str = "deleting-confirmation-flag";

/// The settings of an installation in its order, as they were recorded: `settings.tsv`.
static MADE: LazyLock<Vec<Made>> = LazyLock::new(|| {
    let lines = include_str!("settings.tsv").lines().filter(|line| !line.starts_with('#'));
    let made = lines.map(|line| {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("a line has four fields");
        let (name, since, applied, value) = (field(), field(), field(), field());
        let (value, before) = value.split_once(" | ").unwrap_or((value, value));
        Made { name, since: since.parse().unwrap_or(0), applied: applied == "yes", value, before }
    });
    made.collect()
});

/// The settings that a release makes.
pub(super) fn made(release: &Release) -> impl Iterator<Item = &'static Made> {
    MADE.iter().filter(|made| made.since <= release.minor)
}

impl Made {
    /// Its value in a release, if neither the chart nor a flag says another.
    pub(super) fn value(&self, release: &Release) -> &'static str {
        if release.minor < 12 { self.before } else { self.value }
    }
}

/// The settings that decide something here, or whose values are checked.
const SETTINGS: &[Definition] = &[
    of(ENGINE_IMAGE, "", Rule::ReadOnly),
    of(INSTANCE_MANAGER_IMAGE, "", Rule::ReadOnly),
    of(IMAGE_MANAGER_IMAGE, "", Rule::ReadOnly),
    of(SUPPORT_BUNDLE_IMAGE, "", Rule::Text),
    of(CURRENT_VERSION, "", Rule::ReadOnly),
    of(API_VERSION, "", Rule::ReadOnly),
    of(UPGRADE_LIMIT, "0", Rule::Number(0)),
    of(REPLENISH_LIMIT, "5", Rule::Number(0)),
    of(MIN_COPIES, "3", Rule::Number(1)),
    of(CLEANUP_WAIT, "60", Rule::Number(0)),
    of(RECOVERY_WAIT, "300", Rule::Number(0)),
    of("default-replica-count", "{\"v1\":\"3\",\"v2\":\"3\"}", Rule::PerEngine),
    of("replica-replenishment-wait-interval", "600", Rule::Number(0)),
    of("concurrent-replica-rebuild-per-node-limit", "5", Rule::Number(0)),
    of("auto-salvage", "true", Rule::Truth),
    of("auto-delete-pod-when-volume-detached-unexpectedly", "true", Rule::Truth),
    of(DELETING_CONFIRMED, "false", Rule::Truth),
    of("allow-live-engine-upgrade-on-same-image-commit", "false", Rule::Truth),
    of("system-managed-pods-image-pull-policy", "if-not-present", Rule::OneOf(&["always", "if-not-present", "never"])),
    of("engine-replica-timeout", "{\"v1\":\"8\",\"v2\":\"8\"}", Rule::PerEngine),
    of("node-drain-policy", "block-if-contains-last-replica", Rule::Text),
    of("replica-soft-anti-affinity", "false", Rule::Truth),
    of("guaranteed-instance-manager-cpu", "{\"v1\":\"12\",\"v2\":\"12\"}", Rule::PerEngine),
    of("log-level", "Info", Rule::OneOf(&["Panic", "Fatal", "Error", "Warn", "Info", "Debug", "Trace"])),
    of("upgrade-checker", "true", Rule::Truth),
];

/// The definition of a setting; of those that decide nothing here, any value is taken.
pub(super) fn definition(name: &str) -> Option<Definition> {
    let known = SETTINGS.iter().find(|own| own.name == name).copied();
    let made = || MADE.iter().find(|made| made.name == name);
    known.or_else(|| made().map(|made| of(made.name, made.value, Rule::Text)))
}

/// The value of a setting as it is known, its default where there is none.
pub(super) fn value(name: &str, known: Option<&Object>) -> String {
    let value = known.map(|setting| setting.text("/value")).filter(|value| !value.is_empty());
    value.or_else(|| definition(name).map(|own| own.default)).unwrap_or_default().to_owned()
}

/// A value's number; of one for each data engine the first engine's.
pub(super) fn number(value: &str) -> i64 {
    let engines: Option<Value> = serde_json::from_str(value).ok();
    engines.as_ref().and_then(|engines| engines["v1"].as_str()).unwrap_or(value).parse().unwrap_or_default()
}

/// The name of a setting by its key in the chart's `defaultSettings`: `upgradeChecker` is `upgrade-checker`.
pub(super) fn name_of(key: &str) -> String {
    key.chars().fold(String::new(), |mut name, letter| {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
        name
    })
}

impl Definition {
    /// Whether a value may be written, or why not.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        let name = self.name;
        let number = |text: &str| text.parse::<i64>().ok();
        match self.rule {
            Rule::ReadOnly | Rule::Text => Ok(()),
            Rule::Number(least) => match number(value) {
                Some(number) if number >= least => Ok(()),
                Some(number) => Err(format!("setting {name} value {number} should be at least {least}")),
                None => Err(format!("setting {name} value {value} is not a valid integer")),
            },
            Rule::Truth if matches!(value, "true" | "false") => Ok(()),
            Rule::Truth => Err(format!("setting {name} value {value} should be true or false")),
            Rule::PerEngine => {
                let parsed: Option<Value> = serde_json::from_str(value).ok();
                let fits = number(value).is_some()
                    || parsed
                        .as_ref()
                        .and_then(Value::as_object)
                        .is_some_and(|engines| engines.values().all(|value| value.as_str().and_then(number).is_some()));
                if fits { Ok(()) } else { Err(format!("setting {name} value {value} is invalid")) }
            }
            Rule::OneOf(choices) if choices.contains(&value) => Ok(()),
            Rule::OneOf(choices) => {
                Err(format!("setting {name} value {value} is not in the list of choices {}", choices.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_rule() {
        let good =
            [(UPGRADE_LIMIT, "3"), ("auto-salvage", "false"), ("default-replica-count", "2"), ("log-level", "Debug")];
        let bad = [
            (UPGRADE_LIMIT, "-1"),
            (MIN_COPIES, "0"),
            ("auto-salvage", "yes"),
            ("log-level", "Loud"),
            ("default-replica-count", "x"),
        ];
        for (name, value) in good {
            assert_eq!(definition(name).map(|own| own.check(value)), Some(Ok(())), "{name}={value}");
        }
        for (name, value) in bad {
            assert!(definition(name).is_some_and(|own| own.check(value).is_err()), "{name}={value}");
        }
    }

    #[test]
    fn a_number_may_be_one_for_each_engine() {
        assert_eq!([number("5"), number(r#"{"v1":"3","v2":"4"}"#), number("x")], [5, 3, 0]);
        assert_eq!(value(REPLENISH_LIMIT, None), "5");
    }

    #[test]
    fn an_installation_makes_the_recorded_settings() {
        let count = |image: &str| made(&Release::of(image)).count();
        assert_eq!([count("longhorn-manager:v1.11.3"), count("longhorn-manager:v1.12.1")], [107, 116]);
        let missing: Vec<_> = SETTINGS.iter().filter(|own| !MADE.iter().any(|made| made.name == own.name)).collect();
        assert!(missing.is_empty(), "{}", missing.iter().map(|own| own.name).collect::<String>());
        let mask = MADE.iter().find(|made| made.name == "data-engine-cpu-mask").unwrap();
        let of = |image| mask.value(&Release::of(image));
        assert_eq!([of("x:v1.11.3"), of("x:v1.12.1")], [r#"{"v2":"0x1"}"#, r#"{"v2":"0x3"}"#]);
    }

    #[test]
    fn a_chart_key_names_a_setting() {
        assert_eq!(name_of("concurrentAutomaticEngineUpgradePerNodeLimit"), UPGRADE_LIMIT);
    }
}
