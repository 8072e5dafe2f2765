//! Inputs of lines, which a dictionary can spell and a reader can read.

use edge_cache_core::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A day in November 1994.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(784_111_777);

/// The lines of an input, without their ends.
pub(crate) fn of(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// A line as the value of a header; none where it can be no value, which no HTTP parser would hand on.
pub(crate) fn value(line: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(line).ok()
}

/// `NAME: VALUE` for each line; what is no header is left out, and so is what comes behind the hundredth.
pub(crate) fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let one = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((HeaderName::from_bytes(&line[..colon]).ok()?, value(line[colon + 1..].trim_ascii())?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in lines.take(100).filter_map(one) {
        map.append(name, value);
    }
    map
}

/// The lines as values of one header.
pub(crate) fn values_of(name: &HeaderName, lines: &[HeaderValue]) -> HeaderMap {
    lines.iter().map(|value| (name.clone(), value.clone())).collect()
}
