//! Moves work off the async threads.

use crate::Error;
use std::io;
use tokio::task::spawn_blocking;

/// Runs `work` on a blocking thread. Cancelling the returned future does not stop the work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(join) => Err(Error::io("run on a runtime that is shutting down")(io::Error::other(join))),
    }
}
