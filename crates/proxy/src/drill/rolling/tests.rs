//! Passes that never were.

use std::time::Duration;

use super::*;
use crate::load::recorder::Failure;
use crate::load::timeline::Source;

impl Pass {
    /// 100 reads a second, all of them hits but for `hits` of them in the five seconds from the first restart; 10 queries a second.
    pub(super) fn made_up(hits: u64) -> Self {
        let schedule = Rolling::new(25, 15);
        let (phases, at) = (Phases::rolling(&schedule), Duration::from_secs);
        let mut timeline = Timeline::new(schedule.end);
        let [first, _] = schedule.restarts.map(u64::from);
        for second in 0..u64::from(schedule.end) {
            for nth in 0..100 {
                let hit = nth < hits || !(first..first + 5).contains(&second);
                let source = Source { hit, near: hit, ..Source::default() };
                timeline.answered((second * 1_000_000 + nth * 10_000, true), 1_000, source);
            }
        }
        let restart = Restart {
            told: at(35),
            ended: at(36),
            listening: at(37),
            ready: at(38),
            restored: Some(7.0),
            promoted: None,
            hot: Some(10.0),
            held: Some(9.0),
        };
        Self { phases, timeline, queries: vec![Some(10.0); schedule.end as usize], restarts: [restart; 2] }
    }
}

impl Figures {
    /// Of a pass in which the hit rate fell by so many points.
    pub(crate) fn made_up(fall: f64) -> Self {
        let figures = Self::of(&Pass::made_up(100));
        let lowest = Some(Window { from: 36, value: 100.0 - fall });
        Self { hit_lowest: lowest, memory_lowest: lowest, ..figures }
    }
}

#[test]
fn figures_are_of_the_seconds_that_they_name() {
    let mut pass = Pass::made_up(50);
    pass.queries[36] = Some(21.0);
    pass.queries[34] = Some(10.0);
    pass.timeline.failed((74_000_000, true), Failure::Timeout);
    let figures = Figures::of(&pass);
    assert_eq!((figures.hit_before, figures.hit_lowest), (Some(100.0), Some(Window { from: 35, value: 50.0 })));
    assert_eq!((figures.fall(), figures.queries_before, figures.doubled_seconds), (Some(50.0), Some(10.0), Some(1)));
    assert_eq!(figures.queries_most, Some(Window { from: 36, value: 21.0 }));
    assert_eq!(figures.queries_most_in_window.unwrap().value, 12.2);
    assert_eq!((figures.requests, figures.failed, &*figures.failures), (7_501, 1, "1 timeout"));
}

#[test]
fn a_second_without_a_counter_leaves_the_queries_unmeasured() {
    let mut pass = Pass::made_up(100);
    pass.queries[70] = None;
    let figures = Figures::of(&pass);
    assert_eq!((figures.queries_before, figures.doubled_seconds), (Some(10.0), None));
}
