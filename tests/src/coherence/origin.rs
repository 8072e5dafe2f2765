//! The origin: an HTTP server over the rows, slow enough that purges fall into its reads.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_origin::database::{Database, Value};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

/// The longest pause between a read of the row and its answer.
const SLOW_MAX_MILLIS: u64 = 30;

#[derive(Debug)]
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    failing: Arc<watch::Sender<bool>>,
    _task: AbortOnDropHandle<()>,
}

impl Origin {
    pub(super) async fn start(database: Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let failing = Arc::new(watch::Sender::new(false));
        let fails = Arc::clone(&failing);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (database, fails) = (database.clone(), Arc::clone(&fails));
                let service = service_fn(move |request| answer(request, database.clone(), *fails.borrow()));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { address, failing, _task: AbortOnDropHandle::new(task) }
    }

    /// From now on it answers with errors, or no more.
    pub(super) fn fail(&self, failing: bool) {
        self.failing.send_replace(failing);
    }
}

async fn answer(
    request: Request<Incoming>,
    database: Database,
    failing: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id: i64 = request.uri().path().trim_start_matches("/item/").parse().unwrap_or(0);
    let read = if *request.method() == Method::PUT {
        "UPDATE items SET version = version + 1 WHERE id = $1 RETURNING version"
    } else {
        "SELECT version FROM items WHERE id = $1"
    };
    let version = match database.query(read, &[Value::Int(id)]).await {
        Ok(rows) if !failing => rows.first().and_then(|row| row.int("version").ok()),
        _ => None,
    };
    let Some(version) = version else {
        let mut error = Response::new(Full::default());
        *error.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(error);
    };
    // Purges fall in here: the row is read, and the answer not there yet.
    let pause =
        u64::from(std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ()) as u32) % SLOW_MAX_MILLIS;
    sleep(Duration::from_millis(pause)).await;
    let answer = Response::builder()
        .header("cache-control", "max-age=60, stale-while-revalidate=60, stale-if-error=600")
        .header("cache-tag", format!("item-{id}, items"))
        .header("etag", format!("\"{version}\""))
        .body(Full::from(version.to_string()));
    Ok(answer.expect("these are headers"))
}
