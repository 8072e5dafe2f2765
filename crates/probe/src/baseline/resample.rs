//! The distribution of quantiles under another draw of rounds.

/// Neighbouring rounds are drawn together: what drifts outlasts a round.
const BLOCK: usize = 2;
/// Beyond it a handful of rounds cannot tell how long they remember. So near to 1 that an interval holds what drifts without coming back.
const MEMORY_MAX: f64 = 0.95;
/// Rounds that lie closer together differ by how numbers are rounded.
const NO_MOVE: f64 = 1e-12;

/// Numbers that look random and are the same every time (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is a number of rounds: the bias is one in 2⁴⁰ at most.
    fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).expect("below a usize")
    }

    /// From `[0, 1)`.
    #[cfg(test)]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// All latencies of an endpoint, sorted once, each with its round: a quantile of any draw of rounds is one walk over them.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    sorted: Vec<(u64, u32)>,
    sizes: Vec<u64>,
    /// Logarithm of each round's median, less their mean.
    deviations: Vec<f64>,
}

impl Pool {
    /// Of the rounds that have any.
    pub(super) fn new(rounds: &[Vec<u64>]) -> Self {
        let rounds: Vec<&Vec<u64>> = rounds.iter().filter(|round| !round.is_empty()).collect();
        let sizes = rounds.iter().map(|round| round.len() as u64).collect();
        let with_round = |(at, round): (u32, &&Vec<u64>)| round.iter().map(move |micros| (*micros, at)).collect();
        let mut sorted: Vec<(u64, u32)> = (0..).zip(&rounds).flat_map::<Vec<_>, _>(with_round).collect();
        sorted.sort_unstable();
        let medians: Vec<f64> = rounds.iter().map(|round| ln_median(round)).collect();
        let mean = medians.iter().sum::<f64>() / medians.len().max(1) as f64;
        let deviations = medians.into_iter().map(|median| median - mean).collect();
        Self { sorted, sizes, deviations }
    }

    /// How much of what moved a round moves the next one, from 0 to 0.95: the first autocorrelation of both series together. As few rounds
    /// show less of it than there is (Kendall, 1954), that is put back, and one standard error with it: too little memory would make news of
    /// what drifts, too much makes an interval wider than it need be.
    pub(super) fn memory_with(&self, other: &Self) -> f64 {
        let both = [&self.deviations, &other.deviations];
        let together: f64 = both.iter().flat_map(|series| series.windows(2)).map(|pair| pair[0] * pair[1]).sum();
        let alone: f64 = both.iter().flat_map(|series| series.iter()).map(|one| one * one).sum();
        let rounds = self.rounds().min(other.rounds()) as f64;
        if alone < NO_MOVE || rounds < 5.0 {
            return 0.0;
        }
        // There is one pair less than there are rounds.
        let shown = together / alone * rounds / (rounds - 1.0);
        let likely = (shown + (1.0 + 4.0 * shown) / rounds).clamp(0.0, 1.0);
        if shown <= 0.0 {
            return likely.min(MEMORY_MAX);
        }
        let error = ((1.0 - likely.powi(2)) / (2.0 * rounds)).sqrt();
        (likely + error).min(MEMORY_MAX)
    }

    pub(super) fn rounds(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The quantiles of everything that was measured.
    pub(super) fn quantiles<const N: usize>(&self, quantiles: [f64; N]) -> [u64; N] {
        self.walk(&vec![1; self.rounds()], quantiles)
    }

    /// The logarithm by which each quantile of the second half of the rounds is above that of the first.
    pub(super) fn swing<const N: usize>(&self, quantiles: [f64; N]) -> [f64; N] {
        let rounds = self.rounds();
        let half = rounds / 2;
        if half == 0 {
            return [0.0; N];
        }
        let of = |begin: usize| {
            let weights: Vec<u64> = (0..rounds).map(|at| u64::from((begin..begin + half).contains(&at))).collect();
            self.walk(&weights, quantiles).map(|micros| (micros.max(1) as f64).ln())
        };
        let (first, second) = (of(0), of(rounds - half));
        std::array::from_fn(|at| second[at] - first[at])
    }

    /// The same of one draw of as many rounds, by the circular block bootstrap (Politis and Romano, 1992).
    pub(super) fn drawn<const N: usize>(&self, quantiles: [f64; N], draws: &mut Draws) -> [u64; N] {
        let rounds = self.rounds();
        let mut weights = vec![0; rounds];
        let mut left = rounds;
        while left > 0 {
            let first = draws.below(rounds);
            for step in 0..BLOCK.min(left) {
                weights[(first + step) % rounds] += 1;
            }
            left -= BLOCK.min(left);
        }
        self.walk(&weights, quantiles)
    }

    /// For each quantile, in rising order, the least latency that so large a part is not above.
    fn walk<const N: usize>(&self, weights: &[u64], quantiles: [f64; N]) -> [u64; N] {
        let all: u64 = weights.iter().zip(&self.sizes).map(|(weight, size)| weight * size).sum();
        let ranks = quantiles.map(|quantile| ((quantile * all as f64).ceil() as u64).clamp(1, all.max(1)));
        let (mut found, mut next, mut passed) = ([0; N], 0, 0);
        for (micros, round) in &self.sorted {
            passed += weights[*round as usize];
            while next < N && passed >= ranks[next] {
                found[next] = *micros;
                next += 1;
            }
            if next == N {
                break;
            }
        }
        found
    }
}

fn ln_median(round: &[u64]) -> f64 {
    let mut sorted = round.to_vec();
    sorted.sort_unstable();
    (sorted[(sorted.len() - 1) / 2].max(1) as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_weighted_latencies() {
        let rounds = [(1..=50).collect(), Vec::new(), (51..=100).collect()];
        let pool = Pool::new(&rounds);
        assert_eq!((pool.rounds(), pool.len()), (2, 100));
        assert_eq!(pool.quantiles([0.5, 0.95]), [50, 95]);
        assert_eq!(pool.walk(&[2, 0], [0.5, 0.95]), [25, 48]);
        assert_eq!(pool.walk(&[0, 2], [0.5, 1.0]), [75, 100]);
        assert_eq!(Pool::new(&[vec![7]]).quantiles([0.0, 0.5, 1.0]), [7, 7, 7]);
    }

    #[test]
    fn rounds_that_move_together_are_known_to_remember() {
        let pool = |medians: &[u64]| Pool::new(&medians.iter().map(|median| vec![*median]).collect::<Vec<_>>());
        let slow = pool(&[100, 105, 110, 115, 120, 120, 115, 110, 105, 100]);
        let quick = pool(&[100, 120, 100, 120, 100, 120, 100, 120, 100, 120]);
        let still = pool(&[100; 10]);
        assert!(slow.memory_with(&slow) > 0.6);
        assert_eq!(quick.memory_with(&quick), 0.0);
        assert_eq!(still.memory_with(&still), 0.0);
        assert_eq!(pool(&[1, 2, 3, 4]).memory_with(&slow), 0.0, "too few to tell");
    }

    #[test]
    fn a_swing_is_from_the_first_half_to_the_second() {
        let swing =
            |medians: &[u64]| Pool::new(&medians.iter().map(|one| vec![*one]).collect::<Vec<_>>()).swing([1.0])[0];
        assert!((swing(&[100, 100, 500, 200, 200]) - 2_f64.ln()).abs() < 1e-9, "the one between is of neither");
        assert!((swing(&[200, 200, 100, 100]) - 0.5_f64.ln()).abs() < 1e-9);
        assert_eq!((swing(&[100]), swing(&[])), (0.0, 0.0));
    }

    #[test]
    fn a_draw_takes_as_many_rounds_as_there_are_and_neighbours_together() {
        let rounds: Vec<Vec<u64>> = (0..7).map(|round| vec![round]).collect();
        let pool = Pool::new(&rounds);
        let mut draws = Draws::new(1);
        let mut least = u64::MAX;
        for _ in 0..200 {
            let [low, high] = pool.drawn([0.0, 1.0], &mut draws);
            assert!(low < 7 && high < 7);
            least = least.min(high - low);
        }
        assert!(least >= 1, "two neighbours at least are in every draw");
        let again = |seed| pool.drawn([0.3, 0.6], &mut Draws::new(seed));
        assert_eq!(again(5), again(5));
    }
}
