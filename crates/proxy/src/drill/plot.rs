//! Measures over time as one line each, in plain text.

use std::fmt::Write;

use super::phases::{Phase, Phases};

/// From the least to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ABSENT: char = '·';
/// Columns; longer times share them.
const COLUMNS_MAX: usize = 100;
const NAME_WIDTH: usize = 14;

/// One measure, a value for each second.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<Option<f64>>,
}

/// The lines under a ruler that says which part each second belongs to.
pub(crate) fn plot(phases: &Phases, lines: &[Line]) -> String {
    let seconds = phases.all().len();
    let each = seconds.div_ceil(COLUMNS_MAX).max(1);
    let ruler: String = phases.all().step_by(each).map(|second| phases.at(second).map_or(ABSENT, letter)).collect();
    let mut text = String::new();
    let mut row = |name: &str, bars: &str, says: &str| {
        let line = format!("{name:NAME_WIDTH$} {bars} {says}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
    };
    let unit = if each == 1 { String::new() } else { format!("{each} s a column") };
    row("", &ruler, &unit);
    for line in lines {
        let columns: Vec<Option<f64>> =
            line.values.chunks(each).map(|chunk| chunk.iter().flatten().copied().reduce(f64::max)).collect();
        let most = columns.iter().flatten().copied().reduce(f64::max);
        let says = most.map_or_else(|| "not measured".to_owned(), |most| format!("most {}", number(most)));
        row(line.name, &bars(&columns, most.unwrap_or(0.0)), &says);
    }
    text
}

/// Heights from zero to `most`; what is more than nothing is seen to be.
fn bars(values: &[Option<f64>], most: f64) -> String {
    let top = BARS.len() - 1;
    let bar = |value: f64| match value {
        value if value <= 0.0 || most <= 0.0 => BARS[0],
        value => BARS[((value / most * top as f64).ceil() as usize).clamp(1, top)],
    };
    values.iter().map(|value| value.map_or(ABSENT, bar)).collect()
}

/// Three digits are enough.
pub(crate) fn number(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

const fn letter(phase: Phase) -> char {
    match phase {
        Phase::WarmUp => 'w',
        Phase::Before => 'b',
        Phase::Fault => 'F',
        Phase::Healed => 'h',
        Phase::After => 'a',
        Phase::Direct => 'D',
        Phase::Cold => 'c',
        Phase::Full => 'f',
        Phase::FirstNode => 'A',
        Phase::SecondNode => 'B',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_a_full_bar_and_anything_is_more_than_nothing() {
        let values = [Some(0.0), Some(0.01), Some(50.0), None, Some(100.0)];
        assert_eq!(bars(&values, 100.0), "▁▂▅·█");
        assert_eq!(bars(&[Some(0.0), Some(0.0)], 0.0), "▁▁");
    }

    #[test]
    fn the_ruler_stands_over_the_bars() {
        let phases = Phases::exhaustion(2, 7);
        let values = (0..9).map(|second| Some(f64::from(second) / 2.0)).collect();
        let text = plot(&phases, &[Line { name: "p95, ms", values }, Line { name: "stale, %", values: vec![None; 9] }]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "               DDcccccff");
        assert_eq!(lines[1], "p95, ms        ▁▂▃▄▅▆▇██ most 4");
        assert_eq!(lines[2], "stale, %       ········· not measured");
    }

    #[test]
    fn a_long_time_shares_columns_and_keeps_its_peaks() {
        let phases = Phases::exhaustion(0, 250);
        let mut values = vec![Some(0.0); 250];
        values[100] = Some(7.0);
        let text = plot(&phases, &[Line { name: "errors", values }]);
        let errors = text.lines().nth(1).unwrap();
        assert!(text.lines().next().unwrap().ends_with("3 s a column"));
        assert_eq!(errors.matches('█').count(), 1);
        assert_eq!(errors.matches(BARS[0]).count(), 83);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([0.0, 7.0, 1.234, 12.34, 1234.5].map(number), ["0", "7", "1.23", "12.3", "1234"]);
    }
}
