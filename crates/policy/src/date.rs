//! HTTP dates: the three formats of RFC 9110 §5.6.7, read as its grammar has them but for case and weekday, and written as the first.
//!
//! A cache that took more for a date than the grammar does would keep what other recipients hold for expired: two-digit years in the
//! preferred format, dashes, one-digit hours, zones other than GMT and doubled spaces are no dates. The weekday says nothing that the
//! date does not, so a wrong one is no reason to expire anything (the `httpdate` crate refuses it).

use edge_cache_core::Timestamp;

/// Reads an HTTP date; names in any case, the weekday not compared. `now` places the two-digit year of the obsolete RFC 850 format: at
/// most 50 years ahead.
///
/// Anything else is `None`; for `Expires` that means already expired (RFC 9111 §5.3).
#[must_use]
pub fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    if let Some(date) = usual(value) {
        return date.timestamp();
    }
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let date = match text.split_once(", ") {
        Some((weekday, rest)) if is_name(weekday) => fixdate(rest).or_else(|| rfc850(rest, now)),
        Some(_) => None,
        None => asctime(text),
    }?;
    date.timestamp()
}

/// The last second of the year 9999, the last that the grammar can say.
const LAST: i64 = 253_402_300_799;

/// Writes an IMF-fixdate; what lies outside 1970 to 9999 as the nearest that lies inside.
#[must_use]
pub fn format(at: Timestamp) -> String {
    let since = std::time::Duration::from_secs(at.as_secs().clamp(0, LAST).unsigned_abs());
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
    /// Seconds of the day.
    clock: i64,
}

impl Date {
    fn timestamp(&self) -> Option<Timestamp> {
        let Self { year, month, day, clock } = *self;
        Some(Timestamp::from_secs(days_from_civil(year, month, day)? * 86_400 + clock))
    }
}

/// An IMF-fixdate as nearly all write it, by its places alone: each answer that is stored has one. `None` for all that may be another way to write a date.
fn usual(value: &[u8]) -> Option<Date> {
    let [a, b, c, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', clock @ .., b' ', b'G', b'M', b'T'] =
        value
    else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = clock else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let month = MONTHS.iter().position(|month| month.as_bytes() == [m1.to_ascii_lowercase(), *m2, *m3])?;
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let is_name = [a, b, c].iter().all(|letter| letter.is_ascii_alphabetic());
    let (day, year) = (number(&[*d1, *d2])?, number(&[*y1, *y2, *y3, *y4])?);
    let month = i64::try_from(month + 1).ok()?;
    (is_name && is_time).then_some(Date { year, month, day, clock: hour * 3600 + minute * 60 + second })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// `06 Nov 1994 08:49:37 GMT`
fn fixdate(text: &str) -> Option<Date> {
    let [day, month, year, time, zone] = fields(text, ' ')?;
    let date =
        Date { year: digits(year, 4)?, month: month_number(month)?, day: digits(day, 2)?, clock: seconds(time)? };
    zone.eq_ignore_ascii_case("GMT").then_some(date)
}

/// `06-Nov-94 08:49:37 GMT`
fn rfc850(text: &str, now: Timestamp) -> Option<Date> {
    let [date, time, zone] = fields(text, ' ')?;
    let [day, month, year] = fields(date, '-')?;
    let (month, day, clock) = (month_number(month)?, digits(day, 2)?, seconds(time)?);
    let this_year = 1970 + now.as_secs().div_euclid(31_556_952);
    let century = this_year - this_year.rem_euclid(100);
    let year = century + digits(year, 2)?;
    // The same digits in the century that puts them nearest below 50 years ahead.
    let year = match year - this_year {
        51.. => year - 100,
        ..=-50 => year + 100,
        _ => year,
    };
    zone.eq_ignore_ascii_case("GMT").then_some(Date { year, month, day, clock })
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<Date> {
    // The day is padded with a space to two places.
    let one_place = text.split_once("  ").map(|(names, rest)| format!("{names} 0{rest}"));
    let [weekday, month, day, time, year] = fields(one_place.as_deref().unwrap_or(text), ' ')?;
    let date =
        Date { year: digits(year, 4)?, month: month_number(month)?, day: digits(day, 2)?, clock: seconds(time)? };
    is_name(weekday).then_some(date)
}

/// Exactly `N` fields.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut fields = [""; N];
    for field in &mut fields {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(fields)
}

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn seconds(time: &str) -> Option<i64> {
    let [hour, minute, second] = fields(time, ':')?;
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    // 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month_number(name: &str) -> Option<i64> {
    MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name)).and_then(|at| i64::try_from(at + 1).ok())
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
    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    #[test]
    fn three_formats_with_names_in_any_case_and_any_weekday() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "MON, 06 NOV 1994 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(Timestamp::from_secs(SECS)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "0",
            "-1",
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 94",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn two_digit_years_lie_at_most_fifty_years_ahead() {
        let year = |text: &str, now| {
            let at = parse(format!("Sunday, 06-Nov-{text} 08:49:37 GMT").as_bytes(), now).unwrap();
            1970 + at.as_secs().div_euclid(31_556_952)
        };
        assert_eq!((year("76", NOW), year("77", NOW), year("99", NOW), year("26", NOW)), (2076, 1977, 1999, 2026));
        let later = Timestamp::from_secs(1_790_000_000 + 10 * 31_556_952);
        assert_eq!((year("86", later), year("87", later)), (2086, 1987));
        let (in_1999, in_2099) = (Timestamp::from_secs(940_000_000), Timestamp::from_secs(4_090_000_000));
        assert_eq!((year("00", in_1999), year("49", in_1999), year("50", in_1999)), (2000, 2049, 1950));
        assert_eq!((year("00", in_2099), year("98", in_2099)), (2100, 2098));
    }

    #[test]
    fn writing_and_reading_agree() {
        for secs in [0, 951_782_400, SECS, 4_102_444_800, LAST] {
            let at = Timestamp::from_secs(secs);
            assert_eq!(parse(format(at).as_bytes(), NOW), Some(at));
        }
        let leap = parse(b"Fri, 31 Dec 9999 23:59:60 GMT", NOW).unwrap();
        assert_eq!(format(leap), "Fri, 31 Dec 9999 23:59:59 GMT", "the second after the last is written as the last");
        assert_eq!(format(Timestamp::from_secs(i64::MIN)), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
