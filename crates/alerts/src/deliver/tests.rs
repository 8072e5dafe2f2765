use crate::{Event, Figure, Notice, Severity};

pub(super) fn notice(event: Event, rule: &str) -> Notice {
    Notice {
        event,
        rule: rule.to_owned(),
        severity: Severity::Critical,
        figure: Figure::ErrorRate,
        value: 0.07,
        threshold: 0.05,
        since: 1_000.0,
        at: 1_040.0,
        text: "error rate 7.0 % is above 5.0 %".to_owned(),
        still: None,
        suppressed: 0,
    }
}
