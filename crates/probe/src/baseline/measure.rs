use std::{collections::BTreeMap, time::Duration};

use edge_cache_warmer::Replay;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{ROUNDS_MAX, SAMPLES_MAX};
use crate::{Ask, Class, Question, Way, outcome::put};

const PAUSE_MAX: Duration = Duration::from_secs(60);

/// An endpoint to be measured.
#[derive(Clone, Debug)]
pub struct Aim<A> {
    /// How it is asked: over a connection of its own, so that no endpoint waits behind another.
    pub asker: A,
    /// What it is asked for.
    pub replay: Replay,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    /// Rounds, at most 1 000. Default: 15.
    pub rounds: u32,
    /// Questions to each endpoint in a round. Default: 30.
    pub samples: u32,
    /// Questions to each endpoint before the first round, which do not count. Default: 30.
    pub warmup: u32,
    /// Least time from the beginning of one round to that of the next, at most 1 min. Default: 1 s. Quick answers would else be measured all
    /// within one moment, which tells nothing of the next. Recordings that do not say had none.
    #[serde(default, with = "humantime_serde")]
    pub pause: Duration,
    /// Longest time for one whole answer. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest body, in bytes. Default: 16 MiB.
    pub body_bytes_max: u64,
}

/// An [`Effort`] that is none, or too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {rule}")]
pub struct EffortError {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            rounds: 15,
            samples: 30,
            warmup: 30,
            pause: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            body_bytes_max: 16 << 20,
        }
    }
}

impl Effort {
    /// Checks that it is bounded, for so many endpoints.
    ///
    /// # Errors
    /// The first key that breaks its rule.
    pub fn validate(&self, endpoints: usize) -> Result<(), EffortError> {
        let wrong = |key, value: String, rule: String| Err(EffortError { key, value, rule });
        for (key, number) in [("rounds", self.rounds), ("samples", self.samples)] {
            if number == 0 {
                return wrong(key, "0".to_owned(), "must be above zero".to_owned());
            }
        }
        if self.rounds > ROUNDS_MAX {
            return wrong("rounds", self.rounds.to_string(), format!("must be at most {ROUNDS_MAX}"));
        }
        let of_each = SAMPLES_MAX / (endpoints as u64).max(1);
        if self.samples_of_each() > of_each {
            let rule = format!("must be at most {SAMPLES_MAX} answers of all endpoints together: {of_each} of each");
            return wrong("rounds × samples", self.samples_of_each().to_string(), rule);
        }
        if u64::from(self.warmup) > of_each {
            return wrong("warmup", self.warmup.to_string(), format!("must be at most {of_each}"));
        }
        if self.pause > PAUSE_MAX {
            let pause = humantime::format_duration(self.pause).to_string();
            return wrong("pause", pause, "must be at most 1m".to_owned());
        }
        if self.timeout.is_zero() || self.timeout > Duration::from_secs(3600) {
            let timeout = humantime::format_duration(self.timeout).to_string();
            return wrong("timeout", timeout, "must be above 0s, and at most 1h".to_owned());
        }
        Ok(())
    }

    /// Questions to each endpoint that count.
    #[must_use]
    pub fn samples_of_each(&self) -> u64 {
        u64::from(self.rounds) * u64::from(self.samples)
    }
}

/// What was measured of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Path and query.
    pub path: String,
    /// Time to the last byte of each good answer, in microseconds, in the order in which they came, by round.
    pub rounds_micros: Vec<Vec<u64>>,
    /// How many were not good, by what came instead. They are in no latency.
    pub errors: BTreeMap<Class, u64>,
}

impl Endpoint {
    /// Good answers.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.rounds_micros.iter().map(|round| round.len() as u64).sum()
    }

    /// Answers that were not good.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.errors.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Asks every endpoint `effort.warmup` times, and then in rounds, one question at a time; each round begins with another endpoint,
/// and `effort.pause` after the one before at the earliest.
/// `progress` hears of every round that is over, and of how many there are.
///
/// Dropped, it gives up what is in flight, and nothing is measured.
pub async fn measure<A: Ask>(
    aims: &[Aim<A>],
    way: Way,
    effort: &Effort,
    mut progress: impl FnMut(u32, u32),
) -> Vec<Endpoint> {
    let question = |aim: &Aim<A>| Question { replay: aim.replay.clone(), way, body_bytes_max: effort.body_bytes_max };
    let questions: Vec<Question> = aims.iter().map(question).collect();
    let mut endpoints: Vec<Endpoint> = aims
        .iter()
        .map(|aim| Endpoint {
            path: aim.replay.path_and_query().to_string(),
            rounds_micros: Vec::with_capacity(effort.rounds as usize),
            errors: BTreeMap::new(),
        })
        .collect();
    for _ in 0..effort.warmup {
        for (aim, question) in aims.iter().zip(&questions) {
            put(&aim.asker, question, &[], effort.timeout).await;
        }
    }
    let mut begins = Instant::now();
    for round in 0..effort.rounds {
        sleep_until(begins).await;
        // A round that took longer delays those after it: they keep their distance.
        begins = Instant::now() + effort.pause;
        for endpoint in &mut endpoints {
            endpoint.rounds_micros.push(Vec::with_capacity(effort.samples as usize));
        }
        for _ in 0..effort.samples {
            for step in 0..aims.len() {
                let at = (round as usize + step) % aims.len();
                let outcome = put(&aims[at].asker, &questions[at], &[], effort.timeout).await;
                let endpoint = &mut endpoints[at];
                match (outcome.class, endpoint.rounds_micros.last_mut()) {
                    (Class::Ok, Some(latencies)) => {
                        latencies.push(u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX));
                    }
                    (class, _) => *endpoint.errors.entry(class).or_default() += 1,
                }
            }
        }
        progress(round + 1, effort.rounds);
    }
    endpoints
}
