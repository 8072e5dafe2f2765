use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AlertConfigError, Figure, config::DAY, figure::Unit};

/// How far back from the threshold a figure must be to count as recovered, where a rule does not say.
const BACK: f64 = 0.1;
/// More seconds than any answer takes.
const SECONDS_MAX: f64 = 86_400.0;
/// Longest name: it is a title, not a text.
const NAME_BYTES_MAX: usize = 64;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// As it is written in a configuration: `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// `[[alerts.rule]]`: one figure and the value past which it is an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its title, in kebab-case; no other rule has it.
    pub name: String,
    /// What it watches.
    pub figure: Figure,
    /// It is an alert above this value, in the figure's unit (shares from 0 to 1, seconds). Either this or `below`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It is an alert below this value, in the figure's unit. Either this or `above`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// The value at which it counts as recovered. Default: a tenth back from the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    /// How long it must be past the threshold before it is an alert, beside the evaluations in a row. Default: 0 s.
    #[serde(default, with = "humantime_serde")]
    pub hold: Duration,
    /// How much it matters.
    pub severity: Severity,
}

/// On which side of a value it is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Above,
    Below,
}

/// Where a value stands to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Past the threshold.
    Beyond,
    /// Between the threshold and where it is well again.
    Between,
    /// Well.
    Good,
}

/// A rule's threshold, put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) side: Side,
    pub(crate) value: f64,
    clear: f64,
}

impl Limit {
    pub(crate) fn stand(&self, value: f64) -> Stand {
        let (beyond, good) = match self.side {
            Side::Above => (value > self.value, value <= self.clear),
            Side::Below => (value < self.value, value >= self.clear),
        };
        match (beyond, good) {
            (true, _) => Stand::Beyond,
            (false, true) => Stand::Good,
            (false, false) => Stand::Between,
        }
    }
}

impl Rule {
    /// A rule that is an alert above `value`, in the figure's unit.
    #[must_use]
    pub fn above(name: impl Into<String>, figure: Figure, value: f64, severity: Severity) -> Self {
        let name = name.into();
        Self { name, figure, above: Some(value), below: None, clear: None, hold: Duration::ZERO, severity }
    }

    /// A rule that is an alert below `value`, in the figure's unit.
    #[must_use]
    pub fn below(name: impl Into<String>, figure: Figure, value: f64, severity: Severity) -> Self {
        let name = name.into();
        Self { name, figure, above: None, below: Some(value), clear: None, hold: Duration::ZERO, severity }
    }

    /// The rules that there are where none are given: error rate, p95, hit rate, and a rule for each thing that is
    /// so or not.
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        use Severity::{Critical, Warning};
        vec![
            Self::above("error-rate-critical", Figure::ErrorRate, 0.05, Critical),
            Self::above("error-rate-warning", Figure::ErrorRate, 0.01, Warning),
            Self::above("p95-critical", Figure::P95, 3.0, Critical),
            Self::above("p95-warning", Figure::P95, 2.0, Warning),
            Self::below("hit-rate-critical", Figure::HitRate, 0.5, Critical),
            Self::below("hit-rate-warning", Figure::HitRate, 0.7, Warning),
            Self::above("database-down", Figure::DatabaseDown, 0.0, Critical),
            Self::above("pool-warning", Figure::Pool, 0.8, Warning),
            Self::above("origin-down", Figure::OriginDown, 0.0, Critical),
            Self::above("monitor-failing", Figure::MonitorFailing, 0.0, Critical),
            Self::above("backplane-cut-off", Figure::BackplaneCutOff, 0.0, Critical),
            Self::above("redis-down", Figure::RedisDown, 0.0, Warning),
            Self::above("identity-leak", Figure::IdentityLeak, 0.0, Critical),
        ]
    }

    /// The value past which it is an alert; 0 where none is given, which [`AlertConfig::validate`](crate::AlertConfig::validate) refuses.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.limit().value
    }

    pub(crate) fn limit(&self) -> Limit {
        let (side, value) = match (self.above, self.below) {
            (None, Some(below)) => (Side::Below, below),
            (above, _) => (Side::Above, above.unwrap_or_default()),
        };
        let back = match side {
            Side::Above => value * (1.0 - BACK),
            // No share is above 1: the rule would never recover.
            Side::Below if self.figure.unit() == Unit::Share => (value * (1.0 + BACK)).min(1.0),
            Side::Below => value * (1.0 + BACK),
        };
        Limit { side, value, clear: self.clear.unwrap_or(back) }
    }

    /// Checks the rule, the `nth` of its list.
    pub(crate) fn validate(&self, nth: usize) -> Result<(), AlertConfigError> {
        let error = |key: &str, value: String, rule: String| {
            Err(AlertConfigError { key: format!("rule[{nth}]{key}"), value, rule })
        };
        if !is_kebab(&self.name) {
            let rule =
                format!("must be lower-case words joined by `-`, as `p95-critical`, of at most {NAME_BYTES_MAX} bytes");
            return error(".name", format!("{:?}", self.name), rule);
        }
        let (key, value) = match (self.above, self.below) {
            (Some(above), None) => (".above", above),
            (None, Some(below)) => (".below", below),
            (Some(_), Some(_)) => {
                return error("", format!("{:?}", self.name), "must have `above` or `below`, not both".into());
            }
            (None, None) => return error("", format!("{:?}", self.name), "must have `above` or `below`".into()),
        };
        let (limit, unit) = (self.limit(), self.figure.unit());
        let max = if unit == Unit::Seconds { SECONDS_MAX } else { 1.0 };
        if unit == Unit::Flag && limit.side == Side::Below {
            return error(
                key,
                value.to_string(),
                format!("must be `above`, as {} is 1 in alarm and 0 else", self.figure.name()),
            );
        }
        // At the end of its range a figure is never past it.
        let possible = match limit.side {
            Side::Above => (0.0..max).contains(&value),
            Side::Below => value > 0.0 && value <= max,
        };
        if !possible {
            let range = match limit.side {
                Side::Above => format!("must be at least 0 and below {max}"),
                Side::Below => format!("must be above 0 and at most {max}"),
            };
            return error(key, value.to_string(), format!("{range}, as {} is {}", self.figure.name(), measure(unit)));
        }
        let (well, rule) = match limit.side {
            Side::Above => ((0.0..=value).contains(&limit.clear), format!("must be from 0 to `above` ({value})")),
            Side::Below => ((value..=max).contains(&limit.clear), format!("must be from `below` ({value}) to {max}")),
        };
        if !well {
            return error(".clear", limit.clear.to_string(), rule);
        }
        if self.hold > DAY {
            return error(".hold", format!("{:?}", self.hold), "must be at most 24h".into());
        }
        Ok(())
    }
}

const fn measure(unit: Unit) -> &'static str {
    match unit {
        Unit::Share => "a share",
        Unit::Seconds => "in seconds",
        Unit::Flag => "1 in alarm and 0 else",
    }
}

fn is_kebab(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= NAME_BYTES_MAX && name.split('-').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_itself_is_not_past_it() {
        let above = Rule::above("a", Figure::ErrorRate, 0.05, Severity::Warning).limit();
        let stands = [0.051, 0.05, 0.046, 0.045, 0.0].map(|value| above.stand(value));
        assert_eq!(stands, [Stand::Beyond, Stand::Between, Stand::Between, Stand::Good, Stand::Good]);
        let below = Rule::below("b", Figure::HitRate, 0.5, Severity::Warning).limit();
        let stands = [0.49, 0.5, 0.54, 0.56, 1.0].map(|value| below.stand(value));
        assert_eq!(stands, [Stand::Beyond, Stand::Between, Stand::Between, Stand::Good, Stand::Good]);
    }

    #[test]
    fn what_is_nearly_everything_can_still_recover() {
        let limit = Rule::below("b", Figure::HitRate, 0.99, Severity::Warning).limit();
        assert_eq!((limit.stand(0.98), limit.stand(1.0)), (Stand::Beyond, Stand::Good));
    }

    #[test]
    fn a_flag_is_past_zero_and_well_at_zero() {
        let limit = Rule::above("b", Figure::RedisDown, 0.0, Severity::Critical).limit();
        assert_eq!((limit.stand(1.0), limit.stand(0.0)), (Stand::Beyond, Stand::Good));
    }

    #[test]
    fn names_are_kebab_case() {
        for good in ["p95", "error-rate-critical", "a-1"] {
            assert!(is_kebab(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "a b", "é", &"a".repeat(65)] {
            assert!(!is_kebab(bad), "{bad}");
        }
    }
}
