//! Connections to a Postgres, and what is sent on them.

mod link;
mod liveness;
mod manager;
mod reach;
mod values;

pub(super) use self::{
    link::{Link, Slow},
    liveness::Liveness,
    manager::PostgresManager,
};
