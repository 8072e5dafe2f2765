//! Exit codes: 0 well, 1 a failure while running, 64 a usage or configuration error (sysexits.h).

use std::{io::Write, process::ExitCode};

use edge_cache::SettingsError;

pub(crate) const USAGE: u8 = 64;

/// Prints a line to standard output. Whoever closed it does not want to know, and is no reason to stop.
pub(crate) fn say(text: impl std::fmt::Display) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A command line that cannot be carried out.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Says in one line what went wrong.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut line = String::new();
    for (at, cause) in causes.iter().enumerate() {
        // A wrapper that repeats its source says it once.
        if at == 0 || !causes[at - 1].contains(cause.as_str()) {
            if at > 0 {
                line.push_str(": ");
            }
            line.push_str(cause);
        }
    }
    // Who is left to be told may be nobody.
    drop(writeln!(std::io::stderr().lock(), "cache-proxy: {line}"));
    let usage = error.is::<UsageError>()
        || error.is::<SettingsError>()
        || error.chain().any(|cause| cause.is::<SettingsError>() || cause.is::<UsageError>());
    if usage { USAGE.into() } else { ExitCode::FAILURE }
}
