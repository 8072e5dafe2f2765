//! The least that a cache over hyper and moka can do for a miss: what `bare-proxy` does, a look into moka before it, and
//! the answer put there after it. It reads no `Cache-Control`, joins no requests, says nothing and counts nothing: no cache
//! that anybody should use, but what every one of this kind has to pay for.

use std::{
    convert::Infallible,
    hash::{BuildHasherDefault, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use clap::Parser;
use edge_cache_peers::{passing::Origin, serving};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use moka::sync::Cache;
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The longest body that is kept.
const BODY_BYTES_MAX: usize = 1 << 20;
/// What an entry takes beside its body, roughly.
const ENTRY_BYTES: u32 = 768;
/// No answer of this comparison is stale before its end.
const FRESH: Duration = Duration::from_secs(3600);

/// Passes on what is not in memory, and keeps the answer.
#[derive(Debug, Parser)]
struct Args {
    /// ADDRESS:PORT of the origin.
    #[arg(long)]
    origin: SocketAddr,
    /// Bytes of memory for what is kept.
    #[arg(long)]
    memory: u64,
}

/// Where a request goes, and its hash, which moka asks for again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    digest: u64,
    target: Box<str>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

/// Takes a [`Key`]'s digest as it is.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key hands its digest on")
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Kept = Cache<Key, Arc<Response<Bytes>>, BuildHasherDefault<AsItIs>>;

fn main() -> anyhow::Result<()> {
    let Args { origin, memory } = Args::parse();
    let kept: Kept = Cache::builder()
        .max_capacity(memory)
        .weigher(|_, answer: &Arc<Response<Bytes>>| ENTRY_BYTES.saturating_add(answer.body().len() as u32))
        .time_to_live(FRESH)
        .build_with_hasher(BuildHasherDefault::default());
    serving::serve(1, move || {
        let (origin, kept) = (Origin::new(origin), kept.clone());
        service_fn(move |request| answer(origin.clone(), kept.clone(), request))
    })
}

async fn answer(origin: Origin, kept: Kept, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let target: Box<str> = request.uri().path_and_query().map_or("/", |target| target.as_str()).into();
    let key = Key { digest: xxh3_64(target.as_bytes()), target };
    if let Some(hit) = kept.get(&key) {
        return Ok(Response::clone(&hit).map(Full::new));
    }
    Ok(match fetched(origin, request).await {
        Some(answer) => {
            kept.insert(key, Arc::new(in_one_piece(&answer)));
            answer.map(Full::new)
        }
        None => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    })
}

/// A copy of `answer` that holds nothing else: as it came it is a part of the connection's buffer, eight times as long.
fn in_one_piece(answer: &Response<Bytes>) -> Response<Bytes> {
    let values = answer.headers().values();
    let mut piece = BytesMut::with_capacity(values.map(HeaderValue::len).sum::<usize>() + answer.body().len());
    for value in answer.headers().values() {
        piece.extend_from_slice(value.as_bytes());
    }
    piece.extend_from_slice(answer.body());
    let mut piece = piece.freeze();
    let mut copy = Response::new(Bytes::new());
    *copy.status_mut() = answer.status();
    copy.headers_mut().reserve(answer.headers().len());
    for (name, value) in answer.headers() {
        let value = HeaderValue::from_maybe_shared(piece.split_to(value.len()));
        copy.headers_mut().append(name.clone(), value.expect("it was one before"));
    }
    *copy.body_mut() = piece;
    copy
}

async fn fetched(origin: Origin, request: Request<Incoming>) -> Option<Response<Bytes>> {
    let (head, body) = origin.pass(request).await?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?.to_bytes();
    Some(Response::from_parts(head, body))
}
