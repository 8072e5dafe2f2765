//! Sending a request to an origin, and where that is allowed once more.

use std::{future::Future, pin::pin, time::Duration};

use edge_cache_core::{BoxError, Upload};
use futures_util::{FutureExt, future::Either};
use http::{Request, Response, StatusCode, header, uri::PathAndQuery};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{
    UpstreamBody,
    balance::Turn,
    failed::Failed,
    instead::not_asked,
    member::{Place, Refused},
    pool::{Answer, InUse},
    said::Said,
    service::Shared,
    spare::{Spare, pass_interim_on},
    target::Target,
};

use crate::Work;

/// Longest time in which a connection that had died idle is found out: what takes longer may have been worked on.
const DEAD_WITHIN: Duration = Duration::from_secs(1);

/// The head of an origin's answer, its body under way.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) in_use: InUse,
    pub(super) place: Place,
}

impl<B> Shared<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Sends a request once there is leave to, which is held for as long as it is under way; says when it began. The request is taken where it lies: it is
    /// large, and each function that is handed it moves it.
    pub(super) async fn ask(
        &self,
        req: &mut Request<B>,
        repeatable: bool,
    ) -> Result<(Answered, Instant), Box<Response<UpstreamBody>>> {
        let Ok(permit) = self.permits.acquire().await else { return Err(Box::new(not_asked(Refused::Full))) };
        let began = Instant::now();
        let end = began + self.queue_timeout;
        let until = Work::end().map_or(end, |useful| useful.min(end));
        let turn = self.balance.choose_by(until).await.map_err(|refused| Box::new(not_asked(refused)))?;
        let mut answered = self.send(req, turn, repeatable, began).await?;
        answered.place.keep(permit);
        Ok((answered, began))
    }

    /// Sends a request that began at `began` to the origin whose turn it is; to one more, where that one failed, another can be asked, and the request may
    /// be repeated or was not sent at all.
    async fn send(
        &self,
        req: &mut Request<B>,
        turn: Turn,
        repeatable: bool,
        began: Instant,
    ) -> Result<Answered, Box<Response<UpstreamBody>>> {
        let (first, is_named) = (turn.at, req.headers().contains_key(header::HOST));
        let spare = repeatable.then(|| Spare::of(req));
        let outcome = self.attempt(turn, req, spare.as_ref(), began).await;
        let worth_another = match &outcome {
            Ok(answered) => repeatable && is_failing(answered.response.status()),
            Err(failed) => failed.was_not_sent() || repeatable && failed.was_broken_off(),
        };
        let Some(turn) = worth_another.then(|| self.balance.another(first)).flatten() else {
            return outcome.map_err(|failed| failed.answer(self.balance.name(first)));
        };
        if let Err(failed) = &outcome {
            failed.note(self.balance.name(first));
        }
        // Its body, if there is one, is nobody's: the connection is free, or closed.
        drop(outcome);
        turn.place.member().took_over();
        let second = turn.at;
        match &spare {
            Some(spare) => *req = spare.request(B::default()),
            // It was not sent, so all of it is still here, its body too; but for the name of the first origin, where it had none.
            None if is_named => {}
            None => drop(req.headers_mut().remove(header::HOST)),
        }
        // Rare, and large: not part of the future of every request.
        let outcome = Box::pin(self.attempt(turn, req, None, began)).await;
        outcome.map_err(|failed| failed.answer(self.balance.name(second)))
    }

    /// Sends a request to one origin; a second time, on a new connection, only where `again` is given and the first met a connection that
    /// died without a byte for it, at once, after it had answered others: then it was closed while it was idle.
    async fn attempt(
        &self,
        turn: Turn,
        req: &mut Request<B>,
        again: Option<&Spare>,
        began: Instant,
    ) -> Result<Answered, Failed> {
        let Turn { at, place, permit } = turn;
        let (pool, member) = (&self.pools[at], place.member());
        let upload = req.extensions().get::<Upload>().cloned();
        point(req, &member.target);
        pass_interim_on(req);
        let (sent, answers_before) = (Instant::now(), member.answers());
        member.sent();
        let mut outcome = self.head(pool.ask(req, sent), began, upload.as_ref()).await;
        if let (Err(Failed::Broken { error, died_unanswered: true }), Some(spare)) = (&outcome, again)
            && sent.elapsed() < DEAD_WITHIN
        {
            tracing::debug!(error = error as &dyn std::error::Error, "an idle connection had died: sent again");
            *req = spare.request(B::default());
            point(req, &member.target);
            pass_interim_on(req);
            member.sent();
            // Rare: not part of the future of every request.
            outcome = Box::pin(self.head(pool.ask_anew(req), began, upload.as_ref())).await;
        }
        if outcome.is_ok() {
            member.answered();
        }
        let said = match &outcome {
            Ok((response, _)) if is_failing(response.status()) => Some(Said::Failing),
            Ok(_) => Some(Said::Fine),
            // Who has not sent all of a question waits for nobody but himself.
            Err(Failed::TooSlow(_)) if upload.is_some_and(|upload| upload.is_awaited()) => None,
            // Who answers others meanwhile is there: this one question takes too long.
            Err(Failed::TooSlow(_)) if member.answers() > answers_before => Some(Said::Failing),
            Err(failed) => failed.says(),
        };
        if let Some(said) = said {
            member.did(permit, said);
        }
        let now = Instant::now();
        let (authority, took) = (member.target.authority.clone(), (now - sent).as_secs_f64() * 1000.0);
        let status = outcome.as_ref().map(|(response, _)| response.status().as_u16()).ok();
        Work::note_later(now, "origin", move || match status {
            Some(status) => format!("{authority} answered {status} after {took:.1} ms"),
            None => format!("{authority} gave no answer, after {took:.1} ms"),
        });
        outcome.map(|(response, in_use)| Answered { response, in_use, place })
    }

    /// The head of an answer, if it comes in time: counted from the end of the `upload`, if there is one. No `async` function: its future would have room for what is
    /// asked twice.
    fn head(
        &self,
        asked: impl Future<Output = Result<Answer, Failed>>,
        began: Instant,
        upload: Option<&Upload>,
    ) -> impl Future<Output = Result<Answer, Failed>> {
        let (limit, useful) = (self.head_timeout(), Work::end());
        let late = move |end| match useful.is_some_and(|useful| useful < end) {
            true => Failed::Late,
            false => Failed::TooSlow(limit),
        };
        let until = move |end| useful.map_or(end, |useful| useful.min(end));
        let Some(upload) = upload else {
            let end = began + limit;
            return Either::Left(timeout_at(until(end), asked).map(move |answered| answered.unwrap_or(Err(late(end)))));
        };
        let last = self.total_timeout.map(|total| began + total);
        Either::Right(Box::pin(async move {
            let mut asked = pin!(asked);
            let mut end = began + limit;
            loop {
                if let Ok(answered) = timeout_at(until(end), asked.as_mut()).await {
                    return answered;
                }
                // A body that still comes gives the origin nothing to answer. What has come and is not taken is the origin's own affair.
                let from = upload.ended().or_else(|| upload.taken()).map_or_else(Instant::now, Instant::from_std);
                let next = last.map_or(from + limit, |last| last.min(from + limit));
                if useful.is_some_and(|useful| useful < end) || next <= end {
                    return Err(late(end));
                }
                end = next;
            }
        }))
    }
}

/// Whether a status says that what stands behind the origin fails, or that it has no room.
fn is_failing(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Points a request at an origin.
pub(super) fn point<B>(req: &mut Request<B>, origin: &Target) {
    let path = std::mem::take(req.uri_mut()).into_parts().path_and_query;
    // One that is empty says that it is this: a URI without a path, or with nothing but a fragment.
    let path = path.filter(|path| path.as_str() != "/").unwrap_or(PathAndQuery::from_static("/"));
    *req.uri_mut() = path.into();
    req.headers_mut().entry(header::HOST).or_insert_with(|| origin.host.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_never_empty_and_the_host_is_the_origins_where_there_is_none() {
        let origin = Target::of("http://origin:80").unwrap();
        for (uri, target) in [
            ("http://site#x", "/"),
            ("http://site", "/"),
            ("http://site?x=1", "/?x=1"),
            ("/a?b", "/a?b"),
            ("http://site/a#x", "/a"),
        ] {
            let mut req = Request::builder().uri(uri).body(()).unwrap();
            point(&mut req, &origin);
            assert_eq!(
                (req.uri().to_string(), req.headers()["host"].as_bytes()),
                (target.into(), &b"origin"[..]),
                "{uri}"
            );
            let mut named = Request::builder().uri(uri).header("host", "site").body(()).unwrap();
            point(&mut named, &origin);
            assert_eq!(named.headers()["host"], "site");
        }
    }
}
