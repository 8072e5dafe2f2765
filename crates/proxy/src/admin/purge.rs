use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use edge_cache::{Purge, PurgeKind, Receipt, Target};
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::Shared;

/// `POST /purge`: at least one of `tags`, `urls`, `prefixes`, `all`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Body {
    /// Tags as the origin names them.
    tags: Vec<String>,
    /// Absolute URLs, as clients name them.
    urls: Vec<String>,
    /// Absolute URLs that begin a part of the URL space; rounded up to a whole directory.
    prefixes: Vec<String>,
    /// Everything.
    all: bool,
    /// Not to be served even if the origin fails.
    hard: bool,
}

type Answer = (StatusCode, Json<serde_json::Value>);

/// JSON is demanded, so that no web page can send it across origins without asking first.
pub(super) async fn purge(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Answer, Answer> {
    let refuse = |status, why: String| (status, Json(json!({ "error": why.trim_end() })));
    shared.access.check(&headers).map_err(|(status, why)| refuse(status, why))?;
    let Json(body) = body.map_err(|error| refuse(error.status(), error.body_text()))?;
    let kind = if body.hard { PurgeKind::Hard } else { PurgeKind::Soft };
    let targets = targets(body).map_err(|why| refuse(StatusCode::BAD_REQUEST, why))?;
    let purge = Purge { targets, kind };
    let receipt = shared.cache.purger().purge(&purge).await.map_err(|why| {
        refuse(StatusCode::BAD_REQUEST, format!("one of the URLs has no cache key: {}", why.as_str()))
    })?;
    tracing::info!(seq = receipt.seq, tags = receipt.tags, kind = kind.as_str(), "purged");
    // Applied here, and not yet known to be everywhere: accepted, not done.
    let status = if receipt.acknowledged { StatusCode::OK } else { StatusCode::ACCEPTED };
    let Receipt { seq, acknowledged, tags } = receipt;
    Ok((status, Json(json!({ "purged": tags, "kind": kind.as_str(), "seq": seq, "acknowledged": acknowledged }))))
}

fn targets(body: Body) -> Result<Vec<Target>, String> {
    let mut targets: Vec<Target> = body.tags.into_iter().map(Target::Tag).collect();
    for url in &body.urls {
        let (scheme, authority, uri) = absolute(url)?;
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        targets.push(Target::Url { scheme, authority, path, query });
    }
    for url in &body.prefixes {
        let (_, authority, uri) = absolute(url)?;
        targets.push(Target::Prefix { authority, prefix: uri.path().to_owned() });
    }
    if body.all {
        targets.push(Target::All);
    }
    if targets.is_empty() {
        return Err("nothing to purge: name `tags`, `urls`, `prefixes`, or `all: true`".to_owned());
    }
    Ok(targets)
}

fn absolute(url: &str) -> Result<(String, String, Uri), String> {
    let wrong = || format!("`{url}`: expected an absolute URL as clients name it, http://HOST[:PORT]/PATH");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => Ok((scheme.to_owned(), authority.to_string(), uri)),
        _ => Err(wrong()),
    }
}
