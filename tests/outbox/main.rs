//! Purges that writes leave in the database.
#![allow(clippy::unwrap_used, missing_docs)]

mod command;
mod consuming;
mod nodes;
