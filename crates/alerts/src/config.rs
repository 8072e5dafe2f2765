use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use http::{HeaderValue, Uri};
use serde::{Deserialize, Serialize};

use crate::{Rule, Secret};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// Each is looked at in each evaluation.
const RULES_MAX: usize = 100;

/// `[alerts]`: what is watched, how patiently, and who is told. Every key has a default; an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// Whether rules are evaluated and shown, with or without a webhook. Default: true.
    pub enabled: bool,
    /// URL of an incoming webhook of Slack; empty for none. A secret. Default: empty.
    pub slack: Secret,
    /// URL that takes alerts as JSON; empty for none. A secret. Default: empty.
    pub webhook: Secret,
    /// `Authorization` of what is sent to `webhook`; empty for none. A secret. Default: empty.
    pub authorization: Secret,
    /// Time between evaluations. Default: 20 s.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Evaluations in a row past the threshold before it is an alert, and well before it is over. Default: 3.
    pub failures: u32,
    /// Shortest time between two messages that one rule fired. Default: 5 min.
    #[serde(with = "humantime_serde")]
    pub cooldown: Duration,
    /// Most messages in any hour. Default: 20.
    pub per_hour_max: u32,
    /// Requests over which a figure must have been taken to say anything. Default: 20.
    pub requests_min: u64,
    /// Longest time that one attempt to deliver a message takes. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How old a message may become that its receiver does not take: so long it is tried again. Default: 1 h.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// The rules. Default: [`Rule::built_in`].
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// An `[alerts]` key that breaks its rule: `alerts.rule[2].clear = 0.9: must be …`, secrets left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alerts.{key} = {value}: {rule}")]
pub struct AlertConfigError {
    /// The key inside `[alerts]`, as `every` or `rule[2].clear`.
    pub key: String,
    /// Its value, redacted.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            slack: Secret::default(),
            webhook: Secret::default(),
            authorization: Secret::default(),
            every: Duration::from_secs(20),
            failures: 3,
            cooldown: Duration::from_secs(5 * 60),
            per_hour_max: 20,
            requests_min: 20,
            timeout: Duration::from_secs(5),
            keep: HOUR,
            rules: Rule::built_in(),
        }
    }
}

impl AlertConfig {
    /// Checks every value; nothing is connected to.
    ///
    /// # Errors
    /// The first rule that is broken: where, by what, and what would be right.
    pub fn validate(&self) -> Result<(), AlertConfigError> {
        self.validate_urls()?;
        for (key, value, max, shown) in [
            ("every", self.every, HOUR, "1h"),
            ("cooldown", self.cooldown, DAY, "24h"),
            ("timeout", self.timeout, MINUTE, "1m"),
            ("keep", self.keep, DAY, "24h"),
        ] {
            if !within(value, max) {
                let value = if value.is_zero() { "0s".to_owned() } else { format!("{value:?}") };
                return Err(broken(key, value, format!("must be above zero and at most {shown}")));
            }
        }
        check("failures", self.failures.into(), 1..=1000)?;
        check("per_hour_max", self.per_hour_max.into(), 1..=1000)?;
        check("requests_min", self.requests_min, 0..=1_000_000_000)?;
        if self.rules.len() > RULES_MAX {
            return Err(broken("rule", format!("{} rules", self.rules.len()), format!("must be at most {RULES_MAX}")));
        }
        let mut names = HashSet::new();
        for (nth, rule) in self.rules.iter().enumerate() {
            rule.validate(nth)?;
            if !names.insert(&rule.name) {
                let rule_broken = "must be a name that no rule before it has";
                return Err(broken(&format!("rule[{nth}].name"), format!("{:?}", rule.name), rule_broken));
            }
        }
        Ok(())
    }

    pub(crate) fn validate_urls(&self) -> Result<(), AlertConfigError> {
        for (key, url) in [("slack", &self.slack), ("webhook", &self.webhook)] {
            if let (false, Err(rule)) = (url.is_empty(), address(url)) {
                return Err(broken(key, format!("{:?}", url.redacted()), rule));
            }
        }
        if HeaderValue::from_str(self.authorization.reveal()).is_err() {
            let rule = "must be the value of a header: visible characters and blanks in one line";
            return Err(broken("authorization", format!("{:?}", self.authorization), rule));
        }
        Ok(())
    }
}

/// Where messages go.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn address(url: &Secret) -> Result<Uri, &'static str> {
    let uri = url.reveal().parse::<Uri>().map_err(|_| "must be a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err("must begin with `https://` or `http://` and a host");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must hold no user and password: `authorization` takes them");
    }
    Ok(uri)
}

fn within(time: Duration, max: Duration) -> bool {
    !time.is_zero() && time <= max
}

fn check(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<(), AlertConfigError> {
    let rule = || format!("must be from {} to {}", range.start(), range.end());
    range.contains(&value).then_some(()).ok_or_else(|| broken(key, value.to_string(), rule()))
}

fn broken(key: &str, value: String, rule: impl Into<String>) -> AlertConfigError {
    AlertConfigError { key: key.to_owned(), value, rule: rule.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Figure, Severity};

    fn refused(text: &str) -> String {
        let config: AlertConfig = toml::from_str(text).unwrap();
        config.validate().unwrap_err().to_string()
    }

    fn rule(lines: &str) -> String {
        let good = "[[rule]]\nname = \"good\"\nfigure = \"p95\"\nabove = 1\nseverity = \"warning\"\n";
        refused(&format!("{good}[[rule]]\n{lines}"))
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        let config = AlertConfig::default();
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<AlertConfig>(&text).unwrap(), config, "{text}");
        assert_eq!(toml::from_str::<AlertConfig>("").unwrap(), config);
    }

    #[test]
    fn rules_given_stand_instead_of_those_built_in() {
        let text = "[[rule]]\nname = \"slow\"\nfigure = \"p95\"\nabove = 0.5\nclear = 0.4\nhold = \"1m\"\nseverity = \"critical\"";
        let config: AlertConfig = toml::from_str(text).unwrap();
        config.validate().unwrap();
        let slow = Rule::above("slow", Figure::P95, 0.5, Severity::Critical);
        assert_eq!(config.rules, [Rule { clear: Some(0.4), hold: MINUTE, ..slow }]);
        assert!(toml::from_str::<AlertConfig>("rule = []").unwrap().rules.is_empty());
    }

    #[test]
    fn unknown_keys_are_errors() {
        for text in [
            "rules = []",
            "attempts = 5",
            "[[rule]]\nname = \"a\"\nfigure = \"p95\"\nabove = 1\nseverity = \"warning\"\nfor = 1",
        ] {
            assert!(toml::from_str::<AlertConfig>(text).unwrap_err().to_string().contains("unknown field"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_where_and_what_would_be_right() {
        for (text, message) in [
            ("every = \"0s\"", "alerts.every = 0s: must be above zero and at most 1h"),
            ("cooldown = \"25h\"", "alerts.cooldown = 90000s: must be above zero and at most 24h"),
            ("timeout = \"61s\"", "alerts.timeout = 61s: must be above zero and at most 1m"),
            ("failures = 0", "alerts.failures = 0: must be from 1 to 1000"),
            ("per_hour_max = 0", "alerts.per_hour_max = 0: must be from 1 to 1000"),
            ("requests_min = 1000000001", "alerts.requests_min = 1000000001: must be from 0 to 1000000000"),
            ("keep = \"0s\"", "alerts.keep = 0s: must be above zero and at most 24h"),
        ] {
            assert_eq!(refused(text), message);
        }
        let many = AlertConfig { rules: vec![Rule::built_in().remove(0); 101], ..AlertConfig::default() };
        assert_eq!(many.validate().unwrap_err().to_string(), "alerts.rule = 101 rules: must be at most 100");
    }

    #[test]
    fn what_is_wrong_with_a_rule() {
        let p95 = "name = \"slow\"\nfigure = \"p95\"\nseverity = \"warning\"\n";
        let hits = "name = \"hits\"\nfigure = \"hit-rate\"\nseverity = \"warning\"\n";
        let down = "name = \"down\"\nfigure = \"redis-down\"\nseverity = \"critical\"\n";
        for (lines, message) in [
            (p95.replace("slow", "good") + "above = 1", ".name = \"good\": must be a name that no rule before it has"),
            (
                p95.replace("slow", "So slow") + "above = 1",
                ".name = \"So slow\": must be lower-case words joined by `-`, as `p95-critical`, of at most 64 bytes",
            ),
            (p95.to_owned(), " = \"slow\": must have `above` or `below`"),
            (format!("{p95}above = 1\nbelow = 1"), " = \"slow\": must have `above` or `below`, not both"),
            (format!("{p95}above = 1\nclear = 1.1"), ".clear = 1.1: must be from 0 to `above` (1)"),
            (format!("{p95}above = nan"), ".above = NaN: must be at least 0 and below 86400, as p95 is in seconds"),
            (format!("{p95}above = 1\nclear = nan"), ".clear = NaN: must be from 0 to `above` (1)"),
            (format!("{p95}above = 1\nhold = \"25h\""), ".hold = 90000s: must be at most 24h"),
            (format!("{hits}below = 0.5\nclear = 0.4"), ".clear = 0.4: must be from `below` (0.5) to 1"),
            (format!("{hits}below = 0.5\nclear = 1.1"), ".clear = 1.1: must be from `below` (0.5) to 1"),
            (format!("{hits}below = 70"), ".below = 70: must be above 0 and at most 1, as hit-rate is a share"),
            (format!("{hits}above = 1"), ".above = 1: must be at least 0 and below 1, as hit-rate is a share"),
            (format!("{down}below = 0.5"), ".below = 0.5: must be `above`, as redis-down is 1 in alarm and 0 else"),
        ] {
            assert_eq!(rule(&lines), format!("alerts.rule[1]{message}"));
        }
    }

    #[test]
    fn of_a_wrong_url_nothing_secret_is_shown() {
        let begin = "must begin with `https://` or `http://` and a host";
        for (text, message) in [
            ("slack = \"ftp://h/s3cr3t\"", format!("alerts.slack = \"ftp://h\": {begin}")),
            ("slack = \"s3cr3t\"", format!("alerts.slack = \"…redacted…\": {begin}")),
            ("webhook = \"https:///s3cr3t\"", "alerts.webhook = \"…redacted…\": must be a URL".to_owned()),
            (
                "webhook = \"https://u:s3cr3t@h/\"",
                "alerts.webhook = \"https://h\": must hold no user and password: `authorization` takes them".to_owned(),
            ),
            (
                "authorization = \"Bearer s3cr3t\\n\"",
                "alerts.authorization = \"…redacted…\": must be the value of a header: visible characters and blanks in one line"
                    .to_owned(),
            ),
        ] {
            assert_eq!(refused(text), message);
        }
    }

    #[test]
    fn secrets_are_neither_shown_nor_printed() {
        let text = "slack = \"https://h/s3cr3t\"\nwebhook = \"http://h/s3cr3t\"\nauthorization = \"Bearer s3cr3t\"";
        let config: AlertConfig = toml::from_str(text).unwrap();
        config.validate().unwrap();
        assert_eq!(config.slack.reveal(), "https://h/s3cr3t");
        for shown in [format!("{config:?} {config:#?}"), toml::to_string(&config).unwrap()] {
            assert!(shown.contains("redacted") && !shown.contains("s3cr3t"), "{shown}");
        }
    }
}
