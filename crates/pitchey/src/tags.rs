use http::HeaderValue;
use xxhash_rust::xxh3::xxh3_64;

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

pub(crate) fn format(format: &str) -> String {
    format!("format-{format}")
}

/// A folded genre can hold letters of any script, a header cannot: those are named by their hash.
pub(crate) fn genre(genre: &str) -> String {
    match genre.is_ascii() {
        true => format!("genre-{genre}"),
        false => format!("genre-{:016x}", xxh3_64(genre.as_bytes())),
    }
}
