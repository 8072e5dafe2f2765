//! The operators' listener: over TCP, TLS or a socket in the file system.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use edge_cache::settings::LimitSettings;
use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use super::token::VerifiedClient;
use crate::{
    body::ClientBody,
    listener::{Listener, Socket},
    server::{Stalled, Stream, Tls},
};

/// Operators connected at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1000;
/// Longest time for TLS, for the head of a request, and in which an operator takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where an operator's request comes from (request extension); `None` in the file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator(pub(crate) Option<IpAddr>);

/// Serves until it is dropped, and every connection with it.
pub(super) async fn serve(listener: Listener, tls: Option<Tls>, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok(socket) => {
                let serving = connection(socket, tls.clone().filter(|_| listener.tls), router.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an operator's connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(socket: Socket, tls: Option<Tls>, router: Router) {
    let operator = Operator(socket.peer());
    let mut verified = None;
    let stream = match (socket, tls) {
        (Socket::Tcp(stream), Some(tls)) => match timeout(PATIENCE, tls.operators.accept(stream)).await {
            Ok(Ok(stream)) => {
                // One that was shown is one that was checked.
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                verified = shown.map(|certificate| VerifiedClient { name: fingerprint(certificate) });
                Stream::Tls(Box::new(stream))
            }
            Ok(Err(error)) => return tracing::debug!(%error, ?operator, "an operator's connection did not come about"),
            Err(_) => return tracing::debug!(?operator, "an operator's connection did not come about in time"),
        },
        (Socket::Tcp(stream), None) => Stream::Tcp(stream),
        (Socket::Unix(stream), _) => Stream::Unix(stream),
    };
    let limits = LimitSettings { body_timeout: PATIENCE, ..LimitSettings::default() };
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(operator);
        // It may stand in the target, which counts.
        let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, host);
        }
        if let Some(verified) = verified.clone() {
            request.extensions_mut().insert(verified);
        }
        request.map(|body| axum::body::Body::new(ClientBody::of_client(body, &limits).0))
    });
    // HTTP/1.1 alone, whose heads have a time, as their bodies do: a silent connection must not take an operator's place.
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(Stalled::after(PATIENCE, stream, ())), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an operator's connection ended");
    }
}

/// What tells a certificate from others, as tools print it: the beginning of its SHA-256.
fn fingerprint(certificate: &[u8]) -> Arc<str> {
    let digest = Sha256::digest(certificate);
    let hex: Vec<_> = digest.iter().take(8).map(|byte| format!("{byte:02X}")).collect();
    format!("SHA256:{}", hex.join(":")).into()
}
