//! The result of a drill, as JSON and for people.

use std::fmt::Write;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::args::{Args, Scenario};
use super::observed::{Observed, Reading};
use super::phases::{Phase, Phases, Times};
use super::plot::{Line, number, plot};
use super::promises::{Promise, judge, kinds, verdict};
use super::readings::breaker;
use crate::load::process::{command, date};
use crate::load::timeline::Which;
use crate::load::usage::Machine;

const ABSENT: &str = "–";

/// Everything measured, and what it was measured on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// When it was measured, as an HTTP date.
    date: String,
    /// The command line as it was given.
    command: String,
    scenario: Scenario,
    rate: u32,
    clients: u32,
    pitches: u32,
    phases: Phases,
    times: Option<Times>,
    timeline: Vec<Row>,
    /// Failures by kind, in words.
    failures: String,
    promises: Vec<Promise>,
    verdict: String,
}

/// One second.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    second: u32,
    phase: Option<Phase>,
    /// Requests due in it.
    requests: u64,
    /// Of right answers; absent where there were none.
    p95_ms: Option<f64>,
    errors: u64,
    /// Of the right answers, in per cent.
    stale_percent: Option<f64>,
    /// The same.
    hit_percent: Option<f64>,
    /// Most that Postgres counted.
    connections: Option<u64>,
    /// The worst that was seen: 0 closed, 1 half-open, 2 open.
    redis_breaker: Option<f64>,
    database_breaker: Option<f64>,
    pressure: Option<f64>,
}

impl Row {
    fn of(observed: &Observed, second: u32) -> Self {
        let seconds = second..second + 1;
        let tally = observed.timeline.over(seconds.clone(), Which::All);
        let worst = |reading: Reading| observed.most(reading, seconds.clone());
        let percent = |part| tally.share(part).map(|share| share * 100.0);
        Self {
            second,
            phase: observed.phases.at(second),
            requests: tally.due(),
            p95_ms: tally.p95_ms(),
            errors: tally.failed(),
            stale_percent: percent(tally.stale),
            hit_percent: percent(tally.hits),
            connections: observed.connections(seconds.clone()).0,
            redis_breaker: worst(|readings| readings.redis_breaker),
            database_breaker: worst(|readings| readings.database_breaker),
            pressure: worst(|readings| readings.pressure),
        }
    }

    fn cells(&self) -> [String; 11] {
        let some = |value: Option<f64>| value.map_or(ABSENT.to_owned(), number);
        let whole = |value: Option<f64>| value.map_or(ABSENT.to_owned(), |value| format!("{value:.0}"));
        [
            self.second.to_string(),
            self.phase.map_or(ABSENT, Phase::name).to_owned(),
            self.requests.to_string(),
            some(self.p95_ms),
            self.errors.to_string(),
            whole(self.stale_percent),
            whole(self.hit_percent),
            self.connections.map_or(ABSENT.to_owned(), |count| count.to_string()),
            breaker(self.redis_breaker).to_owned(),
            breaker(self.database_breaker).to_owned(),
            whole(self.pressure),
        ]
    }
}

const HEADER: [&str; 11] = [
    "second",
    "phase",
    "req/s",
    "p95 ms",
    "errors",
    "stale %",
    "hit %",
    "connections",
    "redis",
    "database",
    "pressure",
];

impl Report {
    /// Judges what was seen.
    pub(crate) fn new(args: &Args, observed: &Observed) -> Self {
        let promises = judge(args.scenario, observed);
        Self {
            machine: Machine::read(),
            date: date(),
            command: command(),
            scenario: args.scenario,
            rate: args.rate(),
            clients: args.clients(),
            pitches: args.pitches,
            phases: observed.phases.clone(),
            times: observed.times,
            timeline: observed.phases.all().map(|second| Row::of(observed, second)).collect(),
            failures: kinds(&observed.all(Which::All)),
            verdict: verdict(&promises),
            promises,
        }
    }

    /// Whether all promises held.
    pub(crate) fn held(&self) -> bool {
        self.promises.iter().all(|promise| promise.held)
    }

    /// Everything as one JSON document, with a line end.
    ///
    /// # Errors
    /// Never with the values that a drill produces.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    fn lines(&self) -> Vec<Line> {
        let line =
            |name, value: fn(&Row) -> Option<f64>| Line { name, values: self.timeline.iter().map(value).collect() };
        vec![
            line("req/s", |row| Some(row.requests as f64)),
            line("p95, ms", |row| row.p95_ms),
            line("errors", |row| Some(row.errors as f64)),
            line("stale, %", |row| row.stale_percent),
            line("hit, %", |row| row.hit_percent),
            line("connections", |row| row.connections.map(|count| count as f64)),
        ]
    }
}

/// Facts of the run, the timeline, the promises and, as the last line, the verdict.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").expect("writing to a String cannot fail");
    line(format_args!("{}", report.machine));
    line(format_args!("{} — {}", report.date, report.command));
    line(format_args!("{}: {}.", report.scenario.name(), report.scenario.sentence()));
    let (rate, clients, pitches) = (report.rate, report.clients, report.pitches);
    line(format_args!("{rate} reads/s offered (Poisson spacing), {clients} clients, {pitches} pitches"));
    if let Some(Times { from, mending, healed }) = report.times {
        let [from, mending, healed] = [from, mending, healed].map(|at| at.as_secs_f64());
        line(format_args!("The fault began at {from:.2} s; its end at {mending:.2} s was complete at {healed:.2} s."));
    }
    line(format_args!("\n{}\n", table(report)));
    line(format_args!("{}", plot(&report.phases, &report.lines())));
    line(format_args!(
        "A request counts in the second in which it was due; p95 is of right answers, from then to the last byte."
    ));
    if !report.failures.is_empty() {
        line(format_args!("Failures, counted and not timed: {}", report.failures));
    }
    line(format_args!(""));
    for promise in &report.promises {
        line(format_args!("{promise}"));
    }
    line(format_args!("\n{}", report.verdict));
    text
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(HEADER);
    for row in &report.timeline {
        table.add_row(row.cells());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        let words = matches!(HEADER[at], "phase" | "redis" | "database");
        column.set_cell_alignment(if words { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::recorder::Failure;

    #[test]
    fn the_verdict_is_the_last_line_and_decides() {
        let args = Args::made_up(Scenario::OriginSlow);
        let mut observed = Observed::made_up();
        let held = Report::new(&args, &observed);
        assert!(held.held() && render(&held).ends_with("\nverdict: all promises held\n"), "{}", render(&held));
        observed.timeline.failed((9_100_000, true), Failure::Timeout);
        let broken = Report::new(&args, &observed);
        let text = render(&broken);
        assert!(!broken.held() && text.ends_with("\nverdict: 1 promise broken: failed requests\n"), "{text}");
        assert!(
            text.contains("BROKEN  no read of a question that was answered before fails — 1 of 3301 (1 timeout)"),
            "{text}"
        );
        assert!(text.contains("not timed: 1 timeout\n"), "{text}");
    }

    #[test]
    fn a_row_shows_its_own_second() {
        let mut observed = Observed::made_up();
        observed.timeline.failed((9_100_000, true), Failure::Timeout);
        observed.samples[9].connections = None;
        observed.change_from(9, |readings| {
            readings.redis_breaker = Some(2.0);
            readings.database_breaker = None;
        });
        let cells = Row::of(&observed, 9).cells();
        let expected = ["9", "FAULT", "101", "1.00", "1", "0", "0", "–", "open", "–", "0"];
        assert_eq!(cells[..3], expected[..3]);
        assert!(cells[3].starts_with('1'), "{cells:?}");
        assert_eq!(cells[4..], expected[4..]);
        assert_eq!(Row::of(&observed, 8).cells()[8..], ["closed", "closed", "0"]);
    }

    #[test]
    fn the_json_has_the_same_verdict() {
        let report = Report::new(&Args::made_up(Scenario::OriginDown), &Observed::made_up());
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(
            (json["scenario"].as_str(), json["verdict"].as_str()),
            (Some("origin-down"), Some(&*report.verdict))
        );
        assert_eq!(json["timeline"].as_array().unwrap().len(), 33);
        assert_eq!(json["promises"][1]["held"], false, "the breaker never opened");
    }
}
