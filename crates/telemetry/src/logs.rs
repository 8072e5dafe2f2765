use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Sends logs to standard error: `RUST_LOG` if it is set, else `filter` (`info`, `edge_cache=debug,warn`).
///
/// # Errors
/// When the filter is none, or a subscriber is set already.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(set) if !set.is_empty() => EnvFilter::try_new(set)?,
        _ => EnvFilter::try_new(filter)?,
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    }
}

/// Checks a filter without using it.
///
/// # Errors
/// Where it is none.
pub fn check_filter(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(filter).map(drop)
}
