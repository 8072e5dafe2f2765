//! What must hold for any bytes from outside, one function a target.
//!
//! A function takes bytes and panics where a promise is broken. AFL++ calls it for hours (`fuzz/run`), the tests of this package call it with
//! what proptest makes up and with every file of `seeds/` and `corpus/`. So a find becomes a test by being put into its target's folder.

mod access_log;
mod cache_control;
mod config;
mod dates;
mod lines;
mod range;
mod snapshot;
mod structured_fields;
mod url;
mod vary;
mod wire;

use std::path::{Path, PathBuf};

pub use self::{
    access_log::check as access_log, cache_control::check as cache_control, config::check as config,
    dates::check as dates, range::check as range, snapshot::check as snapshot,
    structured_fields::check as structured_fields, url::check as url, vary::check as vary, wire::check as wire,
};

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As its folders, its dictionary and its program are called.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "access_log", check: access_log },
    Target { name: "cache_control", check: cache_control },
    Target { name: "config", check: config },
    Target { name: "dates", check: dates },
    Target { name: "range", check: range },
    Target { name: "snapshot", check: snapshot },
    Target { name: "structured_fields", check: structured_fields },
    Target { name: "url", check: url },
    Target { name: "vary", check: vary },
    Target { name: "wire", check: wire },
];

/// Where this package lies.
#[must_use]
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
