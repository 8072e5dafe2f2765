use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{BreakerError, Classify, ResponseFuture};
use crate::Breaker;

/// Puts a [`Breaker`] around a service.
///
/// What times calls out belongs inside: a timeout outside cancels, and the breaker learns nothing.
///
/// ```
/// use edge_cache_breaker::{Breaker, BreakerConfig, BreakerError, BreakerLayer, State, Verdict};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[derive(Debug)]
/// enum Failed {
///     NoConnection,
///     BadQuestion,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let classify = |result: Result<&String, &Failed>| match result {
///     Ok(_) => Verdict::Success,
///     Err(Failed::NoConnection) => Verdict::Failure,
///     Err(Failed::BadQuestion) => Verdict::Ignore,
/// };
/// let breaker = Breaker::named("database", BreakerConfig::default());
/// let service = ServiceBuilder::new()
///     .layer(BreakerLayer::new(breaker.clone(), classify))
///     .service(service_fn(|question: &'static str| async move {
///         Err::<String, _>(if question.is_empty() { Failed::BadQuestion } else { Failed::NoConnection })
///     }));
///
/// for question in ["how many?", "", "how many?", "how many?"] {
///     assert!(matches!(service.clone().oneshot(question).await, Err(BreakerError::Inner(_))));
/// }
/// assert_eq!(breaker.state(), State::Open);
/// assert!(matches!(service.oneshot("how many?").await, Err(BreakerError::Open(_))));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct BreakerLayer<C> {
    breaker: Breaker,
    classify: C,
}

impl<C> BreakerLayer<C> {
    /// All services that the layer makes share `breaker`; `classify` is a [`Classify`].
    #[must_use]
    pub const fn new(breaker: Breaker, classify: C) -> Self {
        Self { breaker, classify }
    }
}

impl<S, C: Clone> Layer<S> for BreakerLayer<C> {
    type Service = BreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, breaker: self.breaker.clone(), classify: self.classify.clone() }
    }
}

/// Service made by [`BreakerLayer`]. Always ready: while its breaker is open it fails in `call`, so that outer layers can answer
/// otherwise. A clone of the inner service gets ready, and is called, within the response's future.
#[derive(Clone, Debug)]
pub struct BreakerService<S, C> {
    inner: S,
    breaker: Breaker,
    classify: C,
}

impl<S, C, Req> Service<Req> for BreakerService<S, C>
where
    S: Service<Req> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = BreakerError<S::Error>;
    type Future = ResponseFuture<S, Req, C>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self.breaker.try_acquire() {
            Ok(permit) => ResponseFuture::called(self.inner.clone(), request, permit, self.classify.clone()),
            Err(open) => ResponseFuture::refused(open),
        }
    }
}
