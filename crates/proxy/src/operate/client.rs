use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    admin::TOKEN_VARIABLE,
    dial::{self, Dialer},
};

/// Longer than acknowledgements are waited for, unless they are configured to take very long.
const PATIENCE: Duration = Duration::from_secs(120);
const BODY_BYTES_MAX: usize = 16 << 20;

pub(super) async fn post(node: &Dialer, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
    ask(node, Method::POST, path, body.to_string()).await
}

pub(crate) async fn get(node: &Dialer, path: &str) -> anyhow::Result<(StatusCode, Value)> {
    ask(node, Method::GET, path, String::new()).await
}

async fn ask(node: &Dialer, method: Method, path: &str, body: String) -> anyhow::Result<(StatusCode, Value)> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, node.address().authority().as_str())
        .header(header::CONTENT_TYPE, "application/json");
    if let Ok(token) = std::env::var(TOKEN_VARIABLE)
        && !token.is_empty()
    {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).context("the token is no header value")?;
    let exchange = async {
        let stream = node.connect().await.with_context(|| format!("no node at {node}"))?;
        let answer = dial::ask(stream, request).await.with_context(|| format!("no answer from {node}"))?;
        let (parts, body) = answer.into_parts();
        #[expect(clippy::disallowed_methods, reason = "limited in bytes")]
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| anyhow!(error))?.to_bytes();
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        anyhow::Ok((parts.status, answer))
    };
    timeout(PATIENCE, exchange).await.map_err(|_| anyhow!("no answer from {node} within {PATIENCE:?}"))?
}

/// Everything but letters and digits as `%XX`.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
