//! What holds for the whole server, and which requests are refused for it.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache::{
    settings::{LimitSettings, Network, Settings},
    telemetry::Metrics,
};
use edge_cache_origin::upstream::has_passed;
use http::{HeaderValue, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use http_body_util::Full;
use tokio::time::Instant;

use super::{
    clients::Clients,
    counts::{CutConnections, RefusedRequests},
    glance::Glance,
    hygiene,
    peer::Trust,
};
use crate::body::Fault;

/// What the front knows of the whole server.
#[derive(Clone, Debug)]
pub(super) struct House {
    /// What this cache calls itself in `CDN-Loop`; empty where it does not forward.
    pub(super) name: String,
    pub(super) refused: RefusedRequests,
    pub(super) cut: CutConnections,
    /// Clients whose directives count.
    pub(super) trusted: Vec<Network>,
    pub(super) limits: LimitSettings,
    /// Whose word about clients is taken.
    pub(super) trust: Trust,
    pub(super) clients: Arc<Clients>,
}

/// The body of a request, as far as its head tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// It has none.
    pub(super) none: bool,
    /// It has at least so many bytes.
    pub(super) bytes_min: u64,
}

impl Told {
    /// That a request has no body.
    pub(super) const NOTHING: Self = Self { none: true, bytes_min: 0 };

    pub(super) fn of(body: &impl Body) -> Self {
        Self { none: body.is_end_stream(), bytes_min: body.size_hint().lower() }
    }
}

impl House {
    /// The house that these settings make of this one.
    pub(super) fn with(&self, settings: &Settings) -> Self {
        let Settings { origin, cache, limits, listen, .. } = settings;
        let trust =
            Trust { proxies: listen.proxies(), header: listen.forwarded_header, proxy_header: listen.proxy_protocol };
        let (name, trusted) = (origin.name.clone(), cache.trusted.clone());
        Self { name, trusted, limits: limits.clone(), trust, ..self.clone() }
    }

    /// A house that counts in these metrics, and has no settings yet.
    pub(super) fn empty(metrics: &Metrics) -> Self {
        Self {
            name: String::new(),
            refused: RefusedRequests::watched(metrics),
            cut: CutConnections::watched(metrics),
            trusted: Vec::new(),
            limits: LimitSettings::default(),
            trust: Trust::default(),
            clients: Arc::new(Clients::new(Instant::now().into_std())),
        }
    }

    /// Why a request is not served.
    pub(super) fn refusal(&self, req: &Parts, seen: &Glance<'_>, body: Told) -> Option<(StatusCode, String)> {
        let target = req.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let Self { limits: LimitSettings { uri_bytes_max: max, body_bytes_max, .. }, name, .. } = self;
        if target > *max {
            let text = format!("the request target has {target} bytes, at most {max} are allowed\n");
            return Some((StatusCode::URI_TOO_LONG, text));
        }
        let Glance { host, hosts, loops, .. } = *seen;
        if hosts > 1 || (hosts == 0 && req.version == Version::HTTP_11) {
            // Whoever reads them differently answers for another host (RFC 9112 §3.2).
            return Some((StatusCode::BAD_REQUEST, format!("{hosts} Host headers, one is needed\n")));
        }
        if let Some((status, text)) = hygiene::refusal(req, host, body.none) {
            return Some((status, text.to_owned()));
        }
        if loops && has_passed(&req.headers, name) {
            // It would wait for its own answer (RFC 8586).
            return Some((StatusCode::LOOP_DETECTED, "this request has passed here before (CDN-Loop)\n".to_owned()));
        }
        (*body_bytes_max > 0 && body.bytes_min > *body_bytes_max)
            .then(|| (StatusCode::PAYLOAD_TOO_LARGE, long(*body_bytes_max)))
    }

    /// What a client did wrong with the body of its request, in an answer's words.
    pub(super) fn fault(&self, fault: Fault) -> (StatusCode, String) {
        match fault {
            Fault::Long => (StatusCode::PAYLOAD_TOO_LARGE, long(self.limits.body_bytes_max)),
            Fault::Broken => (StatusCode::BAD_REQUEST, "the request's body cannot be read to its end\n".to_owned()),
            Fault::Silent => (StatusCode::REQUEST_TIMEOUT, "nothing more came of the request's body\n".to_owned()),
        }
    }

    pub(super) fn refuse(&self, (status, text): (StatusCode, String)) -> Response<Full<Bytes>> {
        self.refused.count(status);
        refusal(status, text)
    }
}

fn long(max: u64) -> String {
    format!("a request's body may have {max} bytes\n")
}

fn refusal(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
