//! Text from elsewhere made safe to show, and figures made short.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// A longer text says no more on a screen.
const CHARS_MAX: usize = 2_048;
/// Stands for a character that must not be shown.
const HIDDEN: char = '\u{fffd}';
/// Stands for a figure that is not known.
pub(super) const UNKNOWN: &str = "-";

/// Text of which nothing can steer a terminal. There is no other way into the model, so nothing else reaches the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(CHARS_MAX).map(|letter| if is_shown(letter) { letter } else { HIDDEN }).collect())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::of(&text))
    }
}

/// Control characters steer a terminal; the marks of writing direction and the invisible ones make a text look like another.
fn is_shown(letter: char) -> bool {
    let invisible = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !letter.is_control() && !invisible
}

/// What is known of `value`, as `show` says it.
pub(super) fn known(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| UNKNOWN.to_owned(), show)
}

/// Three digits are enough.
fn three(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// As `1234.5`, `12.3`, `0.10`.
pub(super) fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 1e5 => three(value),
        value => scaled(value, 1e3, &["", " k", " M", " G"]),
    }
}

/// Whole, up to six digits.
pub(super) fn count(value: u64) -> String {
    if value < 1_000_000 { value.to_string() } else { scaled(value as f64, 1e3, &["", " k", " M", " G", " T"]) }
}

pub(super) fn bytes(value: f64) -> String {
    if value < 1024.0 {
        format!("{value:.0} B")
    } else {
        scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"])
    }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    format!("{}{}", three(value), units[unit])
}

/// A share; what is nearly all is not called all, and what is hardly any not none.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        all if (99.95..100.0).contains(&all) => ">99.9 %".to_owned(),
        all if all > 0.0 && all < 0.05 => "<0.1 %".to_owned(),
        all => format!("{all:.1} %"),
    }
}

pub(super) fn millis(value: f64) -> String {
    if value < 999.5 { format!("{} ms", three(value)) } else { span(Duration::from_secs_f64((value / 1e3).min(1e9))) }
}

/// The two largest units of a time.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// The same in whole seconds.
pub(super) fn whole_span(time: Duration) -> String {
    if time.as_secs() < 60 { format!("{} s", time.as_secs()) } else { span(time) }
}

/// Of seconds that another program counted.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let text = Text::of("a\u{1b}[2Jb\rc\nd\u{7f}e\u{9b}f\u{202e}g\u{200b}h\u{2066}i");
        assert_eq!(text.as_str(), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i");
        let text: Text = serde_json::from_str(r#""\u001b]0;x\u0007""#).unwrap();
        assert_eq!(text.as_str(), "\u{fffd}]0;x\u{fffd}");
        assert_eq!(Text::of("Zürich, 東京 \u{1f3ac}").as_str(), "Zürich, 東京 \u{1f3ac}");
        assert_eq!(Text::of(&"x".repeat(10_000)).as_str().len(), CHARS_MAX);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0.0, 0.1, 12.34, 1234.5, 123_456.0].map(rate), ["0", "0.10", "12.3", "1234", "123 k"]);
        assert_eq!([0, 999_999, 1_234_567, 45_000_000_000].map(count), ["0", "999999", "1.23 M", "45.0 G"]);
        assert_eq!([0.0, 1023.0, 1536.0, 52_428_800.0].map(bytes), ["0 B", "1023 B", "1.50 KiB", "50.0 MiB"]);
        assert_eq!(
            [0.0, 0.0001, 0.941, 0.99999, 1.0].map(percent),
            ["0.0 %", "<0.1 %", "94.1 %", ">99.9 %", "100.0 %"]
        );
        assert_eq!([0.2, 3.12, 812.0, 1250.0].map(millis), ["0.20 ms", "3.12 ms", "812 ms", "1.25 s"]);
        let spans = [1.5, 42.0, 125.0, 3_720.0, 100_000.0].map(|value| span(seconds(value)));
        assert_eq!(spans, ["1.50 s", "42.0 s", "2 min 5 s", "1 h 2 min", "1 d 3 h"]);
    }

    #[test]
    fn what_is_no_number_is_unknown() {
        assert_eq!(known(None, rate), UNKNOWN);
        assert_eq!(known(Some(f64::NAN), rate), UNKNOWN);
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f64::INFINITY), Duration::ZERO);
    }
}
