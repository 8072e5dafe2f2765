use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Event, Loss, Source,
    sse::{Message, Parser},
};
use crate::{dial, top::text::Text};

const PATH: &str = "/admin/performance/feed";
/// Of the text of a refusal; more of it would not be read.
const REFUSAL_BYTES_MAX: usize = 1 << 10;

/// One connection to a feed.
#[derive(Debug)]
pub(super) struct Connection {
    body: Incoming,
    parser: Parser,
    silence: std::time::Duration,
}

impl Connection {
    /// # Errors
    /// Everything but [`Loss::Silent`] and [`Loss::Malformed`].
    pub(super) async fn open(source: &Source) -> Result<Self, Loss> {
        let patience = source.patience;
        let deadline = Instant::now() + patience.answer;
        let opened = timeout_at(deadline, Self::ask(source)).await;
        let response = opened.map_err(|_| Loss::Slow(patience.answer))??;
        let status = response.status();
        if status != StatusCode::OK {
            let why = timeout_at(deadline, first_line(response.into_body())).await.unwrap_or_default();
            return Err(match status {
                StatusCode::UNAUTHORIZED => Loss::Unauthorized { why },
                StatusCode::FORBIDDEN => Loss::Forbidden { why },
                StatusCode::NOT_FOUND => Loss::NotThere,
                status => Loss::Refused { status, why },
            });
        }
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
        if !kind.starts_with(b"text/event-stream") {
            return Err(Loss::NoFeed);
        }
        Ok(Self { body: response.into_body(), parser: Parser::default(), silence: patience.silence })
    }

    async fn ask(source: &Source) -> Result<Response<Incoming>, Loss> {
        let stream = source.node.connect().await.map_err(Loss::Connect)?;
        let mut request = Request::get(PATH)
            .header(header::HOST, source.node.address().authority().as_str())
            .header(header::ACCEPT, "text/event-stream")
            .body(Empty::<Bytes>::new())
            .expect("a fixed path and an authority that was parsed make a request");
        if let Some(token) = &source.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        dial::ask(stream, request).await.map_err(Loss::Broken)
    }

    /// The next event that means something here.
    ///
    /// # Errors
    /// All but those of [`open`](Self::open).
    pub(super) async fn next(&mut self) -> Result<Event, Loss> {
        loop {
            while let Some(message) = self.parser.next()? {
                if let Some(event) = read(&message)? {
                    return Ok(event);
                }
            }
            let frame = timeout(self.silence, self.body.frame()).await.map_err(|_| Loss::Silent(self.silence))?;
            let frame = frame.ok_or(Loss::Ended)?.map_err(Loss::Broken)?;
            if let Ok(bytes) = frame.into_data() {
                self.parser.push(&bytes);
            }
        }
    }
}

/// An event of a name that is not known is none.
fn read(message: &Message) -> Result<Option<Event>, Loss> {
    fn json<T: DeserializeOwned>(data: &[u8]) -> Result<T, Loss> {
        serde_json::from_slice(data).map_err(Loss::Malformed)
    }
    let data = &message.data;
    Ok(Some(match message.event.as_str() {
        "hello" => Event::Hello(json(data)?),
        "history" => Event::History(json(data)?),
        "now" => Event::Now(Box::new(json(data)?)),
        _ => return Ok(None),
    }))
}

/// What a refusal says.
async fn first_line(mut body: Incoming) -> Text {
    let mut text = Vec::new();
    while text.len() < REFUSAL_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
        && let Ok(bytes) = frame.into_data()
    {
        text.extend_from_slice(&bytes);
    }
    text.truncate(REFUSAL_BYTES_MAX);
    let text = String::from_utf8_lossy(&text);
    Text::of(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim())
}
