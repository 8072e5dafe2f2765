//! `Cache-Status` (RFC 9211), one member per tier.

use std::fmt::{self, Write};

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

    /// Writes the member of `tier`.
    ///
    /// # Errors
    /// Those of `text`.
    pub fn write(self, tier: TierName, text: &mut impl Write) -> fmt::Result {
        text.write_str(tier.member())?;
        let number = |text: &mut dyn Write, name, number: i64| {
            text.write_str(name)?;
            // A third of what formatting costs.
            text.write_str(itoa::Buffer::new().format(number))
        };
        let detail = match self {
            Self::Hit { ttl, detail } => {
                text.write_str("; hit")?;
                number(text, "; ttl=", ttl)?;
                detail
            }
            Self::Forward { fwd, fwd_status, ttl, stored, collapsed, detail } => {
                text.write_str("; fwd=")?;
                text.write_str(fwd.as_str())?;
                if let Some(status) = fwd_status {
                    number(text, "; fwd-status=", status.as_u16().into())?;
                }
                if let Some(ttl) = ttl {
                    number(text, "; ttl=", ttl)?;
                }
                if stored {
                    text.write_str("; stored")?;
                }
                if collapsed {
                    text.write_str("; collapsed")?;
                }
                detail
            }
        };
        if let Some(detail) = detail {
            text.write_str("; detail=")?;
            text.write_str(detail)?;
        }
        Ok(())
    }
}

/// Appends the member of `tier`: caches are listed from the origin to the client (RFC 9211 §2).
pub fn append(headers: &mut HeaderMap, tier: TierName, member: Member) {
    let mut text = String::with_capacity(64);
    member.write(tier, &mut text).expect("writing to a String cannot fail");
    let value = HeaderValue::try_from(text).expect("tokens and numbers make a header value");
    headers.append(CACHE_STATUS, value);
}

#[cfg(test)]
mod tests {
    use super::*;

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
