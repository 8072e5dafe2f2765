use std::fmt;

use http::Uri;
use serde::{Deserialize, Serialize, Serializer};

/// What stands for a secret that is set.
const REDACTED: &str = "…redacted…";

/// Text that is never shown: an address that lets whoever knows it post, or a credential.
///
/// It is shown, logged and serialised as `…redacted…`, or as nothing where it is empty, so that what is printed tells whether it is set.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`; empty for none.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself, to be used and not shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Of a URL its scheme and host, for logs. Of a shape that is not known, nothing is shown.
    #[must_use]
    pub fn redacted(&self) -> String {
        let uri = self.0.parse::<Uri>().ok();
        let parts = uri.as_ref().and_then(|uri| uri.scheme_str().zip(uri.host()));
        parts.map_or_else(|| self.shown().to_owned(), |(scheme, host)| format!("{scheme}://{host}"))
    }

    const fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { REDACTED }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_shown() {
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), r#"…redacted… "…redacted…" "…redacted…""#);
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""…redacted…""#);
    }

    #[test]
    fn that_there_is_none_is_shown() {
        let none = Secret::default();
        assert_eq!((format!("{none}{none:?}"), none.redacted()), (r#""""#.to_owned(), String::new()));
        assert_eq!(serde_json::to_string(&none).unwrap(), r#""""#);
    }

    #[test]
    fn of_a_url_the_scheme_and_the_host() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/s3cr3t", "https://hooks.slack.com"),
            ("http://user:s3cr3t@[::1]:9/s3cr3t?s3cr3t", "http://[::1]"),
            ("s3cr3t", "…redacted…"),
            ("s3cr3t.example:80", "…redacted…"),
            ("/s3cr3t", "…redacted…"),
            ("https://a b/s3cr3t", "…redacted…"),
        ] {
            assert_eq!(Secret::new(url).redacted(), shown);
        }
    }
}
