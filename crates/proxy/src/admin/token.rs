use std::net::IpAddr;

use http::{HeaderMap, StatusCode, header};

/// The environment variable that holds the admin token.
pub(crate) const VARIABLE: &str = "CACHE_PROXY_ADMIN_TOKEN";

/// An operator who showed a certificate that was checked (request extension).
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerifiedClient;

/// Who may change something through the admin listener.
#[derive(Clone)]
pub(super) enum Access {
    /// Whoever sends this token.
    Token(String),
    /// Whoever reaches the listener, which is on loopback.
    Loopback,
    /// Nobody: there is no token, and the listener is open to others.
    Nobody,
}

impl Access {
    pub(super) fn from_environment(is_local: bool) -> Self {
        match std::env::var(VARIABLE) {
            Ok(token) if !token.is_empty() => Self::Token(token),
            _ if is_local => Self::Loopback,
            _ => Self::Nobody,
        }
    }

    /// # Errors
    /// The status and the reason to answer with.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
        match self {
            // A page that rebinds its own name to this address is of the same origin; its Host tells.
            Self::Loopback if !names_this_machine(headers) => {
                Err((StatusCode::FORBIDDEN, "ask for it by address or as localhost\n".to_owned()))
            }
            Self::Loopback => Ok(()),
            Self::Nobody => {
                Err((StatusCode::FORBIDDEN, format!("off loopback this needs a token: start with {VARIABLE} set\n")))
            }
            Self::Token(token) => {
                let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
                let same = sent.strip_prefix(b"Bearer ").is_some_and(|sent| same(sent, token.as_bytes()));
                let refusal = || (StatusCode::UNAUTHORIZED, format!("send the token of {VARIABLE} as Bearer\n"));
                same.then_some(()).ok_or_else(refusal)
            }
        }
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: Option<http::uri::Authority> = host.parse().ok();
    host.is_some_and(|authority| {
        let host = authority.host();
        host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    })
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_must_be_the_token() {
        let access = Access::Token("s3cret".to_owned());
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            access.check(&headers).map_err(|(status, _)| status)
        };
        assert_eq!(with("Bearer s3cret"), Ok(()));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer S3cret", "s3cret", "Basic s3cret"] {
            assert_eq!(with(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert!(access.check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn without_a_token_only_loopback_may() {
        let check = |access: Access, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            access.check(&headers).map_err(|(status, _)| status)
        };
        for host in ["localhost:9901", "127.0.0.1:9901", "[::1]:9901"] {
            assert_eq!(check(Access::Loopback, host), Ok(()), "{host}");
        }
        assert_eq!(check(Access::Loopback, "rebound.example:9901"), Err(StatusCode::FORBIDDEN));
        assert_eq!(check(Access::Nobody, "localhost"), Err(StatusCode::FORBIDDEN));
    }
}
