//! Whether a server that is silent is still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use edge_cache_breaker::Breaker;
use edge_cache_core::BoxError;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tokio_postgres::{CancelToken, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::reach;

/// Finds out that a server is gone though nothing says so: it was halted, or the network takes what is sent and brings nothing back.
/// What waits for it is then told at once instead of at its own limit.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Config,
    /// How long it may take to say whether it is there; it is asked when it has been silent for half of that.
    patience: Duration,
    breaker: Breaker,
    tokens: Mutex<Tokens>,
    /// Rises when connections of before are of no use any more.
    epoch: AtomicU64,
    asking: AtomicBool,
}

#[derive(Debug, Default)]
struct Tokens {
    /// Ended when the server is found to be gone.
    sessions: CancellationToken,
    /// Ended when nobody wants the connects any more that are under way.
    connects: CancellationToken,
}

/// What a connection knows of the time it was made in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    epoch: u64,
    gone: CancellationToken,
}

impl Liveness {
    pub(crate) fn new(server: Config, patience: Duration, breaker: Breaker) -> Self {
        let (tokens, epoch, asking) = (Mutex::default(), AtomicU64::new(0), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { server, patience, breaker, tokens, epoch, asking }) }
    }

    /// Cancels what runs on a session.
    pub(super) async fn cancel(&self, token: &CancelToken, tls: MakeRustlsConnect) -> Result<(), BoxError> {
        reach::cancel(&self.shared.server, token, tls).await
    }

    pub(crate) fn session(&self) -> Session {
        let gone = self.shared.tokens.lock().sessions.clone();
        Session { epoch: self.shared.epoch.load(Ordering::Acquire), gone }
    }

    /// Whether the server of a session was found to be gone.
    pub(super) fn has_lost(session: &Session) -> bool {
        session.gone.is_cancelled()
    }

    /// Ends when connects that began now are not wanted any more.
    pub(super) fn connects(&self) -> CancellationToken {
        self.shared.tokens.lock().connects.clone()
    }

    pub(super) fn is_of_before(&self, session: &Session) -> bool {
        session.gone.is_cancelled() || session.epoch != self.shared.epoch.load(Ordering::Acquire)
    }

    /// Connections of before are not used any more; what runs on them may end.
    pub(crate) fn recycle(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The server is gone: what waits for it ends, and its breaker opens.
    fn is_gone(&self) {
        self.shared.breaker.trip();
        self.recycle();
        let Tokens { sessions, connects } = std::mem::take(&mut *self.shared.tokens.lock());
        connects.cancel();
        sessions.cancel();
    }

    /// Ends when the server of `session` was found to be gone, which is looked into again and again while this is waited for.
    pub(crate) async fn silence(&self, session: &Session) {
        // So that it is known before those who wait for a connection have tried the next way in vain, because all that may be open is open
        // here.
        let mut pause = self.shared.patience / 2;
        let mut gone = std::pin::pin!(session.gone.cancelled());
        loop {
            tokio::select! {
                () = &mut gone => return,
                () = sleep(pause) => {}
            }
            pause *= 2;
            self.ask_in_background();
        }
    }

    fn ask_in_background(&self) {
        if self.shared.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            // A refusal is an answer too late: nothing listens there.
            if !matches!(timeout(this.shared.patience, reach::ask(&this.shared.server)).await, Ok(Ok(()))) {
                tracing::warn!("the database does not answer any more");
                this.is_gone();
            }
            this.shared.asking.store(false, Ordering::Release);
        });
    }
}
