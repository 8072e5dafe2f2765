use std::time::Duration;

use edge_cache_core::Timestamp;
use edge_cache_policy::date;

const YEAR: Duration = Duration::from_secs(31_556_952);

/// The input is a date.
///
/// What is read and written again is read as the same, in each of the three formats; case and blanks around say nothing, and only the format with two digits for its
/// year depends on the present, of which it is at most about 50 years off.
pub fn check(data: &[u8]) {
    let presents = [0, 784_111_777, 1_790_000_000, 4_102_444_800].map(Timestamp::from_secs);
    let read: Vec<_> = presents.iter().map(|now| date::parse(data, *now)).collect();
    for extreme in [i64::MIN, i64::MAX] {
        let _no_overflow = date::parse(data, Timestamp::from_millis(extreme));
    }
    let shouted = data.to_ascii_uppercase();
    let dressed = [b" \t", data, b"\t "].concat();
    for (now, at) in presents.iter().zip(&read) {
        assert_eq!(date::parse(&shouted, *now), *at, "case says nothing");
        assert_eq!(date::parse(&dressed, *now), *at, "nor do blanks around");
        let Some(at) = *at else { continue };
        let written = date::format(at);
        assert_eq!(written.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{written}");
        let again = date::parse(written.as_bytes(), *now).expect("what is written is a date");
        assert_eq!(date::format(again), written, "writing is stable");
        let sayable = (0..=253_402_300_799).contains(&at.as_secs());
        assert!(!sayable || again == at, "{written} for {at:?}");
        if sayable {
            rewritten(&written, at);
        }
    }
    if read.iter().any(|at| *at != read[0]) {
        // Only two-digit years hang on the present: a form with dashes.
        assert!(data.contains(&b'-'), "the same text is another date later");
        for (now, at) in presents.iter().zip(&read) {
            // The 29th of February is none in 2100.
            let Some(at) = *at else { continue };
            assert!(at <= *now + 51 * YEAR && at + 51 * YEAR >= *now, "no further off than it must be");
        }
    }
}

/// The two obsolete formats of a date that is written in the preferred one.
fn rewritten(written: &str, at: Timestamp) {
    let fields: Vec<&str> = written.split([' ', ',']).filter(|field| !field.is_empty()).collect();
    let [weekday, day, month, year, time, _zone] = fields[..] else { panic!("{written}: six fields") };
    let asctime = format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0'));
    assert_eq!(date::parse(asctime.as_bytes(), at), Some(at), "{asctime}");
    let rfc850 = format!("{weekday}day, {day}-{month}-{} {time} GMT", &year[2..]);
    assert_eq!(date::parse(rfc850.as_bytes(), at), Some(at), "{rfc850} at {at:?}");
}
