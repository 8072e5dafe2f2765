use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers; mostly none.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The header's first value; empty where there is none.
    ///
    /// # Panics
    /// When it is not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("the header is text"))
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The ids of a list of items.
    ///
    /// # Panics
    /// When the answer is no such list.
    #[must_use]
    pub fn ids(&self) -> Vec<i64> {
        let json = self.json();
        let items = json["data"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        items.iter().map(|item| item["id"].as_i64().expect("items have ids")).collect()
    }

    /// What `tier` (`memory`, `redis`) says in `Cache-Status`; empty where it says nothing.
    #[must_use]
    pub fn said_by(&self, tier: &str) -> &str {
        let member = format!("edge-{tier};");
        let lines = self.headers.get_all("cache-status").iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(", ")).find(|line| line.starts_with(&member)).unwrap_or_default()
    }

    /// Whether `tier` answered from a fresh entry.
    #[must_use]
    pub fn is_hit_of(&self, tier: &str) -> bool {
        self.said_by(tier).starts_with(&format!("edge-{tier}; hit")) && !self.said_by(tier).contains("detail")
    }

    /// The remaining freshness in seconds that `tier` names.
    #[must_use]
    pub fn ttl_of(&self, tier: &str) -> Option<i64> {
        let (_, rest) = self.said_by(tier).split_once("ttl=")?;
        rest.split(';').next()?.trim().parse().ok()
    }
}
