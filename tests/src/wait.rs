use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longest wait for anything that must happen; a healthy run needs a fraction.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something; that.
///
/// # Panics
/// When it has found nothing for [`PATIENCE`].
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The same for `patience`.
pub(crate) async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain for {patience:?}: {what}");
        sleep(PAUSE).await;
    }
}
