//! The only file that asks the time.
//!
//! A clock is a value that is handed down: a wall-clock instant taken once, and
//! tokio's time since then. On a paused runtime both are virtual, which is why
//! nothing else may ask the system.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Wall start and monotonic elapsed time. Copies share the start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    zero: tokio::time::Instant,
}

impl Clock {
    /// A clock that begins now, by the machine's wall clock.
    ///
    /// The wall clock is read once: a step of the machine's clock during a run
    /// can't reorder its events.
    pub fn real() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock whose first instant is handed in, for virtual time and for tests.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, zero: tokio::time::Instant::now() }
    }

    /// The same clock, counted from another moment of wall time.
    #[must_use]
    pub fn counted_from(self, start: Timestamp) -> Self {
        let ahead = start.as_microsecond() - self.start.as_microsecond();
        let span = Duration::from_micros(ahead.unsigned_abs());
        let zero = if ahead < 0 { self.zero.checked_sub(span) } else { self.zero.checked_add(span) };
        Self { start, zero: zero.unwrap_or(self.zero) }
    }

    /// When this clock began.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Time since the clock began.
    pub fn elapsed(&self) -> Elapsed {
        Elapsed::from(self.zero.elapsed())
    }

    /// The wall-clock time now.
    pub fn now(&self) -> Timestamp {
        self.at(self.elapsed())
    }

    /// The wall-clock time at an elapsed time of this clock.
    pub fn at(&self, elapsed: Elapsed) -> Timestamp {
        self.start + SignedDuration::from_micros(i64::try_from(elapsed.0).unwrap_or(i64::MAX))
    }
}

/// Measures real time, also where the runtime's is virtual.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Runs from now on.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since its start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How often virtual time that follows real time waits for it.
const PACE: Duration = Duration::from_millis(5);

/// A machine that was busier than this is not caught up with: time goes on from where it is.
const TOO_LATE: Duration = Duration::from_secs(1);

/// Lets the time of a paused runtime follow real time, so many times as fast, for as long as this is awaited.
///
/// Time still jumps from timer to timer, so each fires at its own moment, but it gets no further
/// than real time allows. It stands still while a blocking task lives; sockets are heard all the same.
pub async fn keep_pace(speed: f64) -> std::convert::Infallible {
    let stride = PACE.mul_f64(speed).max(Duration::from_millis(1));
    let wait = stride.div_f64(speed);
    let mut now = tokio::time::Instant::now();
    let mut due = std::time::Instant::now();
    loop {
        now += stride;
        tokio::time::sleep_until(now).await;
        due += wait;
        let real = std::time::Instant::now();
        if let Some(ahead) = due.checked_duration_since(real) {
            // A thread that could not be had means no wait this time, and a longer one the next.
            let _ = tokio::task::spawn_blocking(move || std::thread::sleep(ahead)).await;
        } else if real.duration_since(due) > TOO_LATE {
            due = real;
        }
    }
}

/// Microseconds since a run began: the one unit of time in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Elapsed(pub u64);

impl Elapsed {
    /// The span as a standard duration.
    pub fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// From an earlier instant to this one; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Elapsed {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paced_time_is_so_many_times_as_fast_and_timers_keep_their_moments() {
        let (real, clock) = (Stopwatch::start(), Clock::starting_at(Timestamp::UNIX_EPOCH));
        let timers = async {
            let mut fired = Vec::new();
            for millis in [7, 333, 1_999, 10_000] {
                tokio::time::sleep_until(clock.zero + Duration::from_millis(millis)).await;
                fired.push(clock.elapsed().0 / 1000);
            }
            fired
        };
        let fired = tokio::select! {
            biased;
            fired = timers => fired,
            never = keep_pace(100.0) => match never {},
        };
        assert_eq!(fired, [7, 333, 1_999, 10_000]);
        let real = real.elapsed();
        assert!(real >= Duration::from_millis(90), "ten seconds at 100 times took {real:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_tokio_time() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        tokio::time::advance(Duration::from_millis(90_500)).await;
        assert_eq!(clock.elapsed(), Elapsed(90_500_000));
        assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30.5Z");
        let later = clock.counted_from("2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!((later.elapsed(), later.now()), (Elapsed(30_500_000), clock.now()));
    }
}
