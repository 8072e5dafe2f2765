//! `PURGE /path`: what other caches understand, from clients that are trusted.

use bytes::Bytes;
use edge_cache_core::{PurgedBy, marker::PurgeKind};
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::written::{Written, path_and_query};
use crate::{Audit, Purge, Purger, Receipt, Target, TierBody, Trusted};

/// The header that asks for more than a soft purge: `purge: hard`.
const HOW: &str = "purge";

/// Whether `req` asks for a purge of its own URI, where that is enabled.
pub(super) fn is_asked<B>(purger: &Purger, req: &Request<B>) -> bool {
    purger.keying().purge_method && req.method().as_str() == "PURGE"
}

/// Purges the URI of the request with all its variants.
pub(super) async fn purge<RB>(
    purger: Purger,
    written: Option<Written>,
    trusted: bool,
    hard: bool,
) -> Response<TierBody<RB>> {
    if !trusted {
        return said(StatusCode::FORBIDDEN, "PURGE is for clients that are trusted");
    }
    let Some(written) = written else { return said(StatusCode::BAD_REQUEST, "the request names no host") };
    let kind = if hard { PurgeKind::Hard } else { PurgeKind::Soft };
    let (path, query) = path_and_query(&written.uri);
    let target = Target::Url {
        scheme: written.scheme.clone(),
        authority: written.authority.clone(),
        path: path.clone(),
        query: query.clone(),
    };
    let what =
        format!("{}://{}{path}{}{query}", written.scheme, written.authority, if query.is_empty() { "" } else { "?" });
    match purger.purge(&Purge { targets: vec![target], kind }).await {
        Err(why) => said(StatusCode::BAD_REQUEST, why.as_str()),
        Ok(receipt) => {
            let audit = Audit { by: PurgedBy::Api, actor: "PURGE".to_owned(), reason: String::new(), what, kind };
            purger.audit(&audit, &receipt);
            match receipt {
                Receipt { acknowledged: true, .. } => said(StatusCode::OK, "purged"),
                _ => said(StatusCode::ACCEPTED, "purged here, and not yet known to be everywhere"),
            }
        }
    }
}

/// How far `req` wants to go.
pub(super) fn is_hard<B>(req: &Request<B>) -> bool {
    req.headers().get(HOW).is_some_and(|how| how.as_bytes().eq_ignore_ascii_case(b"hard"))
}

/// Whether the server said that the client is trusted.
pub(super) fn is_trusted<B>(req: &Request<B>) -> bool {
    req.extensions().get::<Trusted>().is_some()
}

fn said<RB>(status: StatusCode, what: &str) -> Response<TierBody<RB>> {
    let mut response = Response::new(TierBody::full(Bytes::from(format!("{what}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
