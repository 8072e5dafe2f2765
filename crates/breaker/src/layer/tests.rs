use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::advance;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;
use tower_test::mock::{self, Handle, Mock};

use super::*;
use crate::{Breaker, BreakerConfig, Open, State, sync::Arc};

type Boxed = Box<dyn std::error::Error + Send + Sync>;
type Judge = fn(Result<&&'static str, &Boxed>) -> Verdict;

fn judge(result: Result<&&'static str, &Boxed>) -> Verdict {
    match result {
        Ok(&"busy") => Verdict::Failure,
        Ok(_) => Verdict::Success,
        Err(error) if error.to_string() == "bad question" => Verdict::Ignore,
        Err(_) => Verdict::Failure,
    }
}

type Inner = Mock<&'static str, &'static str>;

fn layered() -> (Breaker, BreakerService<Inner, Judge>, Handle<&'static str, &'static str>) {
    let config = BreakerConfig { failures: 1, ..BreakerConfig::default() };
    let (breaker, (inner, handle)) = (Breaker::with_jitter(config, || 0.0), mock::pair());
    (breaker.clone(), BreakerLayer::new(breaker, judge as Judge).layer(inner), handle)
}

/// One call that the inner service answers with `answer`.
async fn answered(
    service: &mut BreakerService<Inner, Judge>,
    handle: &mut Handle<&'static str, &'static str>,
    answer: Result<&'static str, Boxed>,
) -> Result<&'static str, BreakerError<Boxed>> {
    let call = tokio::spawn(service.call("question"));
    let (_, send) = handle.next_request().await.unwrap();
    match answer {
        Ok(answer) => send.send_response(answer),
        Err(error) => send.send_error(error),
    }
    call.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_and_errors_pass_and_are_judged() {
    let (breaker, mut service, mut handle) = layered();
    assert_eq!(answered(&mut service, &mut handle, Ok("yes")).await.unwrap(), "yes");
    let error = answered(&mut service, &mut handle, Err("bad question".into())).await.unwrap_err();
    assert_eq!(error.into_boxed().to_string(), "bad question");
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(answered(&mut service, &mut handle, Ok("busy")).await.unwrap(), "busy");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_ready_and_refuses_in_call() {
    let (breaker, mut service, mut handle) = layered();
    breaker.trip();
    assert!(matches!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())), Poll::Ready(Ok(()))));
    let error = service.call("question").await.unwrap_err();
    let open = Open { retry_after: Duration::from_secs(1) };
    assert!(matches!(error, BreakerError::Open(it) if it == open));
    assert_eq!(*error.into_boxed().downcast::<Open>().unwrap(), open);
    drop(service);
    assert!(handle.next_request().await.is_none(), "the inner service saw nothing");
}

#[tokio::test(start_paused = true)]
async fn is_ready_at_once_and_waits_within_the_call() {
    let (_, mut service, mut handle) = layered();
    handle.allow(0);
    assert!(matches!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())), Poll::Ready(Ok(()))));
    let mut call = by_hand(service.call("question"));
    assert!(call.poll().is_pending());
    handle.allow(1);
    assert!(call.poll().is_pending());
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response("yes");
    assert!(matches!(call.poll(), Poll::Ready(Ok("yes"))));
}

/// A future to poll by hand.
struct Task<F>(std::pin::Pin<Box<F>>);

fn by_hand<F: Future>(future: F) -> Task<F> {
    Task(Box::pin(future))
}

impl<F: Future> Task<F> {
    fn poll(&mut self) -> Poll<F::Output> {
        self.0.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_gets_ready_has_failed() {
    let (breaker, mut service, mut handle) = layered();
    handle.send_error("no connection");
    let error = service.call("question").await.unwrap_err();
    assert!(matches!(error, BreakerError::Inner(_)));
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_the_probes_place_back() {
    let (breaker, mut service, mut handle) = layered();
    breaker.trip();
    advance(Duration::from_secs(1)).await;
    let unpolled = service.call("question");
    assert!(matches!(service.call("question").await, Err(BreakerError::Open(_))), "the probe is out");
    drop(unpolled);
    let mut polled = by_hand(service.call("question"));
    assert!(polled.poll().is_pending());
    assert!(matches!(service.call("question").await, Err(BreakerError::Open(_))), "so is the next");
    drop(polled);
    let _ = handle.next_request().await;
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(answered(&mut service, &mut handle, Ok("yes")).await.unwrap(), "yes");
    assert_eq!(breaker.counts().probes, 3);
    let ramp = [breaker.try_acquire(), breaker.try_acquire()];
    assert!(ramp.iter().all(Result::is_ok), "the probe went well");
}

#[tokio::test(start_paused = true)]
async fn an_ignored_probe_gives_its_place_back() {
    let (breaker, mut service, mut handle) = layered();
    breaker.trip();
    advance(Duration::from_secs(1)).await;
    for probes in 1..=2 {
        answered(&mut service, &mut handle, Err("bad question".into())).await.unwrap_err();
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.counts().probes, probes);
    }
    answered(&mut service, &mut handle, Err("gone".into())).await.unwrap_err();
    assert_eq!(breaker.state(), State::Open);
}

/// Answers only on the very clone that was polled ready.
struct OnlyWhenReady {
    is_ready: bool,
    clones: Arc<AtomicUsize>,
}

impl Clone for OnlyWhenReady {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { is_ready: false, clones: Arc::clone(&self.clones) }
    }
}

impl Service<()> for OnlyWhenReady {
    type Response = ();
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being polled ready");
        std::future::ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_clone_that_gets_ready_is_the_one_that_is_called() {
    let clones = Arc::<AtomicUsize>::default();
    let inner = OnlyWhenReady { is_ready: false, clones: Arc::clone(&clones) };
    let breaker = Breaker::new(BreakerConfig::default());
    let layer = BreakerLayer::new(breaker.clone(), |result: Result<&(), &io::Error>| match result {
        Ok(()) => Verdict::Success,
        Err(_) => Verdict::Failure,
    });
    let mut service = layer.layer(inner);
    service.ready().await.unwrap().call(()).await.unwrap();
    service.call(()).await.unwrap();
    breaker.trip();
    service.call(()).await.unwrap_err();
    assert_eq!(clones.load(Ordering::Relaxed), 2, "one for each call that was made");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_probe_gives_its_place_back() {
    let breaker = Breaker::with_jitter(BreakerConfig::default(), || 0.0);
    let panics = service_fn(|()| async { if true { panic!("on purpose") } else { Ok::<(), io::Error>(()) } });
    let mut service = BreakerLayer::new(breaker.clone(), |_: Result<&(), &io::Error>| Verdict::Success).layer(panics);
    breaker.trip();
    advance(Duration::from_secs(1)).await;
    assert!(tokio::spawn(service.call(())).await.unwrap_err().is_panic());
    assert!(breaker.try_acquire().is_ok());
}
