//! Futures that hardly ever have something to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Tells whether futures that are polled beside a busy one may have something to say. To ask them at each turn costs as much as all that the turn is for; so
/// they are asked when they call.
#[derive(Debug)]
pub(super) struct Rarely {
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
    /// Who hears it.
    task: Option<Waker>,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Taken first: who hears of this one registers anew, and that is for the next.
        let task = self.task.take();
        self.rung.store(true, Ordering::Release);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Rarely {
    /// With futures that were not asked yet.
    pub(super) fn new() -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&bell)), bell, task: None }
    }

    /// Whether to ask the futures now. The task of `cx` is woken when there is reason to ask this again.
    pub(super) fn is_called(&mut self, cx: &mut Context<'_>) -> bool {
        let is_known = self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if is_known && !self.bell.rung.load(Ordering::Acquire) {
            return false;
        }
        // Before the futures are asked, so that nothing is missed. Whoever was woken is forgotten there.
        self.bell.task.register(cx.waker());
        self.task = Some(cx.waker().clone());
        self.bell.rung.swap(false, Ordering::AcqRel)
    }

    /// They are to be asked once more: not all of them have said that they have nothing to say.
    pub(super) fn call(&self) {
        self.bell.rung.store(true, Ordering::Release);
    }

    /// What wakes whoever asks them.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::pin,
        task::{Poll, ready},
        time::Duration,
    };

    use futures_util::FutureExt;
    use tokio::time::{sleep, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// How often a future was asked that was ready after a second, and the task that asks it was woken a hundred times meanwhile.
    #[tokio::test(start_paused = true)]
    async fn they_are_asked_at_first_and_when_they_call() {
        let (mut rarely, mut rare) = (Rarely::new(), pin!(sleep(Duration::from_secs(1))));
        let (mut turns, mut asked) = (0, 0);
        let asking = poll_fn(|cx| {
            turns += 1;
            if turns < 100 {
                cx.waker().wake_by_ref();
            }
            if !rarely.is_called(cx) {
                return Poll::Pending;
            }
            asked += 1;
            ready!(rare.as_mut().poll(&mut Context::from_waker(&rarely.waker())));
            Poll::Ready(())
        });
        timeout(HOUR, asking).await.unwrap();
        assert_eq!((turns, asked), (101, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_last_is_woken() {
        let (mut rarely, mut rare) = (Rarely::new(), Box::pin(sleep(Duration::from_secs(1))));
        let mut both = Box::pin(poll_fn(move |cx| {
            if !rarely.is_called(cx) {
                return Poll::Pending;
            }
            rare.as_mut().poll(&mut Context::from_waker(&rarely.waker()))
        }));
        assert!(both.as_mut().now_or_never().is_none(), "by a task that hears of nothing");
        timeout(HOUR, tokio::spawn(both)).await.unwrap().unwrap();
    }

    #[test]
    fn what_is_called_for_once_more_is_asked_once_more() {
        let (mut rarely, mut cx) = (Rarely::new(), Context::from_waker(Waker::noop()));
        assert!(rarely.is_called(&mut cx) && !rarely.is_called(&mut cx));
        rarely.call();
        assert!(rarely.is_called(&mut cx) && !rarely.is_called(&mut cx));
    }
}
