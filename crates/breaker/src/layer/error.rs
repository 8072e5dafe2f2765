use std::error::Error;

use crate::Open;

/// Why a call through a breaker failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerError<E> {
    /// It was not made.
    #[error(transparent)]
    Open(#[from] Open),
    /// It was made, or the inner service never got ready for it.
    #[error(transparent)]
    Inner(E),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> BreakerError<E> {
    /// The inner error, or [`Open`], boxed: for inner errors that are boxed already and so are no [`Error`] themselves.
    #[must_use]
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Open(open) => open.into(),
            Self::Inner(error) => error.into(),
        }
    }
}
