//! `Cache-Status` (RFC 9211), one member per tier.

use std::fmt::Write;

use edge_cache_core::{Fwd, TierName};
use http::{HeaderMap, HeaderValue, StatusCode};

use edge_cache_core::headers::CACHE_STATUS;

/// What one tier did, as its member says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Answered from the tier; `ttl` in seconds, negative once stale.
    Hit {
        /// Freshness left.
        ttl: i64,
        /// Why a stale entry was good enough, or another remark.
        detail: Option<&'static str>,
    },
    /// Went forward.
    Forward {
        /// Why.
        fwd: Fwd,
        /// The status that came back; left out where the answer's own status says it.
        fwd_status: Option<StatusCode>,
        /// Freshness given to what was stored.
        ttl: Option<i64>,
        /// Whether the tier keeps the answer.
        stored: bool,
        /// Whether another request's fill was waited for.
        collapsed: bool,
        /// Why it was not stored, or not looked up.
        detail: Option<&'static str>,
    },
}

impl Member {
    /// A plain forward for `fwd`, nothing stored.
    #[must_use]
    pub const fn forward(fwd: Fwd) -> Self {
        Self::Forward { fwd, fwd_status: None, ttl: None, stored: false, collapsed: false, detail: None }
    }

    fn write(self, tier: TierName) -> String {
        const FITS: &str = "writing to a String cannot fail";
        let mut text = String::with_capacity(64);
        text.push_str(tier.member());
        match self {
            Self::Hit { ttl, detail } => {
                text.push_str("; hit; ttl=");
                push_number(&mut text, ttl);
                if let Some(detail) = detail {
                    write!(text, "; detail={detail}").expect(FITS);
                }
            }
            Self::Forward { fwd, fwd_status, ttl, stored, collapsed, detail } => {
                write!(text, "; fwd={}", fwd.as_str()).expect(FITS);
                if let Some(status) = fwd_status {
                    write!(text, "; fwd-status={}", status.as_u16()).expect(FITS);
                }
                if let Some(ttl) = ttl {
                    write!(text, "; ttl={ttl}").expect(FITS);
                }
                if stored {
                    text.push_str("; stored");
                }
                if collapsed {
                    text.push_str("; collapsed");
                }
                if let Some(detail) = detail {
                    write!(text, "; detail={detail}").expect(FITS);
                }
            }
        }
        text
    }
}

/// Every hit says a number: this costs a third of what formatting does.
fn push_number(text: &mut String, number: i64) {
    if number < 0 {
        text.push('-');
    }
    let mut digits = [0; 20];
    let (mut rest, mut at) = (number.unsigned_abs(), digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[at..]).expect("digits are text"));
}

/// Appends the member of `tier`: caches are listed from the origin to the client (RFC 9211 §2).
pub fn append(headers: &mut HeaderMap, tier: TierName, member: Member) {
    let value = HeaderValue::try_from(member.write(tier)).expect("tokens and numbers make a header value");
    headers.append(CACHE_STATUS, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_formatting_does() {
        for number in [0, 7, -3, 10, 86_400, i64::MAX, i64::MIN] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn members_parse_as_structured_fields() {
        let mut headers = HeaderMap::new();
        let forward = Member::Forward {
            fwd: Fwd::UriMiss,
            fwd_status: Some(StatusCode::OK),
            ttl: Some(60),
            stored: true,
            collapsed: true,
            detail: Some("x"),
        };
        append(&mut headers, TierName::Redis, forward);
        append(&mut headers, TierName::Memory, Member::Hit { ttl: -3, detail: None });
        let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(
            lines,
            [
                "edge-redis; fwd=uri-miss; fwd-status=200; ttl=60; stored; collapsed; detail=x",
                "edge-memory; hit; ttl=-3"
            ]
        );
        for line in lines {
            sfv::Parser::new(line).parse::<sfv::List>().unwrap();
        }
    }
}
