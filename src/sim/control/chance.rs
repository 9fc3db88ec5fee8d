//! Chance from the seed: each process has its own stream, named after it.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A range from which a duration is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub low: Duration,
    /// The longest.
    pub high: Duration,
}

impl Span {
    /// Between so many milliseconds.
    pub const fn millis(low: u64, high: u64) -> Self {
        Self { low: Duration::from_millis(low), high: Duration::from_millis(high) }
    }

    /// Always exactly this.
    pub const fn exactly(span: Duration) -> Self {
        Self { low: span, high: span }
    }
}

/// A stream of chance.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed and a name: two names draw independently, so that another
    /// process or another object more does not change what this one draws.
    pub fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: any fixed mixing will do, std's hasher is not promised to be one.
        let mixed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed.rotate_left(32), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(ChaCha8Rng::seed_from_u64(mixed))
    }

    /// A duration out of a range, in whole milliseconds.
    pub fn draw(&mut self, span: Span) -> Duration {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (low, high) = (millis(span.low), millis(span.high));
        if low >= high { span.low } else { Duration::from_millis(self.0.random_range(low..=high)) }
    }

    /// A number below another.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// Whether something happens that happens with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.0.random_range(0.0..1.0) < probability
    }

    /// So many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.0.random_range(0..16_usize)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_seed_and_name() {
        let draw = |seed, name| Chance::of(seed, name).draw(Span::millis(0, 1_000_000));
        assert_eq!(draw(1, "n1"), draw(1, "n1"));
        assert_ne!(draw(1, "n1"), draw(1, "n2"));
        assert_ne!(draw(1, "n1"), draw(2, "n1"));
    }
}
