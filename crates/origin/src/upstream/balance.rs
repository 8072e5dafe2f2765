//! Which origin is asked: of two drawn at random, the one with less under way.

use std::{fmt, sync::Arc, time::Duration};

use edge_cache_breaker::Permit;
use edge_cache_core::SharedRng;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tower::retry::budget::{Budget, TpsBudget};

use super::{
    config::ORIGINS_MAX,
    member::{Member, OriginState, Place, Refused},
    target::Target,
};

/// A request's turn at an origin.
#[derive(Debug)]
pub(super) struct Turn {
    /// The origin's number.
    pub(super) at: usize,
    pub(super) place: Place,
    pub(super) permit: Permit,
}

/// All origins.
pub(super) struct Balance {
    members: Box<[Arc<Member>]>,
    freed: Arc<Notify>,
    rng: SharedRng,
    /// Of second tries at another origin: one for ten requests, and one a second where there are not many.
    budget: TpsBudget,
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| &member.target.authority)).finish()
    }
}

/// The budget of second tries: what counts is of the last ten seconds.
pub(super) fn budget() -> TpsBudget {
    TpsBudget::new(Duration::from_secs(10), 1, 0.1)
}

/// A set of origins: a bit for each.
type Set = u64;
const _: () = assert!(ORIGINS_MAX <= Set::BITS as usize, "each origin has a bit");

impl Balance {
    /// Origins at `targets`, each with at most `each` requests under way.
    pub(super) fn new(targets: Vec<Target>, each: usize, rng: SharedRng, budget: TpsBudget) -> Self {
        let freed = Arc::new(Notify::new());
        let member = |target| Arc::new(Member::new(target, each, Arc::clone(&freed)));
        Self { members: targets.into_iter().map(member).collect(), freed, rng, budget }
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// The origin to ask, waited for until `until` while those that can be asked have as much to do as they may.
    pub(super) async fn choose_by(&self, until: Instant) -> Result<Turn, Refused> {
        loop {
            // Before it is looked, so that no place is missed.
            let freed = self.freed.notified();
            match self.choose() {
                Err(Refused::Full) if timeout_at(until, freed).await.is_ok() => {}
                done => return done,
            }
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// Host and port of an origin.
    pub(super) fn name(&self, at: usize) -> &str {
        self.members[at].target.authority.as_str()
    }

    pub(super) fn state(&self) -> Vec<OriginState> {
        self.members.iter().map(|member| member.state()).collect()
    }

    /// The origin to ask: a healthy one, and where none can be asked, any.
    pub(super) fn choose(&self) -> Result<Turn, Refused> {
        if self.is_alone() {
            return self.enter(0);
        }
        self.budget.deposit();
        let healthy = self.healthy();
        // The checks can be wrong about all at once; then it is better to ask.
        self.among(healthy).or_else(|refused| match self.all() & !healthy {
            0 => Err(refused),
            rest => self.among(rest),
        })
    }

    /// Another one for a request that `failed` did not answer, while the budget lasts.
    pub(super) fn another(&self, failed: usize) -> Option<Turn> {
        if self.is_alone() {
            return None;
        }
        let healthy = self.healthy();
        let pool = if healthy == 0 { self.all() } else { healthy } & !(1 << failed);
        let turn = self.among(self.only(pool, Member::is_trusted)).ok()?;
        self.budget.withdraw().then_some(turn)
    }

    fn all(&self) -> Set {
        Set::MAX >> (Set::BITS as usize - self.members.len())
    }

    fn healthy(&self) -> Set {
        self.only(self.all(), Member::is_healthy)
    }

    fn only(&self, set: Set, which: fn(&Member) -> bool) -> Set {
        Members(set).filter(|at| which(&self.members[*at])).map(|at| 1 << at).sum()
    }

    fn enter(&self, at: usize) -> Result<Turn, Refused> {
        self.members[at].enter().map(|(place, permit)| Turn { at, place, permit })
    }

    /// One of `set` that takes the request.
    fn among(&self, mut set: Set) -> Result<Turn, Refused> {
        let mut refused = Refused::Open;
        while set != 0 {
            let at = self.less_loaded(set);
            match self.enter(at) {
                Ok(turn) => return Ok(turn),
                Err(Refused::Full) => refused = Refused::Full,
                Err(Refused::Open) => {}
            }
            set &= !(1 << at);
        }
        Err(refused)
    }

    /// Of two of `set` the one with less under way, and the one drawn first where they are equal.
    fn less_loaded(&self, set: Set) -> usize {
        let count = set.count_ones() as usize;
        if count == 1 {
            return nth(set, 0);
        }
        let first = draw(self.rng.unit(), count);
        let second = (first + 1 + draw(self.rng.unit(), count - 1)) % count;
        let (first, second) = (nth(set, first), nth(set, second));
        if self.members[second].in_flight() < self.members[first].in_flight() { second } else { first }
    }
}

/// A number below `count`.
fn draw(unit: f64, count: usize) -> usize {
    ((unit * count as f64) as usize).min(count - 1)
}

/// The number of the `n`th origin of `set`.
fn nth(set: Set, n: usize) -> usize {
    Members(set).nth(n).expect("n is below the number of members")
}

/// The numbers in a set, from the lowest.
struct Members(Set);

impl Iterator for Members {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0.checked_sub(1)?;
        Some(lowest as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use edge_cache_breaker::State;
    use edge_cache_core::Rng;

    use super::*;
    use crate::upstream::said::Said;

    /// Draws every first origin in turn.
    #[derive(Debug, Default)]
    struct Turns(AtomicUsize);

    impl Rng for Turns {
        fn unit(&self) -> f64 {
            (self.0.fetch_add(1, Ordering::Relaxed) % 7) as f64 / 7.0
        }
    }

    fn balance(count: usize, each: usize) -> Balance {
        let targets = (0..count).map(|n| Target::of(&format!("http://h:{n}")).unwrap()).collect();
        Balance::new(targets, each, Arc::new(Turns::default()), budget())
    }

    fn fail(balance: &Balance, at: usize) {
        let Turn { place, permit, .. } = balance.enter(at).unwrap();
        place.member().did(permit, Said::Unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_the_less_loaded_is_asked() {
        let two = balance(2, 100);
        let turns: Vec<_> = (0..20).map(|_| two.choose().unwrap()).collect();
        assert_eq!(two.state().iter().map(|state| state.in_flight).collect::<Vec<_>>(), [10, 10]);
        drop(turns.into_iter().filter(|turn| turn.at == 1).collect::<Vec<_>>());
        assert_eq!(two.state()[1].in_flight, 0);
        let many = balance(5, 100);
        let busy: Vec<_> = (0..5).filter(|at| *at != 3).flat_map(|at| [many.enter(at), many.enter(at)]).collect();
        let (turns, mut hits) = ((0..100).map(|_| many.choose().unwrap().at), 0);
        turns.for_each(|at| hits += usize::from(at == 3));
        assert!(hits > 25, "drawn in two of five, it is taken each time: {hits}");
        drop(busy);
        let drawn: std::collections::HashSet<_> = (0..100).map(|_| many.choose().unwrap().at).collect();
        assert_eq!(drawn.len(), 5, "equals are drawn at random");
    }

    #[tokio::test(start_paused = true)]
    async fn an_ill_one_is_left_out_until_all_are() {
        let three = balance(3, 1);
        three.members[0].found_healthy(false);
        let first = [three.choose().unwrap(), three.choose().unwrap()];
        assert!(first.iter().all(|turn| turn.at != 0), "{first:?}");
        assert_eq!(three.choose().unwrap().at, 0, "none of the healthy takes it");
        drop(first);
        for member in &three.members {
            member.found_healthy(false);
        }
        let all: std::collections::HashSet<_> = (0..100).map(|_| three.choose().unwrap().at).collect();
        assert_eq!(all.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_is_left_out_until_its_probe() {
        let two = balance(2, 100);
        (0..3).for_each(|_| fail(&two, 0));
        assert!((0..20).all(|_| two.choose().unwrap().at == 1));
        (0..3).for_each(|_| fail(&two, 1));
        assert_eq!(two.choose().unwrap_err(), Refused::Open);
        tokio::time::advance(Duration::from_secs(1)).await;
        let probes = [two.choose().unwrap(), two.choose().unwrap()];
        assert_eq!(two.choose().unwrap_err(), Refused::Open, "one probe each");
        let [probe, _] = probes;
        probe.place.member().did(probe.permit, Said::Fine);
        assert_eq!(two.state()[probe.at].breaker, State::HalfOpen, "a few at once, then more");
    }

    #[test]
    fn no_origin_gets_more_than_it_may_have() {
        for count in [1, 3] {
            let balance = balance(count, 2);
            let turns: Vec<_> = (0..2 * count).map(|_| balance.choose().unwrap()).collect();
            assert_eq!(balance.choose().unwrap_err(), Refused::Full);
            drop(turns);
            assert!(balance.choose().is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_them_all_full_waits_for_a_place() {
        let two = balance(2, 1);
        let held = [two.choose().unwrap(), two.choose().unwrap()];
        let until = Instant::now() + Duration::from_secs(1);
        assert_eq!(two.choose_by(until).await.unwrap_err(), Refused::Full);
        assert_eq!(Instant::now(), until);
        let [one, _other] = held;
        let at = one.at;
        let (turn, ()) = tokio::join!(two.choose_by(until + Duration::from_secs(1)), async { drop(one) });
        assert_eq!(turn.unwrap().at, at);
    }

    #[tokio::test(start_paused = true)]
    async fn another_is_a_healthy_one_with_a_closed_breaker() {
        let three = balance(3, 100);
        three.members[1].found_healthy(false);
        assert!((0..10).all(|_| three.another(0).unwrap().at == 2));
        (0..3).for_each(|_| fail(&three, 2));
        assert!(three.another(0).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(three.another(0).is_none(), "a second try is no probe");
        assert!(balance(1, 100).another(0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn second_tries_are_a_tenth_of_the_requests_and_a_few() {
        let two = balance(2, 100);
        let tries = || (0..1000).take_while(|_| two.another(0).is_some()).count();
        assert_eq!(tries(), 10, "one a second, of ten seconds");
        for _ in 0..200 {
            drop(two.choose().unwrap());
        }
        assert_eq!(tries(), 20);
    }

    #[test]
    fn a_set_is_walked_from_the_lowest() {
        assert_eq!(Members(0b1011).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(Members(1 << 63).collect::<Vec<_>>(), [63]);
        assert_eq!(balance(64, 1).all(), Set::MAX);
    }
}
