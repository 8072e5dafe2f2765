//! What of the model is looked at, and how.

use std::cmp::Ordering;

use super::model::{Counts, Route};

/// What the table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Table {
    #[default]
    Routes,
    Keys,
}

/// What the routes are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Calls,
    HitRate,
    P95,
    Bytes,
    Saved,
}

impl Sort {
    pub(super) fn of(self, counts: &Counts) -> Option<f64> {
        match self {
            Self::Calls => Some(counts.calls as f64),
            Self::HitRate => counts.hit_rate,
            Self::P95 => counts.p95_ms,
            Self::Bytes => Some(counts.bytes as f64),
            Self::Saved => Some(counts.saved_seconds),
        }
    }
}

/// How the rows are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// The node to look at alone.
    pub(super) focus: Option<usize>,
    pub(super) table: Table,
    pub(super) sort: Sort,
    /// The least first.
    pub(super) ascending: bool,
    /// Rows of the table above its first line. Drawing brings it back to what there is.
    pub(super) scroll: usize,
    /// Rows that the table had when it was drawn last.
    pub(super) page: usize,
    pub(super) help: bool,
}

impl View {
    /// By another figure, or by the same the other way around.
    pub(super) fn sort_by(&mut self, sort: Sort) {
        self.ascending = self.sort == sort && !self.ascending;
        (self.sort, self.scroll) = (sort, 0);
    }

    /// The node after the one in view of `nodes`; after the last, the first.
    pub(super) const fn next_node(&mut self, nodes: usize) {
        if nodes > 1 {
            self.focus = match self.focus {
                Some(at) if at + 1 < nodes => Some(at + 1),
                _ => Some(0),
            };
            self.scroll = 0;
        }
    }

    /// Sorts what comes by calls; what has no such figure is last either way.
    pub(super) fn arrange(&self, routes: &mut [Route]) {
        routes.sort_by(|a, b| match (self.sort.of(&a.counts), self.sort.of(&b.counts)) {
            (Some(a), Some(b)) if self.ascending => a.total_cmp(&b),
            (Some(a), Some(b)) => b.total_cmp(&a),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
    }

    /// Where the table begins, of `rows` of which `page` fit.
    pub(super) fn settle(&mut self, rows: usize, page: usize) -> usize {
        self.page = page;
        self.scroll = self.scroll.min(rows.saturating_sub(page));
        self.scroll
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::text::Text;

    fn route(name: &str, calls: u64, hit_rate: Option<f64>) -> Route {
        Route { route: Text::of(name), counts: Counts { calls, hit_rate, saved_seconds: 1.0, ..Counts::default() } }
    }

    fn names(view: View, routes: &[Route]) -> Vec<&str> {
        let mut sorted = routes.to_vec();
        view.arrange(&mut sorted);
        let place = |name: &Route| routes.iter().position(|route| route == name).unwrap();
        sorted.iter().map(|route| routes[place(route)].route.as_str()).collect()
    }

    #[test]
    fn routes_are_sorted_by_each_figure_both_ways() {
        let routes = [route("a", 9, Some(0.5)), route("b", 5, None), route("c", 1, Some(0.9))];
        let mut view = View::default();
        assert_eq!(names(view, &routes), ["a", "b", "c"]);
        view.sort_by(Sort::Calls);
        assert_eq!(names(view, &routes), ["c", "b", "a"]);
        view.sort_by(Sort::HitRate);
        assert_eq!(names(view, &routes), ["c", "a", "b"]);
        view.sort_by(Sort::HitRate);
        assert_eq!(names(view, &routes), ["a", "c", "b"], "what is unknown stays last");
        view.sort_by(Sort::Saved);
        assert_eq!(names(view, &routes), ["a", "b", "c"], "equals keep their order");
    }

    #[test]
    fn the_nodes_take_turns() {
        let mut view = View::default();
        let seen: Vec<_> = (0..4)
            .map(|_| {
                view.next_node(3);
                view.focus
            })
            .collect();
        assert_eq!(seen, [Some(0), Some(1), Some(2), Some(0)]);
        let mut alone = View::default();
        alone.next_node(1);
        assert_eq!(alone.focus, None);
    }

    #[test]
    fn scrolling_ends_with_the_last_row() {
        let mut view = View { scroll: 1_000, ..View::default() };
        assert_eq!(view.settle(10, 4), 6);
        assert_eq!(view.settle(3, 4), 0);
    }
}
