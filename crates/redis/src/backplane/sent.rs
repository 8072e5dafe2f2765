use std::{
    collections::{BTreeSet, VecDeque},
    sync::Mutex,
};

use edge_cache_core::{
    TagHash,
    marker::{PurgeKind, Ticket},
};

/// How long a purge is remembered, in milliseconds: longer than any Redis takes to be replaced by one that lost it.
const KEPT_MILLIS: u64 = 600_000;
/// Most tags remembered; the oldest purges beyond become one of everything.
const TAGS_MAX: usize = 20_000;

/// What this node purged of late, to be purged again should Redis lose it.
#[derive(Debug, Default)]
pub(super) struct Sent(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    tickets: VecDeque<(u64, Ticket)>,
    tags: usize,
}

const POISONED: &str = "no code panics while it holds the past purges";

impl Sent {
    pub(super) fn add(&self, ticket: &Ticket, now: u64) {
        let mut past = self.0.lock().expect(POISONED);
        past.forget(now);
        past.tags += ticket.tags.len();
        past.tickets.push_back((now, ticket.clone()));
        let mut merged: Option<(u64, Ticket)> = None;
        while past.tags > TAGS_MAX {
            let Some((at, old)) = past.tickets.pop_front() else { break };
            past.tags -= old.tags.len();
            let furthest = merged.map_or(old.kind, |(_, earlier)| earlier.kind);
            merged = Some((at, old.widened(furthest)));
        }
        if let Some(merged) = merged {
            past.tags += 1;
            past.tickets.push_front(merged);
        }
    }

    /// What is remembered, as one purge a kind.
    pub(super) fn recent(&self, now: u64) -> Vec<Ticket> {
        let mut past = self.0.lock().expect(POISONED);
        past.forget(now);
        let mut merged = Vec::new();
        for kind in [PurgeKind::Soft, PurgeKind::Hard] {
            let tickets = || past.tickets.iter().map(|(_, ticket)| ticket).filter(|ticket| ticket.kind == kind);
            let tags: BTreeSet<TagHash> = tickets().flat_map(|ticket| ticket.tags.iter().copied()).collect();
            merged.extend(tickets().next_back().map(|last| last.with_tags(tags.into_iter().collect())));
        }
        merged
    }
}

impl Past {
    fn forget(&mut self, now: u64) {
        while let Some((at, ticket)) = self.tickets.front()
            && at.saturating_add(KEPT_MILLIS) < now
        {
            self.tags -= ticket.tags.len();
            self.tickets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::marker::Markers;

    use super::*;

    fn ticket(kind: PurgeKind, tags: usize) -> Ticket {
        let tags: Vec<_> = (0..tags).map(|n| TagHash::user(&n.to_string())).collect();
        Markers::alone(1).defer(kind, &tags)
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_is_too_much_becomes_everything() {
        let sent = Sent::default();
        sent.add(&ticket(PurgeKind::Soft, 3), 0);
        sent.add(&ticket(PurgeKind::Hard, 1), KEPT_MILLIS);
        assert_eq!(sent.recent(KEPT_MILLIS).len(), 2);
        let [only] = &sent.recent(KEPT_MILLIS + 1)[..] else { panic!("the soft one is old") };
        assert_eq!((only.kind, only.tags.len()), (PurgeKind::Hard, 1));
        for _ in 0..30 {
            sent.add(&ticket(PurgeKind::Soft, 1000), KEPT_MILLIS + 1);
        }
        let kept = sent.recent(KEPT_MILLIS + 1);
        let everything = kept.iter().find(|ticket| ticket.tags.contains(&TagHash::all())).expect("it is too much");
        assert_eq!(everything.kind, PurgeKind::Hard, "as far as the one that went furthest");
    }

    #[test]
    fn what_was_purged_often_is_purged_again_once() {
        let sent = Sent::default();
        for _ in 0..5 {
            sent.add(&ticket(PurgeKind::Soft, 3), 0);
        }
        let [only] = &sent.recent(1)[..] else { panic!("they are of one kind") };
        assert_eq!(only.tags.len(), 3);
    }
}
