//! Builds the key once, outside every tier.

mod future;
mod layer;
mod service;

pub use self::{future::ResponseFuture, layer::KeyLayer, service::Key};
