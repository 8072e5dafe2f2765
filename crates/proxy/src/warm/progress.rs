//! How far a run is: a bar where somebody watches, else a line now and then.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// Longest time between two lines.
const PAUSE: Duration = Duration::from_secs(5);
const STYLE: &str = "warming {wide_bar} {pos}/{len}, {per_sec}, {eta} left{msg}";

/// Shown on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    done: usize,
    all: usize,
    failed: usize,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines(Lines),
}

/// When the next line is due.
#[derive(Debug)]
struct Lines {
    tenth: usize,
    last: Instant,
}

impl Progress {
    /// A bar if standard error is a terminal.
    pub(super) fn start() -> Self {
        let shown = if stderr().is_terminal() {
            let style = ProgressStyle::with_template(STYLE).expect("the template is well formed, a test says so");
            Shown::Bar(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style))
        } else {
            Shown::Lines(Lines { tenth: 0, last: Instant::now() })
        };
        Self { done: 0, all: 0, failed: 0, shown }
    }

    pub(super) fn begins(&mut self, jobs: usize) {
        self.all = jobs;
        match &self.shown {
            Shown::Bar(bar) => bar.set_length(jobs as u64),
            Shown::Lines(_) => eprintln!("warming {jobs} URLs"),
        }
    }

    /// One more is done.
    pub(super) fn step(&mut self, failed: bool) {
        self.done += 1;
        self.failed += usize::from(failed);
        match &mut self.shown {
            Shown::Bar(bar) => {
                if failed {
                    bar.set_message(format!(", {} failed", self.failed));
                }
                bar.inc(1);
            }
            Shown::Lines(lines) => {
                if lines.is_due(self.done, self.all) {
                    eprintln!("{} of {}, {} failed", self.done, self.all, self.failed);
                }
            }
        }
    }

    /// Takes the bar away: the summary says it all.
    pub(super) fn end(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    /// Whether another tenth is done, or nothing was said for a while. A few URLs need no lines between the first and the summary.
    fn is_due(&mut self, done: usize, all: usize) -> bool {
        let (tenth, now) = (done * 10 / all.max(1), Instant::now());
        let due = (all >= 1_000 && tenth > self.tenth) || now - self.last >= PAUSE;
        if due {
            (self.tenth, self.last) = (tenth, now);
        }
        due && done < all
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(STYLE).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_every_tenth_and_every_few_seconds() {
        let mut lines = Lines { tenth: 0, last: Instant::now() };
        let due: Vec<usize> = (1..=1_000).filter(|done| lines.is_due(*done, 1_000)).collect();
        assert_eq!(due, [100, 200, 300, 400, 500, 600, 700, 800, 900]);
        let mut lines = Lines { tenth: 0, last: Instant::now() };
        assert!(!lines.is_due(5, 10));
        advance(PAUSE).await;
        assert!(lines.is_due(6, 10) && !lines.is_due(7, 10));
    }
}
