use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::{
    Figure::{self, ErrorRate, HitRate, P95, RedisDown},
    Rule,
};

mod properties;

/// An engine, and time that goes on by 20 s with each reading.
struct Bench {
    engine: Engine,
    began: Instant,
    secs: u64,
}

const EVERY: u64 = 20;
/// Good, past the warning, past the critical rule, and between a threshold and where it clears.
const GOOD: f64 = 0.0;
const WARN: f64 = 0.02;
const CRIT: f64 = 0.07;
const NEAR: f64 = 0.048;

fn config(rules: Vec<Rule>) -> AlertConfig {
    let config = AlertConfig { rules, ..AlertConfig::default() };
    config.validate().unwrap();
    config
}

fn critical() -> Rule {
    Rule::above("critical", ErrorRate, 0.05, Severity::Critical)
}

fn warning() -> Rule {
    Rule::above("warning", ErrorRate, 0.01, Severity::Warning)
}

impl Bench {
    fn new(config: &AlertConfig) -> Self {
        Self { engine: Engine::new(config), began: Instant::now(), secs: 0 }
    }

    fn of(rules: Vec<Rule>) -> Self {
        Self::new(&config(rules))
    }

    fn read(&mut self, figure: Figure, value: Option<f64>) -> Vec<Notice> {
        let mut figures = Figures::new();
        figures.set(figure, value);
        self.take(&figures)
    }

    fn take(&mut self, figures: &Figures) -> Vec<Notice> {
        let now = self.began + Duration::from_secs(self.secs);
        let wall = 1_000.0 + Duration::from_secs(self.secs).as_secs_f64();
        self.secs += EVERY;
        self.engine.evaluate(now, wall, figures)
    }

    /// What was told of error rates read one after the other: `1 fired critical` for the second reading.
    fn told(&mut self, values: &[f64]) -> Vec<String> {
        let mut told = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let notices = self.read(ErrorRate, Some(*value));
            told.extend(notices.iter().map(|notice| format!("{at} {} {}", notice.event.name(), notice.rule)));
        }
        told
    }

    fn skip(&mut self, secs: u64) {
        self.secs += secs;
    }

    fn fires(&self) -> Vec<String> {
        self.engine.firing().into_iter().map(|firing| firing.rule).collect()
    }
}

#[test]
fn it_fires_after_three_in_a_row_and_recovers_after_three_in_a_row() {
    let mut bench = Bench::of(vec![critical()]);
    let told = bench.told(&[CRIT, CRIT, GOOD, CRIT, CRIT, CRIT, CRIT, GOOD, GOOD, CRIT, GOOD, GOOD, GOOD, GOOD]);
    assert_eq!(told, ["5 fired critical", "12 recovered critical"]);
}

#[test]
fn what_lies_between_neither_fires_nor_recovers_and_ends_a_row() {
    let mut bench = Bench::of(vec![critical()]);
    assert!(bench.told(&[CRIT, CRIT, NEAR, CRIT, CRIT]).is_empty());
    assert_eq!(bench.told(&[CRIT, NEAR, NEAR, NEAR, NEAR, GOOD, GOOD, NEAR, GOOD, GOOD]), ["0 fired critical"]);
    assert_eq!(bench.told(&[GOOD]), ["0 recovered critical"]);
}

#[test]
fn what_is_not_known_breaks_a_row_past_the_threshold_and_none_that_is_well() {
    let mut bench = Bench::of(vec![critical()]);
    for value in [None, Some(CRIT), None, Some(CRIT), None, Some(CRIT), Some(CRIT), None, Some(CRIT), Some(CRIT)] {
        assert!(bench.read(ErrorRate, value).is_empty());
    }
    assert_eq!(bench.read(ErrorRate, Some(CRIT)).len(), 1);
    for value in [None, Some(GOOD), None, Some(GOOD), None] {
        assert!(bench.read(ErrorRate, value).is_empty() && bench.fires() == ["critical"]);
    }
    assert_eq!(bench.read(ErrorRate, Some(GOOD)).len(), 1);
}

#[test]
fn errors_and_then_silence_end_with_one_notice_that_says_so() {
    let mut bench = Bench::of(vec![critical()]);
    assert_eq!(bench.told(&[CRIT, CRIT, 0.09, CRIT]), ["2 fired critical"]);
    for _ in 1..UNKNOWN_MAX {
        assert!(bench.read(ErrorRate, None).is_empty() && bench.fires() == ["critical"]);
    }
    assert!(bench.told(&[CRIT]).is_empty(), "one reading, and the silence begins anew");
    for _ in 1..UNKNOWN_MAX {
        assert!(bench.read(ErrorRate, None).is_empty() && bench.fires() == ["critical"]);
    }
    let notice = bench.read(ErrorRate, None).remove(0);
    assert_eq!((notice.event, notice.value, notice.since), (Event::Recovered, CRIT, 1_000.0));
    assert_eq!(notice.text, "error rate: nothing to go by for 5 min (last known: 7.0 %)");
    for _ in 0..2 * UNKNOWN_MAX {
        assert!(bench.read(ErrorRate, None).is_empty() && bench.fires().is_empty());
    }
    assert_eq!(bench.told(&[CRIT, CRIT, CRIT]), ["2 fired critical"]);
}

#[test]
fn an_end_for_silence_waits_for_room_like_any_other() {
    let mut bench = Bench::new(&AlertConfig { per_hour_max: 1, ..config(vec![critical()]) });
    assert_eq!(bench.told(&[CRIT, CRIT, CRIT]), ["2 fired critical"]);
    for _ in 0..UNKNOWN_MAX {
        assert!(bench.read(ErrorRate, None).is_empty());
    }
    bench.skip(3600);
    assert_eq!(bench.told(&[GOOD]), ["0 recovered critical"]);
}

#[test]
fn silence_does_not_count_towards_a_hold() {
    let mut bench = Bench::of(vec![Rule { hold: Duration::from_secs(100), ..critical() }]);
    assert!(bench.told(&[CRIT, CRIT, CRIT]).is_empty());
    assert!(bench.read(ErrorRate, None).is_empty());
    assert_eq!(bench.told(&[CRIT; 6]), ["5 fired critical"], "100 s after the silence");
}

#[test]
fn over_too_few_requests_nothing_fires() {
    let mut bench = Bench::of(vec![critical()]);
    let mut figures = Figures::new();
    for (requests, notices) in [(19, 0), (19, 0), (19, 0), (20, 0), (20, 0), (20, 1)] {
        figures.set_over(ErrorRate, Some(1.0), requests);
        assert_eq!(bench.take(&figures).len(), notices);
    }
}

#[test]
fn the_notices_say_what_when_and_how_long() {
    let mut bench = Bench::of(vec![critical()]);
    let mut notices = Vec::new();
    for value in [GOOD, CRIT, 0.08, 0.09, 0.5, GOOD, GOOD, 0.002] {
        notices.extend(bench.read(ErrorRate, Some(value)));
    }
    let fired = Notice {
        event: Event::Fired,
        rule: "critical".to_owned(),
        severity: Severity::Critical,
        figure: ErrorRate,
        value: 0.09,
        threshold: 0.05,
        since: 1_020.0,
        at: 1_060.0,
        text: "error rate 9.0 % is above 5.0 %".to_owned(),
        still: None,
        suppressed: 0,
    };
    let recovered = Notice {
        event: Event::Recovered,
        value: 0.002,
        at: 1_140.0,
        text: "error rate is back at 0.2 % after 2 min".to_owned(),
        ..fired.clone()
    };
    assert_eq!(notices, [fired.clone(), recovered.clone()]);
    assert!(bench.engine.recent().eq([&recovered, &fired]), "the newest first");
}

#[test]
fn what_fires_is_shown_with_what_it_is_now() {
    let mut bench = Bench::of(vec![warning(), critical()]);
    bench.told(&[WARN, CRIT, CRIT, CRIT, 0.5]);
    let shown: Vec<_> = bench.engine.firing();
    assert_eq!(
        shown.iter().map(|firing| (firing.rule.as_str(), firing.since)).collect::<Vec<_>>(),
        [("critical", 1_020.0), ("warning", 1_000.0)]
    );
    assert_eq!((shown[0].value, shown[0].threshold, shown[0].told), (0.5, 0.05, true));
    assert_eq!(shown[0].text, "error rate 7.0 % is above 5.0 %");
}

#[test]
fn a_hold_counts_from_the_first_of_the_row() {
    let held = Rule { hold: Duration::from_secs(100), ..critical() };
    let mut bench = Bench::of(vec![held]);
    let told = bench.told(&[CRIT, CRIT, CRIT, CRIT, GOOD, CRIT, CRIT, CRIT, CRIT, CRIT, CRIT]);
    assert_eq!(told, ["10 fired critical"], "100 s after the sixth reading");
    let mut bench = Bench::of(vec![Rule { hold: Duration::from_secs(100), ..critical() }]);
    assert!(bench.told(&[CRIT]).is_empty());
    bench.skip(3600);
    assert_eq!(bench.told(&[CRIT, CRIT]), ["1 fired critical"], "after three in a row all the same");
}

#[test]
fn within_the_cooldown_it_is_not_told_again_unless_it_lasts() {
    let mut bench = Bench::of(vec![critical()]);
    // Told at 40 s: the next may be at 340 s.
    let flap = [CRIT, CRIT, CRIT, GOOD, GOOD, GOOD];
    assert_eq!(bench.told(&flap), ["2 fired critical", "5 recovered critical"]);
    assert!(bench.told(&flap).is_empty(), "over before the cooldown was: neither end is told");
    assert_eq!(bench.engine.suppressed(), 1);
    assert!(bench.told(&[CRIT, CRIT, CRIT, CRIT, CRIT]).is_empty());
    let notice = bench.read(ErrorRate, Some(CRIT)).remove(0);
    assert_eq!(
        (notice.event, notice.since, notice.at),
        (Event::Fired, 1_240.0, 1_280.0),
        "told late, with its own times"
    );
    assert_eq!(
        (bench.secs - EVERY, notice.suppressed),
        (340, 1),
        "as soon as may be, and what was not told is counted"
    );
    assert_eq!(bench.told(&[GOOD, GOOD, GOOD]), ["2 recovered critical"]);
    assert_eq!(bench.engine.recent().next().unwrap().suppressed, 0, "told once");
}

#[test]
fn more_messages_than_may_be_wait_and_the_recovery_is_not_lost() {
    let all = vec![critical(), Rule::above("slow", P95, 1.0, Severity::Warning)];
    let mut bench = Bench::new(&AlertConfig { per_hour_max: 1, ..config(all) });
    assert_eq!(bench.told(&[CRIT, CRIT, CRIT, GOOD, GOOD, GOOD]), ["2 fired critical"]);
    for value in [2.0, 2.0, 2.0, 2.0, 0.1, 0.1, 0.1] {
        assert!(bench.read(P95, Some(value)).is_empty());
    }
    assert_eq!(bench.engine.suppressed(), 1);
    bench.skip(3640 - bench.secs - EVERY);
    assert!(bench.told(&[GOOD]).is_empty(), "a reading too early");
    let notice = bench.read(ErrorRate, Some(GOOD)).remove(0);
    assert_eq!((notice.event, notice.rule.as_str(), notice.at), (Event::Recovered, "critical", 1_100.0));
    assert_eq!(notice.text, "error rate is back at 0.0 % after 1 min");
    assert_eq!(notice.suppressed, 1, "of the slowness nobody heard");
}

#[test]
fn what_must_be_acted_on_takes_the_room_first() {
    let all = vec![
        Rule::above("slow", P95, 1.0, Severity::Warning),
        Rule::below("hits", HitRate, 0.5, Severity::Warning),
        Rule::above("redis", RedisDown, 0.0, Severity::Critical),
    ];
    let mut bench = Bench::new(&AlertConfig { per_hour_max: 2, failures: 1, ..config(all) });
    assert_eq!(bench.read(P95, Some(2.0)).len(), 1);
    let mut figures = Figures::new();
    figures.set(P95, Some(0.1));
    figures.set(HitRate, Some(0.1));
    figures.set_flag(RedisDown, true);
    let told = |notices: Vec<Notice>| notices.into_iter().map(|notice| notice.rule).collect::<Vec<_>>();
    assert_eq!(told(bench.take(&figures)), ["redis"]);
    bench.skip(3600);
    assert_eq!(told(bench.take(&figures)), ["slow", "hits"], "then ends, then warnings");
}

#[test]
fn an_end_that_nobody_heard_of_is_taken_back_when_it_fires_again() {
    let mut bench = Bench::new(&AlertConfig { per_hour_max: 1, ..config(vec![critical()]) });
    assert_eq!(bench.told(&[CRIT, CRIT, CRIT, GOOD, GOOD, GOOD, CRIT, CRIT, CRIT]), ["2 fired critical"]);
    bench.skip(3600);
    assert_eq!(bench.told(&[CRIT, GOOD, GOOD, GOOD]), ["3 recovered critical"]);
    assert_eq!(bench.engine.recent().next().unwrap().since, 1_000.0, "for its readers it was one alert");
}

#[test]
fn the_warning_is_silent_while_the_critical_rule_fires() {
    for order in [vec![warning(), critical()], vec![critical(), warning()]] {
        let mut bench = Bench::of(order);
        assert_eq!(bench.told(&[CRIT, CRIT, CRIT, CRIT]), ["2 fired critical"]);
        assert_eq!(bench.fires(), ["critical", "warning"], "its state is kept");
        assert_eq!(bench.told(&[GOOD, GOOD, GOOD, GOOD]), ["2 recovered critical"]);
        assert_eq!((bench.fires().len(), bench.engine.suppressed()), (0, 0), "nothing was missed");
    }
}

#[test]
fn one_message_says_that_the_warning_still_holds() {
    for order in [vec![warning(), critical()], vec![critical(), warning()]] {
        let mut bench = Bench::of(order);
        assert_eq!(
            bench.told(&[CRIT, CRIT, CRIT, WARN, WARN, WARN, WARN]),
            ["2 fired critical", "5 recovered critical"]
        );
        let notice = bench.engine.recent().next().unwrap().clone();
        assert_eq!(notice.text, "error rate is back at 2.0 % after 1 min, still above 1.0 % (warning)");
        assert_eq!(notice.still.as_deref(), Some("warning"));
        assert_eq!(bench.told(&[GOOD, GOOD, GOOD]), ["2 recovered warning"]);
    }
}

#[test]
fn a_warning_told_before_is_not_told_again_and_its_end_is() {
    let mut bench = Bench::of(vec![warning(), critical()]);
    let told = bench.told(&[WARN, WARN, WARN, CRIT, CRIT, CRIT, WARN, WARN, WARN, WARN, GOOD, GOOD, GOOD]);
    assert_eq!(told, ["2 fired warning", "5 fired critical", "8 recovered critical", "12 recovered warning"]);
    let still: Vec<_> = bench.engine.recent().map(|notice| notice.still.is_some()).collect();
    assert_eq!(still, [false, true, false, false]);
}

#[test]
fn a_warning_of_another_figure_or_another_side_is_told() {
    let idle = Rule::below("idle", ErrorRate, 0.04, Severity::Warning);
    let mut bench = Bench::new(&AlertConfig { failures: 1, ..config(vec![critical(), idle]) });
    // Past the one and not yet well by the other's measure.
    bench.engine.watches[0].limit = Rule { clear: Some(0.0), ..critical() }.limit();
    assert_eq!(bench.told(&[CRIT, WARN]), ["0 fired critical", "1 fired idle"]);
}

#[test]
fn alerts_that_are_off_say_nothing() {
    let mut bench = Bench::new(&AlertConfig { enabled: false, ..config(vec![critical()]) });
    assert!(bench.told(&[CRIT; 10]).is_empty() && bench.fires().is_empty());
}

#[test]
fn what_is_kept_to_be_shown_is_bounded() {
    let mut bench = Bench::new(&AlertConfig { failures: 1, per_hour_max: 1000, ..config(vec![critical()]) });
    for _ in 0..60 {
        bench.told(&[CRIT, GOOD]);
        bench.skip(300);
    }
    assert_eq!(bench.engine.recent().len(), 50);
}
