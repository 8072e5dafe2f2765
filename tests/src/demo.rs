use std::{collections::HashMap, ops::Deref};

use serde_json::{Value, json};

use crate::{Answer, Proxy, ProxyBuilder};

/// A running `cache-proxy demo` and the tokens that it printed.
#[derive(Debug)]
pub struct Demo {
    proxy: Proxy,
    tokens: HashMap<String, String>,
}

impl Deref for Demo {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        &self.proxy
    }
}

impl Demo {
    /// A demo over its embedded database, with few pitches.
    pub async fn start() -> Self {
        Self::with(&["--pitches", "100"]).await
    }

    /// A demo with these arguments besides the listeners.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with(args: &[&str]) -> Self {
        Self::of(ProxyBuilder::demo().args(args)).await
    }

    /// The same, and [patient](ProxyBuilder::patient).
    ///
    /// # Panics
    /// When it does not start.
    pub async fn patient(args: &[&str]) -> Self {
        Self::of(ProxyBuilder::demo().args(args).patient()).await
    }

    async fn of(demo: ProxyBuilder) -> Self {
        // Whoever counts queries asks all that is asked.
        let proxy = demo.args(&["--no-monitor"]).start().await;
        let printed = proxy.printed();
        let lines = printed.lines().skip_while(|line| !line.starts_with("Sessions")).skip(1);
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let tokens = words.filter(|words| words.len() == 2).map(|words| (words[0].to_owned(), words[1].to_owned()));
        let tokens: HashMap<_, _> = tokens.collect();
        Self { proxy, tokens }
    }

    /// The token of the user of this type; empty for nobody.
    ///
    /// # Panics
    /// When none was printed.
    #[must_use]
    pub fn token(&self, who: &str) -> &str {
        if who.is_empty() {
            return "";
        }
        self.tokens.get(who).unwrap_or_else(|| panic!("no token for {who} in {}", self.proxy.printed()))
    }

    /// A GET as the user of a type.
    pub async fn get_as(&self, who: &str, target: &str) -> Answer {
        self.client().get(target).bearer(self.token(who)).send().await
    }

    /// A write as the user of a type; `Value::Null` for no body.
    pub async fn write(&self, who: &str, method: &str, target: &str, body: &Value) -> Answer {
        let ask = self.client().ask(method, target).bearer(self.token(who));
        if body.is_null() { ask.send().await } else { ask.json(body).send().await }
    }

    /// Makes a draft of the creator's; its id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn draft(&self, title: &str) -> i64 {
        let body = json!({"title": title, "genre": "drama", "format": "feature"});
        let made = self.write("creator", "POST", "/api/pitches", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["data"]["id"].as_i64().expect("a pitch has an id")
    }

    /// Takes one step with a pitch of the creator's, as `publish` or `archive`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn step(&self, id: i64, step: &str) {
        let done = self.write("creator", "POST", &format!("/api/pitches/{id}/{step}"), &Value::Null).await;
        assert_eq!(done.status, 200, "{done:?}");
    }

    /// Makes a pitch and publishes it; its id.
    pub async fn published(&self, title: &str) -> i64 {
        let id = self.draft(title).await;
        self.step(id, "publish").await;
        id
    }
}
