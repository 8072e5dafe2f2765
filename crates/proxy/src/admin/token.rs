//! Who may see and change something through the admin listener.

use std::{net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::exit::UsageError;

/// The environment variable that holds the admin token.
pub(crate) const VARIABLE: &str = "CACHE_PROXY_ADMIN_TOKEN";

/// A token of fewer bytes is refused at the start.
const BYTES_MIN: usize = 8;
/// One of fewer bytes than this is warned of.
const BYTES_ENOUGH: usize = 16;

/// A client that proved by its certificate who it is (request extension). Set by the listener that checked it.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedClient {
    /// What its certificate calls it.
    pub(crate) name: Arc<str>,
}

/// Who may see and change something.
#[derive(Clone)]
pub(super) enum Access {
    /// Whoever sends the token of this digest.
    Token([u8; 32]),
    /// Whoever reaches the listener, which is on loopback.
    Loopback,
    /// Nobody: there is no token, and the listener is open to others.
    Nobody,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Token,
    Certificate,
    Loopback,
}

impl Door {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Loopback => "loopback",
        }
    }
}

/// Why somebody did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoToken,
    WrongToken,
    NobodyMay,
    ForeignHost,
    ForeignSite,
}

impl Refused {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::NobodyMay | Self::ForeignHost | Self::ForeignSite => StatusCode::FORBIDDEN,
        }
    }

    /// For the audit.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no token",
            Self::WrongToken => "another token",
            Self::NobodyMay => "no token is set here",
            Self::ForeignHost => "a name that is not this machine's",
            Self::ForeignSite => "sent by a page of another site",
        }
    }

    /// For whoever asked.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::WrongToken => "that is not the token of CACHE_PROXY_ADMIN_TOKEN",
            Self::NoToken => "send the token of CACHE_PROXY_ADMIN_TOKEN as Bearer",
            Self::NobodyMay => "off loopback this needs a token: start with CACHE_PROXY_ADMIN_TOKEN set",
            Self::ForeignHost => "ask for it by address or as localhost",
            Self::ForeignSite => "no page of another site may ask for this",
        }
    }
}

impl Access {
    pub(super) fn from_environment(is_local: bool) -> Self {
        match std::env::var(VARIABLE) {
            Ok(token) if !token.is_empty() => Self::Token(digest(token.as_bytes())),
            _ if is_local => Self::Loopback,
            _ => Self::Nobody,
        }
    }

    /// How whoever sent this comes in.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Door, Refused> {
        if extensions.get::<VerifiedClient>().is_some() {
            return Ok(Door::Certificate);
        }
        match self {
            // A page that rebinds its own name to this address is of the same origin; its Host tells.
            Self::Loopback if !names_this_machine(headers) => Err(Refused::ForeignHost),
            Self::Loopback => Ok(Door::Loopback),
            Self::Nobody => Err(Refused::NobodyMay),
            Self::Token(token) => {
                let sent = headers.get(header::AUTHORIZATION).ok_or(Refused::NoToken)?;
                let sent = sent.as_bytes().strip_prefix(b"Bearer ").ok_or(Refused::NoToken)?;
                if same(&digest(sent), token) { Ok(Door::Token) } else { Err(Refused::WrongToken) }
            }
        }
    }
}

/// Whether the token of the environment can be one.
///
/// # Errors
/// What is wrong with it; not what it is.
pub(crate) fn usable() -> Result<(), UsageError> {
    let Some(token) = std::env::var_os(VARIABLE).filter(|token| !token.is_empty()) else { return Ok(()) };
    judge(&token.into_encoded_bytes()).map(drop)
}

/// Whether there is one in the environment.
pub(crate) fn is_set() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|token| !token.is_empty())
}

/// Whether the token of the environment is one, and a short one.
pub(crate) fn is_short() -> bool {
    let token = std::env::var_os(VARIABLE).unwrap_or_default();
    judge(&token.into_encoded_bytes()).is_ok_and(|is_short| is_short)
}

/// Whether a token is a short one.
fn judge(token: &[u8]) -> Result<bool, UsageError> {
    if token.len() < BYTES_MIN {
        return Err(UsageError(format!("{VARIABLE}: must have at least {BYTES_MIN} bytes, better {BYTES_ENOUGH}")));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(UsageError(format!("{VARIABLE}: must be visible ASCII without spaces, to be sent in a header")));
    }
    Ok(token.len() < BYTES_ENOUGH)
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: Option<http::uri::Authority> = host.parse().ok();
    host.is_some_and(|authority| {
        let host = authority.host();
        host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    })
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Compares in a time that depends on nothing: digests are of one length, and say nothing of how much of a guess was right.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_must_be_the_token() {
        let access = Access::Token(digest(b"s3cret-enough"));
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            access.check(&headers, &Extensions::new())
        };
        assert_eq!(with("Bearer s3cret-enough"), Ok(Door::Token));
        for wrong in ["Bearer s3cret-enoug", "Bearer s3cret-enough2", "Bearer S3cret-enough", "Bearer "] {
            assert_eq!(with(wrong), Err(Refused::WrongToken), "{wrong}");
        }
        for none in ["s3cret-enough", "Basic s3cret-enough", ""] {
            assert_eq!(with(none), Err(Refused::NoToken), "{none}");
        }
        assert!(access.check(&HeaderMap::new(), &Extensions::new()).is_err());
    }

    #[test]
    fn without_a_token_only_loopback_may() {
        let check = |access: Access, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            access.check(&headers, &Extensions::new())
        };
        for host in ["localhost:9901", "127.0.0.1:9901", "[::1]:9901"] {
            assert_eq!(check(Access::Loopback, host), Ok(Door::Loopback), "{host}");
        }
        assert_eq!(check(Access::Loopback, "rebound.example:9901"), Err(Refused::ForeignHost));
        assert_eq!(check(Access::Nobody, "localhost"), Err(Refused::NobodyMay));
    }

    #[test]
    fn a_certificate_is_a_door_of_its_own() {
        let mut extensions = Extensions::new();
        extensions.insert(VerifiedClient { name: "ops".into() });
        for access in [Access::Token(digest(b"s3cret-enough")), Access::Loopback, Access::Nobody] {
            assert_eq!(access.check(&HeaderMap::new(), &extensions), Ok(Door::Certificate));
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_be_sent_is_none() {
        let judged = |token: &str| judge(token.as_bytes()).map_err(|error| error.to_string());
        assert_eq!((judged("0123456789abcdef"), judged("0123456789abcde")), (Ok(false), Ok(true)));
        assert!(judged("1234567").unwrap_err().contains("at least 8 bytes"));
        for wrong in ["with a space", "with\ttab", "mit-ümlaut"] {
            let said = judged(wrong).unwrap_err();
            assert!(said.contains("visible ASCII") && !said.contains(wrong), "{said}");
        }
    }
}
