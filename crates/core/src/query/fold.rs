/// How two spellings of a text are made one.
///
/// Lower-casing goes character by character and never looks at a locale, so that a database column folded by the same function
/// compares equal byte by byte on every system. Folding a folded text changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fold {
    /// The text as it was sent.
    Exact,
    /// Lower-case, white space and control characters collapsed to single spaces and trimmed.
    Words,
    /// Lower-case, only letters and digits kept: `Sci-Fi` is `scifi`.
    Slug,
}

impl Fold {
    /// Folds `text`.
    #[must_use]
    pub fn apply(self, text: &str) -> String {
        match self {
            Fold::Exact => text.to_owned(),
            Fold::Words => words(text),
            Fold::Slug => text.chars().flat_map(lower).filter(|c| c.is_alphanumeric()).collect(),
        }
    }

    /// Folds `text` and keeps at most `chars_max` characters of it.
    #[must_use]
    pub fn apply_cut(self, text: &str, chars_max: usize) -> String {
        let mut folded = self.apply(text);
        if let Some((end, _)) = folded.char_indices().nth(chars_max) {
            folded.truncate(end);
        }
        if self == Fold::Words && folded.ends_with(' ') {
            folded.pop();
        }
        folded
    }
}

fn words(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            if !folded.is_empty() && !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else {
            folded.extend(lower(c));
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// One character in lower case. The final sigma becomes the plain one: which of the two a capital turns into depends on the rest of
/// the word, and a part of a word would then not be found in the whole.
fn lower(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })
}
