use super::*;

const NOW: Timestamp = Timestamp::from_secs(784_111_777);

fn whole(text: &str) -> Option<Asked> {
    Held::whole(10).resolve(text.as_bytes())
}

#[test]
fn single_ranges() {
    for (text, want) in [
        ("bytes=0-3", Some(Asked::Part(0..4))),
        ("bytes=8-99", Some(Asked::Part(8..10))),
        ("BYTES=9-", Some(Asked::Part(9..10))),
        ("bytes=-4", Some(Asked::Part(6..10))),
        ("bytes=-99", Some(Asked::Part(0..10))),
        ("bytes=0-18446744073709551615", Some(Asked::Part(0..10))),
        ("bytes=10-", Some(Asked::Unsatisfiable)),
        ("bytes=-0", Some(Asked::Unsatisfiable)),
        ("bytes=4-3", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("lines=1-2", None),
    ] {
        assert_eq!(whole(text), want, "{text}");
    }
    assert_eq!(content_range(&(0..4), Some(10)), "bytes 0-3/10");
    assert_eq!(content_range(&(0..4), None), "bytes 0-3/*");
}

#[test]
fn several_ranges_within_bounds() {
    assert_eq!(whole("bytes=0-1, 4-5,-1"), Some(Asked::Parts(vec![0..2, 4..6, 9..10])));
    assert_eq!(whole("bytes=8-9,0-0"), Some(Asked::Parts(vec![8..10, 0..1])), "in the order asked for");
    assert_eq!(whole("bytes=0-1,99-"), Some(Asked::Part(0..2)), "what is not there is left out");
    assert_eq!(whole("bytes=0-5,5-9"), None, "an overlap asks for more than there is");
    let many = |n: u64| format!("bytes={}", (0..n).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(","));
    let large = Held::whole(1000);
    assert!(matches!(large.resolve(many(16).as_bytes()), Some(Asked::Parts(parts)) if parts.len() == 16));
    assert_eq!(large.resolve(many(17).as_bytes()), None);
}

#[test]
fn a_part_answers_only_what_it_holds() {
    let held = Held { first: 4, len: 4, complete: Some(10) };
    let of = |text: &str| held.resolve(text.as_bytes()).unwrap();
    assert_eq!(of("bytes=4-7"), Asked::Part(4..8));
    assert_eq!(of("bytes=5-6"), Asked::Part(5..7));
    for missing in ["bytes=3-7", "bytes=4-8", "bytes=6-", "bytes=-1", "bytes=4-5,9-9"] {
        assert_eq!(of(missing), Asked::Missing, "{missing}");
    }
    assert_eq!(of("bytes=10-"), Asked::Unsatisfiable);
    let endless = Held { complete: None, ..held };
    assert_eq!(endless.resolve(b"bytes=4-7"), Some(Asked::Part(4..8)));
    for missing in ["bytes=-1", "bytes=6-", "bytes=4-8"] {
        assert_eq!(endless.resolve(missing.as_bytes()), Some(Asked::Missing), "{missing}");
    }
}

#[test]
fn what_a_206_brought() {
    let received = |text: &str, len| Held::received(text.as_bytes(), len);
    assert_eq!(received("bytes 4-9/10", 6), Some(Held { first: 4, len: 6, complete: Some(10) }));
    assert_eq!(received("bytes 4-9/10", 5), Some(Held { first: 4, len: 5, complete: Some(9) }));
    assert_eq!(received("bytes 0-4/10", 3), Some(Held { first: 0, len: 3, complete: Some(10) }));
    assert_eq!(received("Bytes 0-4/*", 5), Some(Held { first: 0, len: 5, complete: None }));
    for bad in ["bytes 4-9/9", "bytes 9-4/10", "bytes */10", "lines 0-5/10", "bytes 0-5", "bytes=0-5/10", ""] {
        assert_eq!(received(bad, 6), None, "{bad}");
    }
    assert_eq!(received("bytes 4-9/10", 7), None, "more than announced");
    assert_eq!(received("bytes 4-9/10", 0), None);
}

#[test]
fn parts_join_where_they_touch_and_agree() {
    let part = |first, len, complete| Held { first, len, complete };
    assert_eq!(part(0, 5, Some(10)).join(&part(5, 5, None)), Some(Held::whole(10)));
    assert_eq!(part(5, 5, Some(10)).join(&part(0, 6, Some(10))), Some(Held::whole(10)));
    assert_eq!(part(0, 4, Some(10)).join(&part(5, 5, Some(10))), None, "a gap");
    assert_eq!(part(0, 5, Some(10)).join(&part(5, 6, Some(11))), None, "another representation");
    assert_eq!(part(0, 5, Some(10)).join(&part(5, 10, None)), None, "beyond the end");
    assert!(!part(0, 5, None).is_whole() && !part(1, 9, Some(10)).is_whole() && Held::whole(10).is_whole());
}

fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (http::HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

#[test]
fn if_range_compares_strongly() {
    let asked = |condition, stored: &[(&'static str, &'static str)]| {
        Held::whole(10).asked(&map(&[("range", "bytes=0-3"), ("if-range", condition)]), &map(stored), NOW)
    };
    let tagged = [("etag", "\"a\"")];
    assert_eq!(asked("\"a\"", &tagged), Asked::Part(0..4));
    assert_eq!(asked("\"b\"", &tagged), Asked::Whole);
    assert_eq!(asked("W/\"a\"", &[("etag", "W/\"a\"")]), Asked::Whole);
    let (old, date) = ("Sun, 06 Nov 1994 08:49:36 GMT", ("date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(asked(old, &[("last-modified", old), date]), Asked::Part(0..4));
    assert_eq!(asked(old, &[("last-modified", old)]), Asked::Whole, "nothing says that the date is strong");
    assert_eq!(asked(date.1, &[("last-modified", date.1), date]), Asked::Whole, "modified as it was sent");
}

#[test]
fn single_ranges_are_told_from_sets() {
    assert!(is_single(&map(&[("range", "bytes=0-3")])) && is_single(&map(&[("range", "bytes=-3")])));
    for other in ["bytes=0-1,3-4", "lines=0-1", "bytes=x"] {
        assert!(!is_single(&map(&[("range", other)])), "{other}");
    }
    assert!(!is_single(&HeaderMap::new()));
}

#[test]
fn validators_that_put_parts_together() {
    let of = |stored: &[(&'static str, &'static str)]| strong_validator(&map(stored), NOW).is_some();
    assert!(of(&[("etag", "\"a\"")]));
    assert!(!of(&[("etag", "W/\"a\"")]) && !of(&[]));
    let old = ("last-modified", "Sun, 06 Nov 1994 08:49:07 GMT");
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert!(of(&[old, date]));
    assert!(!of(&[("etag", "W/\"a\""), old, date]), "the tag says that equal dates may hide a change");
}

#[test]
fn an_origin_is_not_asked_for_more_than_there_is() {
    let many =
        format!("bytes={}", (0..=RANGES_MAX).map(|n| format!("{}-{}", n * 2, n * 2)).collect::<Vec<_>>().join(","));
    for (lines, passes) in [
        (&["bytes=0-0"][..], true),
        (&["bytes=0-1, 2-3, -5"], true),
        (&["bytes=5-"], true),
        (&["Bytes=7-9,0-6"], true),
        (&["items=0-,0-,0-"], true),
        (&["bytes=0-,0-"], false),
        (&["bytes=0-,-1"], false),
        (&["bytes=-1,-2"], false),
        (&["bytes=0-5,5-9"], false),
        (&["bytes=1-,0-1"], false),
        (&["bytes=x"], false),
        (&["bytes=0-1", "bytes=2-3"], false),
        (&[many.as_str()], false),
    ] {
        let mut request = HeaderMap::new();
        for line in lines {
            request.append(header::RANGE, HeaderValue::from_str(line).unwrap());
        }
        request.insert(header::IF_RANGE, HeaderValue::from_static("\"a\""));
        bound(&mut request);
        assert_eq!(
            (request.contains_key(header::RANGE), request.contains_key(header::IF_RANGE)),
            (passes, passes),
            "{lines:?}"
        );
    }
}
