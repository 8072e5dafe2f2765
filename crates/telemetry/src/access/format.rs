//! How a line looks.

use std::{io::Write, net::IpAddr, time::Duration};

use edge_cache_core::{TierName, Timestamp};
use http::HeaderValue;

use crate::finished::{Agent, Finished, protocol};

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

const FITS: &str = "a Vec takes what is written to it";

impl AccessFormat {
    pub(super) fn line(self, out: &mut Vec<u8>, clock: &mut Clock, request: &Finished<'_>) {
        match self {
            Self::Combined => combined(out, clock, request),
            Self::Json => json(out, request),
        }
        out.push(b'\n');
    }
}

impl Clock {
    /// `28/Nov/2026:21:13:59 +0000`.
    fn combined(&mut self, at: Timestamp) -> &str {
        if self.words.is_empty() || self.second != at.as_secs() {
            self.second = at.as_secs();
            let since = Duration::from_secs(u64::try_from(at.as_secs()).unwrap_or(0));
            // `Sat, 28 Nov 2026 21:13:59 GMT`
            let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since);
            self.words.clear();
            for part in [&date[5..7], "/", &date[8..11], "/", &date[12..16], ":", &date[17..25], " +0000"] {
                self.words.push_str(part);
            }
        }
        &self.words
    }
}

fn combined(out: &mut Vec<u8>, clock: &mut Clock, request: &Finished<'_>) {
    match request.client {
        Some(client) => address(out, client),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(clock.combined(request.at).as_bytes());
    out.extend_from_slice(b"] \"");
    escaped(out, request.method.as_str().as_bytes());
    out.push(b' ');
    escaped(out, target(request).as_bytes());
    out.push(b' ');
    out.extend_from_slice(protocol(request.version).as_bytes());
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(request.status.as_str().as_bytes());
    out.push(b' ');
    number(out, request.body_bytes);
    let Agent { referer, user_agent } = request.agent;
    for said in [referer, user_agent] {
        out.extend_from_slice(b" \"");
        match said {
            Some(said) => escaped(out, said.as_bytes()),
            None => out.push(b'-'),
        }
        out.push(b'"');
    }
    out.push(b' ');
    out.extend_from_slice(request.outcome.served.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(source(request).as_bytes());
    out.push(b' ');
    seconds(out, request.took);
    out.extend_from_slice(b" \"");
    escaped(out, request.cache_status.as_bytes());
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(&request.context.id.digits());
}

fn json(out: &mut Vec<u8>, request: &Finished<'_>) {
    out.extend_from_slice(b"{\"at\":");
    // Seconds since 1970, to the millisecond: what every reader of JSON can order by.
    let millis = u64::try_from(request.at.as_millis()).unwrap_or(0);
    number(out, millis / 1000);
    decimals::<3>(out, (millis % 1000) as u32);
    out.extend_from_slice(b",\"id\":\"");
    out.extend_from_slice(&request.context.id.digits());
    out.extend_from_slice(b"\",\"trace\":\"");
    out.extend_from_slice(&request.context.trace_digits());
    if let Some(client) = request.client {
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, client);
    }
    out.extend_from_slice(b"\",\"method\":\"");
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b'"');
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    if let Some(host) = authority.or(request.host.map(HeaderValue::as_bytes)) {
        text(out, "host", host);
    }
    text(out, "target", target(request).as_bytes());
    out.extend_from_slice(b",\"version\":\"");
    out.extend_from_slice(protocol(request.version).as_bytes());
    out.extend_from_slice(b"\",\"status\":");
    out.extend_from_slice(request.status.as_str().as_bytes());
    out.extend_from_slice(b",\"bytes\":");
    number(out, request.body_bytes);
    out.extend_from_slice(b",\"seconds\":");
    seconds(out, request.took);
    text(out, "route", request.route.as_bytes());
    out.extend_from_slice(b",\"result\":\"");
    out.extend_from_slice(request.outcome.served.as_str().as_bytes());
    out.extend_from_slice(b"\",\"tier\":\"");
    out.extend_from_slice(source(request).as_bytes());
    out.push(b'"');
    if let Some(age) = request.age {
        out.extend_from_slice(b",\"age\":");
        number(out, age.as_secs());
    }
    text(out, "cache_status", request.cache_status.as_bytes());
    let Agent { referer, user_agent } = request.agent;
    for (name, said) in [("referer", referer), ("user_agent", user_agent)] {
        if let Some(said) = said {
            text(out, name, said.as_bytes());
        }
    }
    out.push(b'}');
}

fn target<'a>(request: &Finished<'a>) -> &'a str {
    request.uri.path_and_query().map_or("*", |target| target.as_str())
}

fn source(request: &Finished<'_>) -> &'static str {
    request.outcome.tier.map_or("origin", TierName::as_str)
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    in_json(out, value);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As `Display` writes it, without its cost for most.
fn address(out: &mut Vec<u8>, client: IpAddr) {
    let IpAddr::V4(client) = client else { return write!(out, "{client}").expect(FITS) };
    for (at, byte) in client.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        number(out, byte.into());
    }
}

/// Seconds, to the microsecond.
fn seconds(out: &mut Vec<u8>, time: Duration) {
    number(out, time.as_secs());
    decimals::<6>(out, time.subsec_micros());
}

/// What stands behind a point.
fn decimals<const N: usize>(out: &mut Vec<u8>, mut rest: u32) {
    out.push(b'.');
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Whether any byte must be written otherwise than it is. It looks at all of them: several at once are faster than one by one.
fn any_odd(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |any, byte| any | is_odd(*byte))
}

const fn is_odd(byte: u8) -> bool {
    !matches!(byte, 0x20..=0x7e) || matches!(byte, b'"' | b'\\')
}

/// What could end a field, or a line, is written as `\xHH`, as nginx does.
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if !any_odd(bytes) {
        return out.extend_from_slice(bytes);
    }
    for byte in bytes {
        match byte {
            odd_one if is_odd(*odd_one) => write!(out, "\\x{odd_one:02X}").expect(FITS),
            plain => out.push(*plain),
        }
    }
}

/// The inside of a JSON string.
fn in_json(out: &mut Vec<u8>, bytes: &[u8]) {
    if !any_odd(bytes) {
        return out.extend_from_slice(bytes);
    }
    // As it came where it is UTF-8, else as Latin-1, which header fields once were.
    let is_text = str::from_utf8(bytes).is_ok();
    for byte in bytes {
        match byte {
            beyond if is_text && *beyond >= 0x80 => out.push(*beyond),
            odd_one if is_odd(*odd_one) => write!(out, "\\u{:04x}", odd_one).expect(FITS),
            plain => out.push(*plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::finished;

    fn line(format: AccessFormat, request: &Finished<'_>) -> String {
        let mut out = Vec::new();
        format.line(&mut out, &mut Clock::default(), request);
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
    fn no_client_can_write_a_line_of_its_own() {
        let said = line(AccessFormat::Combined, &asked_by(b"x\" 200 9\t\xff\\"));
        assert!(said.contains("\"x\\x22 200 9\\x09\\xFF\\x5C\""), "{said}");
        assert_eq!(said.lines().count(), 1);
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let mut out = Vec::new();
        for (at, each) in [0, 7, 10, u64::MAX].into_iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            number(&mut out, each);
        }
        out.push(b' ');
        seconds(&mut out, Duration::from_micros(12_000_045));
        assert_eq!(String::from_utf8(out).unwrap(), "0 7 10 18446744073709551615 12.000045");
    }
}
