//! Spans reach a collector: OTLP over HTTP in JSON, before a small stub of one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use axum::{Json, Router, http::header::CACHE_CONTROL, routing::get};
use edge_cache::{EdgeCache, TelemetrySettings};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt};

const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector that takes every batch.
async fn collector() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (told, batches) = mpsc::unbounded_channel();
    let take = move |Json(batch): Json<Value>| {
        let told = told.clone();
        async move {
            told.send(batch).unwrap();
            (StatusCode::OK, "{}")
        }
    };
    let router = Router::new().route("/v1/traces", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, batches)
}

fn cache(endpoint: String) -> EdgeCache {
    let telemetry = TelemetrySettings { otlp_endpoint: endpoint, trace_sample: 0.0, ..TelemetrySettings::default() };
    EdgeCache::builder().telemetry(telemetry).build().unwrap()
}

async fn ask(cache: &EdgeCache, traceparent: Option<&str>) {
    let handler = Router::new().route("/a", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "hello") }));
    let mut request = Request::get("/a").header("host", "shop.example");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = cache.layer().layer(handler).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == name);
    found.map_or(&Value::Null, |found| &found["value"])
}

#[tokio::test]
async fn a_sampled_request_is_a_span_with_its_outcome_and_its_decisions() {
    let (endpoint, mut batches) = collector().await;
    let cache = cache(endpoint);
    // Nobody wants this one kept.
    ask(&cache, None).await;
    ask(&cache, Some("00-11111111111111111111111111111111-2222222222222222-00")).await;
    ask(&cache, Some(SENT)).await;
    let batch = batches.recv().await.unwrap();
    let resource = &batch["resourceSpans"][0];
    let service = resource["resource"]["attributes"].as_array().unwrap();
    assert!(service.iter().any(|fact| fact["value"]["stringValue"] == "edge-cache"), "{resource:#}");
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 1, "{batch:#}");
    let span = &spans[0];
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!((&span["name"], &span["kind"]), (&"GET other".into(), &2.into()), "a server's span");
    assert_eq!(attribute(span, "edge_cache.result")["stringValue"], "hit");
    assert_eq!(attribute(span, "edge_cache.tier")["stringValue"], "memory");
    assert_eq!(attribute(span, "http.response.status_code")["intValue"], "200");
    assert_eq!(attribute(span, "url.path")["stringValue"], "/a");
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") > 0 && nanos("endTimeUnixNano") >= nanos("startTimeUnixNano"));
}

#[tokio::test]
async fn the_decisions_of_a_miss_are_events() {
    let (endpoint, mut batches) = collector().await;
    ask(&cache(endpoint), Some(SENT)).await;
    let batch = batches.recv().await.unwrap();
    let span = &batch["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let events: Vec<_> =
        span["events"].as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert!(events.contains(&"leads the fill") && events.contains(&"kept"), "{events:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    drop(listener);
    let cache = cache(away);
    ask(&cache, Some(SENT)).await;
    let counted = async || {
        while !cache.metrics().render().contains("edge_cache_spans_dropped_total 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), counted()).await.unwrap();
}
