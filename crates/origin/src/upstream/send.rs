//! Sending a request to an origin, and where that is allowed once more.

use std::time::Duration;

use edge_cache_core::BoxError;
use http::{Request, Response, StatusCode, Uri, uri::PathAndQuery};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, ResponseFuture},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};

use super::{
    UpstreamBody, UpstreamConfig,
    balance::Turn,
    connector::{Connector, Usage},
    failed::Failed,
    instead::not_asked,
    member::{Place, Refused},
    outgoing::{Loan, Outgoing},
    said::Said,
    secure::Secure,
    service::Shared,
    spare::{Spare, pass_interim_on},
    target::Target,
};

use crate::Work;

/// Longest time in which a connection that had died idle is found out: what takes longer may have been worked on.
const DEAD_WITHIN: Duration = Duration::from_secs(1);

/// The connections to one origin.
pub(super) struct Clients<B> {
    pooled: Client<Connector, Outgoing<B>>,
    /// Never uses a connection twice: for what met a dead one, and for checks.
    pub(super) fresh: Client<Connector, Outgoing<B>>,
}

impl<B> Clients<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
{
    pub(super) fn new(config: &UpstreamConfig, secure: Option<Secure>) -> Self {
        let client = |idle_connections_max| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(config.idle_timeout)
                .pool_max_idle_per_host(idle_connections_max)
                .http1_preserve_header_case(false)
                .build(Connector::new(config.connect_timeout, secure.clone()))
        };
        Self { pooled: client(config.idle_connections_max), fresh: client(0) }
    }
}

/// The head of an origin's answer, its body under way.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
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
        req: &mut Request<Outgoing<B>>,
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
        req: &mut Request<Outgoing<B>>,
        turn: Turn,
        repeatable: bool,
        began: Instant,
    ) -> Result<Answered, Box<Response<UpstreamBody>>> {
        let (first, alone) = (turn.at, self.balance.is_alone());
        let spare = (repeatable || !alone).then(|| Spare::of(req));
        let loan = (!repeatable && !alone).then(|| req.body_mut().lend());
        let outcome = self.attempt(turn, req, spare.as_ref().filter(|_| repeatable), began).await;
        let worth_another = match &outcome {
            Ok(answered) => repeatable && is_failing(answered.response.status()),
            Err(failed) => failed.was_not_sent() || repeatable && failed.was_broken_off(),
        };
        let another = || self.balance.another(first);
        let Some((spare, turn)) = spare.filter(|_| worth_another).and_then(|spare| Some((spare, another()?))) else {
            return outcome.map_err(|failed| failed.answer(self.balance.name(first)));
        };
        if let Err(failed) = &outcome {
            failed.note(self.balance.name(first));
        }
        // Its body, if there is one, is nobody's: the connection is free, or closed.
        drop(outcome);
        turn.place.member().took_over();
        let second = turn.at;
        *req = spare.request(loan.and_then(Loan::back).unwrap_or_default());
        // Rare, and large: not part of the future of every request.
        let outcome = Box::pin(self.attempt(turn, req, None, began)).await;
        outcome.map_err(|failed| failed.answer(self.balance.name(second)))
    }

    /// Sends a request to one origin; a second time, on a new connection, only where `again` is given and the first met a connection that
    /// died without a byte for it, at once, after it had answered others: then it was closed while it was idle.
    async fn attempt(
        &self,
        turn: Turn,
        req: &mut Request<Outgoing<B>>,
        again: Option<&Spare>,
        began: Instant,
    ) -> Result<Answered, Failed> {
        let Turn { at, place, permit } = turn;
        let (clients, member) = (&self.clients[at], place.member());
        point(req, &member.target);
        pass_interim_on(req);
        let sent = Instant::now();
        member.sent();
        let mut outcome = self.head(clients.pooled.request(std::mem::take(req)), began).await;
        if let (Err(Failed::Request(error)), Some(spare)) = (&outcome, again)
            && died_idle(error, sent)
        {
            tracing::debug!(error = error as &dyn std::error::Error, "an idle connection had died: sent again");
            *req = spare.request(B::default());
            point(req, &member.target);
            pass_interim_on(req);
            member.sent();
            outcome = self.head(clients.fresh.request(std::mem::take(req)), began).await;
        }
        let said = match &outcome {
            Ok(response) if is_failing(response.status()) => Some(Said::Failing),
            Ok(_) => Some(Said::Fine),
            Err(failed) => failed.says(),
        };
        if let Some(said) = said {
            member.did(permit, said);
        }
        let (authority, took) = (member.target.authority.clone(), sent.elapsed().as_secs_f64() * 1000.0);
        let status = outcome.as_ref().map(|response| response.status().as_u16()).ok();
        Work::note_later("origin", move || match status {
            Some(status) => format!("{authority} answered {status} after {took:.1} ms"),
            None => format!("{authority} gave no answer, after {took:.1} ms"),
        });
        outcome.map(|response| Answered { response, place })
    }

    async fn head(&self, sending: ResponseFuture, began: Instant) -> Result<Response<Incoming>, Failed> {
        let limit = self.head_timeout();
        let (end, useful) = (began + limit, Work::end());
        match timeout_at(useful.map_or(end, |useful| useful.min(end)), sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failed::Request(error)),
            Err(_) if useful.is_some_and(|useful| useful < end) => Err(Failed::Late),
            Err(_) => Err(Failed::TooSlow(limit)),
        }
    }
}

/// Whether a status says that what stands behind the origin fails, or that it has no room.
fn is_failing(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn died_idle(error: &Error, sent: Instant) -> bool {
    // Of the connection that was used last; none where there was none.
    let usage = error.connect_info().and_then(|connected| {
        let mut extras = http::Extensions::new();
        connected.get_extras(&mut extras);
        extras.remove::<Usage>()
    });
    usage.is_some_and(|usage| usage.died_unanswered()) && sent.elapsed() < DEAD_WITHIN
}

/// Points a request at an origin.
pub(super) fn point<B>(req: &mut Request<B>, origin: &Target) {
    let mut parts = std::mem::take(req.uri_mut()).into_parts();
    parts.scheme = Some(origin.scheme());
    parts.authority = Some(origin.authority.clone());
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *req.uri_mut() = Uri::from_parts(parts).expect("a received path and a validated authority make a URI");
}
