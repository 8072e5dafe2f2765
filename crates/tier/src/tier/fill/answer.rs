//! What becomes of the answer to a fill's question.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{Disconnected, Entry, Handoff, Head, Kind, NoStore, Outcome, Store, Timestamp};
use edge_cache_policy::{conditional, response::is_failure};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;

use super::{
    Pad, Purpose,
    landing::is_of_request,
    stream::{Shape, content_length},
};
use crate::{
    flight::Away,
    tier::{
        early, parts,
        plan::{Exchange, own_members},
        respond::Inner,
    },
};

/// What was asked further in.
pub(super) struct Asked {
    pub(super) purpose: Purpose,
    /// What the tier held then.
    pub(super) held: Option<Entry>,
    /// A 304 confirms that.
    pub(super) validating: bool,
    pub(super) requested: Timestamp,
    /// The client wanted it from the origin, whatever is held.
    pub(super) by_request: bool,
}

/// What is done with an answer.
pub(super) enum Next<RB> {
    /// All of it is there: it is stored.
    Whole(Entry, Inner),
    /// It is stored under this head when its body has come.
    Body(Arc<Head>, RB, Inner, Shape),
    /// It confirms what is held, and may not be kept with the headers that came.
    Confirmed(Entry, HeaderMap, Inner, NoStore),
    /// Not stored either, and newer than what is held of the same, which goes.
    Superseded(Response<RB>, NoStore),
    /// The origin's own failure is not stored, and counts against it.
    ServerError(Response<RB>, Away),
    /// Neither stored nor a failure.
    Through(Response<RB>, NoStore),
}

/// Whether a status says what is at the URL now: and neither how the one request was put, nor how its origin does.
const fn is_of_resource(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 207..=303 | 305..=399 | 401 | 403 | 404 | 410 | 451)
}

impl<St: Store, RB: Body<Data = Bytes>, E> Pad<St, RB, E> {
    /// Decides what becomes of `response`.
    pub(super) fn judge(&mut self, asked: Asked, response: Response<RB>) -> Next<RB> {
        let Asked { purpose, held, validating, requested, by_request } = asked;
        let start = self.start;
        let answered = Instant::now();
        let received = self.shared.clock.at(answered.into_std());
        let status = response.status().as_u16();
        self.note_later(answered, move || format!("was answered {status}"));
        let (mut parts, body) = response.into_parts();
        let handoff = parts.extensions.remove::<Handoff>();
        let mut said = Inner {
            status: own_members(&parts.headers),
            answered: Some(parts.status),
            outcome: parts.extensions.get::<Outcome>().copied(),
            withheld: handoff.as_ref().and_then(|handoff| handoff.withheld.clone()),
            headers: None,
        };

        if let Some(entry) = handoff.as_ref().and_then(Handoff::entry) {
            // An inner tier answered from an entry: it moves up as it is, its instants and fence with it.
            if entry.head().kind == Kind::Response || matches!(purpose, Purpose::Part) {
                self.held_further_in = true;
                return Next::Whole(entry.clone(), said);
            }
            // A part, where more is wanted: its head tells which, its body comes with the answer.
        }
        if let Some(handoff) = &handoff {
            // The inner tier's fill may have begun before this one.
            self.start = handoff.start;
        }
        let exchange = Exchange {
            keyed: &self.keyed.clone(),
            start,
            requested,
            received,
            took: early::smoothed(held.as_ref().map(|entry| entry.head().fill_millis), answered - self.began),
            unit: self.shared.rng.unit(),
            keep_tags: self.shared.config.keep_tags,
        };
        // What is fresh may be used to its end, unless somebody wanted it from the origin.
        let is_over = |entry: &Entry| by_request || entry.head().freshness.fresh_until <= received;
        let replaces = matches!(purpose, Purpose::Whole) && held.as_ref().is_some_and(is_over);
        // A 304 to our validators: the body stands, the head is new (RFC 9111 §4.3.4).
        let confirmed = held.filter(|_| validating && parts.status == StatusCode::NOT_MODIFIED);
        if let Some(held) = &confirmed {
            parts.headers = conditional::freshen(&held.head().headers, &parts.headers);
            parts.status = held.head().status;
        }
        let head = match handoff {
            Some(handoff) => Ok(handoff.into_head()),
            None => match exchange.head(parts.status, &parts.headers, confirmed.as_ref()) {
                Ok(_) if self.one_too_many => Err(NoStore::NewKeys),
                planned => planned.map(|planned| said.take(planned)),
            },
        };
        if let Some(held) = confirmed {
            self.note("it has not changed");
            return match head {
                Ok(head) => Next::Whole(Entry::new(Arc::unwrap_or_clone(head), held.body().clone(), self.start), said),
                Err(why) => Next::Confirmed(held, parts.headers, said, why),
            };
        }
        let supersedes = replaces && !self.keyed.authorization() && is_of_resource(parts.status);
        // A cookie is for one client, and says nothing of what others would get.
        let unstored = |response, why| match supersedes && !is_of_request(why) && why != NoStore::SetCookie {
            true => Next::Superseded(response, why),
            false => Next::Through(response, why),
        };
        let max = self.shared.store.body_bytes_max();
        let hinted = body.size_hint().lower();
        let too_large = |head: &Head| hinted > max || content_length(head) > Some(max);
        match head.and_then(|head| self.shape(head, purpose)) {
            Ok((head, Shape::Whole | Shape::Part)) if too_large(&head) => {
                unstored(Response::from_parts(parts, body), NoStore::TooLarge)
            }
            Ok((head, shape)) => {
                if matches!(shape, Shape::Rest { .. }) {
                    // The head is that of the whole now.
                    said.headers = None;
                }
                Next::Body(head, body, said, shape)
            }
            Err(_) if is_failure(parts.status, self.keyed.mode()) => {
                let away = if parts.extensions.get::<Disconnected>().is_some() { Away::Yes } else { Away::No };
                Next::ServerError(Response::from_parts(parts, body), away)
            }
            Err(why) => unstored(Response::from_parts(parts, body), why),
        }
    }

    /// How the body belongs to what is asked for, and the head to store it under: that of the whole where it completes one.
    ///
    /// # Errors
    /// A part that nobody asked for.
    fn shape(&mut self, head: Arc<Head>, purpose: Purpose) -> Result<(Arc<Head>, Shape), NoStore> {
        if head.kind != Kind::Partial {
            return Ok((head, Shape::Whole));
        }
        match purpose {
            Purpose::Whole => Err(NoStore::Part),
            Purpose::Part => Ok((head, Shape::Part)),
            Purpose::Rest(part) => {
                let (completed, rest_len) = parts::completed(&part, &head).ok_or(NoStore::Part)?;
                // As old as its older part.
                self.start = part.start();
                Ok((Arc::new(completed), Shape::Rest { first: part.body().clone(), rest_len }))
            }
        }
    }
}
