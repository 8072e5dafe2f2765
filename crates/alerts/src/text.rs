//! Figures, thresholds and times as a person reads them.

use std::time::Duration;

use crate::{
    Figure,
    figure::Unit,
    rule::{Limit, Side},
};

/// Decimals to tell a value from its threshold; past these they are told as equal.
const DECIMALS_MAX: usize = 4;

/// `error rate 7.0 % is above 5.0 %`.
pub(crate) fn fired(figure: Figure, value: f64, limit: &Limit) -> String {
    if let Some((down, _)) = states(figure) {
        return down.to_owned();
    }
    let (value, threshold) = apart(figure.unit(), value, limit.value);
    format!("{} {value} is {} {threshold}", subject(figure), side(limit.side))
}

/// `error rate is back at 0.2 % after 6 min`.
pub(crate) fn recovered(figure: Figure, value: f64, after: Duration) -> String {
    let after = time(after);
    match states(figure) {
        Some((_, up)) => format!("{up} after {after}"),
        None => format!("{} is back at {} after {after}", subject(figure), shown(figure.unit(), value, 1)),
    }
}

/// `error rate: nothing to go by for 5 min (last known: 7.0 %)`.
pub(crate) fn lost(figure: Figure, value: f64, silent: Duration) -> String {
    let last = match states(figure) {
        Some((down, up)) => if value > 0.0 { down } else { up }.to_owned(),
        None => shown(figure.unit(), value, 1),
    };
    format!("{}: nothing to go by for {} (last known: {last})", subject(figure), time(silent))
}

/// `still above 1.0 %`.
pub(crate) fn still(figure: Figure, limit: &Limit) -> String {
    format!("still {} {}", side(limit.side), shown(figure.unit(), limit.value, 1))
}

const fn subject(figure: Figure) -> &'static str {
    match figure {
        Figure::ErrorRate => "error rate",
        Figure::P95 => "p95",
        Figure::HitRate => "hit rate",
        Figure::Pool => "pool",
        Figure::DatabaseDown => "database",
        Figure::OriginDown => "origin",
        Figure::RedisDown => "Redis",
        Figure::BackplaneCutOff => "backplane",
        Figure::MonitorFailing => "monitor",
        Figure::IdentityLeak => "identity",
    }
}

/// Of what is so or not: what is said when it is, and when it is not any more.
const fn states(figure: Figure) -> Option<(&'static str, &'static str)> {
    match figure {
        Figure::ErrorRate | Figure::P95 | Figure::HitRate | Figure::Pool => None,
        Figure::DatabaseDown => Some(("the database cannot be reached", "the database can be reached again")),
        Figure::OriginDown => Some(("the origin cannot be reached", "the origin can be reached again")),
        Figure::RedisDown => Some(("Redis cannot be reached", "Redis can be reached again")),
        Figure::BackplaneCutOff => {
            Some(("this node does not hear the other nodes' purges", "this node hears the other nodes' purges again"))
        }
        Figure::MonitorFailing => Some(("a check of the monitor fails", "all checks of the monitor are well again")),
        Figure::IdentityLeak => Some((
            "a route's answers depend on who asks, against its declaration: nothing of it is cached",
            "every route's declaration is believed again",
        )),
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Above => "above",
        Side::Below => "below",
    }
}

/// Both, with as many decimals as it takes to tell them apart: `5.0 % is above 5.0 %` helps nobody.
fn apart(unit: Unit, value: f64, threshold: f64) -> (String, String) {
    let with = |decimals| (shown(unit, value, decimals), shown(unit, threshold, decimals));
    (1..DECIMALS_MAX).map(with).find(|(value, threshold)| value != threshold).unwrap_or_else(|| with(DECIMALS_MAX))
}

fn shown(unit: Unit, value: f64, decimals: usize) -> String {
    match unit {
        Unit::Share => format!("{:.decimals$} %", value * 100.0),
        Unit::Seconds if value < 1.0 => format!("{:.*} ms", decimals - 1, value * 1000.0),
        Unit::Seconds => format!("{value:.decimals$} s"),
        Unit::Flag => value.to_string(),
    }
}

/// The two largest units: `45 s`, `6 min`, `2 h 5 min`, `3 d 4 h`.
fn time(time: Duration) -> String {
    let secs = time.as_secs();
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rule, Severity::Critical};

    fn above(figure: Figure, threshold: f64, value: f64) -> String {
        fired(figure, value, &Rule::above("a", figure, threshold, Critical).limit())
    }

    #[test]
    fn each_figure_in_its_unit() {
        assert_eq!(above(Figure::ErrorRate, 0.05, 0.07), "error rate 7.0 % is above 5.0 %");
        assert_eq!(above(Figure::P95, 3.0, 3.25), "p95 3.2 s is above 3.0 s");
        assert_eq!(above(Figure::P95, 0.3, 0.85), "p95 850 ms is above 300 ms");
        assert_eq!(above(Figure::Pool, 0.8, 1.0), "pool 100.0 % is above 80.0 %");
        assert_eq!(above(Figure::DatabaseDown, 0.0, 1.0), "the database cannot be reached");
        assert_eq!(above(Figure::BackplaneCutOff, 0.0, 1.0), "this node does not hear the other nodes' purges");
        assert_eq!(above(Figure::MonitorFailing, 0.0, 1.0), "a check of the monitor fails");
        let below = Rule::below("b", Figure::HitRate, 0.5, Critical).limit();
        assert_eq!(fired(Figure::HitRate, 0.123, &below), "hit rate 12.3 % is below 50.0 %");
        assert_eq!(still(Figure::HitRate, &below), "still below 50.0 %");
    }

    #[test]
    fn a_value_is_told_apart_from_its_threshold() {
        assert_eq!(above(Figure::ErrorRate, 0.05, 0.0501), "error rate 5.01 % is above 5.00 %");
        assert_eq!(above(Figure::P95, 3.0, 3.004), "p95 3.004 s is above 3.000 s");
        assert_eq!(above(Figure::P95, 3.0, 3.000_000_1), "p95 3.0000 s is above 3.0000 s");
    }

    #[test]
    fn recovery_says_after_how_long() {
        let after = |secs| recovered(Figure::ErrorRate, 0.002, Duration::from_secs(secs));
        assert_eq!(after(399), "error rate is back at 0.2 % after 6 min");
        assert_eq!(after(45), "error rate is back at 0.2 % after 45 s");
        assert_eq!(after(7_500), "error rate is back at 0.2 % after 2 h 5 min");
        assert_eq!(after(100 * 3600), "error rate is back at 0.2 % after 4 d 4 h");
        let flag = |figure| recovered(figure, 0.0, Duration::from_secs(60));
        assert_eq!(flag(Figure::RedisDown), "Redis can be reached again after 1 min");
        assert_eq!(flag(Figure::MonitorFailing), "all checks of the monitor are well again after 1 min");
    }

    #[test]
    fn silence_says_for_how_long_and_what_was_known_last() {
        let lost = |figure, value| lost(figure, value, Duration::from_secs(300));
        assert_eq!(lost(Figure::ErrorRate, 0.07), "error rate: nothing to go by for 5 min (last known: 7.0 %)");
        let monitor = "monitor: nothing to go by for 5 min (last known: a check of the monitor fails)";
        assert_eq!(lost(Figure::MonitorFailing, 1.0), monitor);
    }
}
