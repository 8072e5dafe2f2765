//! Who changed something, and who was kept from it: lines of the log with the target `audit`. Nothing that is secret is in them.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use edge_cache::{Audit, Receipt};
use parking_lot::Mutex;

use super::token::{Door, Refused};

/// How long refusals of one client are one line and a count.
const MINUTE: Duration = Duration::from_secs(60);
/// Clients that are told apart in that time; the rest is counted together.
const CLIENTS_MAX: usize = 64;
/// Longest path that is written down.
const PATH_MAX: usize = 200;

/// Who asks, as far as that is known.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// From where.
    pub(super) address: Option<IpAddr>,
    /// How it came in.
    pub(super) door: Door,
    /// What its certificate calls it.
    pub(super) name: Option<Arc<str>>,
}

/// Writes it down.
#[derive(Clone, Debug, Default)]
pub(super) struct Auditor(Arc<Mutex<Refusals>>);

/// Refusals since the last count: by client, and of clients beyond those.
#[derive(Debug, Default)]
struct Refusals {
    clients: HashMap<Option<IpAddr>, u64>,
    others: u64,
}

impl Refusals {
    /// Counts one; whether it is the client's first.
    fn is_first(&mut self, client: Option<IpAddr>) -> bool {
        let is_told_apart = self.clients.len() < CLIENTS_MAX || self.clients.contains_key(&client);
        let count = if is_told_apart { self.clients.entry(client).or_default() } else { &mut self.others };
        *count += 1;
        *count == 1
    }

    /// How many more there were, of whom: `None` for the rest together.
    fn more(&mut self) -> Vec<(Option<IpAddr>, u64)> {
        let Self { clients, others } = std::mem::take(self);
        let counts = clients.into_iter().chain([(None, others)]);
        counts.filter(|(_, count)| *count > 1).map(|(client, count)| (client, count - 1)).collect()
    }
}

impl Auditor {
    /// A request that was refused.
    pub(super) fn refused(&self, client: Option<IpAddr>, method: &http::Method, path: &str, why: Refused) {
        if self.0.lock().is_first(client) {
            let path: String = path.chars().take(PATH_MAX).collect();
            let client = client.map(tracing::field::display);
            tracing::warn!(target: "audit", client, method = method.as_str(), path, why = why.as_str(), "refused");
        }
    }

    /// A purge.
    pub(super) fn purged(&self, caller: &Caller, purge: &Audit, receipt: Receipt) {
        let Caller { address, door, name } = caller;
        let Audit { by: _, actor, reason, what, kind } = purge;
        let Receipt { seq, acknowledged, tags } = receipt;
        tracing::info!(
            target: "audit",
            client = address.map(tracing::field::display),
            door = door.as_str(),
            name = name.as_deref(),
            actor,
            reason,
            what,
            kind = kind.as_str(),
            seq,
            tags,
            acknowledged,
            "purged"
        );
    }

    /// Writes down each minute what was only counted, for ever.
    pub(super) async fn count(&self) {
        let mut minutes = tokio::time::interval_at(tokio::time::Instant::now() + MINUTE, MINUTE);
        loop {
            minutes.tick().await;
            for (client, more) in self.0.lock().more() {
                let client = client.map(tracing::field::display);
                tracing::warn!(target: "audit", client, more, "refused again within a minute");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_line_and_a_count_for_each_client_and_few_clients() {
        let mut refusals = Refusals::default();
        let client = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        let lines = |refusals: &mut Refusals, clients: u32| {
            (0..clients * 3).filter(|n| refusals.is_first(client(n % clients))).count()
        };
        assert_eq!(lines(&mut refusals, 1), 1);
        assert_eq!(refusals.more(), [(client(0), 2)]);
        assert_eq!(refusals.more(), []);
        assert_eq!(lines(&mut refusals, 1000), CLIENTS_MAX + 1);
        let more = refusals.more();
        assert_eq!((more.len(), more.last()), (CLIENTS_MAX + 1, Some(&(None, (1000 - 64) * 3 - 1))));
        assert_eq!(lines(&mut refusals, 1), 1, "the next minute begins anew");
    }
}
