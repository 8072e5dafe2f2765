//! Queries of the whole fleet, second by second, by the nodes' own counters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::seat::{Occupant, Seat};
use crate::load::client::Client;
use crate::load::metrics::Counters;
use crate::load::scrape::get;

/// How often: what a node asks between the last look and its end is not counted.
const EVERY: Duration = Duration::from_millis(200);
/// A node that does not tell its metrics in this time has told none at that moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// A node that was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    /// After the start of the load.
    pub(super) at: Duration,
    /// Queries since the last look at the same process, or since it began; `None` where it does not tell.
    pub(super) queries: Option<f64>,
}

/// What is known of one seat.
#[derive(Debug, Default)]
struct Known {
    process: Option<(Arc<Occupant>, Client)>,
    /// What its counter was.
    queries: f64,
}

/// Looks at both seats until `end`.
pub(super) async fn until(seats: &[Arc<Seat>; 2], start: Instant, end: Instant) -> Vec<Look> {
    let mut ticks = interval_at(start + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = [Known::default(), Known::default()];
    let mut looks = Vec::new();
    loop {
        let due = ticks.tick().await;
        // What is seen at the end of a second happened in it.
        let at = (due - start).saturating_sub(EVERY / 2);
        for (seat, known) in seats.iter().zip(&mut known) {
            if let Some(queries) = known.look(seat).await {
                looks.push(Look { at, queries });
            }
        }
        if due >= end {
            return looks;
        }
    }
}

impl Known {
    /// `None` where there is nothing to look at: nobody is there, or does not answer. What is missed is seen by the next look.
    async fn look(&mut self, seat: &Seat) -> Option<Option<f64>> {
        let occupant = seat.occupant()?;
        if self.process.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &occupant)) {
            let client = Client::new(occupant.admin);
            *self = Self { process: Some((occupant, client)), queries: 0.0 };
        }
        let (occupant, client) = self.process.as_mut()?;
        let counters = counters(client, occupant.admin).await?;
        let Some(counted) = counters.database_queries else { return Some(None) };
        // Asking whether it wants requests is the balancer's doing, and no client's.
        let queries = counted - occupant.asked() as f64;
        Some(Some(queries - std::mem::replace(&mut self.queries, queries)))
    }
}

async fn counters(client: &mut Client, admin: SocketAddr) -> Option<Counters> {
    match timeout(PATIENCE, get(client, admin, "/metrics", None)).await {
        Ok(text) => text.ok().map(|text| Counters::parse(&String::from_utf8_lossy(&text))),
        Err(_) => {
            client.hang_up();
            None
        }
    }
}

/// Queries in each second; `None` for one in which no node, or not each that answered, told.
pub(super) fn by_second(looks: &[Look], seconds: u32) -> Vec<Option<f64>> {
    let of = |second: u64| {
        let mut looks = looks.iter().filter(|look| look.at.as_secs() == second).peekable();
        looks.peek()?;
        // One between two looks may be seen by the one counter and not yet by the other.
        looks.map(|look| look.queries).sum::<Option<f64>>().map(|sum| sum.max(0.0))
    };
    (0..u64::from(seconds)).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_of_a_second_are_added_and_silence_is_not_zero() {
        let look = |at, queries| Look { at: Duration::from_secs_f64(at), queries };
        let looks = [
            look(0.1, Some(3.0)),
            look(0.1, Some(4.0)),
            look(0.9, Some(1.0)),
            look(2.0, Some(0.0)),
            look(2.5, Some(-1.0)),
            look(3.0, Some(5.0)),
            look(3.0, None),
        ];
        assert_eq!(by_second(&looks, 5), [Some(8.0), None, Some(0.0), None, None]);
    }
}
