//! What operators see: each figure of the performance page moved by what it is about, and by the right amount; the page in a browser; the
//! catalogue, the rules and the dashboard; one request's story.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod browser;
mod catalogue;
mod database;
mod node;
mod requests;
mod stories;
mod tiers;
mod traced;
mod watched;
