//! An access log as a source: what was asked for most.
//!
//! Reads the common and the combined format (Apache, nginx), of any length, in bounded memory.

mod line;
mod lines;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io};

use self::{
    line::parse,
    lines::{Lines, Next},
};
use crate::replay::checked_path;

/// Most different targets that are counted. Those that come later are left out: what is asked for often comes early.
pub const TARGETS_MAX: usize = 200_000;
/// Most bytes of them together: who writes a log's lines also chooses how long they are.
pub const TARGETS_BYTES_MAX: usize = 64 << 20;

/// What a log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Lines read, without empty ones.
    pub lines: u64,
    /// Lines of those that are neither of the two formats, or too long.
    pub not_understood: u64,
    /// Lines that were understood and are nothing to warm: another method, another status, a target that is no path.
    pub passed_over: u64,
    /// Lines left out because there were too many different targets, or too long ones.
    pub left_out: u64,
    counts: HashMap<String, u64>,
    /// Bytes of what is counted.
    bytes: usize,
}

/// Why a log is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum LogError {
    #[error("the log cannot be read")]
    Io(#[from] io::Error),
    #[error("none of {lines} lines is of an access log: must be in the common or the combined format")]
    Garbage { lines: u64 },
}

/// Counts what was asked for: GETs that were answered 200 or 304.
///
/// # Errors
/// When it cannot be read, or has lines and none of them is understood.
pub fn read(log: impl io::BufRead) -> Result<Asked, LogError> {
    read_at_most(log, TARGETS_MAX, TARGETS_BYTES_MAX)
}

fn read_at_most(log: impl io::BufRead, targets_max: usize, bytes_max: usize) -> Result<Asked, LogError> {
    let mut asked = Asked::default();
    let mut lines = Lines::new(log);
    loop {
        match lines.next()? {
            Next::End => break,
            Next::TooLong => {
                asked.lines += 1;
                asked.not_understood += 1;
            }
            Next::Line(line) if line.trim_ascii().is_empty() => {}
            Next::Line(line) => asked.add(line, targets_max, bytes_max),
        }
    }
    if asked.lines > 0 && asked.not_understood == asked.lines {
        return Err(LogError::Garbage { lines: asked.lines });
    }
    Ok(asked)
}

impl Asked {
    fn add(&mut self, line: &[u8], targets_max: usize, bytes_max: usize) {
        self.lines += 1;
        let Some(line) = parse(line) else {
            self.not_understood += 1;
            return;
        };
        let wanted = line.method == "GET" && [200, 304].contains(&line.status) && checked_path(line.target).is_ok();
        if !wanted {
            self.passed_over += 1;
        } else if let Some(count) = self.counts.get_mut(line.target) {
            *count += 1;
        } else if self.counts.len() < targets_max && line.target.len() <= bytes_max - self.bytes {
            self.bytes += line.target.len();
            self.counts.insert(line.target.to_owned(), 1);
        } else {
            self.left_out += 1;
        }
    }

    /// The `n` targets that were asked for most, with how often; of two that were asked for as often, the one that sorts first.
    #[must_use]
    pub fn most(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(target, count)| (target.as_str(), *count)).collect();
        all.sort_unstable_by(|(one, much), (other, more)| more.cmp(much).then(one.cmp(other)));
        all.truncate(n);
        all
    }
}
