//! Headers that steer an origin without being part of the key (rule 14): whoever sends one would shape the answer stored for all.

use http::{HeaderMap, HeaderName};

/// The ones that common servers and frameworks obey.
const STEERING: [HeaderName; 15] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-path"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-override-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Whether a request has one of them.
#[must_use]
pub fn any(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| may_steer(name) && STEERING.contains(name))
}

pub(crate) fn may_steer(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-") || name.as_str() == "forwarded"
}

/// Takes them off a request that may be answered for others.
pub fn strip(headers: &mut HeaderMap) {
    // Few requests have any, and a look at the names costs less than fifteen searches.
    if !headers.keys().any(may_steer) {
        return;
    }
    for name in STEERING {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_name_is_looked_for() {
        for name in STEERING {
            let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("1"))]);
            assert!(any(&headers), "{name}");
            strip(&mut headers);
            assert!(headers.is_empty() && !any(&headers), "{name}");
        }
    }

    #[test]
    fn what_steers_goes_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for name in ["x-forwarded-host", "x-forwarded-for", "accept"] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        strip(&mut headers);
        assert_eq!(headers.len(), 2);
        assert!(!headers.contains_key("x-forwarded-host"));
    }
}
