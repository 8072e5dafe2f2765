//! What is kept of a request to send it once more, and the interim answers to it.

use edge_cache_policy::{groups, hop};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};

use super::FromClient;

/// A request without its body, to be made anew.
pub(super) struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    client: Option<FromClient>,
}

impl Spare {
    pub(super) fn of<B>(req: &Request<B>) -> Self {
        let client = req.extensions().get::<FromClient>().cloned();
        Self { method: req.method().clone(), uri: req.uri().clone(), headers: req.headers().clone(), client }
    }

    pub(super) fn request<B>(&self, body: B) -> Request<B> {
        let mut req = Request::new(body);
        *req.method_mut() = self.method.clone();
        *req.uri_mut() = self.uri.clone();
        *req.headers_mut() = self.headers.clone();
        if let Some(client) = &self.client {
            req.extensions_mut().insert(client.clone());
        }
        req
    }
}

/// Interim answers go on to the client that waits; 100 is between the origin and us, who take the body from the client ourselves.
pub(super) fn pass_interim_on<B>(req: &mut Request<B>) {
    if let Some((sink, request)) = req.extensions().get::<FromClient>().and_then(FromClient::interim) {
        hyper::ext::on_informational(req, move |interim| {
            if !matches!(interim.status(), StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
                let mut headers = interim.headers().clone();
                hop::strip(&mut headers);
                groups::strip(&mut headers);
                // A head without a body has no length (RFC 9110 §8.6), and cookies come with the final one, which the policy judges.
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::SET_COOKIE);
                sink.send(request, interim.status(), &headers);
            }
        });
    }
}
