//! The report as text.

use std::fmt::Write;

use edge_cache_warmer::Report;

pub(super) fn text(report: &Report, resumable: bool) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("writing to a String cannot fail");
    let Report { planned, asked, warmed, fresh, resumed, bytes, seconds, .. } = report;
    line(format_args!(
        "warmed {warmed}, already fresh {fresh}, failed {} of {planned} URLs; {} in {seconds:.1} s",
        report.failed_count(),
        size(*bytes),
    ));
    if *resumed > 0 {
        line(format_args!("{resumed} were done before the interruption"));
    }
    for (reason, count) in &report.failed {
        line(format_args!("  {count} × {reason}"));
        let example = report.failures.iter().find(|failure| failure.reason == *reason);
        if let Some(failure) = example {
            line(format_args!("      as {} of {}", failure.url, failure.target));
            if let Some(hint) = failure.hint {
                line(format_args!("      {hint}"));
            }
        }
    }
    if report.interrupted {
        let left = planned - asked - resumed;
        let then = if resumable { "the same command goes on from here" } else { "the same command begins anew" };
        line(format_args!("interrupted with {left} left: {then}"));
    }
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_warmer::Failure;

    use super::*;

    #[test]
    fn it_says_what_became_of_everything() {
        let failure = Failure {
            url: "http://h/x".to_owned(),
            target: "http://127.0.0.1:1".to_owned(),
            reason: "refresh-ignored".to_owned(),
            hint: Some("a hint"),
        };
        let report = Report {
            planned: 10,
            asked: 4,
            warmed: 2,
            fresh: 1,
            resumed: 3,
            failed: [("refresh-ignored".to_owned(), 1)].into(),
            failures: vec![failure],
            bytes: 1_500,
            seconds: 1.25,
            interrupted: true,
            stopped: false,
        };
        let expected = "warmed 2, already fresh 1, failed 1 of 10 URLs; 1.5 kB in 1.2 s\n\
                        3 were done before the interruption\n\
                        \x20 1 × refresh-ignored\n\
                        \x20     as http://h/x of http://127.0.0.1:1\n\
                        \x20     a hint\n\
                        interrupted with 3 left: the same command goes on from here\n";
        assert_eq!(text(&report, true), expected);
        assert!(text(&report, false).ends_with("begins anew\n"));
        assert_eq!((size(0), size(2_500_000)), ("0 B".to_owned(), "2.5 MB".to_owned()));
    }
}
