use tower_layer::Layer;

use super::Key;
use crate::Keying;

/// Adds the cache key to requests that the cache may answer; see the [module docs](super).
#[derive(Clone, Debug, Default)]
pub struct KeyLayer {
    keying: Keying,
}

impl KeyLayer {
    /// A layer that keys as `keying` says.
    #[must_use]
    pub const fn new(keying: Keying) -> Self {
        Self { keying }
    }
}

impl<S> Layer<S> for KeyLayer {
    type Service = Key<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Key { inner, keying: self.keying.clone() }
    }
}
