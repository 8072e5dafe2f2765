//! Numbers as JSON has them, no longer than they need to be.

use std::fmt::Write;

/// A whole number as it is, any other to six significant digits; `null` for what is unknown.
pub(super) fn write(out: &mut String, number: f64) {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let written = if !number.is_finite() {
        out.push_str("null");
        Ok(())
    } else if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        write!(out, "{}", number as i64)
    } else {
        write!(out, "{}", significant(number))
    };
    written.expect("it is a String");
}

/// To six significant digits.
pub(super) fn significant(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let scale = 10_f64.powi(5 - number.abs().log10().floor() as i32);
    let rounded = (number * scale).round() / scale;
    if rounded.is_finite() { rounded } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_right() {
        let text = |number| {
            let mut out = String::new();
            write(&mut out, number);
            out
        };
        for (number, expected) in [
            (0.0, "0"),
            (17.0, "17"),
            (-3.0, "-3"),
            (268_435_456.0, "268435456"),
            (0.123_456_789, "0.123457"),
            (1_234.567_89, "1234.57"),
            (0.000_000_123_456_78, "0.000000123457"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(text(number), expected);
        }
    }
}
