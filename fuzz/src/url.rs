use std::borrow::Cow;

use edge_cache_core::query::{Fold, Param, QuerySpec};
use edge_cache_policy::normalize::{self, Ambiguous};

/// The input is a path, and behind the first `?` a query.
///
/// A canonical path is its own, and no server can read it in two ways. A sorted query has all parts of the one that was sent, each name's in their order; a cut one has only
/// those that are allowed; a declared one is its own canonical form, and bounded.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    canonical(path);
    let sorted = normalize::sorted_query(query);
    in_order(query, &sorted);
    allowed(query);
    declared(query);
    let _no_panic = normalize::looks_static(path);
}

fn canonical(path: &str) {
    let Ok(canonical) = normalize::path(path) else { return };
    assert_eq!(normalize::path(&canonical).as_deref(), Ok(&*canonical), "a canonical path is its own");
    assert!(canonical.len() <= path.len() && canonical.starts_with('/') && !canonical.starts_with("//"));
    assert!(canonical.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control() && byte != b'\\'));
    let lower = canonical.to_ascii_lowercase();
    for confusing in ["%2f", "%5c", "%2e", "%00", "%0a", "%0d", "%7f", "//", "/./", "/../"] {
        assert!(!lower.contains(confusing), "{canonical} contains {confusing}");
    }
    assert!(!lower.ends_with("/.") && !lower.ends_with("/.."), "{canonical}");
    // In upper case as far as it is encoded, so one spelling.
    let encoded = canonical.split('%').skip(1);
    for escape in encoded {
        let digits = escape.get(..2).expect("two digits");
        assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')), "{canonical}");
        let byte = u8::from_str_radix(digits, 16).expect("hex digits");
        assert!(!byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte), "{canonical}: needs no escape");
    }
    // Every byte may be spelt as an escape without being another path.
    let spelt: String = canonical.bytes().map(|b| if b == b'/' { "/".into() } else { format!("%{b:02x}") }).collect();
    if !canonical.contains('%') {
        let again = normalize::path(&spelt);
        let plain = canonical.bytes().all(|b| b == b'/' || b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        assert!(again.is_ok(), "{spelt}");
        assert!(!plain || again.as_deref() == Ok(&*canonical), "{spelt} is {canonical}");
    }
    assert_eq!(normalize::path(&format!("{canonical}%2F")), Err(Ambiguous));
    assert_eq!(normalize::path(&format!("{}/../x", canonical.trim_end_matches('/'))), Err(Ambiguous));
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// `sorted` is `sent`, stably sorted by name.
fn in_order(sent: &str, sorted: &str) {
    assert_eq!(normalize::sorted_query(sorted), sorted, "a sorted query is its own");
    let (before, after): (Vec<_>, Vec<_>) = (sent.split('&').collect(), sorted.split('&').collect());
    assert!(after.is_sorted_by_key(|pair| name(pair)));
    assert_eq!(before.len(), after.len());
    let mut expected = before;
    // Names and places: what a stable sort keeps.
    expected.sort_by_key(|pair| name(pair));
    assert_eq!(expected, after);
}

fn allowed(query: &str) {
    let names: [Cow<'static, str>; 3] = ["page".into(), "q".into(), "a".into()];
    let cut = normalize::allowed_query(query, &names);
    let is_allowed = |pair: &&str| names.iter().any(|allowed| *allowed == name(pair));
    let kept = query.split('&').filter(is_allowed).collect::<Vec<_>>().join("&");
    in_order(&kept, &cut);
    assert_eq!(normalize::allowed_query(&cut, &names), cut, "what is allowed stays");
    assert_eq!(normalize::allowed_query(query, &[]), "", "nothing allowed, nothing kept");
}

fn declared(query: &str) {
    let spec = QuerySpec::new([
        Param::int("page", Some(1), 1, 400),
        Param::int("a", None, -5, 5),
        Param::text("q", Fold::Words, 0, 20),
        Param::text("exact", Fold::Exact, 1, 8),
        Param::text("slug", Fold::Slug, 0, 8),
        Param::choice("sort", &["new", "Most Viewed"], Some("new")),
    ]);
    let read = match spec.canonicalize(query) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.rule.is_empty() && spec.params().iter().any(|param| param.name == error.param));
            return;
        }
    };
    let again = spec.canonicalize(read.as_str()).expect("what was taken is taken again");
    assert_eq!(again, read, "a canonical query is its own");
    assert!(read.int("page").is_some_and(|page| (1..=400).contains(&page)));
    assert!(read.int("a").is_none_or(|number| (-5..=5).contains(&number)));
    assert!(matches!(read.text("sort"), Some("new" | "Most Viewed")));
    for (name, most) in [("q", 20), ("exact", 8), ("slug", 8)] {
        assert!(read.text(name).is_none_or(|text| text.chars().count() <= most && !text.contains('\0')));
    }
    let bytes = read.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b));
    assert!(bytes && read.as_str().len() < 1_000, "{read}: bounded, of plain bytes");
    // Order, unknown parameters and empty parts say nothing.
    let noisy = format!("&&zzz=%00%ff&{query}&zzz&");
    assert_eq!(spec.canonicalize(&noisy).as_ref(), Ok(&read));
}
