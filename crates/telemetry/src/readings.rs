//! Values that are read when Prometheus asks.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry,
};

use crate::catalogue::{Definition, Kind, Unit};

type Label = (&'static str, Cow<'static, str>);

#[derive(Clone)]
enum Source {
    Gauge(Arc<dyn Fn() -> f64 + Send + Sync>),
    Counter(Arc<dyn Fn() -> u64 + Send + Sync>),
    Seconds(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Source {
    /// `None` for what is not known.
    fn read(&self) -> Option<Read> {
        match self {
            Self::Gauge(read) => {
                Some(Read::Gauge(read())).filter(|read| !matches!(read, Read::Gauge(value) if value.is_nan()))
            }
            Self::Counter(read) => Some(Read::Counter(read())),
            Self::Seconds(read) => Some(Read::Seconds(read().as_secs_f64())),
        }
    }
}

/// What was read.
enum Read {
    Gauge(f64),
    Counter(u64),
    Seconds(f64),
}

impl Read {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match *self {
            Self::Gauge(value) => ConstGauge::new(value).encode(encoder),
            Self::Counter(value) => ConstCounter::new(value).encode(encoder),
            Self::Seconds(value) => ConstCounter::new(value).encode(encoder),
        }
    }
}

/// One value of a metric of the [catalogue](crate::catalogue). Several of one metric differ in their labels.
#[derive(Clone)]
pub struct Reading {
    metric: &'static Definition,
    labels: Vec<Label>,
    source: Source,
}

impl Reading {
    /// A value that goes up and down. `NAN` where it is not known: then it is left out.
    pub fn gauge(metric: &'static Definition, read: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self::new(metric, Kind::Gauge, Source::Gauge(Arc::new(read)))
    }

    /// A count that only rises.
    pub fn counter(metric: &'static Definition, read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self::new(metric, Kind::Counter, Source::Counter(Arc::new(read)))
    }

    /// A time that only grows.
    pub fn seconds(metric: &'static Definition, read: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        debug_assert_eq!(metric.unit, Unit::Seconds, "{}", metric.name);
        Self::new(metric, Kind::Counter, Source::Seconds(Arc::new(read)))
    }

    fn new(metric: &'static Definition, kind: Kind, source: Source) -> Self {
        debug_assert_eq!(metric.kind, kind, "{}", metric.name);
        Self { metric, labels: Vec::new(), source }
    }

    pub(crate) fn is_of_process(&self) -> bool {
        self.metric.of_process
    }

    /// The same with the value of the metric's next label.
    #[must_use]
    pub fn labelled(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        let name = self.metric.labels.get(self.labels.len()).copied();
        debug_assert!(name.is_some(), "{} has no more labels", self.metric.name);
        self.labels.extend(name.map(|name| (name, value.into())));
        self
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("metric", &self.metric.name)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// Readings of metrics that bear one prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings(Arc<Mutex<Vec<Reading>>>);

impl Readings {
    pub(crate) fn add(&self, reading: Reading) {
        let mut all = self.0.lock();
        all.push(reading);
        // Readings of one metric share a descriptor, which OpenMetrics wants in one piece.
        all.sort_by_key(|reading| reading.metric.name);
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.lock().clone();
        for group in all.chunk_by(|a, b| a.metric.name == b.metric.name) {
            let metric = group[0].metric;
            let unit = unit(metric);
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge | Kind::Histogram | Kind::Info => MetricType::Gauge,
            };
            let mut encoder = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for reading in group {
                let Some(value) = reading.source.read() else { continue };
                match reading.labels.as_slice() {
                    [] => {
                        // Without a label there is one of its name.
                        value.encode(encoder)?;
                        break;
                    }
                    labels => value.encode(encoder.encode_family(&labels)?)?,
                }
            }
        }
        Ok(())
    }
}

/// The unit as the registry names it.
pub(crate) fn unit(metric: &Definition) -> Option<registry::Unit> {
    match metric.unit {
        Unit::None => None,
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Seconds => Some(registry::Unit::Seconds),
    }
}
