//! What each client may take: connections, requests and new keys.
//!
//! A client is an address, or the 64 bits of an IPv6 address that whoever has one has all of. What it took is remembered for as long as it counts, for so many
//! clients at most; beyond them the new ones share one account, so that a flood of addresses costs no memory.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use edge_cache::settings::LimitSettings;
use parking_lot::Mutex;

/// Clients remembered at once.
const CLIENTS_MAX: usize = 100_000;

/// Nanoseconds between two looks at all of them.
const SWEEP: u64 = 1_000_000_000;

/// Every client that counts.
#[derive(Debug)]
pub(super) struct Clients {
    began: Instant,
    accounts: Mutex<HashMap<IpAddr, Arc<Account>>>,
    /// When those that say nothing were last looked for, in nanoseconds since the beginning.
    swept: AtomicU64,
    /// Of those for whom there is no room.
    others: Arc<Account>,
}

/// What one client took.
#[derive(Debug, Default)]
pub(super) struct Account {
    connections: AtomicUsize,
    requests: Bucket,
    new_keys: Bucket,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Account>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A rate with a burst, as one number: the time at which what was taken will have been earned (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// Nanoseconds that one of `count` in `period` takes to be earned, and how far ahead one may be.
#[derive(Clone, Copy, Debug)]
struct Rate {
    each: u64,
    ahead: u64,
}

impl Rate {
    /// `None` for any number.
    fn new(count: u32, period: Duration, burst: u32) -> Option<Self> {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let each = period.checked_div(u64::from(count))?;
        let burst = if burst == 0 { count } else { burst };
        Some(Self { each, ahead: each.saturating_mul(u64::from(burst)) })
    }
}

impl Rate {
    /// When one more will have been earned. Debts are no longer than the burst: what was under way at once, and what an earlier, slower rate left, is forgiven beyond that.
    fn next(self, earned: u64, now: u64) -> Option<u64> {
        Some(earned.clamp(now, now.saturating_add(self.ahead)).saturating_add(self.each))
    }
}

impl Bucket {
    /// Takes one at `now`, if it is there.
    fn take(&self, rate: Rate, now: u64) -> bool {
        let next = |earned: u64| rate.next(earned, now).filter(|next| *next <= now.saturating_add(rate.ahead));
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Whether one is there at `now`.
    fn has(&self, rate: Rate, now: u64) -> bool {
        rate.next(self.0.load(Relaxed), now).is_some_and(|next| next <= now.saturating_add(rate.ahead))
    }

    fn is_full(&self, now: u64) -> bool {
        self.0.load(Relaxed) <= now
    }
}

impl Clients {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, accounts: Mutex::default(), swept: AtomicU64::new(0), others: Arc::default() }
    }

    /// The account of whoever has this address; `None` where nothing is limited.
    pub(super) fn account(&self, address: IpAddr, limits: &LimitSettings, now: Instant) -> Option<Arc<Account>> {
        let any = limits.connections_per_client_max == 0
            && limits.requests_per_client == 0
            && limits.new_keys_per_client == 0;
        if any {
            return None;
        }
        let client = client(address);
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(&client) {
            return Some(Arc::clone(account));
        }
        if accounts.len() >= CLIENTS_MAX {
            let now = self.nanos(now);
            // Looking at all of them holds up everybody else.
            if now.saturating_sub(self.swept.load(Relaxed)) >= SWEEP {
                self.swept.store(now, Relaxed);
                accounts.retain(|_, account| !account.is_blank(now));
            }
            if accounts.len() >= CLIENTS_MAX {
                return Some(Arc::clone(&self.others));
            }
        }
        Some(Arc::clone(accounts.entry(client).or_default()))
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }

    /// A place for one more connection of `account`; `None` where it has as many as it may.
    pub(super) fn connect(account: &Arc<Account>, limits: &LimitSettings) -> Option<Held> {
        let held = account.connections.fetch_add(1, Relaxed);
        let held_by = Held(Arc::clone(account));
        let max = limits.connections_per_client_max;
        (max == 0 || held < max).then_some(held_by)
    }

    /// Whether `account` may ask once more now.
    pub(super) fn may_ask(&self, account: &Account, limits: &LimitSettings, now: Instant) -> bool {
        let rate = Rate::new(limits.requests_per_client, Duration::from_secs(1), limits.requests_per_client_burst);
        rate.is_none_or(|rate| account.requests.take(rate, self.nanos(now)))
    }

    /// Whether `account` may bring a new key into the cache now.
    pub(super) fn may_bring(&self, account: &Account, limits: &LimitSettings, now: Instant) -> bool {
        new_keys(limits).is_none_or(|rate| account.new_keys.has(rate, self.nanos(now)))
    }

    /// `account` brought one. So many at once as there are requests under way may go beyond the limit, and are made up for.
    pub(super) fn brought(&self, account: &Account, limits: &LimitSettings, now: Instant) {
        if let Some(rate) = new_keys(limits) {
            let now = self.nanos(now);
            // It always has a next.
            account.new_keys.0.fetch_update(Relaxed, Relaxed, |earned| rate.next(earned, now)).ok();
        }
    }
}

fn new_keys(limits: &LimitSettings) -> Option<Rate> {
    Rate::new(limits.new_keys_per_client, Duration::from_secs(60), 0)
}

impl Account {
    /// Whether it says no more than a new one would.
    fn is_blank(self: &Arc<Self>, now: u64) -> bool {
        Arc::strong_count(self) == 1
            && self.connections.load(Relaxed) == 0
            && self.requests.is_full(now)
            && self.new_keys.is_full(now)
    }
}

/// Whom an address stands for.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> LimitSettings {
        LimitSettings {
            connections_per_client_max: 2,
            requests_per_client: 10,
            requests_per_client_burst: 3,
            new_keys_per_client: 2,
            ..LimitSettings::default()
        }
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_burst_is_earned_again_at_the_rate() {
        let (began, limits) = (start(), limits());
        let clients = Clients::new(began);
        let account = clients.account(at("192.0.2.1"), &limits, began).unwrap();
        let asks = |millis| clients.may_ask(&account, &limits, began + Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0].map(asks), [true, true, true, false]);
        assert_eq!([99, 100, 100].map(asks), [false, true, false], "one in a tenth of a second");
        assert_eq!([5_000; 4].map(asks), [true, true, true, false], "no more than the burst is saved up");
    }

    #[test]
    fn connections_count_until_they_are_dropped() {
        let (began, limits) = (start(), limits());
        let clients = Clients::new(began);
        let account = clients.account(at("192.0.2.1"), &limits, began).unwrap();
        let first = Clients::connect(&account, &limits).unwrap();
        let second = Clients::connect(&account, &limits).unwrap();
        assert!(Clients::connect(&account, &limits).is_none());
        drop((first, second));
        assert!(Clients::connect(&account, &limits).is_some(), "one that was refused does not count either");
    }

    #[test]
    fn new_keys_are_made_up_for() {
        let (began, limits) = (start(), limits());
        let clients = Clients::new(began);
        let account = clients.account(at("192.0.2.1"), &limits, began).unwrap();
        let may = |secs| clients.may_bring(&account, &limits, began + Duration::from_secs(secs));
        for _ in 0..3 {
            assert!(may(0), "they were asked for before any was there");
        }
        for _ in 0..3 {
            clients.brought(&account, &limits, began);
        }
        assert_eq!([0, 59, 60].map(may), [false, false, true]);
    }

    #[test]
    fn who_has_one_address_of_a_network_has_them_all() {
        let (began, limits) = (start(), limits());
        let clients = Clients::new(began);
        let account = |address: &str| clients.account(at(address), &limits, began).unwrap();
        assert!(Arc::ptr_eq(&account("2001:db8::1"), &account("2001:db8::ffff:1")));
        assert!(!Arc::ptr_eq(&account("2001:db8::1"), &account("2001:db8:0:1::1")));
        assert!(Arc::ptr_eq(&account("192.0.2.1"), &account("::ffff:192.0.2.1")));
        assert!(clients.account(at("192.0.2.1"), &LimitSettings::default(), began).is_none());
    }

    #[test]
    fn a_flood_of_addresses_costs_no_more_memory_than_is_set_aside() {
        let (began, limits) = (start(), limits());
        let clients = Clients::new(began);
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let busy = |n: u32| clients.account(address(n), &limits, began).unwrap();
        for n in 0..u32::try_from(CLIENTS_MAX).unwrap() {
            assert!(clients.may_ask(&busy(n), &limits, began));
        }
        assert!(Arc::ptr_eq(&busy(u32::MAX), &clients.others), "all of them count still");
        let later = began + Duration::from_secs(1);
        let new = clients.account(address(u32::MAX), &limits, later).unwrap();
        assert!(!Arc::ptr_eq(&new, &clients.others));
        assert_eq!(clients.accounts.lock().len(), 1, "those of before have nothing to be remembered for");
    }
}
