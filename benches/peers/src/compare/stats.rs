//! What is said of figures that differ from round to round.

use serde::Serialize;

/// A sample in five figures.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// All zero for no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        Self { min: at(0.0), lower: at(0.25), median: at(0.5), upper: at(0.75), max: at(1.0) }
    }
}

/// Between two figures in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_figures() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        let found = [spread.min, spread.lower, spread.median, spread.upper, spread.max];
        assert_eq!(found, [1.0, 1.75, 2.5, 3.25, 4.0]);
    }

    #[test]
    fn of_nothing_nothing_is_said() {
        assert_eq!(Spread::of([]).median.to_bits(), 0);
    }
}
