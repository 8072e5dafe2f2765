//! The origin behind every cache of the comparison. It counts what reaches it, which is how a hit is told from a miss.

use std::{
    convert::Infallible,
    future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use clap::Parser;
use edge_cache_peers::{
    content::{self, Big, CACHEABLE, PRIVATE, Span},
    serving,
};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE},
};
use http_body_util::{Either, Full};
use hyper::service::service_fn;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `/item/N?bytes=` may be stored, `/private/N?bytes=` may not, `/big?bytes=[&store=no]` streams and takes ranges,
/// `/count` tells how many requests came for these.
#[derive(Debug, Parser)]
struct Args {
    /// Serving threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

type Answer = Response<Either<Full<Bytes>, Span>>;

#[derive(Clone, Default)]
struct Origin {
    asked: Arc<AtomicU64>,
    big: Big,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let origin = Origin::default();
    serving::serve(args.threads, move || {
        let origin = origin.clone();
        service_fn(move |request| future::ready(Ok::<_, Infallible>(origin.answer(&request))))
    })
}

impl Origin {
    fn answer<B>(&self, request: &Request<B>) -> Answer {
        let uri = request.uri();
        if uri.path() == "/count" {
            return plain(StatusCode::OK, self.asked.load(Relaxed).to_string());
        }
        self.asked.fetch_add(1, Relaxed);
        let numbered = |prefix: &str| uri.path().strip_prefix(prefix)?.parse::<u64>().ok();
        if let Some(number) = numbered("/item/") {
            content::item(number, length(uri, 1024), CACHEABLE).map(Either::Left)
        } else if let Some(number) = numbered("/private/") {
            content::item(number, length(uri, 1024), PRIVATE).map(Either::Left)
        } else if uri.path() == "/big" {
            self.big(uri, request.headers())
        } else {
            plain(StatusCode::NOT_FOUND, "no such thing\n".to_owned())
        }
    }

    fn big(&self, uri: &Uri, headers: &HeaderMap) -> Answer {
        let whole = length::<u64>(uri, 1 << 30);
        let range = headers.get(RANGE).and_then(|value| range(value.to_str().ok()?, whole));
        let (status, first, last) = match range {
            Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, last),
            None => (StatusCode::OK, 0, whole.saturating_sub(1)),
        };
        let mut answer = Response::new(Either::Right(self.big.span(first, (last + 1 - first).min(whole))));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(ETAG, HeaderValue::from_static("\"big\""));
        let store = parameter(uri, "store") != Some("no");
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(if store { CACHEABLE } else { PRIVATE }));
        if range.is_some() {
            let value = HeaderValue::from_str(&format!("bytes {first}-{last}/{whole}"));
            headers.insert(CONTENT_RANGE, value.expect("digits are visible"));
        }
        answer
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(PRIVATE));
    answer
}

fn length<T: std::str::FromStr>(uri: &Uri, otherwise: T) -> T {
    parameter(uri, "bytes").and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))
}

/// First and last byte that a single range asks for; `None` for what a server may ignore, which is all else.
fn range(value: &str, whole: u64) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (whole.saturating_sub(suffix.parse().ok()?), whole.checked_sub(1)?),
        (first, "") => (first.parse().ok()?, whole.checked_sub(1)?),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(whole.checked_sub(1)?)),
    };
    (first <= last).then_some((first, last))
}
