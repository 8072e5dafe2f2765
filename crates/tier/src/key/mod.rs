//! Builds the key once, outside every tier.

mod decision;
mod future;
mod layer;
mod service;

pub use self::{
    decision::{Decided, Decision},
    future::ResponseFuture,
    layer::KeyLayer,
    service::Key,
};
