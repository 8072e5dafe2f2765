//! A short text that needs no memory of its own.

use std::{fmt, str};

/// Longest text that is kept in place: what a plain hit says of itself is half of it.
const IN_PLACE: usize = 62;

/// A text that is copied once, and mostly short.
pub(crate) enum Text {
    Short { len: u8, bytes: [u8; IN_PLACE] },
    Long(String),
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        if text.len() > IN_PLACE {
            return Self::Long(text.to_owned());
        }
        let mut bytes = [0; IN_PLACE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Short { len: text.len() as u8, bytes }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short { len, bytes } => str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }

    /// Adds to a list.
    pub(crate) fn append(&mut self, more: &str) {
        let joined = if self.as_str().is_empty() { more.to_owned() } else { format!("{}, {more}", self.as_str()) };
        *self = Self::new(&joined);
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_was() {
        for len in [0, 1, IN_PLACE, IN_PLACE + 1, 1000] {
            let text = "x".repeat(len);
            assert_eq!(Text::new(&text).as_str(), text);
        }
        let mut list = Text::default();
        list.append("a");
        list.append("b");
        assert_eq!(list.as_str(), "a, b");
    }
}
