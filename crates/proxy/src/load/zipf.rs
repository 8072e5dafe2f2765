//! Random draws that the load model needs: Zipf ranks, weighted choices, page numbers.

use rand::{Rng, RngExt};

/// Draws an index with a probability proportional to its weight.
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    cumulative: Vec<f64>,
}

impl Weighted {
    /// Weights must be finite and not negative, and one of them positive.
    pub(crate) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut total = 0.0;
        let cumulative: Vec<f64> = weights
            .into_iter()
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        assert!(total > 0.0 && total.is_finite(), "a draw needs one positive weight");
        Self { cumulative }
    }

    /// Ranks 0 to `count` − 1, rank r with weight 1 ÷ (r + 1)^`exponent`; `count` must be positive.
    pub(crate) fn zipf(count: usize, exponent: f64) -> Self {
        Self::new((1..=count).map(|rank| (rank as f64).powf(-exponent)))
    }

    /// The next index.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> usize {
        let last = self.cumulative.len() - 1;
        let total = self.cumulative[last];
        let point = rng.random::<f64>() * total;
        self.cumulative.partition_point(|&upto| upto <= point).min(last)
    }
}

/// A page number p ≥ 0 with probability proportional to `ratio`^p, cut at `page_max`.
pub(crate) fn page(rng: &mut impl Rng, ratio: f64, page_max: u32) -> u32 {
    let uniform = 1.0 - rng.random::<f64>(); // in (0, 1]: its logarithm is finite
    let page = uniform.ln() / ratio.ln();
    (page as u32).min(page_max)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    const DRAWS: usize = 400_000;

    fn counts(weighted: &Weighted, size: usize, seed: u64) -> Vec<usize> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut counts = vec![0; size];
        for _ in 0..DRAWS {
            counts[weighted.draw(&mut rng)] += 1;
        }
        counts
    }

    #[test]
    fn zipf_ranks_follow_the_power_law() {
        let counts = counts(&Weighted::zipf(1_000, 1.0), 1_000, 7);
        let harmonic: f64 = (1..=1_000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [0, 1, 4, 9, 49] {
            let expected = DRAWS as f64 / (rank + 1) as f64 / harmonic;
            let off = (counts[rank] as f64 - expected).abs() / expected;
            assert!(off < 0.1, "rank {rank}: {} drawn, {expected:.0} expected", counts[rank]);
        }
        assert!(counts.iter().skip(900).sum::<usize>() > 0, "the tail is drawn as well");
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let zipf = Weighted::zipf(500, 1.05);
        assert_eq!(counts(&zipf, 500, 3), counts(&zipf, 500, 3));
        assert_ne!(counts(&zipf, 500, 3), counts(&zipf, 500, 4));
    }

    #[test]
    fn a_weight_of_nought_is_never_drawn() {
        let counts = counts(&Weighted::new([0.0, 3.0, 0.0, 1.0]), 4, 1);
        assert_eq!((counts[0], counts[2]), (0, 0));
        let share = counts[1] as f64 / DRAWS as f64;
        assert!((share - 0.75).abs() < 0.01, "{share}");
    }

    #[test]
    fn pages_fall_off_by_the_ratio() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut counts = [0_u32; 4];
        for _ in 0..DRAWS {
            counts[page(&mut rng, 0.45, 3) as usize] += 1;
        }
        let ratio = f64::from(counts[1]) / f64::from(counts[0]);
        assert!((ratio - 0.45).abs() < 0.02, "{ratio}");
    }
}
