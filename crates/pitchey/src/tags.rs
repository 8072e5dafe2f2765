use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The tags of an answer: what it shows, so that a change of that makes it stale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags(Vec<String>);

impl Tags {
    pub(crate) fn add(&mut self, tag: String) {
        if !self.0.contains(&tag) {
            self.0.push(tag);
        }
    }

    pub(crate) fn with(mut self, tag: String) -> Self {
        self.add(tag);
        self
    }

    /// `Cache-Tag`'s value; none without tags.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let value = HeaderValue::try_from(self.0.join(","));
        Some(value.expect("the functions below make tags of visible ASCII only"))
    }
}

pub(crate) fn pitch(id: i64) -> String {
    format!("pitch-{id}")
}

/// `slug` holds only lower-case letters, digits and dashes: `text::slug` makes it, `text::is_slug` checks it.
pub(crate) fn slug(slug: &str) -> String {
    format!("slug-{slug}")
}

pub(crate) fn creator(id: i64) -> String {
    format!("creator-{id}")
}

pub(crate) fn list(name: &str) -> String {
    format!("list-{name}")
}

/// The tag of what bears `tag` and is open to a pitch that was never seen: not a full page of pitches that all come before such a one.
pub(crate) fn open(tag: &str) -> String {
    format!("{tag}-open")
}

pub(crate) fn format(format: &str) -> String {
    format!("format-{format}")
}

/// A folded genre can hold letters of any script, a header cannot: those are named by their hash, one that SQL knows too.
pub(crate) fn genre(genre: &str) -> String {
    match genre.is_ascii() {
        true => format!("genre-{genre}"),
        false => {
            let hash = Sha256::digest(genre.as_bytes());
            let first: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("genre-{first}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triggers_name_genres_the_same_way() {
        assert_eq!(genre("drama"), "genre-drama");
        // What `left(encode(sha256(convert_to('драма', 'UTF8')), 'hex'), 16)` gives.
        assert_eq!(genre("драма"), "genre-2a5ad7e7dbd708d4");
    }
}
