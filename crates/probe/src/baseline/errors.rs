//! Whether errors became more, or fewer, by Fisher's exact test.

/// The probability of at least `bad_b` errors among the `all_b` of B, if the same errors had fallen on A and B by chance. From 0 to 1.
pub(super) fn at_least(bad_a: u64, all_a: u64, bad_b: u64, all_b: u64) -> f64 {
    let (bad, all) = (bad_a + bad_b, all_a + all_b);
    let table = LnFactorials::up_to(all);
    let ln_all = table.choose(all, bad);
    let most = bad.min(all_b);
    // What does not fit into A must be in B.
    let least = bad_b.max(bad.saturating_sub(all_a));
    let sum: f64 = (least..=most).map(|x| (table.choose(all_b, x) + table.choose(all_a, bad - x) - ln_all).exp()).sum();
    sum.min(1.0)
}

struct LnFactorials(Vec<f64>);

impl LnFactorials {
    fn up_to(n: u64) -> Self {
        let mut table = vec![0.0];
        let mut sum = 0.0;
        for k in 1..=n {
            sum += (k as f64).ln();
            table.push(sum);
        }
        Self(table)
    }

    fn choose(&self, n: u64, k: u64) -> f64 {
        let of = |n: u64| self.0[usize::try_from(n).expect("as many as there are answers")];
        of(n) - of(k) - of(n - k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_tail_of_the_hypergeometric_distribution() {
        // The lady tasting tea: 3 of 4 rightly, (16 + 1) / 70.
        assert!((at_least(1, 4, 3, 4) - 17.0 / 70.0).abs() < 1e-12);
        assert!((at_least(0, 4, 4, 4) - 1.0 / 70.0).abs() < 1e-12);
        assert!((at_least(5, 10, 0, 10) - 1.0).abs() < 1e-12);
        assert!((at_least(0, 300, 5, 300) - 0.030_8).abs() < 1e-3);
        assert!(at_least(0, 300, 6, 300) < 0.025);
        assert!((at_least(10, 10, 10, 10) - 1.0).abs() < 1e-12, "everything fails, as before");
        assert!(at_least(0, 50_000, 50_000, 50_000) < 1e-9);
    }
}
