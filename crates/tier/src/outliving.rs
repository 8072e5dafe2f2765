//! Work that begins in the task of whoever needs it, and ends wherever it has to.

use std::{future::poll_fn, panic::AssertUnwindSafe};

use futures_util::{FutureExt, future::CatchUnwind};
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::task::{TaskTracker, task_tracker::TrackedFuture};

/// Work that others count on too: polled by whoever waits for what it tells, and once nobody does, in a task of its own. Most of it is over by
/// then, and a task costs more than all that it would do.
pub(crate) struct Outliving<F: Future<Output = ()> + Send + Unpin + 'static> {
    work: Option<Work<F>>,
    runtime: Handle,
}

/// Whoever waits for it must not fall with it, as with a task.
type Work<F> = TrackedFuture<CatchUnwind<AssertUnwindSafe<F>>>;

impl<F: Future<Output = ()> + Send + Unpin + 'static> Outliving<F> {
    /// Work that counts among `tasks`.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub(crate) fn new(work: F, tasks: &TaskTracker) -> Self {
        let work = tasks.track_future(AssertUnwindSafe(work).catch_unwind());
        Self { work: Some(work), runtime: Handle::current() }
    }

    /// What the work tells in its course, or at its end; an error where it ends, or panics, without a word. What is left of it then goes on, as
    /// it does where nobody waits for this any more.
    pub(crate) async fn told<T>(mut self, mut told: oneshot::Receiver<T>) -> Result<T, oneshot::error::RecvError> {
        poll_fn(|cx| {
            if self.work.as_mut().is_some_and(|work| work.poll_unpin(cx).is_ready()) {
                self.work = None;
            }
            told.poll_unpin(cx)
        })
        .await
    }
}

impl<F: Future<Output = ()> + Send + Unpin + 'static> Drop for Outliving<F> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot::channel, task::yield_now};

    use super::*;

    /// Work that tells `1` after one turn and `2` after another, and who hears of them.
    fn work(
        tasks: &TaskTracker,
    ) -> (Outliving<impl Future<Output = ()> + use<>>, oneshot::Receiver<u8>, oneshot::Receiver<u8>) {
        let ((first, told), (second, ended)) = (channel(), channel());
        let work = Box::pin(async move {
            yield_now().await;
            first.send(1).ok();
            yield_now().await;
            second.send(2).ok();
        });
        (Outliving::new(work, tasks), told, ended)
    }

    #[tokio::test]
    async fn what_is_left_goes_on_after_it_has_told() {
        let tasks = TaskTracker::new();
        let (work, told, mut ended) = work(&tasks);
        assert_eq!(work.told(told).await, Ok(1));
        assert!(ended.try_recv().is_err() && tasks.len() == 1, "it is not waited for");
        assert_eq!(ended.await, Ok(2));
    }

    #[tokio::test]
    async fn it_goes_on_when_nobody_waits_any_more() {
        let tasks = TaskTracker::new();
        let (work, told, ended) = work(&tasks);
        assert!(work.told(told).now_or_never().is_none());
        assert_eq!(ended.await, Ok(2));
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_panic_is_silence() {
        let (sender, told) = channel::<u8>();
        let work = Box::pin(async move {
            let _told = sender;
            yield_now().await;
            panic!("as expected");
        });
        let work = Outliving::new(work, &TaskTracker::new());
        assert!(work.told(told).await.is_err());
    }

    #[test]
    fn it_goes_on_in_its_runtime_wherever_it_is_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (work, told, ended) = runtime.block_on(async { work(&TaskTracker::new()) });
        drop(work.told(told));
        assert_eq!(runtime.block_on(ended), Ok(2));
    }

    #[test]
    fn it_ends_with_its_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tasks = TaskTracker::new();
        let (_sender, told) = channel::<u8>();
        let work = runtime.block_on(async { Outliving::new(Box::pin(std::future::pending()), &tasks) });
        runtime.spawn(work.told(told));
        runtime.block_on(yield_now());
        assert_eq!(tasks.len(), 1);
        drop(runtime);
        assert!(tasks.is_empty());
    }
}
