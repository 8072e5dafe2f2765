use serde::{Deserialize, Serialize};

/// What a rule can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Requests that failed, as a share of all: 0 to 1.
    ErrorRate,
    /// The time within which 95 of 100 requests were answered, in seconds.
    P95,
    /// Requests answered without waiting for the origin, as a share of those that could be: 0 to 1.
    HitRate,
    /// 1 while the database cannot be reached, else 0.
    DatabaseDown,
    /// Connections of the pool in use, as a share of the most there may be: 0 to 1.
    Pool,
    /// 1 while the origin cannot be reached, else 0.
    OriginDown,
    /// 1 while Redis cannot be reached, else 0.
    RedisDown,
    /// 1 while this node hears nothing of the others' purges, else 0.
    BackplaneCutOff,
    /// 1 while a check of the monitor fails, else 0 once all are well.
    MonitorFailing,
    /// 1 once a route was found to depend on who asks, against its declaration, else 0.
    IdentityLeak,
}

/// How a figure is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// 0 to 1, told in percent.
    Share,
    /// Seconds.
    Seconds,
    /// 0 or 1.
    Flag,
}

impl Figure {
    /// Every figure, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::ErrorRate,
        Self::P95,
        Self::HitRate,
        Self::DatabaseDown,
        Self::Pool,
        Self::OriginDown,
        Self::RedisDown,
        Self::BackplaneCutOff,
        Self::MonitorFailing,
        Self::IdentityLeak,
    ];

    /// As it is written in a configuration: `error-rate`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorRate => "error-rate",
            Self::P95 => "p95",
            Self::HitRate => "hit-rate",
            Self::DatabaseDown => "database-down",
            Self::Pool => "pool",
            Self::OriginDown => "origin-down",
            Self::RedisDown => "redis-down",
            Self::BackplaneCutOff => "backplane-cut-off",
            Self::MonitorFailing => "monitor-failing",
            Self::IdentityLeak => "identity-leak",
        }
    }

    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::ErrorRate | Self::HitRate | Self::Pool => Unit::Share,
            Self::P95 => Unit::Seconds,
            Self::DatabaseDown
            | Self::OriginDown
            | Self::RedisDown
            | Self::BackplaneCutOff
            | Self::MonitorFailing
            | Self::IdentityLeak => Unit::Flag,
        }
    }
}

/// One reading of every figure; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures([Option<Reading>; Figure::ALL.len()]);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    value: f64,
    requests: Option<u64>,
}

impl Figures {
    /// With nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `figure` to be `value`, in the figure's unit. `None` and what is not finite are unknown.
    pub fn set(&mut self, figure: Figure, value: Option<f64>) {
        self.read(figure, value, None);
    }

    /// The same of a figure taken over a number of requests. Over fewer than [`requests_min`](crate::AlertConfig::requests_min) it says
    /// nothing.
    pub fn set_over(&mut self, figure: Figure, value: Option<f64>, requests: u64) {
        self.read(figure, value, Some(requests));
    }

    /// Takes `figure`, one of the down-or-not kind, to be so or not.
    pub fn set_flag(&mut self, figure: Figure, raised: bool) {
        self.read(figure, Some(f64::from(u8::from(raised))), None);
    }

    /// What `figure` is, if it is known.
    #[must_use]
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0[figure as usize].map(|reading| reading.value)
    }

    /// What `figure` is, if it was taken over as many requests, or over none in particular.
    pub(crate) fn over(&self, figure: Figure, requests_min: u64) -> Option<f64> {
        let said = |reading: &Reading| reading.requests.is_none_or(|requests| requests >= requests_min);
        self.0[figure as usize].filter(said).map(|reading| reading.value)
    }

    fn read(&mut self, figure: Figure, value: Option<f64>, requests: Option<u64>) {
        self.0[figure as usize] = value.filter(|value| value.is_finite()).map(|value| Reading { value, requests });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_place_and_a_name_of_its_own() {
        for (at, figure) in Figure::ALL.into_iter().enumerate() {
            assert_eq!(figure as usize, at);
            assert_eq!(serde_json::to_string(&figure).unwrap(), format!("\"{}\"", figure.name()));
        }
    }

    #[test]
    fn what_is_not_a_number_is_not_known() {
        let mut figures = Figures::new();
        figures.set(Figure::P95, Some(1.0));
        assert_eq!(figures.get(Figure::P95), Some(1.0));
        for unknown in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            figures.set(Figure::P95, Some(1.0));
            figures.set(Figure::P95, unknown);
            assert_eq!(figures.get(Figure::P95), None);
        }
    }

    #[test]
    fn over_too_few_requests_it_says_nothing() {
        let mut figures = Figures::new();
        figures.set_over(Figure::ErrorRate, Some(0.5), 19);
        assert_eq!((figures.over(Figure::ErrorRate, 20), figures.over(Figure::ErrorRate, 19)), (None, Some(0.5)));
        figures.set(Figure::ErrorRate, Some(0.5));
        assert_eq!(figures.over(Figure::ErrorRate, 20), Some(0.5));
        figures.set_flag(Figure::RedisDown, true);
        assert_eq!(figures.over(Figure::RedisDown, 20), Some(1.0));
    }
}
