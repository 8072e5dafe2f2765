use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// Bytes that the head of an answer may have. Its body is not read.
const HEAD_BYTES_MAX: usize = 16 << 10;

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// Connections by TLS with the roots that browsers trust, or without TLS where the URL says so.
pub(super) fn connector() -> Connector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .https_or_http()
        .enable_http1()
        .wrap_connector(http)
}

/// One receiver's address, and how it is posted to.
pub(super) struct Post {
    client: Client<Connector, Full<Bytes>>,
    uri: Uri,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("no whole answer")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("answered {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
}

impl PostError {
    /// Whether it may go better another time.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Exchange(_) | Self::Timeout => true,
            Self::Status { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether the receiver may have got the message all the same: what is lost may be its answer.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Exchange(error) => !error.is_connect(),
            Self::Timeout => true,
            Self::Status { .. } => false,
        }
    }

    /// How long the receiver asks to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Exchange(_) | Self::Timeout => None,
        }
    }
}

impl Post {
    pub(super) fn new(connector: &Connector, uri: Uri, authorization: Option<HeaderValue>, timeout: Duration) -> Self {
        // Messages are rare: a connection kept would be dead when the next one comes.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector.clone());
        Self { client, uri, authorization, timeout }
    }

    /// Posts `body`, once. A redirection is an answer like any other: where it leads to was not configured.
    pub(super) async fn send(&self, body: Bytes) -> Result<(), PostError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("edge-cache"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let answer = timeout(self.timeout, self.client.request(request)).await;
        let answer = answer.map_err(|_| PostError::Timeout)?.map_err(PostError::Exchange)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(PostError::Status { status, retry_after: retry_after(answer.headers()) }),
        }
    }
}

/// `Retry-After` in seconds; as a date it is left out, and the usual wait applies.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds() {
        let asked = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers).map(|asked| asked.as_secs())
        };
        assert_eq!(["0", "30", "99999999999999999999999"].map(asked), [Some(0), Some(30), Some(u64::MAX)]);
        assert_eq!(["", "-1", "+1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"].map(asked), [None; 5]);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn what_may_go_better_another_time() {
        let passing = |status| PostError::Status { status, retry_after: None }.is_passing();
        for (status, again) in
            [(500, true), (503, true), (429, true), (400, false), (404, false), (408, false), (302, false)]
        {
            assert_eq!(passing(StatusCode::from_u16(status).unwrap()), again, "{status}");
        }
        assert!(PostError::Timeout.is_passing());
    }
}
