use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::StepContext;

/// Chance as this step has it: it follows from the run's seed and the step's id
/// alone, so that every attempt, and the same run again, draws the same.
pub(super) fn chance(ctx: &StepContext) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(ctx.run.seed ^ fnv(ctx.id.as_str()))
}

/// FNV-1a: spreads step ids over seeds, the same on every machine.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
