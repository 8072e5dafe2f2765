//! `GET /`: how the origin is, for a person; `GET /origin`: the same for a program.

use std::fmt::Write;

use axum::{Json, extract::State, response::IntoResponse};
use edge_cache::Governed;
use edge_cache_origin::{database::EndpointState, upstream::OriginState};
use http::header;
use serde_json::{Value, json};

use super::Shared;
use crate::origin::HttpUpstream;

/// How the permits, the ways to the origin and Redis are now.
pub(super) async fn origin(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({
        "governor": shared.cache.governed().map(|seen| governor(&seen)),
        "endpoints": shared.database.iter().flat_map(|database| database.endpoints()).map(endpoint).collect::<Vec<_>>(),
        "origins": shared.upstream.iter().flat_map(HttpUpstream::state).map(http_origin).collect::<Vec<_>>(),
        "redis": shared.cache.redis().map(|redis| json!({
            "reads": redis.read_breaker().as_str(),
            "writes": redis.write_breaker().as_str(),
        })),
    }))
}

fn governor(seen: &Governed) -> Value {
    json!({
        "pressure": seen.level.as_str(),
        "utilisation": (seen.utilisation * 1000.0).round() / 1000.0,
        "permits": seen.load.limit,
        "permits_most": seen.load.limit_max,
        "in_use": seen.load.in_use,
        "in_use_most": seen.load.in_use_max,
        "waiting": seen.load.waiting,
        "admitted": seen.load.admitted,
        "shed": seen.load.refused,
        "redis_lost": seen.redis_lost,
        "safe": seen.safe,
    })
}

fn endpoint(state: EndpointState) -> Value {
    json!({
        "endpoint": state.name,
        "breaker": state.breaker.as_str(),
        "breaker_opened": state.breaker_opened,
        "connections": state.pool.connections,
        "idle": state.pool.idle,
        "in_use": state.pool.in_use,
        "waiting": state.pool.waiting,
        "connects": state.pool.created,
        "connect_errors": state.pool.connect_errors,
        "timeouts": state.pool.timeouts,
        "closed_broken": state.pool.closed_broken,
        "closed_aged": state.pool.closed_aged,
    })
}

fn http_origin(state: OriginState) -> Value {
    json!({
        "origin": state.authority.as_str(),
        "breaker": state.breaker.as_str(),
        "healthy": state.healthy,
        "in_flight": state.in_flight,
        "requests": state.requests,
        "failures": state.failures,
        "retries": state.retries,
    })
}

/// The same as tables, which the browser asks for anew every two seconds.
pub(super) async fn page(state: State<Shared>) -> impl IntoResponse {
    let Json(now) = origin(state).await;
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>edge-cache</title>\
         <style>body{font:15px system-ui;margin:2em;max-width:70em}table{border-collapse:collapse;margin-bottom:2em}\
         td,th{border:1px solid #ccc;padding:.3em .8em;text-align:left}</style><h1>edge-cache</h1>",
    );
    section(&mut html, "Permits to work at the origin, and how hard it is pressed", &[&now["governor"]]);
    let endpoints: Vec<&Value> = now["endpoints"].as_array().into_iter().flatten().collect();
    section(&mut html, "Ways to the database, in the order in which they are tried; replicas last", &endpoints);
    let origins: Vec<&Value> = now["origins"].as_array().into_iter().flatten().collect();
    section(&mut html, "HTTP origins", &origins);
    section(&mut html, "Breakers of the Redis tier", &[&now["redis"]]);
    html.push_str("<p>See also <a href=\"/metrics\">metrics</a> and <a href=\"/health/ready\">health</a>.</p></html>");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFRESH, "2"),
    ];
    (headers, html)
}

/// A table with a row for each of `rows`, which all have the same keys.
fn section(html: &mut String, title: &str, rows: &[&Value]) {
    let rows: Vec<_> = rows.iter().filter_map(|row| row.as_object()).collect();
    let Some(first) = rows.first() else { return };
    write!(html, "<h2>{}</h2><table><tr>", escaped(title)).expect(TO_STRING);
    for name in first.keys() {
        write!(html, "<th>{}</th>", escaped(&name.replace('_', " "))).expect(TO_STRING);
    }
    html.push_str("</tr>");
    for row in rows {
        html.push_str("<tr>");
        for value in row.values() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(html, "<td>{}</td>", escaped(&text)).expect(TO_STRING);
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

const TO_STRING: &str = "writing to a string cannot fail";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_text_and_nothing_else() {
        let mut html = String::new();
        section(&mut html, "Ways", &[&json!({"endpoint": "<script>&\"", "in_use": 3})]);
        assert_eq!(
            html,
            "<h2>Ways</h2><table><tr><th>endpoint</th><th>in use</th></tr>\
             <tr><td>&lt;script&gt;&amp;&quot;</td><td>3</td></tr></table>"
        );
        section(&mut html, "Nothing", &[&Value::Null]);
        assert!(!html.contains("Nothing"));
    }
}
