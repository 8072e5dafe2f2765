use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{admin::TOKEN_VARIABLE, exit::UsageError};

/// Longer than acknowledgements are waited for, unless they are configured to take very long.
const PATIENCE: Duration = Duration::from_secs(120);
const BODY_BYTES_MAX: usize = 16 << 20;

pub(super) async fn post(admin: &str, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
    ask(admin, Method::POST, path, body.to_string()).await
}

pub(crate) async fn get(admin: &str, path: &str) -> anyhow::Result<(StatusCode, Value)> {
    ask(admin, Method::GET, path, String::new()).await
}

async fn ask(admin: &str, method: Method, path: &str, body: String) -> anyhow::Result<(StatusCode, Value)> {
    let wrong = || UsageError(format!("--admin {admin}: must be http://HOST:PORT"));
    let uri: Uri = admin.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
    let (host, port) = (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(80));
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json");
    if let Ok(token) = std::env::var(TOKEN_VARIABLE)
        && !token.is_empty()
    {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).context("the token is no header value")?;
    let exchange = async {
        let stream = TcpStream::connect((host.as_str(), port)).await.with_context(|| format!("no node at {admin}"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // A broken connection reaches the request that was on it.
        tokio::spawn(async move { drop(connection.await) });
        let (parts, body) = sender.send_request(request).await?.into_parts();
        #[expect(clippy::disallowed_methods, reason = "limited in bytes")]
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| anyhow!(error))?.to_bytes();
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        anyhow::Ok((parts.status, answer))
    };
    timeout(PATIENCE, exchange).await.map_err(|_| anyhow!("no answer from {admin} within {PATIENCE:?}"))?
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
