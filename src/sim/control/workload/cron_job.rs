//! Cron jobs: jobs by the clock.
//!
//! After `pkg/controller/cronjob` of v1.34. All times are UTC; time zones are not imitated.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::Write;
use super::pods::{controller_of, status_write, text};

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "cronjob-controller",
        triggers: vec![
            Trigger::itself(Kind::CRON_JOB),
            Trigger::on(Kind::JOB, |change, _| controller_of(change, "CronJob")),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(cron) = cache.of(&Kind::CRON_JOB, key).filter(|cron| !cron.is_terminating()) else {
        return Round::idle();
    };
    let jobs: Vec<&Object> = cache.controlled(&Kind::JOB, cron).collect();
    let active: Vec<&&Object> = jobs.iter().filter(|job| !job.is("Complete") && !job.is("Failed")).collect();
    let mut writes = old(cron, &jobs);
    let mut status = cron.at("/status").clone();
    if status.is_null() {
        status = json!({});
    }
    let references: Vec<Value> = active
        .iter()
        .map(|job| json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": job.name(), "namespace": job.namespace(), "uid": job.uid(),
            "resourceVersion": job.at("/metadata/resourceVersion"),
        }))
        .collect();
    set_list(&mut status, references);
    let done = jobs.iter().filter(|job| job.is("Complete")).filter_map(|job| job.time("/status/completionTime")).max();
    if let Some(done) = done {
        status["lastSuccessfulTime"] = text(done).into();
    }
    let Some(schedule) = Schedule::of(cron.text("/spec/schedule")) else {
        let text = format!("unparseable schedule: {:?}", cron.text("/spec/schedule"));
        writes.push(Write::event(cron, "Warning", "UnparseableSchedule", text));
        return Round::writes(writes);
    };
    let mut round = Round::idle();
    if !cron.flag("/spec/suspend") {
        let mut since = cron.time("/status/lastScheduleTime").unwrap_or_else(|| cron.created());
        if let Some(seconds) = cron.number("/spec/startingDeadlineSeconds") {
            since = since.max(now - SignedDuration::from_secs(seconds));
        }
        if let Some(due) = schedule.last_between(since, now) {
            let policy = cron.text("/spec/concurrencyPolicy");
            if active.is_empty() || policy != "Forbid" {
                if policy == "Replace" {
                    writes
                        .extend(active.iter().map(|job| Write::delete(&Kind::JOB, job).with_propagation("Background")));
                }
                writes.push(job(cron, due));
                status["lastScheduleTime"] = text(due).into();
            }
        }
        if let Some(next) = schedule.after(now) {
            round = round.look_at(now, next + SignedDuration::from_millis(100));
        }
    }
    writes.extend(status_write(&Kind::CRON_JOB, cron, status));
    round.writes = writes;
    round
}

fn set_list(status: &mut Value, references: Vec<Value>) {
    if references.is_empty() {
        if let Some(fields) = status.as_object_mut() {
            fields.shift_remove("active");
        }
    } else {
        status["active"] = references.into();
    }
}

fn job(cron: &Object, due: Timestamp) -> Write {
    let template = cron.at("/spec/jobTemplate");
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = format!("{}-{}", cron.name(), due.as_second() / 60).into();
    metadata["namespace"] = cron.namespace().into();
    metadata["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] = text(due).into();
    metadata["ownerReferences"] = json!([Kind::CRON_JOB.owner(cron.name(), cron.uid())]);
    Write::create(&Kind::JOB, json!({"metadata": metadata, "spec": template["spec"]}))
        .telling(cron, "SuccessfulCreate", "Created job {}")
        .forgiving(&[409])
}

/// Deletes the oldest finished jobs beyond the limits.
fn old(cron: &Object, jobs: &[&Object]) -> Vec<Write> {
    let mut writes = Vec::new();
    for (kind, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let limit = cron.number(&format!("/spec/{field}")).unwrap_or(if kind == "Complete" { 3 } else { 1 });
        let mut of: Vec<&&Object> = jobs.iter().filter(|job| job.is(kind) && !job.is_terminating()).collect();
        of.sort_by_key(|job| (job.time("/status/startTime"), job.name().to_owned()));
        let excess = of.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        writes.extend(
            of.into_iter().take(excess).map(|job| Write::delete(&Kind::JOB, job).with_propagation("Background")),
        );
    }
    writes
}

/// Minutes, hours, days, months and weekdays at which something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schedule {
    fields: [Vec<i8>; 5],
    any_day: bool,
    any_weekday: bool,
}

impl Schedule {
    fn of(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else { return None };
        let fields = [
            field(minute, 0, 59)?,
            field(hour, 0, 23)?,
            field(day, 1, 31)?,
            field(month, 1, 12)?,
            field(weekday, 0, 7)?.into_iter().map(|day| day % 7).collect(),
        ];
        Some(Self { fields, any_day: day.starts_with('*'), any_weekday: weekday.starts_with('*') })
    }

    fn holds(&self, at: Timestamp) -> bool {
        let at = at.to_zoned(TimeZone::UTC);
        let has = |field: usize, value: i8| self.fields[field].contains(&value);
        let (day, weekday) = (has(2, at.day()), has(4, at.weekday().to_sunday_zero_offset()));
        // As in cron: with both given, either will do.
        let day = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(0, at.minute()) && has(1, at.hour()) && day && has(3, at.month())
    }

    /// The first time after this one, within four years.
    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let minute = at.as_second().div_euclid(60);
        (minute + 1..minute + 4 * 366 * 1440)
            .filter_map(|minute| Timestamp::from_second(minute * 60).ok())
            .find(|at| self.holds(*at))
    }

    /// The last time after the one and up to the other.
    fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let (first, last) = (after.as_second().div_euclid(60), until.as_second().div_euclid(60));
        (first + 1..=last)
            .rev()
            .filter_map(|minute| Timestamp::from_second(minute * 60).ok())
            .find(|at| self.holds(*at))
    }
}

fn field(text: &str, low: i8, high: i8) -> Option<Vec<i8>> {
    let mut values = Vec::new();
    for part in text.split(',') {
        let (range, step) =
            part.split_once('/').map_or(Some((part, 1)), |(range, step)| Some((range, step.parse().ok()?)))?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let at = range.parse().ok()?;
                (at, if part.contains('/') { high } else { at })
            }
        };
        if step < 1 || from < low || to > high || from > to {
            return None;
        }
        values.extend((from..=to).step_by(usize::try_from(step).ok()?));
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_find_their_next_time() {
        let cases = [
            ("*/15 * * * *", "2026-01-01T00:15:00Z"),
            ("5 4 * * *", "2026-01-01T04:05:00Z"),
            ("0 0 * * 1", "2026-01-05T00:00:00Z"),
            ("0 0 31 * *", "2026-01-31T00:00:00Z"),
            ("30 12 29 2 *", "2028-02-29T12:30:00Z"),
            ("0 0 15 * 5", "2026-01-02T00:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
        ];
        let now: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        for (schedule, next) in cases {
            assert_eq!(Schedule::of(schedule).unwrap().after(now).map(text).as_deref(), Some(next), "{schedule}");
        }
        for wrong in ["* * * *", "60 * * * *", "*/0 * * * *", "a * * * *", "5-1 * * * *"] {
            assert_eq!(Schedule::of(wrong), None, "{wrong}");
        }
    }
}
