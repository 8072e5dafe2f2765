//! The open-loop load of a film marketplace, and the private servers that it is sent to: what the bench and the drill share.

pub(crate) mod catalogue;
pub(crate) mod client;
pub(crate) mod cluster;
mod generator;
mod learn;
pub(crate) mod message;
pub(crate) mod metrics;
pub(crate) mod mix;
pub(crate) mod mode;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod recorder;
pub(crate) mod running;
pub(crate) mod scrape;
pub(crate) mod server;
pub(crate) mod timeline;
pub(crate) mod usage;
pub(crate) mod write;
pub(crate) mod zipf;

#[cfg(test)]
mod tests;
