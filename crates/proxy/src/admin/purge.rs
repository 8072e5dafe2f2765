use axum::{
    Json,
    extract::{Extension, State, rejection::JsonRejection},
};
use edge_cache::{Audit, Purge, PurgeKind, Receipt, Target, core::PurgedBy};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Shared, audit::Caller};

/// `POST /purge`: at least one of `tags`, `urls`, `prefixes`, `all`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Body {
    /// Tags as the origin names them.
    tags: Vec<String>,
    /// Absolute URLs, as clients name them.
    urls: Vec<String>,
    /// Absolute URLs of directories, `http://HOST/DIRECTORY/`; of what is none the one above. The answer names them.
    prefixes: Vec<String>,
    /// Everything.
    all: bool,
    /// Not to be served even if the origin fails.
    hard: bool,
    /// Only say how many entries it would take.
    dry_run: bool,
    /// Who purges, for the audit.
    actor: String,
    /// Why, for the audit.
    reason: String,
}

type Answer = (StatusCode, Json<serde_json::Value>);

/// JSON is demanded, so that no web page can send it across origins without asking first.
pub(super) async fn purge(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Answer, Answer> {
    let refuse = |status, why: String| (status, Json(json!({ "error": why.trim_end() })));
    let Json(body) = body.map_err(|error| refuse(error.status(), error.body_text()))?;
    let kind = if body.hard { PurgeKind::Hard } else { PurgeKind::Soft };
    let audit =
        Audit { by: PurgedBy::Api, actor: actor(&body), reason: cut(&body.reason), what: cut(&body.what()), kind };
    let dry_run = body.dry_run;
    let targets = targets(body).map_err(|why| refuse(StatusCode::BAD_REQUEST, why))?;
    let no_key = |why: edge_cache::core::Bypass| {
        refuse(StatusCode::BAD_REQUEST, format!("one of the URLs has no cache key: {}", why.as_str()))
    };
    let purger = shared.cache.purger();
    let directories: Result<Vec<_>, _> = targets.iter().map(|target| purger.directories(target)).collect();
    let directories = directories.map_err(no_key)?.concat();
    let purge = Purge { targets, kind };
    if dry_run {
        // It looks at every entry, which takes a while where there are many.
        let cache = shared.cache.clone();
        let counted = tokio::task::spawn_blocking(move || cache.count(&purge)).await;
        let counted = counted.map_err(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let memory = counted.map_err(no_key)?;
        let redis = if shared.cache.redis().is_some() { "not counted: a purge looks nothing up" } else { "off" };
        let answer = json!({ "dry_run": true, "kind": kind.as_str(), "directories": directories, "would_purge": { "memory": memory, "redis": redis } });
        return Ok((StatusCode::OK, Json(answer)));
    }
    if shared.readiness.is_closed() {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the node stops: purge another one".to_owned()));
    }
    // In a task of its own: it is purged, and written down, whether or not anybody waits for the answer.
    let (purger, auditor) = (shared.cache.purger().clone(), shared.auditor.clone());
    let purging = tokio::spawn(async move {
        let receipt = purger.purge(&purge).await?;
        purger.audit(&audit, &receipt);
        auditor.purged(&caller, &audit, receipt);
        Ok(receipt)
    });
    let ended = |error: tokio::task::JoinError| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let receipt = purging.await.map_err(ended)?.map_err(no_key)?;
    // Applied here, and not yet known to be everywhere: accepted, not done.
    let status = if receipt.acknowledged { StatusCode::OK } else { StatusCode::ACCEPTED };
    let Receipt { seq, acknowledged, tags } = receipt;
    Ok((
        status,
        Json(
            json!({ "purged": tags, "kind": kind.as_str(), "directories": directories, "seq": seq, "acknowledged": acknowledged }),
        ),
    ))
}

/// Longest text that the audit keeps.
const TEXT_MAX: usize = 300;

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

fn actor(body: &Body) -> String {
    if body.actor.is_empty() { "api".to_owned() } else { cut(&body.actor) }
}

impl Body {
    /// What it names, in words.
    fn what(&self) -> String {
        let named =
            |kind: &str, names: &[String]| names.iter().map(|name| format!("{kind} {name}")).collect::<Vec<_>>();
        let mut all = [named("tag", &self.tags), named("url", &self.urls), named("prefix", &self.prefixes)].concat();
        if self.all {
            all.push("everything".to_owned());
        }
        all.join(", ")
    }
}

fn targets(body: Body) -> Result<Vec<Target>, String> {
    // The headers that name them are lists: none has a comma or a space in it, and none is empty.
    if let Some(at) = body.tags.iter().position(|tag| tag.is_empty() || tag.contains([',', ' '])) {
        return Err(format!("tags[{at}] = {:?}: must be the name of one tag", body.tags[at]));
    }
    let mut targets: Vec<Target> = body.tags.into_iter().map(Target::Tag).collect();
    for url in &body.urls {
        targets.push(Target::url(url).map_err(|error| error.to_string())?);
    }
    for url in &body.prefixes {
        targets.push(Target::prefix(url).map_err(|error| error.to_string())?);
    }
    if body.all {
        targets.push(Target::All);
    }
    if targets.is_empty() {
        return Err("nothing to purge: name `tags`, `urls`, `prefixes`, or `all: true`".to_owned());
    }
    Ok(targets)
}
