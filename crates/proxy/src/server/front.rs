//! What is settled before any tier: the length of the target, one host, no circles, and who the client is.

use std::{
    borrow::Cow,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use edge_cache::{
    Arrival, Cached, CachedBody, Hit, HitBody,
    core::{ClientAddress, Deadline, Priority, headers::CACHE_STATUS},
    policy::request::is_background,
    settings::ForwardedHeader,
    tier::{NoNewKeys, Trusted},
};
use edge_cache_origin::upstream::FromClient;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either as EitherBody, Full};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

use super::{
    clients::Account,
    conduct::{Conduct, UnderWay},
    glance::Glance,
    house::{House, Told},
    interim::{After, Interim},
    peer::{Origin, Peer, say_client, set_scheme, take_off},
    turn::{Over, Turn},
};
use crate::body::{ClientBody, Verdict};

/// What is served, and how. Another one may take its place at any time.
#[derive(Clone, Debug)]
pub(super) struct Site<S> {
    pub(super) cached: Cached<S>,
    pub(super) house: House,
}

impl<S: Clone> Site<S> {
    /// The same for a thread of its own.
    pub(super) fn apart(&self) -> Self {
        Self { cached: self.cached.clone().apart(), house: self.house.clone() }
    }
}

/// The outermost service of one connection.
#[derive(Debug)]
pub(super) struct Front<S> {
    /// One for all connections of a thread.
    pub(super) site: Arc<ArcSwap<Site<S>>>,
    pub(super) peer: Peer,
    /// What the peer took, where that is limited and the peer is the client.
    pub(super) account: Option<Arc<Account>>,
    pub(super) interim: Arc<Interim>,
    pub(super) conduct: Arc<Conduct>,
    /// What is known of the next request before the server has read it.
    pub(super) turn: Arc<Turn>,
}

/// A request, as far as it is known who asks it.
struct Asked<'a> {
    arrival: Arrival,
    account: Option<Cow<'a, Arc<Account>>>,
}

/// What a look at a request's head comes to.
pub(super) enum Looked<'a> {
    /// An answer that is in memory.
    Hit(Hit<'a>),
    /// It is not served.
    Refused(Response<Full<Bytes>>),
    /// The layers are to answer it.
    Onward(Onward),
}

/// A request that the layers are to answer.
#[derive(Debug)]
pub(super) struct Onward {
    parts: Parts,
    arrival: Arrival,
    account: Option<Arc<Account>>,
}

/// What a look at a request came to, and which borrows nothing.
#[derive(Debug)]
pub(super) enum Known {
    /// Its answer.
    Answer(Response<EitherBody<HitBody, Full<Bytes>>>),
    /// That the layers are to answer it.
    Onward(Onward),
}

impl From<Looked<'_>> for Known {
    fn from(looked: Looked<'_>) -> Self {
        match looked {
            Looked::Hit(hit) => Self::Answer(hit.into_response().map(EitherBody::Left)),
            Looked::Refused(refused) => Self::Answer(refused.map(EitherBody::Right)),
            Looked::Onward(onward) => Self::Onward(onward),
        }
    }
}

impl Onward {
    /// Whether its answer may be kept under a key that is new.
    fn may_bring(&self, house: &House) -> bool {
        let account = self.account.as_ref();
        account.is_none_or(|account| house.clients.may_bring(account, &house.limits, self.arrival.at))
    }
}

impl<S> Front<S> {
    /// Who asks. What is said of it by whoever may not is taken off: nothing unless it `tells`. Without `priority` it names none.
    fn asked(
        &self,
        req: &mut Parts,
        (tells, priority): (bool, bool),
        house: &House,
        at: std::time::Instant,
    ) -> Asked<'_> {
        // As it is now: a connection may be older than the settings.
        let is_proxy = self.peer.is_proxy(&house.trust);
        let Origin { client, secure } = match is_proxy {
            true => self.peer.speaks_for(&req.headers, &house.trust),
            false => Origin { client: self.peer.address, secure: self.peer.secure },
        };
        if tells {
            take_off(&mut req.headers, is_proxy);
            if is_proxy && house.trust.header == ForwardedHeader::Forwarded {
                // What stands in the other field is not believed, and there the origin is told.
                say_client(&mut req.headers, client.filter(|client| Some(*client) != self.peer.address));
            }
        }
        set_scheme(req, secure);
        // A client that a proxy does not name counts as the proxy.
        let counts = client.or(self.peer.address);
        let account = match &self.account {
            Some(account) if !is_proxy => Some(Cow::Borrowed(account)),
            _ => counts.and_then(|client| house.clients.account(client, &house.limits, at)).map(Cow::Owned),
        };
        let trusted = client.is_some_and(|client| house.trusted.iter().any(|network| network.contains(client)));
        let arrival = Arrival { at, client, trusted, awaited: !(priority && is_background(&req.headers)) };
        Asked { arrival, account }
    }

    /// Looks at the head of a request that came at `at`, and whether its answer is in memory.
    pub(super) fn look<'a>(
        &self,
        site: &'a Site<S>,
        mut parts: Parts,
        body: Told,
        at: std::time::Instant,
    ) -> Looked<'a> {
        let Site { cached, house } = site;
        let seen = Glance::over(&parts.headers);
        let says = (seen.tells_of_client, seen.priority);
        if let Some(refused) = house.refusal(&parts, &seen, body) {
            return Looked::Refused(house.refuse(refused));
        }
        let Asked { arrival, account } = self.asked(&mut parts, says, house, at);
        if account.as_ref().is_some_and(|account| !house.clients.may_ask(account, &house.limits, arrival.at)) {
            let mut refused = house.refuse((StatusCode::TOO_MANY_REQUESTS, "too many requests\n".to_owned()));
            refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return Looked::Refused(refused);
        }
        match cached.at_once(&mut parts, body.none, &arrival) {
            Some(hit) => Looked::Hit(hit),
            None => Looked::Onward(Onward { parts, arrival, account: account.map(Cow::into_owned) }),
        }
    }

    /// Notes what the cache's layers, and the origin behind them, want to know of a request. Returns the number under which interim answers to it
    /// are sent.
    fn prepare(&self, onward: &mut Onward, may_bring: bool, house: &House) -> Option<u64> {
        let Onward { parts, arrival, .. } = onward;
        let version = parts.version;
        let known = &mut parts.extensions;
        if arrival.trusted {
            known.insert(Trusted);
        }
        if !arrival.awaited {
            // Whoever says so can only lower what his own request is worth.
            known.insert(Priority::Warm);
        }
        if !may_bring {
            known.insert(NoNewKeys);
        }
        known.insert(Deadline(arrival.at + house.limits.request_timeout));
        if let Some(address) = arrival.client {
            known.insert(ClientAddress(address));
        }
        // A client of HTTP/1.0 takes no interim answers (RFC 9110 §15.2), and the server has no way to send them over HTTP/2.
        let number = (version == Version::HTTP_11).then(|| self.interim.begin());
        let from = self.peer.address;
        known.insert(match number {
            Some(number) => FromClient::with_interim(from, Arc::clone(&self.interim) as _, number),
            None => FromClient::new(from),
        });
        number
    }
}

type Answer<RB> = Response<SentBody<RB>>;
type OfCache<S> = <Cached<S> as Service<Request<ClientBody>>>::Future;

impl<S, RB> hyper::service::Service<Request<Incoming>> for Front<S>
where
    Cached<S>: Service<Request<ClientBody>, Response = Response<CachedBody<RB>>, Error = Infallible> + Clone,
{
    type Response = Answer<RB>;
    type Error = Infallible;
    type Future = FrontFuture<OfCache<S>, RB>;

    fn call(&self, req: Request<Incoming>) -> Self::Future {
        let site = self.site.load();
        let Site { cached, house } = &**site;
        let (parts, body) = req.into_parts();
        let under_way = (parts.version == Version::HTTP_2).then(|| self.conduct.begin());
        // Over HTTP/2 nobody takes turns.
        let handed = if under_way.is_none() { self.turn.take() } else { None };
        let (known, over) = handed.map_or((None, None), |(known, over)| (known, Some(over)));
        let look = || self.look(&site, parts, Told::of(&body), Instant::now().into_std()).into();
        let known = known.unwrap_or_else(look);
        let until = Until { under_way, over };
        let mut onward = match known {
            Known::Answer(answer) => return FrontFuture::at_once(answer, until),
            Known::Onward(onward) => onward,
        };
        let may_bring = onward.may_bring(house);
        let interim = self.prepare(&mut onward, may_bring, house).map(|number| (Arc::clone(&self.interim), number));
        let Onward { parts, account, .. } = onward;
        let (body, told) = ClientBody::of_client(body, &house.limits);
        let mut req = Request::from_parts(parts, body);
        let verdict = told.map(|(verdict, upload)| {
            req.extensions_mut().insert(upload);
            verdict
        });
        // What has a state of its own is cloned: the service is every request's. Its layers are always ready to be called.
        let answer = After::new(Cached::clone(cached).call(req), interim);
        let account = account.filter(|_| house.limits.new_keys_per_client > 0 && may_bring);
        // The house is kept for those that may need it.
        let house = (verdict.is_some() || account.is_some()).then(|| Box::new(house.clone()));
        FrontFuture::Layers(Box::pin(Answering { answer, until: Some(until), verdict, account, house }))
    }
}

/// What ends with an answer.
struct Until {
    under_way: Option<UnderWay>,
    #[expect(dead_code, reason = "held for its drop")]
    over: Option<Over>,
}

pin_project! {
    /// A request that the layers answer.
    pub(super) struct Answering<F: Future> {
        #[pin]
        answer: After<F>,
        until: Option<Until>,
        verdict: Option<Verdict>,
        account: Option<Arc<Account>>,
        house: Option<Box<House>>,
    }

    impl<F: Future> PinnedDrop for Answering<F> {
        fn drop(this: Pin<&mut Self>) {
            // Still here: nobody waits for the answer any more.
            if let Some(under_way) = this.project().until.take().and_then(|until| until.under_way) {
                under_way.taken_back();
            }
        }
    }
}

impl<F, RB> Future for Answering<F>
where
    F: Future<Output = Result<Response<CachedBody<RB>>, Infallible>>,
{
    type Output = Result<Answer<RB>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx))?;
        let until = this.until.take().expect("a future is not polled after it is ready");
        if let (Some(house), Some(account)) = (&*this.house, &*this.account)
            && is_new(response.headers())
        {
            house.clients.brought(account, &house.limits, Instant::now().into_std());
        }
        let fault = this.verdict.as_ref().and_then(|verdict| verdict.get());
        let response = match (fault, &*this.house) {
            // Whatever the origin made of a body that ended early: it was the client's fault.
            (Some(fault), Some(house)) => house.refuse(house.fault(*fault)).map(EitherBody::Right),
            _ => response.map(EitherBody::Left),
        };
        // With one of its own the server would have something to write after the end of the body, and with it after its `Over`.
        debug_assert!(
            !response.headers().contains_key(header::TRANSFER_ENCODING),
            "the server codes what it transfers"
        );
        Poll::Ready(Ok(response.map(|body| SentBody::new(body, until))))
    }
}

/// Whether an answer says that a key which nobody had came with it (RFC 9211): the last word is our outermost tier's.
fn is_new(headers: &HeaderMap) -> bool {
    let Some(line) = headers.get_all(CACHE_STATUS).iter().next_back().and_then(|line| line.to_str().ok()) else {
        return false;
    };
    let own = line.rsplit(", ").next().unwrap_or_default();
    let missed = own.contains("; fwd=uri-miss") || own.contains("; fwd=vary-miss");
    own.ends_with("; stored") && missed && !line.contains("; hit")
}

/// An answer that is there, or one from further in.
#[expect(clippy::large_enum_variant, reason = "a hit takes no memory of its own for this")]
pub(super) enum FrontFuture<F: Future, RB> {
    AtOnce(Option<Answer<RB>>),
    // Boxed: its room would be part of every hit.
    Layers(Pin<Box<Answering<F>>>),
}

impl<F: Future, RB> FrontFuture<F, RB> {
    fn at_once(answer: Response<EitherBody<HitBody, Full<Bytes>>>, until: Until) -> Self {
        let inside = |body| match body {
            EitherBody::Left(hit) => EitherBody::Left(CachedBody::from(hit)),
            EitherBody::Right(text) => EitherBody::Right(text),
        };
        Self::AtOnce(Some(answer.map(|body| SentBody::new(inside(body), until))))
    }
}

impl<F, RB> Future for FrontFuture<F, RB>
where
    F: Future<Output = Result<Response<CachedBody<RB>>, Infallible>>,
{
    type Output = Result<Answer<RB>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::AtOnce(answer) => Poll::Ready(Ok(answer.take().expect("a future is not polled after it is ready"))),
            Self::Layers(answer) => answer.as_mut().poll(cx),
        }
    }
}

type Inside<RB> = EitherBody<CachedBody<RB>, Full<Bytes>>;

pin_project! {
    /// An answer's body; its request is under way until it is gone.
    pub(super) struct SentBody<RB> {
        #[pin]
        body: Inside<RB>,
        until: Until,
    }
}

impl<RB> SentBody<RB> {
    fn new(body: Inside<RB>, mut until: Until) -> Self {
        // The server asks for the first piece once there is room for it.
        until.under_way.iter_mut().for_each(UnderWay::owe);
        Self { body, until }
    }
}

impl<RB> Body for SentBody<RB>
where
    Inside<RB>: Body,
{
    type Data = <Inside<RB> as Body>::Data;
    type Error = <Inside<RB> as Body>::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(under_way) = &mut this.until.under_way else { return this.body.poll_frame(cx) };
        under_way.paid();
        let frame = this.body.poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(_))) {
            under_way.owe();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
