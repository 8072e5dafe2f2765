//! The head under which an answer is stored.

use std::{sync::Arc, time::Duration};

use edge_cache_core::{
    Entry, Head, Kind, NoStore, PackedHeaders, TagHash, TagSet, TierName, Timestamp, headers::CACHE_STATUS,
    marker::Start,
};
use edge_cache_policy::{
    date, groups, hop, identity,
    range::Held,
    response::{self, Asked, Plan},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Keyed;

/// What must be known of the exchange that brought the answer.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) keyed: &'a Keyed,
    pub(crate) start: Start,
    pub(crate) requested: Timestamp,
    /// By the wall clock, which may say that it was before the request.
    pub(crate) received: Timestamp,
    pub(crate) took: Duration,
    /// Evenly drawn from `[0, 1)`, for jitter.
    pub(crate) unit: f64,
    pub(crate) keep_tags: bool,
}

/// What is kept of an answer's head.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) head: Arc<Head>,
    /// The headers in it, before they were packed.
    pub(crate) headers: HeaderMap,
    /// The fields that only the leader gets.
    pub(crate) withheld: HeaderMap,
}

impl Exchange<'_> {
    /// What is kept of a head. `old` is the entry whose body a 304, or the answer to a HEAD, leaves standing.
    pub(crate) fn head(&self, status: StatusCode, answer: &HeaderMap, old: Option<&Entry>) -> Result<Planned, NoStore> {
        let asked = Asked {
            mode: self.keyed.mode(),
            route: self.keyed.route(),
            authorization: self.keyed.authorization(),
            no_store: self.keyed.directives().no_store,
            requested: self.requested,
            received: self.received,
            unit: self.unit,
        };
        if let Some(belief) = self.keyed.belief()
            && let Some(why) = identity::said_against(belief.watch.identity(belief.route_at), status, answer)
        {
            belief.watch.distrust(belief.route_at, why);
        }
        let Plan { freshness, withheld } = response::plan(&asked, status, answer)?;
        let kind = kind(status, answer)?;
        let tags = self.tags(answer, old)?;
        if withheld.contains(&header::VARY) {
            // Without it nobody could tell for whom the answer is.
            return Err(NoStore::VaryStar);
        }
        let mut headers = answer.clone();
        hop::strip(&mut headers);
        remove_own_members(&mut headers);
        if !self.keep_tags {
            groups::strip(&mut headers);
        }
        headers.remove(header::AGE);
        let mut leaders = HeaderMap::new();
        for name in &withheld {
            leaders.extend(headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            headers.remove(name);
        }
        if !headers.contains_key(header::DATE) {
            // A handler's answer has no date until a server gives it one; what is kept needs the date of its birth.
            let date = HeaderValue::try_from(date::format(self.received)).expect("a date is a header value");
            headers.insert(header::DATE, date);
        }
        let head = Head {
            kind,
            status,
            headers: PackedHeaders::pack(&headers),
            freshness,
            fence: self.start.fence,
            tags,
            fill_millis: u32::try_from(self.took.as_millis()).unwrap_or(u32::MAX),
        };
        Ok(Planned { head: Arc::new(head), headers, withheld: leaders })
    }

    fn tags(&self, answer: &HeaderMap, old: Option<&Entry>) -> Result<TagSet, NoStore> {
        let (named, groups) = (groups::tags(answer).ok_or(NoStore::Tags)?, groups::member_of(answer));
        if named.len() + groups.len() > TagSet::USER_TAGS_MAX {
            return Err(NoStore::Tags);
        }
        let tags = TagSet::new(&self.keyed.key().parts(), named, groups.iter().map(String::as_str));
        // What is declared of a route may be found to be wrong: then all of it must go, under whatever authority.
        let tags = match self.keyed.belief() {
            Some(_) => tags.and(TagHash::route(self.keyed.key().parts().tenant, &self.keyed.route().name)),
            None => tags,
        };
        let Some(old) = old else { return Ok(tags) };
        let tags = tags.union(&old.head().tags);
        (tags.as_slice().len() <= TagSet::GATHERED_MAX).then_some(tags).ok_or(NoStore::Tags)
    }
}

fn kind(status: StatusCode, answer: &HeaderMap) -> Result<Kind, NoStore> {
    if status != StatusCode::PARTIAL_CONTENT {
        return Ok(Kind::Response);
    }
    // Several parts in one body say where they lie only inside it.
    let announced = answer.get(header::CONTENT_RANGE).and_then(|range| Held::announced(range.as_bytes()));
    announced.map(|_| Kind::Partial).ok_or(NoStore::Part)
}

/// `Cache-Status` lines that an inner tier of ours added.
pub(super) fn own_members(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(CACHE_STATUS).iter().filter(|line| is_own(line)).cloned().collect()
}

fn is_own(line: &HeaderValue) -> bool {
    let member = line.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
    TierName::ALL.iter().any(|tier| member == tier.member().as_bytes())
}

pub(super) fn remove_own_members(headers: &mut HeaderMap) {
    if headers.get_all(CACHE_STATUS).iter().any(is_own) {
        let others: Vec<_> = headers.get_all(CACHE_STATUS).iter().filter(|line| !is_own(line)).cloned().collect();
        headers.remove(CACHE_STATUS);
        for line in others {
            headers.append(CACHE_STATUS, line);
        }
    }
}
