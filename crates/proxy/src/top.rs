//! `cache-proxy top`: what nodes are doing, live.

mod args;
mod feed;
mod keys;
mod model;
mod node;
mod plain;
mod run;
mod screen;
#[cfg(test)]
mod stub;
mod text;
mod theme;
mod view;

pub(crate) use args::Args;
pub(crate) use run::run;
