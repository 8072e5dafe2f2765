//! Results and sums, for people.

use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use edge_cache_probe::{
    MonitorSnapshot,
    monitor::{CheckSnapshot, Day, Finished, Last},
};

/// One result, as a line.
pub(super) fn line(finished: &Finished) -> String {
    let Finished { name, way, state, consecutive_failures, last, .. } = finished;
    format!("{} {} {} {name}: {}", time(last.at), way.as_str(), state.as_str(), told(last, *consecutive_failures))
}

/// How everything stands: a heading, and a line for each check by each of its ways.
pub(super) fn table(snapshot: &MonitorSnapshot) -> String {
    let widest = snapshot.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    let rows = snapshot.checks.iter().map(|check| row(check, widest));
    std::iter::once(heading(snapshot)).chain(rows).collect::<Vec<_>>().join("\n")
}

fn row(check: &CheckSnapshot, widest: usize) -> String {
    let CheckSnapshot { name, way, state, last, consecutive_failures, day, .. } = check;
    let told = last.as_ref().map_or_else(|| "not asked yet".to_owned(), |last| told(last, *consecutive_failures));
    let (way, state) = (way.as_str(), state.as_str());
    format!("{name:<widest$}  {way:<7}  {state:<7}  {:>8}  {told}", uptime(day))
}

fn heading(snapshot: &MonitorSnapshot) -> String {
    match snapshot.last_round_at {
        None => "the first round is on its way".to_owned(),
        Some(at) => format!("round {}, {}; up in the last 24 h: {}", snapshot.rounds, time(at), uptime(&snapshot.day)),
    }
}

/// The last 24 hours.
pub(super) fn summary(snapshot: &MonitorSnapshot) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["check", "way", "state", "checks", "successes", "failures", "uptime", "connection errors"]);
    let figures = |day: &Day| {
        let Day { checks, successes, failures, connection_errors, .. } = day;
        let [checks, successes, failures, lost] =
            [checks, successes, failures, connection_errors].map(|count| count.to_string());
        [checks, successes, failures, uptime(day), lost]
    };
    for CheckSnapshot { name, way, state, day, .. } in &snapshot.checks {
        let names = [name.as_str(), way.as_str(), state.as_str()].map(str::to_owned);
        table.add_row(names.into_iter().chain(figures(day)));
    }
    let names = ["all", "", ""].map(str::to_owned);
    table.add_row(names.into_iter().chain(figures(&snapshot.day)));
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("the last 24 hours; rounds since the start: {}\n{table}", snapshot.rounds)
}

fn told(last: &Last, consecutive_failures: u64) -> String {
    let millis = format!("{:.1} ms", last.millis);
    match &last.error {
        None => {
            let status = last.status.map(|status| status.to_string()).unwrap_or_default();
            let by = last.by.map_or("untold", edge_cache_probe::By::as_str);
            format!("{status} in {millis} by {by}")
        }
        Some(error) => format!("{}: {error}, after {millis}, {consecutive_failures} in a row", last.class),
    }
}

fn uptime(day: &Day) -> String {
    // Rounded down: 100 % is said only where nothing failed.
    day.uptime.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", (share * 1e4).floor() / 1e2))
}

fn time(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use edge_cache_probe::{By, Class, State, Way};

    use super::*;

    fn last(class: Class, error: Option<&str>) -> Last {
        let by = error.is_none().then_some(By::Cache);
        let (status, error) = (by.map(|_| 200), error.map(str::to_owned));
        Last { class, status, by, millis: 1.25, at: 1_000, error }
    }

    #[test]
    fn a_result_is_one_line() {
        let mut finished = Finished {
            name: "home".to_owned(),
            path: "/".to_owned(),
            way: Way::Through,
            before: State::Unknown,
            state: State::Up,
            consecutive_failures: 0,
            last: last(Class::Ok, None),
        };
        assert_eq!(line(&finished), "1970-01-01T00:16:40Z through up home: 200 in 1.2 ms by cache");
        (finished.state, finished.consecutive_failures) = (State::Down, 3);
        finished.last = last(Class::Connection, Some("refused"));
        let expected = "1970-01-01T00:16:40Z through down home: connection: refused, after 1.2 ms, 3 in a row";
        assert_eq!(line(&finished), expected);
    }

    #[test]
    fn the_summary_counts_each_and_all_and_never_rounds_up_to_whole() {
        let day = Day { checks: 100_000, successes: 99_999, failures: 1, connection_errors: 1, uptime: Some(0.999_99) };
        let check = CheckSnapshot {
            name: "home".to_owned(),
            path: "/".to_owned(),
            way: Way::Past,
            state: State::Up,
            since: None,
            consecutive_failures: 0,
            ok: 1,
            failed: 0,
            last: None,
            day,
        };
        let text = summary(&MonitorSnapshot { rounds: 9, last_round_at: None, day, checks: vec![check.clone()] });
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("99.99 %")).collect();
        assert!(rows.len() == 2 && rows[0].contains("home") && rows[1].contains("all"), "{text}");
        assert_eq!(row(&check, 6), "home    past     up        99.99 %  not asked yet");
        let whole = table(&MonitorSnapshot { rounds: 9, last_round_at: Some(1_000), day, checks: vec![check] });
        let heading = "round 9, 1970-01-01T00:16:40Z; up in the last 24 h: 99.99 %";
        assert_eq!(whole, format!("{heading}\nhome  past     up        99.99 %  not asked yet"));
        assert_eq!(uptime(&Day::default()), "–");
    }
}
