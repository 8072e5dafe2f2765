//! A tier over another key-value store, here a folder with a file for each entry: `cargo run -p edge-cache --example own_store`.
//!
//! A store keeps bytes and finds them; what may be used is decided outside it, also whether a purge has taken it. The frames are those that
//! Redis gets: versioned, with a checksum, so that a damaged file is a miss.

use std::{
    convert::Infallible, error::Error, fs, future::Ready, io::ErrorKind, path::PathBuf, sync::Arc, time::Duration,
};

use bytes::Bytes;
use edge_cache::{
    Purge, PurgeKind, Purger, Target,
    core::{
        CacheKey, Entry, NoEvents, Store, StoreError, SystemClock, TierName, headers::CACHE_STATUS, marker::Markers,
    },
    tier::{KeyLayer, Keying, RequestBody, TierLayer},
    wire,
};
use http::{HeaderValue, Request, Response, header::CACHE_CONTROL};
use http_body_util::{Empty, Full};
use tower::{ServiceBuilder, ServiceExt};

type BoxError = Box<dyn Error + Send + Sync>;

/// Entries as files. A store that waits for a network returns boxed futures instead of ready ones.
#[derive(Clone, Debug)]
struct Folder(Arc<PathBuf>);

const BODY_BYTES_MAX: u64 = 1 << 20;

impl Folder {
    fn file(&self, key: &CacheKey) -> PathBuf {
        self.0.join(format!("{:032x}", key.digest()))
    }
}

fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable { tier: TierName::Disk, source: error.into() }
}

impl Store for Folder {
    type Get = Ready<Result<Option<Entry>, StoreError>>;
    type Put = Ready<Result<(), StoreError>>;

    fn name(&self) -> TierName {
        TierName::Disk
    }

    fn body_bytes_max(&self) -> u64 {
        BODY_BYTES_MAX
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        let found = match fs::read(self.file(key)) {
            Ok(frame) => wire::decode(&frame.into(), key, BODY_BYTES_MAX)
                .map_err(|error| StoreError::Corrupt { tier: TierName::Disk, source: error.into() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        };
        std::future::ready(found)
    }

    /// Freshness is in the entry; a real store would also delete what is kept for longer than `_keep`.
    fn put(&self, key: CacheKey, entry: Entry, _keep: Duration) -> Self::Put {
        std::future::ready(fs::write(self.file(&key), wire::encode(&key, &entry, 0)).map_err(unavailable))
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        let removed = match fs::remove_file(self.file(key)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unavailable(error)),
            Ok(()) | Err(_) => Ok(()),
        };
        std::future::ready(removed)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    for status in ask_purge_ask().await? {
        println!("cache-status: {status}");
    }
    Ok(())
}

/// Asks twice, purges, and asks again; returns what the tier said each time.
pub(crate) async fn ask_purge_ask() -> Result<Vec<String>, BoxError> {
    let folder = std::env::temp_dir().join(format!("edge-cache-own-store-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    // A number that no other run shares: what an earlier run left cannot be judged, and is not used.
    let markers = Arc::new(Markers::alone(u128::from(std::process::id()) << 64 | 1));
    let keying = Keying::default();
    let purger = Purger::new(Arc::clone(&markers), keying.clone(), Arc::new(SystemClock), Arc::new(NoEvents), None);
    let service = ServiceBuilder::new()
        .layer(KeyLayer::new(keying))
        .layer(TierLayer::new(Folder(Arc::new(folder.clone())), markers))
        .service_fn(hello);
    let ask = async || -> Result<String, BoxError> {
        let request = Request::get("http://example.com/hello").body(Empty::<Bytes>::new())?;
        let response = service.clone().oneshot(request).await?;
        Ok(response.headers()[CACHE_STATUS].to_str()?.to_owned())
    };
    let mut said = vec![ask().await?, ask().await?];
    let purge = Purge { targets: vec![Target::All], kind: PurgeKind::Soft };
    purger.purge(&purge).await.map_err(|why| why.as_str())?;
    said.push(ask().await?);
    fs::remove_dir_all(folder)?;
    Ok(said)
}

async fn hello(_: Request<RequestBody<Empty<Bytes>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("hello\n"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    Ok(response)
}
