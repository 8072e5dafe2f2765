//! HTTP dates, read as leniently as caches must (RFC 9110 §5.6.7) and written strictly.

use edge_cache_core::Timestamp;

/// Reads an HTTP date in any of its three formats: names in any case, the weekday ignored, one-digit days and hours, dashes.
///
/// Not UTC, or anything else that is no such date, is `None`; for `Expires` that means already expired.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let rest = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut parts = rest.split([' ', '-']).filter(|part| !part.is_empty());
    let mut next = || parts.next();
    let (day, month, year, time) = if text.contains(',') {
        let (day, month, year, time) = (next()?, next()?, next()?, next()?);
        if !next()?.eq_ignore_ascii_case("GMT") {
            return None;
        }
        (day, month, year, time)
    } else {
        // asctime: Sun Nov  6 08:49:37 1994
        let (_, month, day, time, year) = (next()?, next()?, next()?, next()?, next()?);
        (day, month, year, time)
    };
    if next().is_some() {
        return None;
    }
    let seconds = clock(time)?;
    let (day, month, year) = (digits(day, 1..=2)?, month_number(month)?, full_year(year)?);
    let days = days_from_civil(year, month, day)?;
    Some(Timestamp::from_secs(days * 86_400 + seconds))
}

/// Writes an IMF-fixdate.
#[must_use]
pub fn format(at: Timestamp) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(at.as_secs()).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

fn digits(text: &str, len: std::ops::RangeInclusive<usize>) -> Option<i64> {
    (len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (digits(hour, 1..=2)?, digits(minute, 2..=2)?, digits(second, 2..=2)?);
    // 60 is a leap second.
    (parts.next().is_none() && hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn month_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    NAMES.iter().position(|month| month.eq_ignore_ascii_case(name)).and_then(|at| i64::try_from(at + 1).ok())
}

/// A two-digit year is in the century that puts it at most 50 years ahead of 2026 (RFC 9110 §5.6.7, fixed so that the function is pure).
fn full_year(text: &str) -> Option<i64> {
    match text.len() {
        2 => digits(text, 2..=2).map(|year| if year <= 76 { 2000 + year } else { 1900 + year }),
        _ => digits(text, 4..=4),
    }
}

/// Days since 1970-01-01 of a Gregorian date (the algorithm of Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECS: i64 = 784_111_777;

    #[test]
    fn three_formats_and_their_loose_spellings() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Mon, 6 NOV 1994 8:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Timestamp::from_secs(SECS)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "0",
            "-1",
            "",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn writing_and_reading_agree() {
        for secs in [0, 951_782_400, SECS, 4_102_444_800] {
            let at = Timestamp::from_secs(secs);
            assert_eq!(parse(format(at).as_bytes()), Some(at));
        }
    }
}
