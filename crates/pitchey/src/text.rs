use edge_cache_core::query::Fold;

/// Longest slug made here, in characters.
const SLUG_CHARS_MAX: usize = 80;
/// Sorts after every text that goes on from a prefix.
const LAST_CHAR: char = '\u{10FFFF}';

/// A title for a path: lower-case ASCII letters, digits and single dashes, never only digits, since those are ids.
pub(crate) fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG_CHARS_MAX {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    match slug.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("pitch-{slug}").trim_end_matches('-').to_owned(),
        false => slug.to_owned(),
    }
}

/// Whether `text` could be a slug, so that asking the database makes sense. A number after a dash can make it a little longer.
pub(crate) fn is_slug(text: &str) -> bool {
    (1..=SLUG_CHARS_MAX + 20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// What searches look through: the parts folded, one a line, so that no match spans two of them.
pub(crate) fn search_text<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let folded: Vec<String> = parts.into_iter().map(|part| Fold::Words.apply(part)).collect();
    folded.join("\n")
}

/// A LIKE pattern for texts that contain `part`, with `\` as the escape.
pub(crate) fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The end, excluded, of the range of texts that begin with `prefix`, in byte order.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}{LAST_CHAR}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_never_ids_and_never_empty() {
        assert_eq!(slug("The Last  Train: Part 2!"), "the-last-train-part-2");
        assert_eq!(slug("1984"), "pitch-1984");
        assert_eq!(slug("映画"), "pitch");
        assert!(is_slug(&slug(&"long title ".repeat(40))));
    }

    #[test]
    fn patterns_take_their_special_characters_literally() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }
}
