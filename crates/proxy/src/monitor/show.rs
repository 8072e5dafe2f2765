//! What is shown while a monitor runs: a table that is kept up to date where somebody watches, else a line for each result.

use std::io::{self, IsTerminal, Write, stdout};

use edge_cache_probe::{MonitorSnapshot, monitor::Finished};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::text;

const TABLE: &str = "{msg}";

#[derive(Debug)]
pub(super) enum Show {
    Table(Live),
    Lines,
    Json,
}

/// A line of the output with `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    Result(&'a Finished),
    Summary(&'a MonitorSnapshot),
}

impl Show {
    /// A table if standard output is a terminal.
    pub(super) fn start(json: bool, snapshot: &MonitorSnapshot) -> Self {
        match json {
            true => Self::Json,
            false if stdout().is_terminal() => Self::Table(Live::start(snapshot)),
            false => Self::Lines,
        }
    }

    /// A round is over.
    ///
    /// # Errors
    /// When standard output takes nothing any more.
    pub(super) fn round(&mut self, finished: &[Finished], snapshot: &MonitorSnapshot) -> io::Result<()> {
        let mut out = stdout().lock();
        match self {
            Self::Table(live) => live.show(snapshot),
            Self::Lines => finished.iter().try_for_each(|one| writeln!(out, "{}", text::line(one)))?,
            Self::Json => finished.iter().try_for_each(|one| writeln!(out, "{}", json(&Line::Result(one))))?,
        }
        out.flush()
    }

    /// It is over: the summary.
    pub(super) fn end(self, snapshot: &MonitorSnapshot) {
        if let Self::Table(live) = &self {
            live.end();
        }
        let text = match self {
            Self::Json => json(&Line::Summary(snapshot)),
            Self::Table(_) | Self::Lines => text::summary(snapshot),
        };
        crate::exit::say(text);
    }
}

fn json(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("texts and numbers are JSON")
}

/// A heading and a row for each check by each way: one text of several lines, which is drawn whole.
#[derive(Debug)]
pub(super) struct Live(ProgressBar);

impl Live {
    fn start(snapshot: &MonitorSnapshot) -> Self {
        let style = ProgressStyle::with_template(TABLE).expect("the template is well formed, a test says so");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
        let live = Self(bar);
        live.show(snapshot);
        live
    }

    fn show(&self, snapshot: &MonitorSnapshot) {
        self.0.set_message(text::table(snapshot));
        // What comes soon after a start is drawn late, and nothing may come after it for minutes.
        self.0.force_draw();
    }

    /// Takes the table away: the summary says it all.
    fn end(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(TABLE).is_ok());
    }
}
