//! Whose turn it is on a connection of HTTP/1: the lane's, which answers from memory beneath the server, or the server's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::front::Known;

/// What the lane and the front of one connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Turn {
    handed: Mutex<Handed>,
    /// The server has all of the answer to that.
    over: AtomicBool,
}

/// What the lane hands the server.
#[derive(Debug, Default)]
enum Handed {
    #[default]
    Nothing,
    /// A request at which it did not look.
    Unread,
    /// A request, and what it has found out about it. Boxed: it is large, and most connections have none.
    Read(Box<Known>),
}

/// Says, when it is dropped, that the server has all of an answer.
#[derive(Debug)]
pub(super) struct Over(Arc<Turn>);

impl Turn {
    /// The server reads one request next, of which this is known.
    pub(super) fn hand(&self, known: Option<Known>) {
        *self.handed.lock() = known.map_or(Handed::Unread, |known| Handed::Read(Box::new(known)));
    }

    /// What is known of the request that the server has read, where the lane handed it over; with what to keep for as long as it is answered.
    pub(super) fn take(self: &Arc<Self>) -> Option<(Option<Known>, Over)> {
        let known = match std::mem::take(&mut *self.handed.lock()) {
            Handed::Nothing => return None,
            Handed::Unread => None,
            Handed::Read(known) => Some(*known),
        };
        Some((known, Over(Arc::clone(self))))
    }

    /// Whether an answer to what was handed over came to its end since this was last asked.
    pub(super) fn take_over(&self) -> bool {
        // Asked at each flush, and mostly not so: to write is dearer than to read.
        self.over.load(Ordering::Acquire) && self.over.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}
