use std::{io::IsTerminal, sync::mpsc, thread, time::Duration};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, reload};

/// Most lines that wait to be written: those that come while nobody reads them are lost beyond that.
const LINES_MAX: usize = 8192;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// What is logged, to be changed while logs are written.
pub struct LogFilter(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LogFilter {
    /// Logs by `filter` from now on, unless `RUST_LOG` says what is logged.
    ///
    /// # Errors
    /// When the filter is none.
    pub fn set(&self, filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok((self.0)(chosen(filter)?)?)
    }
}

impl std::fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogFilter").finish_non_exhaustive()
    }
}

/// Has what is logged written to its end when it is dropped, as far as somebody reads it at once.
#[derive(Debug)]
#[must_use = "what is logged after it is dropped goes nowhere"]
pub struct LogGuard {
    written: Option<WorkerGuard>,
}

/// Longest wait for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_millis(1500);

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Its own end prints where it finds no room, and may wait there for ever: not here.
        let written = self.written.take();
        let (told, ended) = mpsc::channel();
        let spawned = thread::Builder::new().name("logs-end".to_owned()).spawn(move || {
            drop(written);
            told.send(()).ok();
        });
        if spawned.is_ok() {
            ended.recv_timeout(LAST_WORDS).ok();
        }
    }
}

/// A writer that never holds up whoever logs, and whose end says nothing to them: a thread of its own writes, and what it cannot is lost.
fn to_stderr() -> (NonBlocking, LogGuard) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("logs");
    let (writer, written) = builder.finish(std::io::stderr());
    (writer, LogGuard { written: Some(written) })
}

/// Sends logs to standard error: `RUST_LOG` if it is set, else `filter` (`info`, `edge_cache=debug,warn`). Where nobody reads them, or nobody is left who
/// could, they are lost, and nothing else is.
///
/// # Errors
/// When the filter is none, or a subscriber is set already.
pub fn init_logs(
    filter: &str,
    format: LogFormat,
) -> Result<(LogFilter, LogGuard), Box<dyn std::error::Error + Send + Sync>> {
    // Only a terminal knows colours from text, and not everybody likes them (no-color.org).
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let (writer, guard) = to_stderr();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(chosen(filter)?)
        .with_writer(writer)
        .with_ansi(colours)
        .log_internal_errors(false);
    let filter = match format {
        LogFormat::Text => {
            let logs = logs.with_filter_reloading();
            let handle = logs.reload_handle();
            logs.try_init()?;
            LogFilter(Box::new(move |filter| handle.reload(filter)))
        }
        LogFormat::Json => {
            let logs = logs.json().with_filter_reloading();
            let handle = logs.reload_handle();
            logs.try_init()?;
            LogFilter(Box::new(move |filter| handle.reload(filter)))
        }
    };
    Ok((filter, guard))
}

fn chosen(filter: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    match std::env::var("RUST_LOG") {
        Ok(set) if !set.is_empty() => quiet(&set),
        _ => quiet(filter),
    }
}

/// Without the lines of Redis's client and of the disk tier's store, unless they are asked for by name: of a cluster that is away the one writes hundreds a second, of a full disk the
/// other, and this process says what became of them.
fn quiet(filter: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    // What comes later counts.
    EnvFilter::try_new(format!("redis=off,fjall=off,lsm_tree=off,{filter}"))
}

/// Checks a filter without using it.
///
/// # Errors
/// Where it is none.
pub fn check_filter(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(filter).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_of_redis_logs_is_asked_for_by_name() {
        for (filter, says) in [("info", "off"), ("warn,edge_cache=debug", "off"), ("info,redis=warn", "warn")] {
            let chosen = quiet(filter).expect("a filter").to_string();
            let of_redis: Vec<&str> = chosen.split(',').filter_map(|line| line.strip_prefix("redis=")).collect();
            assert_eq!(of_redis, [says], "{filter}: {chosen}");
        }
    }
}
