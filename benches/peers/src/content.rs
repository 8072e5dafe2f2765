//! What is served: the same heads and bodies by all who make them up, so that those who ask can tell a wrong one.

mod big;
mod item;

pub use big::{Big, Span, byte_at};
pub use item::{ITEM_BYTES_MIN, ITEM_START_BYTES, constant, item, item_start};

/// Lets caches keep an answer for longer than any run takes.
pub const CACHEABLE: &str = "public, max-age=86400";
/// Forbids caches to keep an answer.
pub const PRIVATE: &str = "no-store";
