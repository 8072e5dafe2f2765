use axum::{
    Json,
    extract::{Query, State},
};
use edge_cache::{
    Target,
    core::{TagHash, Timestamp},
    tier::{Held, Located, TierReport},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;

/// `GET /explain?url=http://HOST/PATH&header=NAME:VALUE`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// An absolute URL, as clients name it.
    url: String,
    /// A request header, as `Name: value`.
    #[serde(default)]
    header: Option<String>,
}

type Answer = (StatusCode, Json<Value>);

/// What of a stored answer's headers is shown: those that decide what a cache does, and no content.
const SHOWN: [HeaderName; 8] = [
    header::CACHE_CONTROL,
    header::DATE,
    header::EXPIRES,
    header::ETAG,
    header::LAST_MODIFIED,
    header::VARY,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];

pub(super) async fn explain(
    State(shared): State<Shared>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Answer, Answer> {
    let refuse = |status, why: String| (status, Json(json!({ "error": why.trim_end() })));
    let Query(Asked { url, header }) = asked.map_err(|error| refuse(StatusCode::BAD_REQUEST, error.body_text()))?;
    let target = Target::url(&url).map_err(|why| refuse(StatusCode::BAD_REQUEST, why.to_string()))?;
    let Target::Url { scheme, authority, path, query } = target else { unreachable!("a URL is one") };
    let headers = request_headers(header.as_deref()).map_err(|why| refuse(StatusCode::BAD_REQUEST, why))?;
    let at = (&*scheme, &*authority, &*path, &*query);
    match shared.cache.explain(at, &headers).await {
        Err(why) => Ok((StatusCode::OK, Json(json!({ "url": url, "key": null, "bypass": why.as_str() })))),
        Ok((located, tiers)) => {
            let tiers: Vec<Value> = tiers.iter().map(|report| tier(&located, report)).collect();
            let past = shared.cache.bypass(&located, &headers);
            let bypass = past.map(|why| json!({ "why": why.as_str(), "reason": why.as_reason() }));
            Ok((StatusCode::OK, Json(json!({ "url": url, "key": key(&located), "goes_past": bypass, "tiers": tiers }))))
        }
    }
}

fn request_headers(header: Option<&str>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for line in header.into_iter().flat_map(str::lines) {
        let wrong = || format!("`{line}`: expected a request header, as `accept-language: de`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::try_from(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}

fn key(located: &Located) -> Value {
    let parts = located.key.parts();
    json!({
        "digest": format!("{:032x}", located.key.digest()),
        "scheme": parts.scheme,
        "authority": parts.authority,
        "tenant": parts.tenant,
        "path": parts.path,
        "query": parts.query,
        "route": located.route.name,
        "policy": match located.mode {
            edge_cache::Mode::Guarded => "guarded",
            edge_cache::Mode::Rfc => "rfc",
        },
        "uncacheable": located.route.uncacheable,
    })
}

fn tier(located: &Located, report: &TierReport) -> Value {
    json!({
        "tier": report.tier.as_str(),
        "outcome": report.outcome,
        "unused": report.unused,
        "varies_by": report.varies.as_ref().map(|(names, _)| names),
        "variants": report.varies.as_ref().map(|(_, count)| count),
        "not_stored_because": report.not_stored,
        "origin_failed_of_late": report.failed,
        "held": report.held.as_ref().map(|held| entry(located, held)),
    })
}

fn entry(located: &Located, held: &Held) -> Value {
    let freshness = &held.freshness;
    let seconds = |until: Timestamp| (until.as_millis() - held.now.as_millis()) as f64 / 1000.0;
    let headers: serde_json::Map<String, Value> = SHOWN
        .iter()
        .filter_map(|name| Some((name.as_str().to_owned(), held.headers.get(name)?.to_str().ok()?.into())))
        .collect();
    json!({
        "kind": held.kind,
        "status": held.status.as_u16(),
        "body_bytes": held.body_bytes,
        "headers": headers,
        "age_seconds": freshness.age(held.now).as_secs_f64(),
        "fresh_for_seconds": seconds(freshness.fresh_until),
        "lifetime_seconds": freshness.fresh_until.since(freshness.born).as_secs_f64(),
        "stale_while_revalidate_for_seconds": seconds(freshness.revalidate_until),
        "stale_if_error_for_seconds": seconds(freshness.error_until),
        "stale_if_disconnected_for_seconds": seconds(held.disconnected_until),
        "may_be_stale": freshness.stale_allowed,
        "purges": held.verdict,
        "fence": { "incarnation": format!("{:032x}", { held.fence.incarnation }), "seq": held.fence.seq },
        "tags": held.tags.iter().map(|tag| named(located, *tag)).collect::<Vec<_>>(),
        "origin_took_ms": held.fill_millis,
    })
}

/// Tags are kept as hashes: those that the key implies are known by name, the origin's own by their hash.
fn named(located: &Located, tag: TagHash) -> String {
    let parts = located.key.parts();
    let prefixes = parts.path.match_indices('/').map(|(at, _)| &parts.path[..=at]);
    let mut known = vec![
        (TagHash::all(), "everything".to_owned()),
        (TagHash::tenant(parts.tenant), format!("tenant {:?}", parts.tenant)),
        (TagHash::authority(parts.authority), format!("authority {}", parts.authority)),
        (TagHash::key(&parts), "this URL".to_owned()),
    ];
    known.extend(prefixes.map(|prefix| {
        (TagHash::prefix(parts.authority, parts.tenant, prefix), format!("prefix {}{prefix}", parts.authority))
    }));
    let name = known.into_iter().find(|(hash, _)| *hash == tag).map(|(_, name)| name);
    name.unwrap_or_else(|| format!("named by the origin, hash {tag:?}"))
}
