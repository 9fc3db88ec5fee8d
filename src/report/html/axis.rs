use crate::clock::Elapsed;

/// The run's time laid along a line.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    /// Where it begins.
    pub(super) left: f64,
    /// How long it is drawn.
    pub(super) width: f64,
    /// The moment at its left end.
    pub(super) from: Elapsed,
    /// How long it lasts.
    pub(super) span: Elapsed,
}

impl Axis {
    /// Where a moment is; what lies outside is at the nearer end.
    pub(super) fn x(self, at: Elapsed) -> f64 {
        let part = ratio(at.since(self.from).0, self.span.0.max(1));
        self.left + self.width * part.min(1.0)
    }

    /// At most ten round moments, the start among them if it is on the line.
    pub(super) fn ticks(self) -> Vec<Elapsed> {
        const ROUND: [u64; 22] = [
            1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
            600_000, 900_000, 1_800_000, 3_600_000,
        ];
        let span = self.span.0 / 1_000;
        let last = ROUND[ROUND.len() - 1];
        let step = ROUND.into_iter().find(|step| span / step < 10).unwrap_or_else(|| last * (span / last / 10 + 1));
        let first = (self.from.0 / 1_000).div_ceil(step);
        let end = self.from.0 / 1_000 + span;
        (first..=end / step).map(|n| Elapsed(n * step * 1_000)).collect()
    }
}

/// A part of a whole, both far below where a float would lose count on a screen.
#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than the loss")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// A count as a coordinate.
#[expect(clippy::cast_precision_loss, reason = "drawings have few rows")]
pub(super) fn units(count: usize) -> f64 {
    count as f64
}

/// A coordinate with one decimal, as it is written.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (span, count, last) in [
            (0, 1, 0),
            (9_400, 10, 9_000),
            (147_000, 10, 135_000),
            (3_600_000, 7, 3_600_000),
            (90_000_000, 9, 86_400_000),
        ] {
            let axis = Axis { left: 0.0, width: 100.0, from: Elapsed(0), span: Elapsed(span * 1_000) };
            let ticks = axis.ticks();
            assert_eq!((ticks.len(), ticks.last()), (count, Some(&Elapsed(last * 1_000))), "{span}");
        }
        let part = Axis { left: 0.0, width: 100.0, from: Elapsed(130_400_000), span: Elapsed(4_000_000) };
        assert_eq!(part.ticks().first(), Some(&Elapsed(130_500_000)));
        assert_eq!(
            [130_400_000, 132_400_000, 1, 900_000_000].map(|at| px(part.x(Elapsed(at)))),
            ["0.0", "50.0", "0.0", "100.0"]
        );
    }
}
