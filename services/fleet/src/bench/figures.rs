//! Figures of several rounds: their median, and how far they lie apart.
use serde_json::{Value, json};

/// One figure a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// One more round.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Whether no round was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle one, or the mean of the two in the middle.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        if sorted.len() % 2 == 1 {
            return Some(upper);
        }
        Some(f64::midpoint(*sorted.get(middle - 1)?, upper))
    }

    /// The smallest and the largest.
    #[must_use]
    pub fn spread(&self) -> Option<(f64, f64)> {
        let smallest = self.0.iter().copied().reduce(f64::min)?;
        Some((smallest, self.0.iter().copied().reduce(f64::max)?))
    }

    /// Round by round, this one divided by that one.
    #[must_use]
    pub fn ratios(&self, to: &Self) -> Self {
        let pairs = self.0.iter().zip(&to.0).filter(|(_, to)| **to > 0.0);
        Self(pairs.map(|(it, to)| it / to).collect())
    }

    /// The median, the spread and the rounds.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        let ((low, high), median) = (self.spread()?, self.median()?);
        Some(json!({
            "median": round(median),
            "spread": [round(low), round(high)],
            "rounds": self.0.iter().map(|it| round(*it)).collect::<Vec<_>>(),
        }))
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// To four digits: more would be noise.
#[must_use]
pub(super) fn round(figure: f64) -> f64 {
    if figure == 0.0 || !figure.is_finite() {
        return figure;
    }
    let scale = 10f64.powf(3.0 - figure.abs().log10().floor());
    (figure * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Figures::default().median(), None);
        assert_eq!(Figures::from_iter([3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(Figures::from_iter([4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        assert_eq!(Figures::from_iter([3.0, 1.0, 2.0]).spread(), Some((1.0, 3.0)));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was half as fast in the second round: the ratio does not mind.
        let fleet = Figures::from_iter([80.0, 40.0]);
        let limit = Figures::from_iter([100.0, 50.0]);
        assert_eq!(fleet.ratios(&limit), Figures::from_iter([0.8, 0.8]));
        assert_eq!(fleet.ratios(&Figures::from_iter([0.0])), Figures::default());
    }

    #[test]
    fn figures_are_rounded_to_what_means_something() {
        let rounded = Figures::from_iter([12_345.678, 0.123_456, 0.0].map(round));
        assert_eq!(rounded, Figures::from_iter([12_350.0, 0.1235, 0.0]));
    }
}
