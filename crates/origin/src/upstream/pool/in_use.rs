//! A connection while an answer comes on it.

use std::fmt;

use super::Connection;

/// A connection in use, which goes back to its pool when this is dropped: once the answer is over.
pub(in crate::upstream) struct InUse(Option<Box<dyn GiveBack>>);

/// Bodies do not name what their requests were made of.
trait GiveBack: Send {
    fn give_back(self: Box<Self>);
}

impl<B: Send + 'static> GiveBack for Connection<B> {
    fn give_back(self: Box<Self>) {
        Self::give_back(self);
    }
}

impl InUse {
    pub(super) fn of<B: Send + 'static>(connection: Box<Connection<B>>) -> Self {
        Self(Some(connection))
    }

    /// What is not to be used again.
    pub(super) const fn nothing() -> Self {
        Self(None)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.give_back();
        }
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").finish_non_exhaustive()
    }
}
