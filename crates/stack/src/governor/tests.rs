use super::*;

fn sample(at_work: f64, waiting: usize, refused: u64) -> Sample {
    Sample { at_work, limit: 10, waiting, refused }
}

fn levels(samples: impl IntoIterator<Item = Sample>) -> Vec<Level> {
    let mut ladder = Ladder::default();
    samples.into_iter().filter_map(|sample| ladder.observe(&sample)).collect()
}

#[test]
fn what_nobody_waits_for_stops_first_then_stale_is_stretched_then_fills_queue() {
    let flood = std::iter::repeat_n(sample(10.0, 50, 3), 10);
    assert_eq!(levels(flood), [Level::Trim, Level::Stretch, Level::Queue]);
    assert_eq!(levels(std::iter::repeat_n(sample(8.0, 0, 0), 10)), [Level::Trim]);
    assert_eq!(levels(std::iter::repeat_n(sample(9.5, 2, 0), 10)), [Level::Trim, Level::Stretch]);
    assert_eq!(levels(std::iter::repeat_n(sample(7.0, 2, 0), 10)), []);
    assert_eq!(levels(std::iter::repeat_n(sample(1.0, 50, 9), 10)), [], "they wait for the ceiling of refreshes");
}

#[test]
fn one_busy_look_changes_nothing() {
    let mut looks = vec![sample(1.0, 0, 0); 20];
    looks[3] = sample(10.0, 50, 3);
    looks[9] = sample(10.0, 50, 3);
    assert_eq!(levels(looks), []);
}

#[test]
fn it_returns_one_step_at_a_time() {
    let mut ladder = Ladder::default();
    while ladder.level() < Level::Queue {
        ladder.observe(&sample(10.0, 50, 0));
    }
    let changes: Vec<(usize, Level)> =
        (1..=70).filter_map(|look| ladder.observe(&sample(1.0, 0, 0)).map(|level| (look, level))).collect();
    assert_eq!(changes, [(20, Level::Stretch), (40, Level::Trim), (60, Level::Calm)]);
}

#[test]
fn a_busy_look_between_begins_the_quiet_time_anew() {
    let mut ladder = Ladder::default();
    while ladder.level() < Level::Trim {
        ladder.observe(&sample(8.0, 0, 0));
    }
    for look in 0..38 {
        let at_work = if look == 19 { 8.0 } else { 1.0 };
        assert_eq!(ladder.observe(&sample(at_work, 0, 0)), None, "{look}");
    }
}

#[test]
fn without_redis_the_origin_gets_what_it_bore_with_it_and_a_little_and_the_rest_comes_back_slowly() {
    let mut cap = Cap::new(10);
    for _ in 0..50 {
        assert_eq!(cap.observe(1.2, false), 10);
    }
    assert_eq!(cap.observe(9.0, true), 3, "twice the busiest look, rounded up");
    for _ in 0..1000 {
        assert_eq!(cap.observe(3.0, true), 3, "what it does without Redis teaches nothing");
    }
    let back: Vec<usize> = (0..70).map(|_| cap.observe(1.0, false)).collect();
    assert_eq!((back[8], back[9], back[19], back[69]), (3, 4, 5, 10));
}

#[test]
fn the_busiest_minute_is_what_counts_and_no_memory_means_the_least() {
    assert_eq!(Cap::new(10).observe(0.0, true), 2);
    assert_eq!(Cap::new(1).observe(0.0, true), 1);
    let mut cap = Cap::new(10);
    cap.observe(4.0, false);
    for _ in 0..500 {
        cap.observe(0.5, false);
    }
    assert_eq!(cap.safe(), 8);
    for _ in 0..200 {
        cap.observe(0.5, false);
    }
    assert_eq!(cap.safe(), 2, "the busy look is more than a minute ago");
}
