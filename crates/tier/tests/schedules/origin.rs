//! The origin: a version for each row, read at once and answered later.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::time::sleep;
use tower::Service;

use crate::dice::Dice;

pub(crate) const ROWS: usize = 4;

#[derive(Clone)]
pub(crate) struct Origin(Arc<(Mutex<[u64; ROWS]>, Mutex<Dice>)>);

impl Origin {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new((Mutex::new([1; ROWS]), Mutex::new(Dice::new(seed)))))
    }

    /// A write commits: the new version.
    pub(crate) fn write(&self, row: usize) -> u64 {
        let mut rows = self.0.0.lock().unwrap();
        rows[row] += 1;
        rows[row]
    }
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let row: usize = req.uri().path().trim_start_matches('/').parse().unwrap();
        let this = self.clone();
        Box::pin(async move {
            let pause = |most| Duration::from_millis(this.0.1.lock().unwrap().below(most));
            let (before, after) = (pause(10), pause(60));
            sleep(before).await;
            let (version, read_at) = (this.0.0.lock().unwrap()[row], crate::monotonic());
            sleep(after).await;
            let body = Full::from(format!("{version} {read_at}")).map_err(|never| match never {}).boxed_unsync();
            let answer = Response::builder()
                .header("cache-control", "max-age=2, stale-while-revalidate=5")
                .header("cache-tag", format!("row-{row}"))
                .header("etag", format!("\"{version}\""))
                .body(body);
            Ok(answer.unwrap())
        })
    }
}
