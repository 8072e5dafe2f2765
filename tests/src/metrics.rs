use std::net::SocketAddr;

use crate::Client;

/// What `/metrics` said at one moment.
#[derive(Clone, Debug)]
pub struct Samples(String);

impl Samples {
    /// Asks the admin listener.
    ///
    /// # Panics
    /// When it does not answer with metrics.
    pub async fn scrape(admin: SocketAddr) -> Self {
        let answer = Client::new(admin).get("/metrics").send().await;
        assert!(answer.status.is_success(), "{answer:?}");
        Self(answer.text().to_owned())
    }

    /// The sum over all samples of `name` that carry `labels`; 0 where there is none.
    ///
    /// # Panics
    /// When a value is no number.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| {
                let (own, rest) = series.split_once('{').unwrap_or((series, ""));
                own == name && labels.iter().all(|(key, value)| rest.contains(&format!("{key}=\"{value}\"")))
            })
            .map(|(series, value)| value.parse::<f64>().unwrap_or_else(|error| panic!("{series} {value}: {error}")))
            .sum()
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}
