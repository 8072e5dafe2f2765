use edge_cache_policy::vary::{self, Vary};
use http::{HeaderMap, HeaderName, header};

use crate::lines;

/// The lines before the first empty one are values of `Vary`, the others headers of a request.
///
/// Names are a sorted set or `*`, and read the same when written again. Values are compared in a form that does not change any more, that
/// adds nothing, and that is the same for headers on several lines and on one.
pub fn check(data: &[u8]) {
    let mut lines = lines::of(data);
    let values: Vec<_> =
        lines.by_ref().take_while(|line| !line.is_empty()).take(100).filter_map(lines::value).collect();
    let answer = lines::values_of(&header::VARY, &values);
    let vary = Vary::of(&answer);
    if let Vary::Fields(names) = &vary {
        assert!(!names.is_empty() && names.iter().all(|name| name.as_str() != "*"));
        assert!(names.windows(2).all(|two| two[0].as_str() < two[1].as_str()), "sorted, without repeats: {names:?}");
        let written = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let written = lines::value(written.as_bytes()).expect("names make a value");
        assert_eq!(Vary::of(&lines::values_of(&header::VARY, &[written])), vary, "written again");
    }
    let joined = values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>().join(&b", "[..]);
    let joined = lines::value(&joined).expect("values make a value");
    assert_eq!(Vary::of(&lines::values_of(&header::VARY, &[joined])), vary, "lines are one list");

    let request = lines::headers(lines);
    let named = match vary {
        Vary::Fields(names) => names,
        Vary::None | Vary::Star => Vec::new(),
    };
    let always = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::ACCEPT_CHARSET];
    for name in named.iter().chain(&always) {
        selecting(&request, name);
    }
    if let Some(language) = vary::preferred_language(&request) {
        assert!(!language.is_empty() && language != "*" && language == language.to_ascii_lowercase());
    }
    for value in request.values() {
        if let Some(language) = vary::content_language(value.as_bytes()) {
            assert_eq!(vary::content_language(language.as_bytes()), Some(language.clone()), "in its own form");
        }
    }
}

fn selecting(request: &HeaderMap, name: &HeaderName) {
    let sent: Vec<_> = request.get_all(name).iter().map(|value| value.as_bytes()).collect();
    let Some(normal) = vary::selecting(request, name) else {
        assert!(sent.is_empty(), "only what is not there has no value");
        return;
    };
    assert!(!sent.is_empty());
    let joined = sent.join(&b", "[..]);
    assert!(normal.len() <= joined.len(), "nothing is added");
    let alone = |value: &[u8]| {
        let value = lines::value(value).expect("bytes of values make a value");
        vary::selecting(&lines::values_of(name, &[value]), name).expect("it is there").into_owned()
    };
    assert_eq!(alone(&normal), *normal, "a normal form is its own");
    assert_eq!(alone(&joined), *normal, "lines are one list");
}
