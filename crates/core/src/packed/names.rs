//! Names that answers have, by numbers: one byte in the memory of each entry, where they would be the greater part of its head.
//!
//! No number leaves the process, so the list may change at any time.

use std::sync::LazyLock;

use http::{HeaderName, header};

use crate::headers;

/// In place of a number: the name follows.
pub(super) const SPELT: u8 = 0;
/// The number of `Date`.
pub(super) const DATE: u8 = 3;

/// Roughly by how common they are: those of one length are looked for one after the other. At most 63: numbers are bits of a word, and the first is none.
static NAMES: [HeaderName; 48] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::DATE,
    header::CONTENT_LENGTH,
    header::ETAG,
    header::LAST_MODIFIED,
    header::VARY,
    header::CONTENT_ENCODING,
    header::SERVER,
    header::EXPIRES,
    header::ACCEPT_RANGES,
    header::X_CONTENT_TYPE_OPTIONS,
    header::STRICT_TRANSPORT_SECURITY,
    header::CONTENT_LANGUAGE,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::CONTENT_SECURITY_POLICY,
    header::X_FRAME_OPTIONS,
    header::REFERRER_POLICY,
    header::X_XSS_PROTECTION,
    header::LINK,
    header::VIA,
    header::AGE,
    header::LOCATION,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::PRAGMA,
    header::RETRY_AFTER,
    header::ALT_SVC,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("cross-origin-opener-policy"),
    HeaderName::from_static("cross-origin-embedder-policy"),
    HeaderName::from_static("permissions-policy"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("timing-allow-origin"),
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-request-id"),
    headers::CACHE_STATUS,
    headers::CACHE_TAG,
    headers::SURROGATE_KEY,
    headers::CACHE_GROUPS,
    headers::CDN_CACHE_CONTROL,
];

/// Longer than any of them.
const LENGTHS: usize = 64;

/// For each length, which names have it, one bit each.
static OF_LENGTH: LazyLock<[u64; LENGTHS]> = LazyLock::new(|| {
    let mut of_length = [0; LENGTHS];
    NAMES.iter().enumerate().for_each(|(at, name)| of_length[name.as_str().len()] |= 1 << at);
    of_length
});

/// The number of the name that is spelt so, if it has one.
pub(super) fn number(name: &[u8]) -> Option<u8> {
    let mut left = *OF_LENGTH.get(name.len())?;
    while left != 0 {
        let at = left.trailing_zeros();
        if NAMES[at as usize].as_str().as_bytes() == name {
            return u8::try_from(at + 1).ok();
        }
        left &= left - 1;
    }
    None
}

/// A set of names, to be looked for in packed headers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Those that have a number, one bit each.
    known: u64,
    /// The others.
    spelt: Vec<HeaderName>,
}

impl Names {
    pub(super) const fn has_known(&self, number: u8) -> bool {
        self.known >> number & 1 == 1
    }

    pub(super) fn has_spelt(&self, name: &[u8]) -> bool {
        self.spelt.iter().any(|spelt| spelt.as_str().as_bytes() == name)
    }
}

impl FromIterator<HeaderName> for Names {
    fn from_iter<I: IntoIterator<Item = HeaderName>>(names: I) -> Self {
        let mut set = Self::default();
        for name in names {
            match number(name.as_str().as_bytes()) {
                Some(number) => set.known |= 1 << number,
                None => set.spelt.push(name),
            }
        }
        set
    }
}

/// The name with this number; `None` for [`SPELT`].
pub(super) fn named(number: u8) -> Option<&'static HeaderName> {
    NAMES.get(usize::from(number).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_number() {
        for (at, name) in NAMES.iter().enumerate() {
            let number = number(name.as_str().as_bytes()).unwrap();
            assert!(number != SPELT && usize::from(number) == at + 1 && named(number) == Some(name), "{name}");
        }
        let others = [&b"cookie"[..], b"", b"date-", &[b'x'; 64], &[b'x'; 65]];
        assert_eq!((others.map(number), named(SPELT)), ([None; 5], None));
        assert!(NAMES.len() < 64 && named(DATE) == Some(&header::DATE));
    }
}
