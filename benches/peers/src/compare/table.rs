use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use crate::stats::Spread;

/// Figures side by side.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    /// Why they are not to be relied on.
    pub(crate) faults: Vec<String>,
    /// The same and more, for programs.
    pub(crate) json: Value,
}

impl Table {
    pub(crate) fn new<T: ToString>(title: &str, columns: impl IntoIterator<Item = T>) -> Self {
        let columns = columns.into_iter().map(|column| column.to_string()).collect();
        let json = serde_json::json!({ "title": title, "rows": [] });
        Self { title: title.to_owned(), columns, rows: Vec::new(), notes: Vec::new(), faults: Vec::new(), json }
    }

    /// A row, the first cell of which is a name.
    pub(crate) fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>, json: Value) {
        self.rows.push(cells.into_iter().map(|cell| cell.to_string()).collect());
        if let Some(rows) = self.json["rows"].as_array_mut() {
            rows.push(json);
        }
    }

    /// A line below it.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says below it, and in the end, why it is not to be relied on.
    pub(crate) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&self.columns]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in [&self.columns].into_iter().chain(&self.rows) {
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match at {
                    0 => write!(f, "  {cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  !! {fault}"))
    }
}

/// `median (min..max)`.
pub(crate) fn with_range(spread: Spread, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}..{:.digits$})", spread.median, spread.min, spread.max)
}

/// `median (lower..upper quartile)`.
pub(crate) fn with_quartiles(spread: Spread, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}..{:.digits$})", spread.median, spread.lower, spread.upper)
}

/// Bytes in the unit of 2^20.
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
