//! Which list shows which of the creator's pitches, as far as the generator can know.

use std::collections::{HashMap, HashSet};

use crate::load::catalogue::Catalogue;
use crate::load::read::{List, Order};
use crate::load::write::Pitch;

/// Pages further down are not followed: a purge there is a hit lost that the bound may keep.
const POSITIONS: usize = 100;

/// Positions of pitches in the rankings.
#[derive(Debug)]
pub(super) struct Lists {
    rankings: HashMap<Ranking, Vec<Option<Pitch>>>,
    public: HashSet<Pitch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ranking {
    Trending,
    New,
    Featured,
    Date,
    Views,
}

impl Lists {
    /// The rankings as they were learnt; pitches of other creators are positions only, since nothing changes them.
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let by_id: HashMap<u64, Pitch> =
            catalogue.owned.iter().enumerate().map(|(at, pitch)| (pitch.id, Pitch::Owned(at as u16))).collect();
        let ranking = |ids: &[u64]| ids.iter().take(POSITIONS).map(|id| by_id.get(id).copied()).collect();
        let tops = &catalogue.tops;
        let rankings = HashMap::from([
            (Ranking::Trending, ranking(&tops.trending)),
            (Ranking::New, ranking(&tops.new)),
            (Ranking::Featured, ranking(&tops.featured)),
            (Ranking::Date, ranking(&tops.date)),
            (Ranking::Views, ranking(&catalogue.pitches)),
        ]);
        let public = catalogue.owned.iter().enumerate().filter(|(_, pitch)| pitch.public);
        Self { rankings, public: public.map(|(at, _)| Pitch::Owned(at as u16)).collect() }
    }

    /// The creator's public pitches.
    pub(super) fn public(&self) -> impl Iterator<Item = Pitch> {
        self.public.iter().copied()
    }

    /// Puts a pitch in front of what is ordered by time.
    pub(super) fn publish(&mut self, pitch: Pitch) {
        self.public.insert(pitch);
        for ranking in [Ranking::New, Ranking::Date] {
            if let Some(positions) = self.rankings.get_mut(&ranking) {
                positions.insert(0, Some(pitch));
                positions.truncate(POSITIONS);
            }
        }
    }

    /// Takes a pitch out of every ranking.
    pub(super) fn archive(&mut self, pitch: Pitch) {
        self.public.remove(&pitch);
        for positions in self.rankings.values_mut() {
            positions.retain(|at| *at != Some(pitch));
        }
    }

    /// Whether the list is known to show the pitch; positions within a genre or a format are not known.
    pub(super) fn holds(&self, list: &List, pitch: Pitch) -> bool {
        if list.genre.is_some() || list.format.is_some() {
            return false;
        }
        let from = list.offset as usize;
        let upto = from + usize::from(list.limit);
        let positions = &self.rankings[&ranking(list.order)];
        positions.iter().take(upto).skip(from).any(|at| *at == Some(pitch))
    }

    /// Whether a publish of a pitch that was never seen purges the list by its own tag: what is ordered by what was counted is full of
    /// pitches that were, in a set of the size that is measured with.
    pub(super) fn is_first_page_by_time(list: &List) -> bool {
        list.offset == 0 && matches!(ranking(list.order), Ranking::New | Ranking::Date)
    }
}

fn ranking(order: Order) -> Ranking {
    match order {
        Order::Trending | Order::TabTrending | Order::BrowseGenre => Ranking::Trending,
        Order::New | Order::TabNew => Ranking::New,
        Order::Featured => Ranking::Featured,
        Order::Public | Order::BrowseDate => Ranking::Date,
        Order::BrowseViews | Order::TabPopular => Ranking::Views,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_pitch_stands_first_by_time_and_leaves_when_archived() {
        let catalogue = Catalogue::made_up(500);
        let mut lists = Lists::new(&catalogue);
        let pitch = Pitch::Created(4);
        let first = List::top(Order::New, 4);
        assert!(!lists.holds(&first, pitch));
        lists.publish(pitch);
        assert!(lists.holds(&first, pitch) && lists.holds(&List::top(Order::BrowseDate, 24), pitch));
        assert!(!lists.holds(&List::top(Order::Trending, 4), pitch));
        lists.archive(pitch);
        assert!(!lists.holds(&first, pitch));
    }

    #[test]
    fn a_page_holds_only_its_own_positions() {
        let catalogue = Catalogue::made_up(500);
        let lists = Lists::new(&catalogue);
        // Owned(19) is pitch 20, the twentieth by views.
        let page = |offset| List { offset, ..List::top(Order::BrowseViews, 10) };
        assert!(!lists.holds(&page(0), Pitch::Owned(19)));
        assert!(lists.holds(&page(10), Pitch::Owned(19)));
        assert!(!lists.holds(&page(20), Pitch::Owned(19)));
    }
}
