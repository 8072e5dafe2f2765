use serde::{Deserialize, de::IgnoredAny};

/// A cell that is no number is unknown.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(f64),
    Other(IgnoredAny),
}

/// One step as it comes: a cell a column.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Row(Vec<Cell>);

/// The past that a node remembers. Only the last minutes are shown, so the coarse rows are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    pub(crate) columns: Vec<String>,
    pub(crate) fine: Rows,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
}

macro_rules! sample {
    ($($name:ident),*) => {
        /// What one step counted; what is unknown is `None`.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Sample { $(pub(crate) $name: Option<f64>,)* }

        /// The order in which the feed tells the columns, of those that are shown.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Columns { $($name: Option<usize>,)* }

        impl Columns {
            pub(crate) fn of(names: &[String]) -> Self {
                let find = |name| names.iter().position(|known| known == name);
                Self { $($name: find(stringify!($name)),)* }
            }

            pub(crate) fn sample(&self, row: &Row) -> Sample {
                let cell = |at: Option<usize>| match row.0.get(at?)? {
                    Cell::Number(number) => Some(*number),
                    Cell::Other(_) => None,
                };
                Sample { $($name: cell(self.$name),)* }
            }
        }
    };
}

sample!(
    at,
    seconds,
    requests,
    hit,
    stale,
    coalesced,
    miss,
    error,
    memory,
    redis,
    disk,
    p50,
    p95,
    p99,
    bytes,
    fills,
    cpu,
    resident,
    connections
);
