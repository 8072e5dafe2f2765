use std::{collections::HashSet, time::Duration};

use edge_cache_warmer::{Replay, ReplayError, split_scheme};
use serde::{Deserialize, Serialize};

const CHECKS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 64;
/// Shorter rounds would be one long one.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// Beyond it the summary of a day says nothing.
const EVERY_MAX: Duration = Duration::from_secs(24 * 3600);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const BODY_BYTES_LIMIT: u64 = 1 << 30;

/// `[monitor]`: endpoints that are asked again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorConfig {
    /// Ask for the checks. Default: true.
    pub enabled: bool,
    /// From the beginning of one round to that of the next, from 100 ms to 24 h. Default: 2 min.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Longest time for one whole answer, at most 1 h. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The `HOST` or `HOST:PORT` that clients name, which is part of the cache's key; needed where a check is a path. Default: none.
    pub authority: String,
    /// `[[monitor.check]]`: what is asked, at most 100. Default: nothing.
    pub check: Vec<CheckConfig>,
}

/// `[[monitor.check]]`: one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckConfig {
    /// What it is called, at most 64 characters, unlike the others.
    pub name: String,
    /// Path and query, or a URL, `http://HOST/PATH`, where the authority is another one.
    pub path: String,
    /// Statuses that are well. Default: 2xx and 3xx.
    pub statuses: Vec<u16>,
    /// Longest body that is well, in bytes; at most 1 GiB. Default: 16 MiB.
    pub body_bytes_max: u64,
    /// Ask past the cache, too: so the origin is asked once a round, and what it answers is stored. Default: true.
    pub past: bool,
}

/// A `[monitor]` key that breaks its rule: `monitor.check[1].path = "x": must …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("monitor.{key} = {value}: {rule}")]
pub struct MonitorConfigError {
    /// The key inside `[monitor]`.
    pub key: String,
    /// Its value.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(120),
            timeout: Duration::from_secs(5),
            authority: String::new(),
            check: Vec::new(),
        }
    }
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self { name: String::new(), path: String::new(), statuses: Vec::new(), body_bytes_max: 16 << 20, past: true }
    }
}

impl MonitorConfig {
    /// Checks every key.
    ///
    /// # Errors
    /// The first that breaks its rule.
    pub fn validate(&self) -> Result<(), MonitorConfigError> {
        self.replays().map(drop)
    }

    /// What each check asks for.
    pub(super) fn replays(&self) -> Result<Vec<Replay>, MonitorConfigError> {
        let span = |key: &str, value: Duration, rule: &str| {
            Err(broken(key, humantime::format_duration(value).to_string(), rule))
        };
        if !(EVERY_MIN..=EVERY_MAX).contains(&self.every) {
            return span("every", self.every, "must be from 100ms to 24h");
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return span("timeout", self.timeout, "must be above 0s, and at most 1h");
        }
        let (scheme, authority) = split_scheme(&self.authority);
        if !self.authority.is_empty() && Replay::new(scheme, authority, "/", []).is_err() {
            return Err(broken("authority", quoted(&self.authority), "must be HOST or HOST:PORT"));
        }
        if self.check.len() > CHECKS_MAX {
            let rule = format!("must be at most {CHECKS_MAX} checks");
            return Err(broken("check", format!("{} checks", self.check.len()), &rule));
        }
        let mut names = HashSet::new();
        let mut replays = Vec::with_capacity(self.check.len());
        for (at, check) in self.check.iter().enumerate() {
            let key = |name: &str| format!("check[{at}].{name}");
            check.validate(at)?;
            if !names.insert(check.name.as_str()) {
                return Err(broken(&key("name"), quoted(&check.name), "must be unique"));
            }
            replays.push(self.replay(&check.path, &key("path"))?);
        }
        Ok(replays)
    }

    fn replay(&self, path: &str, key: &str) -> Result<Replay, MonitorConfigError> {
        let wrong = |rule: &str| broken(key, quoted(path), rule);
        let replay = if path.starts_with('/') {
            if self.authority.is_empty() {
                let rule =
                    "must be the HOST or HOST:PORT that clients name, where a check is a path: it is part of every key";
                return Err(broken("authority", "\"\"".to_owned(), rule));
            }
            let (scheme, authority) = split_scheme(&self.authority);
            Replay::new(scheme, authority, path, [])
        } else if path.starts_with("http://") || path.starts_with("https://") {
            Replay::from_url(path, [])
        } else {
            return Err(wrong("must begin with /, or be a URL, http://HOST/PATH or https://HOST/PATH"));
        };
        replay.map_err(|error| match error {
            ReplayError::Authority { .. } => wrong("must name its host as HOST or HOST:PORT"),
            _ => wrong("must be visible ASCII without `#`, everything else as %XX"),
        })
    }
}

impl CheckConfig {
    fn validate(&self, at: usize) -> Result<(), MonitorConfigError> {
        let wrong = |name: &str, value: String, rule: &str| Err(broken(&format!("check[{at}].{name}"), value, rule));
        let letters = self.name.chars().count();
        if letters == 0 || letters > NAME_CHARS_MAX || self.name.chars().any(char::is_control) {
            return wrong("name", quoted(&self.name), "must be a line of 1 to 64 characters");
        }
        if let Some(status) = self.statuses.iter().find(|status| !(200..=599).contains(*status)) {
            return wrong("statuses", status.to_string(), "must be statuses, from 200 to 599");
        }
        if self.body_bytes_max > BODY_BYTES_LIMIT {
            return wrong("body_bytes_max", self.body_bytes_max.to_string(), "must be at most 1073741824 (1 GiB)");
        }
        Ok(())
    }
}

fn broken(key: &str, value: String, rule: &str) -> MonitorConfigError {
    MonitorConfigError { key: key.to_owned(), value, rule: rule.to_owned() }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> MonitorConfig {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn a_section_is_read_with_its_defaults_and_written_as_it_is_read() {
        let config = read("authority = \"h\"\n[[check]]\nname = \"home\"\npath = \"/\"\n");
        assert_eq!((config.every, config.timeout), (Duration::from_secs(120), Duration::from_secs(5)));
        assert!(config.enabled && config.check[0].past && config.check[0].statuses.is_empty());
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(read(&toml::to_string(&config).unwrap()), config);
        assert_eq!(read("").validate(), Ok(()), "nothing to ask for is well");
        assert!(toml::from_str::<MonitorConfig>("evry = \"1s\"").unwrap_err().to_string().contains("evry"));
        assert!(toml::from_str::<MonitorConfig>("[[check]]\npth = \"/\"").is_err());
    }

    #[test]
    fn a_url_has_an_authority_of_its_own() {
        let config = read("[[check]]\nname = \"a\"\npath = \"http://Shop.example/x?y\"\n");
        assert_eq!(config.replays().unwrap()[0].to_string(), "http://shop.example/x?y");
        let config = read("authority = \"https://shop.example\"\n[[check]]\nname = \"a\"\npath = \"/x\"\n");
        assert_eq!(config.replays().unwrap()[0].to_string(), "https://shop.example/x");
    }

    #[test]
    fn each_broken_rule_is_told_with_its_key_and_value() {
        let good = "[[check]]\nname = \"a\"\npath = \"/\"\n";
        let with = |check: &str| format!("authority = \"h\"\n{good}[[check]]\n{check}");
        for (toml, message) in [
            ("every = \"1ms\"".to_owned(), "monitor.every = 1ms: must be from 100ms to 24h"),
            ("timeout = \"0s\"".to_owned(), "monitor.timeout = 0s: must be above 0s"),
            ("authority = \"a/b\"".to_owned(), "monitor.authority = \"a/b\": must be HOST or HOST:PORT"),
            (good.to_owned(), "monitor.authority = \"\": must be the HOST or HOST:PORT that clients name"),
            (with("name = \"b\"\npath = \"x\""), "monitor.check[1].path = \"x\": must begin with /"),
            (with("name = \"b\"\npath = \"ftp://h/\""), "monitor.check[1].path = \"ftp://h/\": must begin with /"),
            (with("name = \"b\"\npath = \"/a b\""), "monitor.check[1].path = \"/a b\": must be visible ASCII"),
            (with("name = \"b\"\npath = \"http://h:x/\""), "monitor.check[1].path = \"http://h:x/\": must"),
            (with("path = \"/b\""), "monitor.check[1].name = \"\": must be a line of 1 to 64 characters"),
            (with("name = \"a\"\npath = \"/b\""), "monitor.check[1].name = \"a\": must be unique"),
            (with("name = \"b\"\npath = \"/\"\nstatuses = [99]"), "monitor.check[1].statuses = 99: must be statuses"),
            (with("name = \"b\"\npath = \"/\"\nbody_bytes_max = 2000000000"), "monitor.check[1].body_bytes_max = 2"),
        ] {
            let error = read(&toml).validate().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let many: String = (0..=CHECKS_MAX).map(|at| format!("[[check]]\nname = \"{at}\"\npath = \"/\"\n")).collect();
        let error = read(&format!("authority = \"h\"\n{many}")).validate().unwrap_err().to_string();
        assert_eq!(error, "monitor.check = 101 checks: must be at most 100 checks");
    }
}
