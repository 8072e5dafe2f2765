//! The performance feed, read as the page reads it.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{Client, Opened, PATIENCE};

/// A reader of one node's feed, from the first second on.
#[derive(Debug)]
pub struct Performance {
    feed: Opened,
    waiting: String,
    columns: Vec<String>,
    /// Everything that the feed has told, one row a second.
    rows: Vec<Vec<Value>>,
    /// The state that came last.
    state: Value,
}

impl Performance {
    /// Begins to read at the admin listener.
    ///
    /// # Panics
    /// When it is no such feed.
    pub async fn open(admin: SocketAddr) -> Self {
        Self::open_with(admin, "").await
    }

    /// The same with a token, if it is not empty.
    ///
    /// # Panics
    /// When it is no such feed.
    pub async fn open_with(admin: SocketAddr, token: &str) -> Self {
        let feed = Client::new(admin).get("/admin/performance/feed").bearer(token).open().await;
        assert!(feed.status.is_success(), "{feed:?}");
        let mut this = Self { feed, waiting: String::new(), columns: Vec::new(), rows: Vec::new(), state: Value::Null };
        let (hello, _) = this.event().await;
        assert_eq!(hello, "hello");
        let (name, history) = this.event().await;
        assert_eq!(name, "history");
        let names = history["columns"].as_array().expect("columns");
        this.columns = names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect();
        let rows = history["fine"]["rows"].as_array().expect("rows");
        this.rows = rows.iter().map(|row| row.as_array().expect("a row").clone()).collect();
        this
    }

    async fn event(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.waiting.split_once("\n\n") {
                let lines: Vec<_> = event.lines().filter_map(|line| line.split_once(": ")).collect();
                let field = |name: &str| lines.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
                let found = field("event").map(|name| {
                    let data = field("data").unwrap_or("null");
                    (name.to_owned(), serde_json::from_str(data).expect("the data is JSON"))
                });
                self.waiting = rest.to_owned();
                if let Some(found) = found {
                    return found;
                }
                continue;
            }
            let piece = self.feed.next().await.expect("the feed goes on");
            self.waiting.push_str(std::str::from_utf8(&piece).expect("the feed is text"));
        }
    }

    /// Reads until the state is as `wanted` says; that state.
    ///
    /// # Panics
    /// When it is not in time; with the last one.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.step().await;
            if wanted(&self.state) {
                return self.state.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "in vain: {what}: {:#}", self.state);
        }
    }

    /// Reads the next second.
    ///
    /// # Panics
    /// When the feed ends.
    pub async fn step(&mut self) -> &Value {
        let (name, mut now) = self.event().await;
        assert_eq!(name, "now");
        let row = now["sample"].as_array().expect("a row").clone();
        assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
        self.state = now["state"].take();
        &self.state
    }

    /// What a column told, second by second; without what is unknown.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn column(&self, name: &str) -> Vec<f64> {
        let at = self.columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().filter_map(|row| row[at].as_f64()).collect()
    }

    /// The sum of a column.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.column(name).iter().sum()
    }

    /// The most of a column.
    #[must_use]
    pub fn most(&self, name: &str) -> f64 {
        self.column(name).into_iter().fold(f64::NAN, f64::max)
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

/// A figure of a state by its name on the page, `totals.hit`.
///
/// # Panics
/// When the state has none of this name.
#[must_use]
pub fn figure<'a>(state: &'a Value, name: &str) -> &'a Value {
    name.split('.')
        .fold(state, |value, part| value.get(part).unwrap_or_else(|| panic!("no {part} of {name} in {state:#}")))
}

/// The row of a table whose `key` is `value`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn row<'a>(table: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = table.as_array().unwrap_or_else(|| panic!("no table: {table:#}"));
    rows.iter().find(|row| row[key] == value).unwrap_or_else(|| panic!("no {key} {value} in {table:#}"))
}
