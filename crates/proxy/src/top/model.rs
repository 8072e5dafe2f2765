//! What the feed of a node says (docs of the feed: `GET /admin/performance/feed`), and the sum over nodes.
//!
//! A node of a later version may say more: unknown keys are passed over, and absent ones are empty.

mod counts;
mod rates;
mod sample;
mod state;
mod sum;
#[cfg(test)]
mod tests;

pub(super) use counts::Counts;
pub(super) use rates::{WINDOW_SECONDS, bars};
pub(super) use sample::{Columns, History, Row, Sample};
pub(super) use state::{Alert, Governor, Hello, Hot, Now, Pool, Route, State};
pub(super) use sum::{NodeLine, Sum, sum};
