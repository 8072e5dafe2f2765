//! What is stale: who may have it instead of an answer of the origin (RFC 9111 §4.2.4, RFC 5861).

use std::time::Duration;

use edge_cache_core::{
    AskedBehind, Entry, Fwd, Level, Store, Timestamp,
    marker::{Standing, Verdict},
};
use edge_cache_policy::{
    Mode,
    request::{limits_errors, wants_no_stale},
};
use http::{Response, StatusCode};

use super::{respond, slow::Trip};
use crate::{TierBody, flight::Away};

impl<St: Store> Trip<'_, St> {
    /// The entry that may be served because the origin failed in this request. Stale copies are for the outer tier to serve when the
    /// purpose is a newer answer.
    pub(super) fn fallback(&self, now: Timestamp, away: Away) -> Option<(&Entry, Verdict)> {
        let (entry, _) = self.lookup.entry.as_ref()?;
        // Judged again: time has passed since it was looked up.
        let verdict = self.shared.markers.judge(entry);
        let head = entry.head();
        let freshness = &head.freshness;
        // Without an answer of the origin a cache may serve what nothing forbids to serve stale (RFC 9111 §4.2.4), for as long as the
        // answer itself, or else the configuration, says.
        let disconnected = away == Away::Yes
            && freshness.stale_allowed
            && now < freshness.fresh_until + self.shared.config.stale_if_disconnected
            && !limits_errors(&head.headers);
        // A soft purge begins the time in which an error may be covered anew.
        let purged = if verdict == Verdict::Live { None } else { self.shared.markers.soft_since(entry) };
        let outlived = purged.is_some_and(|since| {
            let window = freshness.error_until.since(freshness.fresh_until);
            let window = if disconnected { window.max(self.shared.config.stale_if_disconnected) } else { window };
            now >= since + window
        });
        // To the letter what was invalidated is validated before it is used again (RFC 9111 §4.4).
        let refused = self.keyed.mode() == Mode::Rfc
            && (verdict == Verdict::Soft
                || purged.is_some()
                || wants_no_stale(freshness, self.keyed.directives(), now));
        let usable = match verdict {
            Verdict::Live => true,
            Verdict::Soft => !outlived,
            Verdict::CutOff => !outlived && self.may_be_unaware(),
            Verdict::Gone => false,
        };
        let allowed = !self.ask.refresh
            && !refused
            && usable
            && (freshness.serves_errors(now) || disconnected)
            && self.suffices(entry);
        allowed.then_some((entry, verdict))
    }

    /// Whether the route says that a node without its backplane may cover an error for this long, whatever it has not heard.
    fn may_be_unaware(&self) -> bool {
        match self.shared.markers.standing() {
            Standing::CutOff { since: Some(since) } => since < self.keyed.route().stale_when_cut,
            // Never in step, or back since the entry was judged: what was heard meanwhile may have taken it.
            Standing::CutOff { since: None } | Standing::Alone | Standing::InStep => false,
        }
    }

    /// The stale entry because the origin failed, by an answer of this status if it gave one.
    pub(super) fn stale<RB>(&self, away: Away, answered: Option<StatusCode>) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let (entry, verdict) = self.fallback(now, away)?;
        let detail = if verdict == Verdict::CutOff {
            "cut-off"
        } else if away == Away::Yes {
            "disconnected"
        } else {
            "stale-if-error"
        };
        self.note("the origin failed: answers with what is stale");
        // Whoever was away answered nothing: what stands for it was made on this side.
        let why = (detail, answered.filter(|_| away == Away::No));
        let mut response = respond::stale(self.shared.store.name(), &self.lookup.key, entry, &self.ask, now, why);
        response.extensions_mut().insert(AskedBehind);
        Some(response)
    }

    /// The stale entry though the origin may yet answer: not one that was purged.
    pub(super) fn stale_unpurged<RB>(&self, detail: &'static str) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let (entry, verdict) = self.fallback(now, Away::No)?;
        let live = verdict == Verdict::Live;
        live.then(|| {
            let why = (detail, None);
            let mut response = respond::stale(self.shared.store.name(), &self.lookup.key, entry, &self.ask, now, why);
            response.extensions_mut().insert(AskedBehind);
            response
        })
    }

    /// Whether what is stale is served without asking, because the origin is pressed. A purged entry never is, nor what a client wants new.
    pub(super) fn is_stretched(&self, entry: &Entry) -> bool {
        self.shared.pressure.level() >= Level::Stretch
            && self.lookup.fwd != Fwd::Request
            && self.now() < entry.head().freshness.fresh_until + self.shared.config.stale_under_pressure
    }

    /// How long to wait for the origin: shorter where a stale copy will do instead.
    pub(super) fn patience(&self) -> Option<Duration> {
        let guarded = self.keyed.mode() == Mode::Guarded;
        let live = matches!(self.fallback(self.now(), Away::No), Some((_, Verdict::Live)));
        (guarded && live && self.lookup.fwd != Fwd::Request).then_some(self.shared.config.wait_soft)
    }
}
