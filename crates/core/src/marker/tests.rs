use std::{thread, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::{Entry, Freshness, Head, Kind, PackedHeaders, TagHash, TagSet, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const BOUND: Duration = Duration::from_secs(3600);

fn entry(start: Start, tags: &[&str]) -> Entry {
    let head = Head {
        kind: Kind::Response,
        status: StatusCode::OK,
        headers: PackedHeaders::default(),
        freshness: Freshness {
            born: NOW,
            stored: NOW,
            fresh_until: NOW,
            revalidate_until: NOW,
            error_until: NOW,
            stale_allowed: true,
        },
        fence: start.fence,
        tags: tags_of(tags),
        fill_millis: 0,
    };
    Entry::new(head, Bytes::new(), start)
}

fn tags_of(tags: &[&str]) -> TagSet {
    TagSet::from_hashes(tags.iter().map(|tag| TagHash::user(tag)).collect())
}

fn news(incarnation: u128, base: u64, seq: u64, markers: &[(PurgeKind, &str, u64)]) -> News {
    let markers = markers.iter().map(|(kind, tag, seq)| (*kind, TagHash::user(tag), *seq)).collect();
    News { incarnation, base, seq, floor: 0, markers, strict: true }
}

fn following() -> Markers {
    let markers = Markers::shared(BOUND, true);
    markers.apply(&news(5, 100, 100, &[]), &markers.position());
    markers
}

#[test]
fn a_purge_kills_what_began_before_it_and_nothing_else() {
    let markers = Markers::alone(7);
    let (old, other) = (entry(markers.start(), &["a", "b"]), entry(markers.start(), &["c"]));
    assert_eq!(markers.judge(&old), Verdict::Live);
    markers.purge(PurgeKind::Soft, &[TagHash::user("b")], NOW);
    assert_eq!(markers.judge(&old), Verdict::Soft);
    assert_eq!(markers.judge(&other), Verdict::Live);
    assert_eq!(markers.judge(&entry(markers.start(), &["a", "b"])), Verdict::Live);
    markers.purge(PurgeKind::Hard, &[TagHash::user("a")], NOW);
    assert_eq!(markers.judge(&old), Verdict::Gone);
}

#[test]
fn numbers_rise_even_when_the_clock_does_not() {
    let markers = Markers::alone(7);
    let seqs: Vec<_> = [NOW, NOW, Timestamp::EPOCH]
        .into_iter()
        .map(|now| markers.purge(PurgeKind::Soft, &[TagHash::all()], now))
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}

#[test]
fn a_copy_of_another_order_is_dead_and_one_of_the_same_is_judged_by_its_own_fence() {
    let markers = following();
    let copy = |incarnation, seq| entry(Start::promoted(Fence { incarnation, seq }), &["a"]);
    assert_eq!(markers.judge(&copy(6, 100)), Verdict::Gone);
    assert_eq!(markers.judge(&copy(0, 100)), Verdict::Gone);
    assert_eq!(markers.judge(&copy(5, 100)), Verdict::Live);
    markers.apply(&news(5, 100, 120, &[(PurgeKind::Soft, "a", 110)]), &markers.position());
    assert_eq!(markers.judge(&copy(5, 109)), Verdict::Soft);
    assert_eq!(markers.judge(&copy(5, 110)), Verdict::Live);
    assert_eq!(
        Markers::shared(BOUND, true).judge(&copy(0, 0)),
        Verdict::Gone,
        "a node that knows no order trusts no copy"
    );
}

#[test]
fn a_purge_counts_at_once_and_after_it_has_its_number() {
    let markers = following();
    let old = entry(markers.start(), &["a"]);
    let copy = || entry(Start::promoted(Fence { incarnation: 5, seq: 100 }), &["a"]);
    let ticket = markers.defer(PurgeKind::Hard, &[TagHash::user("a")]);
    assert_eq!((markers.judge(&old), markers.judge(&copy())), (Verdict::Gone, Verdict::Gone));
    let new = entry(markers.start(), &["a"]);
    assert_eq!(markers.judge(&new), Verdict::Live, "its fill began after the purge");
    assert_eq!(markers.waiting(Duration::ZERO), std::slice::from_ref(&ticket));
    markers.settle(&ticket, 5, 130);
    assert_eq!((markers.judge(&old), markers.judge(&copy())), (Verdict::Gone, Verdict::Gone));
    assert_eq!(markers.waiting(Duration::ZERO), []);
    assert_eq!(markers.start().fence.seq, 130);
    assert_eq!(markers.position().synced, 100, "markers of others below 130 are still to be asked for");
}

#[test]
fn a_purge_that_goes_further_waits_on_when_a_lesser_one_gets_its_number() {
    let markers = following();
    let old = entry(markers.start(), &["a"]);
    let hard = markers.defer(PurgeKind::Hard, &[TagHash::user("a")]);
    let soft = markers.defer(PurgeKind::Soft, &[TagHash::user("a")]);
    markers.settle(&soft, 5, 130);
    assert_eq!(markers.judge(&old), Verdict::Gone);
    let [waiting] = &markers.waiting(Duration::ZERO)[..] else { panic!("the hard one was never published") };
    assert_eq!((waiting.kind, &waiting.tags), (PurgeKind::Hard, &hard.tags));
    assert!(markers.waiting(Duration::from_secs(3600)).is_empty(), "it is still on its way");
    markers.settle(waiting, 5, 140);
    assert!(markers.waiting(Duration::ZERO).is_empty());
    assert_eq!(markers.judge(&old), Verdict::Gone);
}

#[test]
fn too_many_waiting_purges_become_one_of_everything() {
    let markers = following();
    let old = entry(markers.start(), &["untouched"]);
    let everything = Entry::new(
        Head { tags: TagSet::from_hashes(vec![TagHash::all()]), ..Head::clone(old.head()) },
        Bytes::new(),
        old.start(),
    );
    markers.defer(PurgeKind::Hard, &[TagHash::user("hard")]);
    for n in 0..1024 {
        markers.defer(PurgeKind::Soft, &[TagHash::user(&format!("tag-{n}"))]);
    }
    assert!(markers.waiting(Duration::ZERO).iter().map(|ticket| ticket.tags.len()).sum::<usize>() <= 1024);
    assert_eq!(markers.judge(&everything), Verdict::Gone, "as far as the one that went furthest");
}

#[test]
fn what_is_held_survives_a_new_order_that_begins_above_it_and_only_then() {
    let markers = following();
    let held = entry(markers.start(), &["a"]);
    let copy = markers.admit(&entry(Start::promoted(Fence { incarnation: 5, seq: 100 }), &["b"])).unwrap();
    markers.apply(&news(6, 200, 200, &[]), &markers.position());
    assert_eq!((markers.judge(&held), markers.judge(&copy)), (Verdict::Live, Verdict::Live));
    assert_eq!(markers.admit(&copy).map(drop), None, "in Redis it is of the old order");
    markers.apply(&news(7, 150, 150, &[]), &markers.position());
    assert_eq!(markers.judge(&held), Verdict::Gone, "a purge to come could get a number below its fence");
    assert_eq!(markers.judge(&entry(markers.start(), &["a"])), Verdict::Live);
}

#[test]
fn what_is_held_survives_a_new_order_only_with_a_lease_and_where_all_are_strict() {
    let kept = |markers: &Markers, news: &News| {
        let held = entry(markers.start(), &["a"]);
        markers.apply(news, &markers.position());
        markers.judge(&held) == Verdict::Live
    };
    let new = news(6, 200, 200, &[]);
    assert!(kept(&following(), &new));
    assert!(!kept(&following(), &News { strict: false, ..new.clone() }));
    let fast = Markers::shared(BOUND, false);
    fast.apply(&news(5, 100, 100, &[]), &fast.position());
    assert!(!kept(&fast, &new));
    let was_fast = following();
    was_fast.apply(&News { strict: false, ..news(5, 100, 101, &[]) }, &was_fast.position());
    assert!(!kept(&was_fast, &new), "what was acknowledged then may not have been heard here");
    let left = following();
    left.leave();
    assert!(!kept(&left, &new), "a purge may have been acknowledged without it, and lost since");
}

#[test]
fn news_that_were_overtaken_by_those_of_another_order_are_left_alone() {
    let markers = following();
    let asked = markers.position();
    markers.apply(&news(6, 200, 210, &[(PurgeKind::Hard, "a", 210)]), &markers.position());
    // They were told before the loss, and knew nothing of what was purged since.
    markers.apply(&news(5, 100, 120, &[]), &asked);
    assert_eq!(markers.position().fence, Fence { incarnation: 6, seq: 210 });
    let copy = entry(Start::promoted(Fence { incarnation: 5, seq: 120 }), &["a"]);
    assert!(markers.admit(&copy).is_none());
}

#[test]
fn what_died_in_an_era_stays_dead_in_the_next() {
    let markers = following();
    let held = entry(markers.start(), &["a"]);
    markers.apply(&news(5, 100, 110, &[(PurgeKind::Hard, "a", 110)]), &markers.position());
    assert_eq!(markers.judge(&held), Verdict::Gone);
    markers.leave();
    // The new table knows nothing of that purge.
    markers.apply(&news(6, 200, 200, &[]), &markers.position());
    assert_eq!(markers.judge(&held), Verdict::Gone);
}

#[test]
fn forgotten_markers_kill_what_is_as_old_as_they() {
    let markers = following();
    let held = entry(markers.start(), &["a"]);
    let floor = News { floor: 101, ..news(5, 100, 140, &[]) };
    markers.apply(&floor, &markers.position());
    assert_eq!(markers.judge(&entry(markers.start(), &["a"])), Verdict::Live);
    assert_eq!(markers.judge_parts(&held.head().fence, &held.start(), &[]), Verdict::Gone);
}

/// A node whose lease is over.
fn cut_off() -> Markers {
    let markers = Markers::shared(Duration::ZERO, true);
    markers.apply(&news(5, 100, 100, &[]), &Position { at: 0, ..markers.position() });
    markers
}

#[test]
fn being_in_step_lasts_from_the_moment_of_asking() {
    let markers = Markers::shared(Duration::from_secs(3600), true);
    assert_eq!(markers.standing(), Standing::CutOff { since: None });
    markers.apply(&news(5, 100, 100, &[]), &markers.position());
    assert_eq!(markers.standing(), Standing::InStep);
    assert!(matches!(cut_off().standing(), Standing::CutOff { .. }));
    assert_eq!(Markers::alone(1).standing(), Standing::Alone);
    markers.leave();
    assert_eq!(markers.standing(), Standing::CutOff { since: None });
    // An answer that was six seconds on its way renews a lease of five for nobody.
    let late = Markers::shared(Duration::from_secs(5), true).with_monotonic(|| 10_000);
    late.apply(&news(5, 100, 100, &[]), &Position { at: 4_000, ..late.position() });
    assert_eq!(late.standing(), Standing::CutOff { since: Some(Duration::from_secs(1)) });
    late.apply(&news(5, 100, 100, &[]), &Position { at: 6_000, ..late.position() });
    assert_eq!(late.standing(), Standing::InStep);
}

#[test]
fn a_node_that_is_cut_off_serves_only_what_it_read_a_moment_ago() {
    let markers = following();
    let (new, copy) = (entry(markers.start(), &["a"]), entry(Start::promoted(markers.start().fence), &["a"]));
    let copy = markers.admit(&copy).unwrap();
    assert_eq!((markers.judge(&new), markers.judge(&copy)), (Verdict::Live, Verdict::Live));
    markers.leave();
    assert_eq!(markers.judge(&new), Verdict::Live, "read less than the bound ago");
    assert_eq!(markers.judge(&copy), Verdict::CutOff, "nobody here knows how old a copy is");
    // With a bound of nothing whatever was read is too old at once.
    let markers = cut_off();
    let held = entry(markers.start(), &["a"]);
    assert_eq!(markers.judge(&held), Verdict::CutOff);
    assert_eq!(markers.judge_parts(&held.head().fence, &held.start(), &[]), Verdict::CutOff);
    markers.defer(PurgeKind::Hard, &[TagHash::user("a")]);
    assert_eq!(markers.judge(&held), Verdict::Gone, "what it knows to be purged is gone all the same");
}

#[test]
fn messages_are_no_lease_and_a_gap_is_noticed() {
    let markers = cut_off();
    let record =
        |prev, seq| Record { incarnation: 5, prev, seq, kind: PurgeKind::Soft, tags: vec![TagHash::user("a")] };
    assert_eq!(markers.hear(&record(100, 110)), Heard::Applied);
    assert_eq!(markers.position().synced, 110);
    assert_eq!(markers.hear(&record(100, 110)), Heard::Nothing);
    assert_eq!(markers.hear(&record(120, 130)), Heard::Gap, "120 was missed");
    let Position { fence, synced, .. } = markers.position();
    assert_eq!((fence.seq, synced), (130, 110), "it counts, but cannot be confirmed");
    assert_eq!(markers.hear(&Record { incarnation: 6, ..record(130, 140) }), Heard::Gap);
    assert!(matches!(markers.standing(), Standing::CutOff { .. }));
}

#[test]
fn a_purge_that_returned_is_seen_by_every_thread() {
    let markers = Markers::alone(7);
    for round in 0..200 {
        let tag = format!("round-{round}");
        let old = entry(markers.start(), &[&tag]);
        thread::scope(|scope| {
            let purger = scope.spawn(|| markers.purge(PurgeKind::Hard, &[TagHash::user(&tag)], NOW));
            scope.spawn(|| while markers.judge(&old) == Verdict::Live {});
            purger.join().unwrap();
            assert_eq!(markers.judge(&old), Verdict::Gone);
        });
    }
}

#[test]
fn a_collision_only_kills_more() {
    let markers = Markers::new(7, u64::MAX, Duration::ZERO, true, 1);
    let old = entry(markers.start(), &["a"]);
    markers.purge(PurgeKind::Soft, &[TagHash::user("unrelated")], NOW);
    assert_eq!(markers.judge(&old), Verdict::Soft);
}

#[test]
fn a_guard_holds_if_nothing_of_it_was_purged_since() {
    let markers = Markers::alone(1);
    let guard = || Guard { start: markers.start(), tags: tags_of(&["a", "b"]).as_slice().to_vec() };
    let purge = |guard: &Guard| markers.purge_guarded(PurgeKind::Soft, &[TagHash::user("a")], NOW, Some(guard)).1;
    let start = purge(&guard()).expect("nothing was purged");
    assert_eq!(markers.judge(&entry(start, &["a", "b"])), Verdict::Live, "as new as the purge itself");
    for tag in ["a", "b"] {
        let since = guard();
        markers.purge(PurgeKind::Soft, &[TagHash::user(tag)], NOW);
        assert_eq!(purge(&since), None, "{tag}");
    }
    let since = guard();
    markers.purge(PurgeKind::Hard, &[TagHash::user("c")], NOW);
    let start = purge(&since).expect("what it does not name");
    markers.purge(PurgeKind::Hard, &[TagHash::user("b")], NOW);
    assert_eq!(markers.judge(&entry(start, &["a", "b"])), Verdict::Gone, "a later one counts as ever");
}
