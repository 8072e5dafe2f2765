//! The bound: what an infinite cache would reach on the very same request sequence.
//!
//! Every counted read that may be stored is looked up in a cache that never evicts, fills in no time and forgets only by
//! lifetime and by purge. What a purge reaches is simulated by the table of writes and reads, with these approximations,
//! all of which err towards *more* hits, so that the result stays a bound:
//! - the order of a ranking is that of the start, with what is published put in front and what is archived taken out;
//!   counters that move a pitch during the run are ignored;
//! - which pitches a list of one genre or format shows is not known: a publish purges its first page, a pitch never does;
//! - only the first hundred positions of a ranking are followed;
//! - search, autocomplete, related pitches and other creators' profiles are never purged;
//! - lifetimes are not shortened by jitter, and fills take no time, so nothing is coalesced.

mod cache;
mod lists;

use serde::Serialize;

use self::cache::InfiniteCache;
use self::lists::Lists;
use crate::load::catalogue::Catalogue;
use crate::load::plan::{Call, Plan};
use crate::load::read::Key;
use crate::load::write::{Pitch, Write};

/// Reads that may be stored, and how many of them an infinite cache answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Bound {
    /// Counted reads on routes that may be stored.
    pub(crate) storable: u64,
    /// Of those, answered without waiting for the origin.
    pub(crate) hits: u64,
}

impl Bound {
    /// Hits ÷ storable, from 0 to 1.
    pub(crate) fn rate(self) -> Option<f64> {
        (self.storable > 0).then(|| self.hits as f64 / self.storable as f64)
    }
}

/// Runs the plan, warm-up included, through an infinite cache.
pub(crate) fn bound(plan: &Plan, catalogue: &Catalogue) -> Bound {
    let mut cache = InfiniteCache::new();
    let mut lists = Lists::new(catalogue);
    let mut bound = Bound::default();
    for shot in &plan.shots {
        match shot.call {
            Call::Read(read) if read.storable() => {
                let hit = cache.read(read.key(catalogue), shot.at_us);
                if plan.counts(shot) {
                    bound.storable += 1;
                    bound.hits += u64::from(hit);
                }
            }
            Call::Read(_) => {}
            Call::Write(write) => purge(write, &mut cache, &mut lists, catalogue),
        }
    }
    bound
}

fn purge(write: Write, cache: &mut InfiniteCache, lists: &mut Lists, catalogue: &Catalogue) {
    match write {
        Write::View { .. }
        | Write::Like { .. }
        | Write::Save { .. }
        | Write::Follow { .. }
        | Write::Nda { .. }
        | Write::Create { .. } => {}
        Write::Edit { pitch, .. } => {
            forget_detail(pitch, cache, catalogue);
            cache.purge_lists(|list| lists.holds(list, pitch));
        }
        Write::Publish { pitch } => {
            lists.publish(pitch);
            forget_detail(pitch, cache, catalogue);
            forget_profile(cache, catalogue);
            cache.purge_lists(Lists::is_first_page_by_time);
        }
        Write::Archive { pitch } => {
            forget_detail(pitch, cache, catalogue);
            forget_profile(cache, catalogue);
            cache.purge_lists(|list| lists.holds(list, pitch));
            lists.archive(pitch);
        }
        Write::Profile { .. } => {
            let public: Vec<Pitch> = lists.public().collect();
            for &pitch in &public {
                forget_detail(pitch, cache, catalogue);
            }
            forget_profile(cache, catalogue);
            cache.purge_lists(|list| public.iter().any(|&pitch| lists.holds(list, pitch)));
        }
    }
}

fn forget_detail(pitch: Pitch, cache: &mut InfiniteCache, catalogue: &Catalogue) {
    // Nobody in the mix reads the detail of what the run created: its id was not known when the sequence was made.
    if let Pitch::Owned(at) = pitch {
        cache.purge(&Key::Detail(catalogue.owned[usize::from(at)].id));
    }
}

fn forget_profile(cache: &mut InfiniteCache, catalogue: &Catalogue) {
    if let Some(owner) = catalogue.owner {
        cache.purge(&Key::Creator(owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Shot;
    use crate::load::read::{List, Order, Read, Spelling};

    fn list(order: Order, limit: u8) -> Call {
        Call::Read(Read::List { list: List::top(order, limit), spelling: Spelling::AsIs })
    }

    fn hits(calls: &[(u64, Call)]) -> u64 {
        let shots = calls.iter().map(|&(second, call)| Shot { at_us: second * 1_000_000, call }).collect();
        let plan = Plan { shots, counted_from_us: 0, end_us: u64::MAX };
        bound(&plan, &Catalogue::made_up(1_000)).hits
    }

    #[test]
    fn the_warm_up_fills_and_does_not_count() {
        let shots = [0, 20].map(|second| Shot { at_us: second * 1_000_000, call: list(Order::New, 4) });
        let plan = Plan { shots: shots.to_vec(), counted_from_us: 10_000_000, end_us: 30_000_000 };
        assert_eq!(bound(&plan, &Catalogue::made_up(1_000)), Bound { storable: 1, hits: 1 });
    }

    #[test]
    fn a_signed_in_read_is_not_about_the_cache() {
        let call = Call::Read(Read::Detail { rank: 1, signed_in: true });
        let plan = Plan { shots: vec![Shot { at_us: 1, call }], counted_from_us: 0, end_us: 9 };
        assert_eq!(bound(&plan, &Catalogue::made_up(1_000)), Bound::default());
    }

    #[test]
    fn counters_purge_nothing() {
        let view = Call::Write(Write::View { rank: 0, session: 1 });
        assert_eq!(hits(&[(0, list(Order::Trending, 4)), (1, view), (2, list(Order::Trending, 4))]), 1);
    }

    #[test]
    fn a_publish_purges_first_pages_and_not_the_featured_row() {
        let publish = Call::Write(Write::Publish { pitch: Pitch::Owned(0) });
        assert_eq!(hits(&[(0, list(Order::New, 4)), (1, publish), (2, list(Order::New, 4))]), 0);
        assert_eq!(hits(&[(0, list(Order::Featured, 4)), (1, publish), (2, list(Order::Featured, 4))]), 1);
    }

    #[test]
    fn an_archive_purges_only_what_shows_the_pitch() {
        // Owned(1) is pitch 2: second by trending, far down in the new list.
        let archive = Call::Write(Write::Archive { pitch: Pitch::Owned(1) });
        assert_eq!(hits(&[(0, list(Order::Trending, 4)), (1, archive), (2, list(Order::Trending, 4))]), 0);
        assert_eq!(hits(&[(0, list(Order::New, 4)), (1, archive), (2, list(Order::New, 4))]), 1);
    }

    #[test]
    fn an_edit_purges_the_detail_and_what_shows_it() {
        let edit = Call::Write(Write::Edit { pitch: Pitch::Owned(1), nth: 1 });
        let detail = |rank| Call::Read(Read::Detail { rank, signed_in: false });
        assert_eq!(hits(&[(0, detail(1)), (1, edit), (2, detail(1))]), 0);
        assert_eq!(hits(&[(0, detail(5)), (1, edit), (2, detail(5))]), 1);
        assert_eq!(hits(&[(0, list(Order::Trending, 4)), (1, edit), (2, list(Order::Trending, 4))]), 0);
        assert_eq!(hits(&[(0, list(Order::New, 4)), (1, edit), (2, list(Order::New, 4))]), 1);
    }

    #[test]
    fn a_publish_purges_first_pages_by_time_of_every_slice() {
        let publish = Call::Write(Write::Publish { pitch: Pitch::Created(2) });
        let by_genre = |order, genre, offset| {
            let list = List { genre: Some(genre), offset, ..List::top(order, 24) };
            Call::Read(Read::List { list, spelling: Spelling::AsIs })
        };
        let kept = |order, genre, offset| {
            let read = || by_genre(order, genre, offset);
            hits(&[(0, read()), (1, publish), (2, read())]) == 1
        };
        assert!(!kept(Order::BrowseDate, 3, 0) && !kept(Order::BrowseDate, 5, 0));
        assert!(kept(Order::BrowseDate, 3, 24));
        assert!(kept(Order::BrowseGenre, 3, 0), "full of pitches that were seen");
    }
}
