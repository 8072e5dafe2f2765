//! Whatever is read, in whatever rhythm.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::rule::Stand;

const HOUR: Duration = Duration::from_secs(3600);

/// What an observer has seen.
struct Observer {
    config: AlertConfig,
    engine: Engine,
    now: Instant,
    wall: f64,
    /// Stands of each rule, the newest last, with their times; `None` where it was not known.
    stands: HashMap<String, Vec<(Option<Stand>, Instant)>>,
    fired_before: HashSet<String>,
    /// Rules that its readers believe to fire.
    believed: HashSet<String>,
    sent: Vec<Instant>,
    told_last: HashMap<String, Instant>,
    suppressed: u64,
}

impl Observer {
    fn new(config: AlertConfig) -> Self {
        config.validate().unwrap();
        Self {
            engine: Engine::new(&config),
            config,
            now: Instant::now(),
            wall: 0.0,
            stands: HashMap::new(),
            fired_before: HashSet::new(),
            believed: HashSet::new(),
            sent: Vec::new(),
            told_last: HashMap::new(),
            suppressed: 0,
        }
    }

    fn step(&mut self, by: Duration, figures: &Figures) {
        self.now += by;
        self.wall += by.as_secs_f64();
        for rule in &self.config.rules {
            let stand = figures.get(rule.figure).map(|value| rule.limit().stand(value));
            self.stands.entry(rule.name.clone()).or_default().push((stand, self.now));
        }
        let notices = self.engine.evaluate(self.now, self.wall, figures);
        self.check_state();
        for notice in &notices {
            self.check(notice);
        }
    }

    /// A rule begins to fire only after a row past its threshold that lasted, and ends only after a row that was well, or one of silence.
    fn check_state(&mut self) {
        let fires: HashSet<_> = self.engine.firing().into_iter().map(|firing| firing.rule).collect();
        for rule in &self.config.rules {
            let none = Vec::new();
            let stands = self.stands.get(&rule.name).unwrap_or(&none);
            let row = |wanted| stands.iter().rev().take_while(|(stand, _)| *stand == wanted).collect::<Vec<_>>();
            let enough = |len: usize| len >= usize::try_from(self.config.failures).unwrap();
            let bad = row(Some(Stand::Beyond));
            let known = stands.iter().rev().filter_map(|(stand, _)| *stand);
            let good = enough(known.take_while(|stand| *stand == Stand::Good).count());
            let (bad_enough, silent) = (enough(bad.len()), row(None).len() >= usize::try_from(UNKNOWN_MAX).unwrap());
            let lasted = bad.last().is_some_and(|(_, since)| self.now - *since >= rule.hold);
            match (self.fired_before.contains(&rule.name), fires.contains(&rule.name)) {
                (false, true) => assert!(bad_enough && lasted, "{} fired", rule.name),
                (true, false) => assert!(good || silent, "{} recovered", rule.name),
                (true, true) => assert!(!good && !silent, "{} did not recover", rule.name),
                (false, false) => assert!(!(bad_enough && lasted), "{} did not fire", rule.name),
            }
        }
        self.fired_before = fires;
    }

    fn check(&mut self, notice: &Notice) {
        self.sent.retain(|sent| self.now - *sent < HOUR);
        self.sent.push(self.now);
        assert!(self.sent.len() <= usize::try_from(self.config.per_hour_max).unwrap(), "too many in an hour");
        self.suppressed += notice.suppressed;
        assert_eq!(self.suppressed, self.engine.suppressed(), "what is not told is counted, and told once");
        let rule = &notice.rule;
        match notice.event {
            Event::Fired => {
                assert!(self.believed.insert(rule.clone()), "{rule} fired twice");
                assert!(self.fired_before.contains(rule), "{rule} does not fire");
                let last = self.told_last.insert(rule.clone(), self.now);
                assert!(last.is_none_or(|last| self.now - last >= self.config.cooldown), "{rule} within its cooldown");
            }
            Event::Recovered => {
                assert!(self.believed.remove(rule), "{rule} recovered and had not fired");
                assert!(!self.fired_before.contains(rule), "{rule} fires");
            }
        }
        if let Some(still) = &notice.still {
            self.believed.insert(still.clone());
            assert!(self.fired_before.contains(still), "{still} does not hold");
        }
        assert!(notice.severity == Severity::Critical || !self.is_outdone(rule), "{rule} is needless");
        assert!(notice.since <= notice.at && notice.at <= self.wall);
    }

    fn is_outdone(&self, name: &str) -> bool {
        let rule = self.config.rules.iter().find(|rule| rule.name == name).unwrap();
        self.config.rules.iter().any(|other| {
            other.severity == Severity::Critical
                && rule.severity == Severity::Warning
                && other.figure == rule.figure
                && self.fired_before.contains(&other.name)
        })
    }

    /// Lets the same reading come for as long as it takes for all that waits to find room.
    fn settle(&mut self, figures: &Figures) {
        for _ in 0..=self.config.rules.len() * 2 {
            (0..self.config.failures).for_each(|_| self.step(Duration::from_secs(1), figures));
            self.step(HOUR, figures);
        }
    }
}

/// One reading: good, near, past the warning or past the critical rule, or unknown, of both figures.
fn reading() -> impl Strategy<Value = (u64, Figures)> {
    let rate = prop::option::weighted(0.85, prop::sample::select(vec![GOOD, NEAR, 0.0095, WARN, CRIT]));
    let hits = prop::option::weighted(0.85, prop::sample::select(vec![0.9, 0.72, 0.6, 0.52, 0.3]));
    (prop::sample::select(vec![1, 20, 20, 20, 120, 1000]), rate, hits).prop_map(|(secs, rate, hits)| {
        let mut figures = Figures::new();
        figures.set(ErrorRate, rate);
        figures.set(HitRate, hits);
        (secs, figures)
    })
}

fn settings() -> impl Strategy<Value = AlertConfig> {
    (1_u32..4, 1_u32..8, prop::sample::select(vec![1, 100, 300]), prop::sample::select(vec![0, 0, 50]), any::<bool>())
        .prop_map(|(failures, per_hour_max, cooldown, hold, turned)| {
            let mut rules = vec![
                Rule { hold: Duration::from_secs(hold), ..critical() },
                warning(),
                Rule::below("hits-critical", HitRate, 0.5, Severity::Critical),
                Rule {
                    hold: Duration::from_secs(hold),
                    ..Rule::below("hits-warning", HitRate, 0.7, Severity::Warning)
                },
            ];
            if turned {
                rules.reverse();
            }
            AlertConfig {
                failures,
                per_hour_max,
                cooldown: Duration::from_secs(cooldown),
                rules,
                ..AlertConfig::default()
            }
        })
}

/// Readings come in runs, or nothing would ever last.
fn readings() -> impl Strategy<Value = Vec<(u64, Figures)>> {
    // Some are long enough for silence to end an alert.
    let run =
        (reading(), prop_oneof![9 => 1_usize..6, 1 => 14_usize..18]).prop_map(|(reading, times)| vec![reading; times]);
    prop::collection::vec(run, 1..80).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn every_message_is_true_and_allowed_and_what_was_told_is_told_to_end(config in settings(), readings in readings()) {
        let mut observer = Observer::new(config);
        for (secs, figures) in &readings {
            observer.step(Duration::from_secs(*secs), figures);
        }
        let mut well = Figures::new();
        well.set(ErrorRate, Some(GOOD));
        well.set(HitRate, Some(1.0));
        observer.settle(&well);
        prop_assert!(observer.believed.is_empty() && observer.engine.firing().is_empty());
    }

    #[test]
    fn what_lasts_is_told_however_much_was_held_back(config in settings(), readings in readings()) {
        let mut observer = Observer::new(config);
        for (secs, figures) in &readings {
            observer.step(Duration::from_secs(*secs), figures);
        }
        let mut bad = Figures::new();
        bad.set(ErrorRate, Some(CRIT));
        bad.set(HitRate, Some(0.6));
        observer.settle(&bad);
        for rule in ["critical", "hits-warning"] {
            prop_assert!(observer.believed.contains(rule), "{rule}");
        }
        prop_assert!(!observer.believed.contains("hits-critical"));
    }
}
