use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;

use super::stream::Stream;

/// Sends the one request of a connection, which ends with the answer.
///
/// # Errors
/// Why there is no answer: what ended the connection, where that was before the request was under way.
pub(crate) async fn ask<B>(stream: Stream, request: Request<B>) -> hyper::Result<Response<Incoming>>
where
    B: Body<Data: Send, Error: Into<edge_cache_core::BoxError>> + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // A broken connection reaches the request, or the body, that is on it; both ends dropped end the task.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    match answer {
        Err(error) if error.is_canceled() => match connection.await {
            Ok(Err(reason)) => Err(reason),
            Ok(Ok(())) | Err(_) => Err(error),
        },
        answer => answer,
    }
}
