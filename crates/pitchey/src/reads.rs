//! The GET handlers.

pub(crate) mod aggregates;
pub(crate) mod browse;
pub(crate) mod content;
pub(crate) mod creator;
pub(crate) mod detail;
pub(crate) mod health;
pub(crate) mod lists;
pub(crate) mod personal;
pub(crate) mod search;
