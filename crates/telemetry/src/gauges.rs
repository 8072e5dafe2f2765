use std::{borrow::Cow, fmt, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry,
};

/// The unit of a value; it ends the metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

#[derive(Clone)]
enum Source {
    Gauge(Arc<dyn Fn() -> f64 + Send + Sync>),
    Counter(Arc<dyn Fn() -> u64 + Send + Sync>),
}

impl Source {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(read) => ConstGauge::new(read()).encode(encoder),
            Self::Counter(read) => ConstCounter::new(read()).encode(encoder),
        }
    }
}

/// A value that is read when Prometheus asks.
#[derive(Clone)]
pub struct Reading {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    label: Option<(&'static str, Cow<'static, str>)>,
    source: Source,
}

impl Reading {
    /// A value that goes up and down.
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        unit: Unit,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { name, help, unit, label: None, source: Source::Gauge(Arc::new(read)) }
    }

    /// A count that only rises.
    pub fn counter(name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { name, help, unit: Unit::None, label: None, source: Source::Counter(Arc::new(read)) }
    }

    /// The same with a label: readings of one name differ in its value.
    #[must_use]
    pub fn labelled(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.label = Some((name, value.into()));
        self
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("name", &self.name).field("label", &self.label).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges(Arc<Mutex<Vec<Reading>>>);

impl Gauges {
    pub(crate) fn add(&self, reading: Reading) {
        let mut all = self.0.lock();
        all.push(reading);
        // Readings of one name share a descriptor, which OpenMetrics wants in one piece.
        all.sort_by_key(|reading| reading.name);
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.lock().clone();
        for group in all.chunk_by(|a, b| a.name == b.name) {
            let first = &group[0];
            let unit = match first.unit {
                Unit::None => None,
                Unit::Bytes => Some(registry::Unit::Bytes),
                Unit::Seconds => Some(registry::Unit::Seconds),
            };
            let kind = match first.source {
                Source::Gauge(_) => MetricType::Gauge,
                Source::Counter(_) => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(first.name, first.help, unit.as_ref(), kind)?;
            if first.label.is_none() {
                // Without a label there is one of its name.
                first.source.encode(metric)?;
                continue;
            }
            for reading in group {
                if let Some((name, value)) = &reading.label {
                    reading.source.encode(metric.encode_family(&[(*name, &**value)])?)?;
                }
            }
        }
        Ok(())
    }
}
