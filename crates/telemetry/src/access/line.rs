//! What a line says, and how it waits to be written.
//!
//! A line is put into words by whoever writes it to the file, not by the thread that answers hits. Until then it is numbers and texts without
//! their names, a third as long: what is long costs twice, since it passes from one core's cache to another's.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use edge_cache_core::{Outcome, RequestId, Served, TierName, Timestamp};
use http::{HeaderValue, StatusCode, Version};

use crate::finished::{Agent, Finished};

/// What the access log says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) at: Timestamp,
    pub(super) id: RequestId,
    /// `None` for one that begins here and whose spans nobody keeps: it leads nowhere.
    pub(super) trace: Option<u128>,
    pub(super) client: Option<IpAddr>,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    /// To the second.
    pub(super) age: Option<Duration>,
    pub(super) method: &'a [u8],
    pub(super) host: Option<&'a [u8]>,
    pub(super) target: &'a [u8],
    pub(super) route: &'a [u8],
    pub(super) cache_status: &'a [u8],
    pub(super) referer: Option<&'a [u8]>,
    pub(super) user_agent: Option<&'a [u8]>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// To the microsecond.
    pub(super) took: Duration,
    pub(super) body_bytes: u64,
}

/// A line that lacks its end.
#[derive(Debug)]
pub(crate) struct Noted(Vec<u8>);

/// What a number of a line's second and third byte, of which each has four bits, stands for.
const VERSIONS: [Version; 5] = [Version::HTTP_09, Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3];
const TIERS: [Option<TierName>; 4] = [None, Some(TierName::Memory), Some(TierName::Redis), Some(TierName::Disk)];

const HAS_TRACE: u8 = 1;
const HAS_V4: u8 = 2;
const HAS_V6: u8 = 4;

impl<'a> Line<'a> {
    pub(super) fn of(request: &Finished<'a>) -> Self {
        let Agent { referer, user_agent } = request.agent;
        let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
        Self {
            at: request.at,
            id: request.context.id,
            trace: (request.context.sampled || request.context.parent.is_some()).then_some(request.context.trace),
            client: request.client,
            version: request.version,
            status: request.status,
            outcome: request.outcome,
            age: request.age,
            method: request.method.as_str().as_bytes(),
            host: authority.or(request.host.map(HeaderValue::as_bytes)),
            target: request.uri.path_and_query().map_or("*", |target| target.as_str()).as_bytes(),
            route: request.route.as_bytes(),
            cache_status: request.cache_status.as_bytes(),
            referer: referer.map(HeaderValue::as_bytes),
            user_agent: user_agent.map(HeaderValue::as_bytes),
        }
    }

    /// Its numbers, the lengths of its texts, its texts.
    pub(super) fn note(&self) -> Noted {
        let mut numbers = Numbers::NONE;
        numbers.put(self.at.as_millis().to_le_bytes());
        numbers.put(self.id.0.to_le_bytes());
        let version = VERSIONS.iter().position(|version| *version == self.version).unwrap_or(2) as u8;
        let tier = TIERS.iter().position(|tier| *tier == self.outcome.tier).unwrap_or(0) as u8;
        let client = match self.client {
            None => 0,
            Some(IpAddr::V4(_)) => HAS_V4,
            Some(IpAddr::V6(_)) => HAS_V6,
        };
        let with = client | if self.trace.is_some() { HAS_TRACE } else { 0 };
        numbers.put([with | (version << 4), self.outcome.served as u8 | (tier << 4)]);
        numbers.put(self.status.as_u16().to_le_bytes());
        if let Some(trace) = self.trace {
            numbers.put(trace.to_le_bytes());
        }
        match self.client {
            None => {}
            Some(IpAddr::V4(client)) => numbers.put(client.octets()),
            Some(IpAddr::V6(client)) => numbers.put(client.octets()),
        }
        numbers.put_short(self.age.map_or(0, |age| age.as_secs().saturating_add(1)));
        let Self { method, host, target, route, cache_status, referer, user_agent, .. } = *self;
        let texts = [Some(method), host, Some(target), Some(route), Some(cache_status), referer, user_agent];
        let mut long = 0;
        for text in &texts {
            numbers.put_short(text.map_or(0, |text| text.len() as u64 + 1));
            long += text.map_or(0, |text| text.len());
        }
        let mut noted = Vec::with_capacity(numbers.len + long);
        noted.extend_from_slice(&numbers.bytes[..numbers.len]);
        texts.iter().flatten().for_each(|text| noted.extend_from_slice(text));
        Noted(noted)
    }

    /// Takes the first of those that wait; `None` where none is left.
    pub(super) fn take(waiting: &mut &'a [u8]) -> Option<(Self, End)> {
        let mut noted = Rest(waiting);
        let body_bytes = noted.take_short()?;
        let end = End { took: Duration::from_micros(noted.take_short()?), body_bytes };
        let at = Timestamp::from_millis(i64::from_le_bytes(noted.take()?));
        let id = RequestId(u64::from_le_bytes(noted.take()?));
        let [with_version, served_tier] = noted.take()?;
        let status = u16::from_le_bytes(noted.take()?);
        let trace = if with_version & HAS_TRACE == 0 { None } else { Some(u128::from_le_bytes(noted.take()?)) };
        let client = match with_version & (HAS_V4 | HAS_V6) {
            0 => None,
            HAS_V4 => Some(Ipv4Addr::from(noted.take()?).into()),
            _ => Some(Ipv6Addr::from(noted.take()?).into()),
        };
        let age = noted.take_short()?.checked_sub(1).map(Duration::from_secs);
        let mut lens = [0; 7];
        for len in &mut lens {
            *len = noted.take_short()?;
        }
        let mut texts = [None; 7];
        for (text, len) in texts.iter_mut().zip(lens) {
            if let Some(len) = len.checked_sub(1) {
                *text = Some(noted.0.split_off(..usize::try_from(len).ok()?)?);
            }
        }
        let [method, host, target, route, cache_status, referer, user_agent] = texts;
        *waiting = noted.0;
        let line = Self {
            at,
            id,
            trace,
            client,
            version: *VERSIONS.get(usize::from(with_version >> 4))?,
            status: StatusCode::from_u16(status).ok()?,
            outcome: Outcome {
                served: *Served::ALL.get(usize::from(served_tier & 0xf))?,
                tier: *TIERS.get(usize::from(served_tier >> 4))?,
            },
            age,
            method: method?,
            host,
            target: target?,
            route: route?,
            cache_status: cache_status?,
            referer,
            user_agent,
        };
        Some((line, end))
    }
}

impl Noted {
    /// Puts it at the end of those that wait.
    pub(super) fn ended(&self, end: End, waiting: &mut Vec<u8>) {
        let mut numbers = Numbers::NONE;
        numbers.put_short(end.body_bytes);
        numbers.put_short(u64::try_from(end.took.as_micros()).unwrap_or(u64::MAX));
        waiting.extend_from_slice(&numbers.bytes[..numbers.len]);
        waiting.extend_from_slice(&self.0);
    }
}

/// The longest of each number of a line.
const NUMBERS_MAX: usize = 8 + 8 + 2 + 2 + 16 + 16 + 8 * 10;

/// The numbers of a line, to be put at its beginning in one piece.
struct Numbers {
    bytes: [u8; NUMBERS_MAX],
    len: usize,
}

impl Numbers {
    const NONE: Self = Self { bytes: [0; _], len: 0 };

    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow (LEB128).
    fn put_short(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put([number as u8 | 0x80]);
            number >>= 7;
        }
        self.put([number as u8]);
    }
}

/// What is left of what was noted.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn take_short(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::finished;

    #[test]
    fn what_was_noted_is_read_as_it_was() {
        let plain = Line::of(&finished(u64::MAX, "/p?q=1"));
        let long = "x".repeat(70_000);
        let lines = [
            plain,
            Line { client: None, trace: None, host: None, age: None, ..plain },
            Line { client: Some("2001:db8::7".parse().unwrap()), trace: Some(u128::MAX), ..plain },
            Line { referer: Some(b""), user_agent: Some(long.as_bytes()), target: b"", ..plain },
            Line { age: Some(Duration::ZERO), ..plain },
            Line { age: Some(Duration::from_secs(u64::MAX - 1)), ..plain },
            Line { at: Timestamp::from_millis(-1), status: StatusCode::from_u16(999).unwrap(), ..plain },
        ];
        let outcomes = Served::ALL.iter().flat_map(|served| TIERS.map(|tier| Outcome { served: *served, tier }));
        let outcomes = outcomes.map(|outcome| Line { outcome, ..plain });
        let lines: Vec<_> =
            lines.into_iter().chain(outcomes).chain(VERSIONS.map(|version| Line { version, ..plain })).collect();
        let mut waiting = Vec::new();
        let ends = [(0, 0), (7, 1), (u64::MAX, u64::MAX)];
        let ends = ends.map(|(micros, body_bytes)| End { took: Duration::from_micros(micros), body_bytes });
        for (line, end) in lines.iter().zip(ends.iter().cycle()) {
            line.note().ended(*end, &mut waiting);
        }
        let mut rest = &waiting[..];
        for (line, end) in lines.iter().zip(ends.iter().cycle()) {
            assert_eq!(Line::take(&mut rest), Some((*line, *end)));
        }
        assert_eq!((Line::take(&mut rest), rest), (None, &b""[..]));
    }

    #[test]
    fn a_hit_waits_in_two_cache_lines() {
        let mut waiting = Vec::new();
        let hit = Line { trace: None, ..Line::of(&finished(7, "/api/pitches?page=3")) };
        hit.note().ended(End { took: Duration::from_micros(312), body_bytes: 1024 }, &mut waiting);
        assert!(waiting.len() <= 128, "{}", waiting.len());
    }
}
