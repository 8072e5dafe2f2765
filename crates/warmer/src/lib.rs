//! Keeps a cache warm: which keys are hot, and who asks for them before a client has to wait.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod hot;
pub mod layer;

pub use self::{
    hot::{Hot, HotSet},
    layer::{Warm, WarmLayer},
};
