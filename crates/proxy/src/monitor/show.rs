//! What is shown while a monitor runs: a table that is kept up to date where somebody watches, else a line for each result.

use std::io::{self, IsTerminal, Write, stdout};

use edge_cache_probe::{MonitorSnapshot, monitor::Finished};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::text;

/// Cut off at the width of the terminal.
const ROW: &str = "{wide_msg}";

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

/// A heading and a row for each check by each way.
#[derive(Debug)]
pub(super) struct Live {
    all: MultiProgress,
    heading: ProgressBar,
    rows: Vec<ProgressBar>,
    widest: usize,
}

impl Live {
    fn start(snapshot: &MonitorSnapshot) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let row = || {
            let style = ProgressStyle::with_template(ROW).expect("the template is well formed, a test says so");
            all.add(ProgressBar::new_spinner().with_style(style))
        };
        let heading = row();
        let rows = snapshot.checks.iter().map(|_| row()).collect();
        let widest = snapshot.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
        let live = Self { all, heading, rows, widest };
        live.show(snapshot);
        live
    }

    fn show(&self, snapshot: &MonitorSnapshot) {
        self.heading.set_message(text::heading(snapshot));
        for (row, check) in self.rows.iter().zip(&snapshot.checks) {
            row.set_message(text::row(check, self.widest));
        }
        // What comes close together is drawn late, and nothing comes after it for minutes.
        for bar in self.rows.iter().chain([&self.heading]) {
            bar.force_draw();
        }
    }

    /// Takes the table away: the summary says it all.
    fn end(&self) {
        // A terminal that cannot be cleared shows a table too many.
        drop(self.all.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(ROW).is_ok());
    }
}
