use std::{path::Path, sync::Arc};

use edge_cache_core::headers::CACHE_STATUS;
use edge_cache_telemetry::{AccessFormat, AccessLog, Metrics, OnFinished, Requests, Watch};
use http::{HeaderName, Uri, header};
use serde::{Deserialize, Serialize};

use super::SettingsError;
use crate::BuildError;

/// How lines of the access log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLogFormat {
    /// The Combined Log Format, with what the cache did after it.
    #[default]
    Combined,
    /// A JSON object a line.
    Json,
}

/// `[telemetry]`: what is noted of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Whether requests are looked at at all: counted, named, kept. Default: true.
    pub enabled: bool,
    /// How many of the last requests can be asked about by name; about 1 KiB each. An eighth as many failures are kept beside them. Default: 4096.
    pub requests_kept: usize,
    /// The header of an answer that names its request; empty for none. Default: `x-edge-cache-id`.
    pub id_header: String,
    /// A file that gets a line for each answered request; `-` for standard output, empty for none. Default: empty.
    pub access_log: String,
    /// `combined` or `json`. Default: `combined`.
    pub access_log_format: AccessLogFormat,
    /// Of the traces that begin here, the share that is kept, from 0 to 1; of others, whoever began them decides. Default: 0.01.
    pub trace_sample: f64,
    /// Where spans of traces that are kept are sent, as OTLP over HTTP in JSON: `http://HOST:4318/v1/traces`; empty for nowhere. Needs a
    /// build with the feature `otlp`. Default: empty.
    pub otlp_endpoint: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            requests_kept: 4096,
            id_header: ID_HEADER.to_owned(),
            access_log: String::new(),
            access_log_format: AccessLogFormat::Combined,
            trace_sample: 0.01,
            otlp_endpoint: String::new(),
        }
    }
}

/// Headers that say where an answer ends, or how old it is: a name in their place would be read as that.
const OF_THE_ANSWER: [HeaderName; 6] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::DATE, header::AGE, CACHE_STATUS];

/// The header that names a request, unless another one is wanted.
const ID_HEADER: &str = "x-edge-cache-id";
/// More requests than anybody reads through.
const REQUESTS_MAX: usize = 1_000_000;

impl TelemetrySettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let refuse =
            |key: &str, value: String, rule: &str| Err(SettingsError::rule(&format!("telemetry.{key}"), value, rule));
        if !(1..=REQUESTS_MAX).contains(&self.requests_kept) {
            return refuse("requests_kept", self.requests_kept.to_string(), "must be from 1 to 1000000");
        }
        match self.header() {
            Err(_) => return refuse("id_header", format!("\"{}\"", self.id_header), "must be a header name, or empty"),
            Ok(Some(name)) if OF_THE_ANSWER.contains(&name) => {
                return refuse("id_header", format!("\"{}\"", self.id_header), "is what the answer itself says");
            }
            Ok(_) => {}
        }
        if !(0.0..=1.0).contains(&self.trace_sample) {
            return refuse("trace_sample", self.trace_sample.to_string(), "must be from 0 to 1");
        }
        let endpoint = format!("\"{}\"", self.otlp_endpoint);
        let url: Result<Uri, _> = self.otlp_endpoint.parse();
        let is_http = url.is_ok_and(|url| url.scheme_str() == Some("http") && url.authority().is_some());
        if !self.otlp_endpoint.is_empty() && !is_http {
            return refuse("otlp_endpoint", endpoint, "must be http://HOST:PORT/v1/traces, or empty");
        }
        if !self.otlp_endpoint.is_empty() && !cfg!(feature = "otlp") {
            return refuse("otlp_endpoint", endpoint, "needs a build with the feature `otlp`");
        }
        Ok(())
    }

    fn header(&self) -> Result<Option<HeaderName>, http::header::InvalidHeaderName> {
        match self.id_header.as_str() {
            "" => Ok(None),
            // A static name costs nothing to copy; any other is counted by whoever holds it, on every thread.
            ID_HEADER => Ok(Some(HeaderName::from_static(ID_HEADER))),
            name => HeaderName::try_from(name).map(Some),
        }
    }

    #[cfg(feature = "otlp")]
    fn spans(&self, metrics: &Metrics) -> Result<Option<Arc<dyn OnFinished>>, BuildError> {
        use edge_cache_telemetry::{OtlpSpans, Reading, catalogue};
        if self.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let spans = OtlpSpans::start(&self.otlp_endpoint)?;
        let counted = spans.clone();
        metrics.read_at_scrape(Reading::counter(&catalogue::SPANS_DROPPED, move || counted.dropped()));
        Ok(Some(Arc::new(spans)))
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unnecessary_wraps, reason = "as the one that sends spans")]
    fn spans(&self, _metrics: &Metrics) -> Result<Option<Arc<dyn OnFinished>>, BuildError> {
        Ok(None)
    }

    /// Whoever looks at requests as these settings say; `None` for nobody.
    pub(crate) fn watch(&self, metrics: &Metrics) -> Result<Option<Watch>, BuildError> {
        self.validate()?;
        if !self.enabled {
            return Ok(None);
        }
        let format = match self.access_log_format {
            AccessLogFormat::Combined => AccessFormat::Combined,
            AccessLogFormat::Json => AccessFormat::Json,
        };
        let access = match self.access_log.as_str() {
            "" => None,
            path => {
                let log = AccessLog::open(Path::new(path), format);
                Some(log.map_err(|source| BuildError::AccessLog { path: path.to_owned(), source })?)
            }
        };
        let spans = self.spans(metrics)?;
        Ok(Some(Watch {
            metrics: metrics.clone(),
            requests: Requests::new(self.requests_kept),
            access,
            spans,
            id_header: self.header().ok().flatten(),
            sample: self.trace_sample,
        }))
    }
}
