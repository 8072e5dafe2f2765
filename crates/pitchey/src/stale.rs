use edge_cache_core::headers::CACHE_GROUP_INVALIDATION;
use http::{HeaderMap, HeaderValue};

/// What a write makes stale: the value of `Cache-Group-Invalidation` (RFC 9875), in the order of adding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stale(Vec<(String, bool)>);

impl Stale {
    /// Marks what has `tag` as old: still good enough when the origin fails.
    pub(crate) fn soft(&mut self, tag: String) {
        if !self.0.iter().any(|(known, _)| *known == tag) {
            self.0.push((tag, false));
        }
    }

    /// Marks what has `tag` as not to be shown again, whatever happens.
    pub(crate) fn hard(&mut self, tag: String) {
        self.0.retain(|(known, _)| *known != tag);
        self.0.push((tag, true));
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        let member = |(tag, hard): &(String, bool)| format!("\"{tag}\"{}", if *hard { ";hard" } else { "" });
        let members: Vec<String> = self.0.iter().map(member).collect();
        let value = HeaderValue::try_from(members.join(", "));
        headers.insert(CACHE_GROUP_INVALIDATION, value.expect("tags are visible ASCII without quotes"));
    }
}
