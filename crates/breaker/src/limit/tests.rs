use tokio::time::advance;

use super::*;

const WAIT: Duration = Duration::from_millis(250);

fn limiter(limit: usize, queue_max: usize, ceilings: [usize; 3]) -> Limiter<3> {
    Limiter::new(LimiterConfig { limit, queue_max, wait_max: WAIT, ceilings })
}

/// Lets tasks that were woken run.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_gets_the_next_place_whenever_it_came() {
    let limiter = limiter(1, 8, [1, 1, 1]);
    let held = limiter.acquire(2, None).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for class in [2, 1, 0, 1] {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let place = limiter.acquire(class, None).await.unwrap();
            order.lock().push(class);
            drop(place);
        }));
        settle().await;
    }
    assert_eq!((limiter.load().in_use, limiter.load().waiting), (1, 4));
    drop(held);
    for waiter in waiting {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock(), [0, 1, 1, 2]);
    assert_eq!((limiter.load().in_use, limiter.load().waiting, limiter.load().in_use_max), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_holds_a_class_back_and_leaves_the_places_to_others() {
    let limiter = limiter(3, 8, [3, 3, 1]);
    let behind = limiter.acquire(2, None).await.unwrap();
    assert_eq!(limiter.acquire(2, None).await.unwrap_err(), Overloaded::TooLong, "two places are free, not for it");
    let first = [limiter.acquire(0, None).await.unwrap(), limiter.acquire(1, None).await.unwrap()];
    assert_eq!(limiter.acquire(0, None).await.unwrap_err(), Overloaded::TooLong);
    drop(behind);
    drop(limiter.acquire(0, None).await.unwrap());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_the_more_urgent_push_out_the_least() {
    let limiter = limiter(1, 2, [1, 1, 1]);
    let held = limiter.acquire(0, None).await.unwrap();
    let wait = |class: usize| {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.acquire(class, None).await.map(drop) })
    };
    let (early, late) = (wait(2), wait(2));
    settle().await;
    assert_eq!(limiter.acquire(2, None).await.unwrap_err(), Overloaded::QueueFull);
    let urgent = wait(0);
    settle().await;
    assert_eq!(late.await.unwrap(), Err(Overloaded::QueueFull), "the last of the least urgent");
    assert_eq!((limiter.load().waiting, limiter.load().refused), (2, 2));
    drop(held);
    assert_eq!((urgent.await.unwrap(), early.await.unwrap()), (Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_wait_or_his_own_deadline() {
    let limiter = limiter(1, 8, [1, 1, 1]);
    let held = limiter.acquire(0, None).await.unwrap();
    let began = Instant::now();
    assert_eq!(limiter.acquire(0, None).await.unwrap_err(), Overloaded::TooLong);
    assert_eq!(began.elapsed(), WAIT);
    let soon = Instant::now() + WAIT / 5;
    assert_eq!(limiter.acquire(0, Some(soon)).await.unwrap_err(), Overloaded::TooLong);
    assert_eq!(Instant::now(), soon);
    assert_eq!((limiter.load().waiting, limiter.load().refused, limiter.load().waited), (0, 2, WAIT * 6 / 5));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_place_given_to_somebody_who_left_in_that_moment_goes_to_the_next() {
    let limiter = limiter(1, 8, [1, 1, 1]);
    let held = limiter.acquire(0, None).await.unwrap();
    let mut leaving = Box::pin(limiter.acquire(0, None));
    assert!(futures_poll(leaving.as_mut()).is_none());
    let mut next = Box::pin(limiter.acquire(0, None));
    assert!(futures_poll(next.as_mut()).is_none());
    drop(held);
    // It was given the place and never looked.
    drop(leaving);
    drop(futures_poll(next.as_mut()).expect("the place came back").unwrap());
    assert_eq!(limiter.load().in_use, 0);
}

fn futures_poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_lets_those_above_it_finish_and_a_higher_one_lets_the_next_in() {
    let limiter = limiter(4, 8, [4, 4, 4]);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(limiter.acquire(0, None).await.unwrap());
    }
    limiter.set_limit(0);
    assert_eq!((limiter.load().limit, limiter.load().in_use), (1, 4));
    held.truncate(1);
    assert!(limiter.acquire(0, None).await.is_err());
    let mut waiting = Box::pin(limiter.acquire(0, None));
    assert!(futures_poll(waiting.as_mut()).is_none());
    limiter.set_limit(9);
    let place = futures_poll(waiting.as_mut()).unwrap().unwrap();
    assert_eq!((limiter.load().limit, limiter.load().in_use), (4, 2));
    drop(place);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_places_are_taken_is_added_up() {
    let limiter = limiter(2, 8, [2, 2, 2]);
    let one = limiter.acquire(0, None).await.unwrap();
    advance(Duration::from_millis(10)).await;
    let two = limiter.acquire(0, None).await.unwrap();
    advance(Duration::from_millis(5)).await;
    drop((one, two));
    advance(Duration::from_millis(100)).await;
    assert_eq!(limiter.load().busy, Duration::from_millis(20));
}
