//! The model: a list of what was said, and the paragraphs of RFC 9111 asked of it one by one.

use std::{
    ops::Range,
    time::{Duration, UNIX_EPOCH},
};

use http::Request;

use crate::script::{Control, Method, Reply, Step, Vary, Wants};

/// One exchange with the origin.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    get: bool,
    language: String,
    authorization: bool,
    no_store: bool,
    requested: u64,
    received: u64,
    status: u16,
    hung_up: bool,
    /// The exchange whose body it is: its own, or for a 304 the one that it confirms.
    body: usize,
    /// What now holds of the representation: of a 304, laid over what held before.
    control: Control,
    expires: Option<i64>,
    date: u64,
    age: Option<u64>,
    last_modified: Option<u64>,
    vary: Vary,
    /// The tag in the request's `If-None-Match`.
    none_match: Option<usize>,
}

/// Everything the origin said, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    said: Vec<Said>,
    /// Exchanges that changed the resource: what was read before is invalid (§4.4).
    writes: Vec<usize>,
}

/// An answer of the cache.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) step: &'a Step,
    pub(crate) began: u64,
    pub(crate) answered: u64,
    /// The exchanges made for it.
    pub(crate) asked: Range<usize>,
    pub(crate) status: u16,
    /// Which exchange its headers are of.
    pub(crate) id: Option<String>,
    pub(crate) text: String,
    pub(crate) age: Option<u64>,
}

type Head = (u16, Vec<(&'static str, String)>, String);

impl Said {
    pub(crate) fn new(req: &Request<()>, reply: &Reply, requested: u64, received: u64) -> Self {
        let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let date = received - reply.date_behind;
        Self {
            get: req.method() == "GET",
            language: normal(&header("accept-language").unwrap_or_default()),
            authorization: header("authorization").is_some(),
            no_store: header("cache-control").is_some_and(|cc| cc.contains("no-store")),
            requested,
            received,
            status: reply.status,
            hung_up: reply.hangs_up,
            body: 0,
            control: reply.control.clone(),
            expires: reply.expires.map(|after| i64::try_from(date).unwrap() + after),
            date,
            age: reply.age,
            last_modified: reply.last_modified.map(|before| date - before),
            vary: reply.vary,
            none_match: header("if-none-match").and_then(|tag| tag.trim_matches('"').parse().ok()),
        }
    }

    /// §4.2.1 and §4.2.2, in tenths of a second: a tenth of the age of `Last-Modified` need not be a whole number.
    fn lifetime(&self) -> u64 {
        let date = i64::try_from(self.date).unwrap();
        if let Some(seconds) = self.control.s_maxage.or(self.control.max_age) {
            return seconds * 10;
        }
        if let Some(expires) = self.expires {
            return u64::try_from(expires - date).unwrap_or(0) * 10;
        }
        let heuristic = matches!(self.status, 200 | 404) || self.control.public;
        self.last_modified.filter(|_| heuristic).map_or(0, |modified| self.date - modified)
    }

    /// §4.2.3.
    fn age_at(&self, now: u64) -> u64 {
        let apparent = self.received.saturating_sub(self.date);
        let corrected = self.age.unwrap_or(0) + (self.received - self.requested);
        apparent.max(corrected) + (now - self.received)
    }

    /// §3 and §3.5.
    fn may_be_stored(&self) -> bool {
        let cc = &self.control;
        let explicit = cc.max_age.is_some() || cc.s_maxage.is_some() || self.expires.is_some();
        let status = matches!(self.status, 200 | 404) || explicit || cc.public;
        let shared = !self.authorization || cc.public || cc.must_revalidate || cc.s_maxage.is_some();
        self.get
            && !self.hung_up
            && !self.no_store
            && !cc.no_store
            && !cc.private
            && self.vary != Vary::Star
            && status
            && shared
    }

    /// §4.2.4 and the directives it points to.
    fn forbids_stale(&self) -> bool {
        let cc = &self.control;
        cc.must_revalidate || cc.proxy_revalidate || cc.no_cache || cc.s_maxage.is_some()
    }
}

/// Languages without weights mean the same in any order and case (RFC 9110 §12.5.4).
fn normal(languages: &str) -> String {
    let mut all: Vec<_> = languages.split(',').map(|language| language.trim().to_lowercase()).collect();
    all.sort();
    all.join(",")
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.said.len()
    }

    /// Writes an exchange down; what the origin sends for it.
    pub(crate) fn note(&mut self, mut said: Said, reply: &Reply) -> Head {
        let id = self.said.len();
        said.body = id;
        let held = said.none_match.filter(|_| reply.confirms && said.get && said.status == 200 && !said.hung_up);
        // What was last known of the representation that the request holds.
        let held = held.and_then(|body| self.said.iter().rev().find(|before| before.body == body).cloned());
        let mut headers = vec![("x-id", id.to_string()), ("date", date(said.date))];
        let mut push = |name, value: Option<String>| headers.extend(value.map(|value| (name, value)));
        push("cache-control", reply.control.text(reply.odd));
        push("expires", said.expires.map(|at| date(u64::try_from(at).unwrap())));
        push("age", said.age.map(|age| age.to_string()));
        push("last-modified", said.last_modified.map(date));
        let Some(held) = held else {
            push("etag", reply.etag.then(|| format!("\"{id}\"")));
            push(
                "vary",
                match reply.vary {
                    Vary::None => None,
                    Vary::Language => Some("Accept-Language".to_owned()),
                    Vary::Star => Some("*".to_owned()),
                },
            );
            let status = said.status;
            self.said.push(said);
            return (status, headers, format!("body {id}"));
        };
        // §3.2: each field of the 304 replaces the stored one. What it would leave standing it says again, so that it does not matter
        // which of several confirmations the cache had kept.
        push("etag", Some(format!("\"{}\"", held.body)));
        if reply.control.text(false).is_none() {
            push("cache-control", held.control.text(reply.odd));
            said.control = held.control;
        }
        if said.expires.is_none() {
            push("expires", held.expires.map(|at| date(u64::try_from(at).unwrap())));
            said.expires = held.expires;
        }
        if said.last_modified.is_none() {
            push("last-modified", held.last_modified.map(date));
            said.last_modified = held.last_modified;
        }
        (said.body, said.vary, said.status) = (held.body, held.vary, held.status);
        self.said.push(said);
        (304, headers, String::new())
    }

    /// An unsafe request was answered so.
    pub(crate) fn note_write(&mut self, id: usize, status: u16) {
        // A 502 that stands for no answer at all cannot tell, and counts as a change.
        if id < self.said.len() && (status < 400 || self.said[id].hung_up) {
            self.writes.push(id);
        }
    }

    /// Whether a shared cache may give this answer.
    pub(crate) fn judge(&self, given: &Given<'_>) -> Result<(), String> {
        let step = given.step;
        if self.should_be_a_hit(given) && !given.asked.is_empty() {
            return Err("the origin was asked for what it had just said".into());
        }
        if step.wants.only_if_cached
            && step.method == Method::Get
            && !given.asked.is_empty()
            && !self.refreshed_behind(given)
        {
            return Err("§5.2.1.7: only-if-cached reached the origin".into());
        }
        let Some(id) = &given.id else {
            // Made by the cache itself: nobody else had an answer.
            let alone = step.wants.only_if_cached || self.failed(given);
            let right = alone && matches!(given.status, 502..=504);
            return right.then_some(()).ok_or_else(|| "an answer of nobody's".into());
        };
        let id: usize = id.parse().unwrap();
        let said = &self.said[id];
        if given.text != format!("body {}", said.body) {
            return Err(format!("the body is not that of exchange {}", said.body));
        }
        if given.asked.contains(&id) && !self.refreshed_behind(given) {
            return Ok(());
        }
        self.reuse(given, id, said)
    }

    /// An answer from what was said before: every condition of §4.
    fn reuse(&self, given: &Given<'_>, id: usize, said: &Said) -> Result<(), String> {
        let (wants, now) = (&given.step.wants, given.answered);
        let because = |broken: bool, why: &str| if broken { Err(format!("exchange {id}: {why}")) } else { Ok(()) };
        because(given.step.method != Method::Get, "§4: not an answer to this method")?;
        let stored = [said, &self.said[said.body]];
        because(!stored.iter().all(|said| said.may_be_stored()), "§3: may not be stored")?;
        because(self.writes.iter().any(|write| *write > id), "§4.4: invalidated since")?;
        let language = &self.said[said.body].language;
        let differs = said.vary == Vary::Language && *language != normal(given.step.language);
        because(differs, "§4.1: another variant")?;
        because(said.control.no_cache, "§5.2.2.4: no-cache, and not validated")?;
        because(wants.no_cache, "§5.2.1.4: no-cache in the request")?;

        let (age, lifetime) = (said.age_at(given.began), said.lifetime());
        because(given.age.is_some_and(|told| told < age), "§5.1: Age is too low")?;
        because(wants.max_age.is_some_and(|max| age > max), "§5.2.1.1: older than the request wants")?;
        because(wants.min_fresh.is_some_and(|min| lifetime < 10 * (age + min)), "§5.2.1.3: not fresh for long enough")?;
        if lifetime > 10 * age {
            return Ok(());
        }
        because(said.forbids_stale(), "§4.2.4: forbidden to be served stale")?;
        let stale_for = |window: u64, now: u64| 10 * said.age_at(now) - lifetime <= 10 * window;
        // A client that names seconds means whole ones.
        let by_client = wants.max_stale.is_some_and(|max| max.is_none_or(|max| (10 * age - lifetime) / 10 <= max));
        let unasked = wants.max_age.is_none() && wants.min_fresh.is_none();
        let revalidating = unasked && said.control.swr.is_some_and(|window| stale_for(window, given.began));
        let failed = self.failed(given) && (if wants.max_stale.is_some() { by_client } else { unasked });
        let in_error = failed && said.control.sie.map_or(self.hung_up(given), |window| stale_for(window, now));
        because(!(by_client || revalidating || in_error), "§4.2: stale")
    }

    /// A cache that never answers breaks no rule: what the origin said last, fresh and for the same question, must be a hit.
    fn should_be_a_hit(&self, given: &Given<'_>) -> bool {
        let Some((id, said)) = given.asked.start.checked_sub(1).map(|id| (id, &self.said[id])) else { return false };
        let step = given.step;
        let plain = step.method == Method::Get && step.wants == Wants::default();
        let same = said.vary == Vary::None || said.language == normal(step.language);
        let kept = said.may_be_stored() && self.said[said.body].may_be_stored() && !said.control.no_cache;
        plain
            && same
            && kept
            && !self.writes.iter().any(|write| *write > id)
            && said.lifetime() > 10 * said.age_at(given.began)
    }

    /// The exchanges of this request came behind its answer: RFC 5861 §3.
    fn refreshed_behind(&self, given: &Given<'_>) -> bool {
        given.id.as_ref().and_then(|id| id.parse::<usize>().ok()).is_some_and(|id| id < given.asked.start)
    }

    fn failed(&self, given: &Given<'_>) -> bool {
        self.said[given.asked.clone()].iter().any(|said| said.hung_up || matches!(said.status, 500 | 502..=504))
    }

    fn hung_up(&self, given: &Given<'_>) -> bool {
        self.said[given.asked.clone()].iter().any(|said| said.hung_up)
    }
}

fn date(at: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
}
