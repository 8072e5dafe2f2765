//! The timer of what a client takes to send the head of its next request.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::rt::Timer;
use parking_lot::Mutex;
use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// A [`Timer`] for one connection, on which one thing is waited for at a time.
///
/// The server has a new limit for each head, and takes it back when the head is there, which mostly is at once. To put a timer into the runtime's wheel
/// and to take it out again each time would be a twentieth of what a hit costs the server besides its system calls. So one stays in the wheel, and is put off only
/// when it comes too early.
#[derive(Clone, Debug)]
pub(super) struct HeadTimer(Arc<Mutex<Alarm>>);

#[derive(Debug)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who is woken by it.
    task: Option<Waker>,
    limit: Duration,
    since: Since,
}

/// Since when a head is waited for.
#[derive(Clone, Copy, Debug)]
enum Since {
    /// As the server has it.
    Served,
    /// At the earliest since then: an answer went out that the server does not know of.
    Answered(Instant),
    /// Such an answer is still on its way.
    Answering,
}

impl HeadTimer {
    /// A timer for heads that may take so long.
    pub(super) fn of(limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(Alarm { sleep: None, task: None, limit, since: Since::Served })))
    }

    /// An answer is on its way that the server does not know of, and no head is waited for until that is [out](Self::begin). Whoever waits must be polled then.
    pub(super) fn hold(&self) {
        self.0.lock().since = Since::Answering;
    }

    /// A head is waited for since `at` at the earliest, whatever the server believes.
    pub(super) fn begin(&self, at: Instant) {
        self.0.lock().since = Since::Answered(at);
    }
}

struct Limit {
    alarm: Arc<Mutex<Alarm>>,
    end: Instant,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, end: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Limit { alarm: Arc::clone(&self.0), end: end.into() })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

impl hyper::rt::Sleep for Limit {}

impl Future for Limit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.lock().poll(self.end, cx)
    }
}

impl Alarm {
    fn poll(&mut self, end: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let end = match self.since {
            Since::Served => end,
            Since::Answered(at) => end.max(at + self.limit),
            Since::Answering => return Poll::Pending,
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if sleep.deadline() > end {
            sleep.as_mut().reset(end);
            self.task = None;
        }
        let is_set = self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if is_set && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        // Unconstrained: a sleep that only says that its task has done enough for one turn is not set.
        while Pin::new(&mut unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if sleep.deadline() >= end {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(end);
        }
        self.task = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::{
        task::coop,
        time::{advance, timeout},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_limit_ends_when_it_is_to() {
        let (timer, begun) = (HeadTimer::of(SECOND), Instant::now());
        for (at, wait) in [(10, 10), (15, 5), (35, 20), (36, 1)] {
            timer.sleep(SECOND * wait).await;
            assert_eq!(begun.elapsed(), SECOND * at);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_back_ends_no_later_limit() {
        let (timer, begun) = (HeadTimer::of(SECOND), Instant::now());
        for _ in 0..30 {
            let mut limit = timer.sleep(SECOND * 10);
            assert!(limit.as_mut().now_or_never().is_none());
            advance(SECOND).await;
        }
        timer.sleep(SECOND * 10).await;
        assert_eq!(begun.elapsed(), SECOND * 40);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_set_by_a_task_that_has_done_enough_for_one_turn() {
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let limit = HeadTimer::of(SECOND).sleep(SECOND);
        timeout(SECOND * 2, limit).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_polls_it_last_is_woken() {
        let timer = HeadTimer::of(SECOND);
        let mut limit = timer.sleep(SECOND * 10);
        assert!(limit.as_mut().now_or_never().is_none(), "by a task that hears of nothing");
        timeout(SECOND * 20, tokio::spawn(limit)).await.unwrap().unwrap();
    }
}
