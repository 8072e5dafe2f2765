//! How a line looks.

use std::time::Duration;

use edge_cache_core::{TierName, Timestamp};

use super::{
    line::{End, Line},
    put,
};
use crate::finished::protocol;

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessFormat {
    /// The Combined Log Format, with what the cache did after it: result, tier, seconds, `Cache-Status`, name.
    #[default]
    Combined,
    /// A JSON object.
    Json,
}

/// The second that was written last, so that it is put into words once.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    words: String,
}

impl AccessFormat {
    pub(super) fn line(self, out: &mut Vec<u8>, clock: &mut Clock, line: &(Line<'_>, End)) {
        match self {
            Self::Combined => combined(out, clock, line),
            Self::Json => json(out, clock, line),
        }
        out.push(b'\n');
    }
}

impl Clock {
    fn in_words(&mut self, at: Timestamp, words: fn(u64) -> String) -> &[u8] {
        if self.words.is_empty() || self.second != at.as_secs() {
            self.second = at.as_secs();
            self.words = words(u64::try_from(at.as_secs()).unwrap_or(0));
        }
        self.words.as_bytes()
    }
}

/// `28/Nov/2026:21:13:59 +0000`.
fn date(second: u64) -> String {
    // `Sat, 28 Nov 2026 21:13:59 GMT`
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(second));
    format!("{}/{}/{}:{} +0000", &date[5..7], &date[8..11], &date[12..16], &date[17..25])
}

fn combined(out: &mut Vec<u8>, clock: &mut Clock, (said, end): &(Line<'_>, End)) {
    match said.client {
        Some(client) => put::address(out, client),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(clock.in_words(said.at, date));
    out.extend_from_slice(b"] \"");
    put::escaped(out, said.method);
    out.push(b' ');
    put::escaped(out, said.target);
    out.push(b' ');
    out.extend_from_slice(protocol(said.version).as_bytes());
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(said.status.as_str().as_bytes());
    out.push(b' ');
    put::number(out, end.body_bytes);
    for field in [said.referer, said.user_agent] {
        out.extend_from_slice(b" \"");
        match field {
            Some(field) => put::escaped(out, field),
            None => out.push(b'-'),
        }
        out.push(b'"');
    }
    out.push(b' ');
    out.extend_from_slice(said.outcome.served.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(source(said).as_bytes());
    out.push(b' ');
    put::seconds(out, end.took);
    out.extend_from_slice(b" \"");
    put::escaped(out, said.cache_status);
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(&said.id.digits());
}

fn json(out: &mut Vec<u8>, clock: &mut Clock, (said, end): &(Line<'_>, End)) {
    // Seconds since 1970, to the millisecond: what every reader of JSON can order by.
    out.extend_from_slice(b"{\"at\":");
    out.extend_from_slice(clock.in_words(said.at, |second| second.to_string()));
    put::decimals::<3>(out, said.at.as_millis().rem_euclid(1000) as u32);
    out.extend_from_slice(b",\"id\":\"");
    out.extend_from_slice(&said.id.digits());
    if let Some(trace) = said.trace {
        out.extend_from_slice(b"\",\"trace\":\"");
        put::trace(out, trace);
    }
    if let Some(client) = said.client {
        out.extend_from_slice(b"\",\"client\":\"");
        put::address(out, client);
    }
    out.extend_from_slice(b"\",\"method\":\"");
    out.extend_from_slice(said.method);
    if let Some(host) = said.host {
        out.extend_from_slice(b"\",\"host\":\"");
        put::in_json(out, host);
    }
    out.extend_from_slice(b"\",\"target\":\"");
    put::in_json(out, said.target);
    out.extend_from_slice(b"\",\"version\":\"");
    out.extend_from_slice(protocol(said.version).as_bytes());
    out.extend_from_slice(b"\",\"status\":");
    out.extend_from_slice(said.status.as_str().as_bytes());
    out.extend_from_slice(b",\"bytes\":");
    put::number(out, end.body_bytes);
    out.extend_from_slice(b",\"seconds\":");
    put::seconds(out, end.took);
    out.extend_from_slice(b",\"route\":\"");
    put::in_json(out, said.route);
    out.extend_from_slice(b"\",\"result\":\"");
    out.extend_from_slice(said.outcome.served.as_str().as_bytes());
    out.extend_from_slice(b"\",\"tier\":\"");
    out.extend_from_slice(source(said).as_bytes());
    if let Some(age) = said.age {
        out.extend_from_slice(b"\",\"age\":");
        put::number(out, age.as_secs());
        out.extend_from_slice(b",\"cache_status\":\"");
    } else {
        out.extend_from_slice(b"\",\"cache_status\":\"");
    }
    put::in_json(out, said.cache_status);
    if let Some(referer) = said.referer {
        out.extend_from_slice(b"\",\"referer\":\"");
        put::in_json(out, referer);
    }
    if let Some(user_agent) = said.user_agent {
        out.extend_from_slice(b"\",\"user_agent\":\"");
        put::in_json(out, user_agent);
    }
    out.extend_from_slice(b"\"}");
}

fn source(said: &Line<'_>) -> &'static str {
    said.outcome.tier.map_or("origin", TierName::as_str)
}

#[cfg(test)]
mod tests {
    use edge_cache_core::TraceContext;

    use http::HeaderValue;

    use super::*;
    use crate::{
        finished::{Agent, Finished},
        testing::finished,
    };

    fn line(format: AccessFormat, request: &Finished<'_>) -> String {
        let (mut out, end) = (Vec::new(), End { took: request.took, body_bytes: request.body_bytes });
        format.line(&mut out, &mut Clock::default(), &(Line::of(request), end));
        String::from_utf8(out).unwrap()
    }

    fn asked_by(user_agent: &[u8]) -> Finished<'static> {
        let user_agent: &_ = Box::leak(Box::new(HeaderValue::from_bytes(user_agent).unwrap()));
        Finished { agent: Agent { referer: None, user_agent: Some(user_agent) }, ..finished(0xab, "/p?q=1") }
    }

    #[test]
    fn the_combined_form() {
        assert_eq!(
            line(AccessFormat::Combined, &asked_by(b"curl/8.0")),
            "192.0.2.7 - - [28/Nov/2025:21:00:00 +0000] \"GET /p?q=1 HTTP/1.1\" 200 1234 \"-\" \"curl/8.0\" \
             hit memory 0.000312 \"edge-memory; hit; ttl=31\" 00000000000000ab\n"
        );
    }

    #[test]
    fn the_json_form() {
        let said: serde_json::Value =
            serde_json::from_str(&line(AccessFormat::Json, &asked_by(b"a \"b\" \\ \xe9\t"))).unwrap();
        let expected = serde_json::json!({
            "at": 1764363600.123, "id": "00000000000000ab", "trace": "00000000000000000000000000000007",
            "client": "192.0.2.7", "method": "GET", "host": "shop.example", "target": "/p?q=1", "version": "HTTP/1.1",
            "status": 200, "bytes": 1234, "seconds": 0.000312, "route": "lists", "result": "hit", "tier": "memory",
            "age": 9, "cache_status": "edge-memory; hit; ttl=31", "user_agent": "a \"b\" \\ \u{e9}\t",
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn a_trace_is_named_where_somebody_has_it() {
        for (sampled, parent, is_named) in [(false, None, false), (true, None, true), (false, Some(1), true)] {
            let request = finished(1, "/");
            let context = TraceContext { sampled, parent, ..*request.context };
            let line = line(AccessFormat::Json, &Finished { context: &context, ..request });
            assert_eq!(line.contains("\"trace\":\"00000000000000000000000000000007\""), is_named, "{line}");
            assert_eq!(line.contains("trace"), is_named, "{line}");
        }
    }

    #[test]
    fn no_client_can_write_a_line_of_its_own() {
        let said = line(AccessFormat::Combined, &asked_by(b"x\" 200 9\t\xff\\"));
        assert!(said.contains("\"x\\x22 200 9\\x09\\xFF\\x5C\""), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
}
