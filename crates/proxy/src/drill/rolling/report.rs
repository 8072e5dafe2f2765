//! The result of a rolling restart, as JSON and for people.

use std::fmt::Write;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::{Figures, Pass, Restart, Window};
use crate::drill::args::{Args, Scenario};
use crate::drill::phases::{Phase, Phases};
use crate::drill::plot::{Line, number, plot};
use crate::drill::promises::{Promise, judge_rolling, verdict};
use crate::load::process::{command, date};
use crate::load::timeline::Which;
use crate::load::usage::Machine;

const ABSENT: &str = "–";

/// Everything measured, and what it was measured on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    /// When it was measured, as an HTTP date.
    date: String,
    /// The command line as it was given.
    command: String,
    scenario: Scenario,
    rate: u32,
    clients: u32,
    pitches: u32,
    /// Whether both nodes shared one.
    redis: bool,
    phases: Phases,
    without_warming: Told,
    with_warming: Told,
    promises: Vec<Promise>,
    verdict: String,
}

/// One pass.
#[derive(Clone, Debug, Serialize)]
struct Told {
    figures: Figures,
    timeline: Vec<Row>,
}

/// One second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Row {
    second: u32,
    phase: Option<Phase>,
    /// Requests due in it.
    requests: u64,
    /// Of right answers; absent where there were none.
    p95_ms: Option<f64>,
    errors: u64,
    /// Of the answers that may be kept, in per cent.
    hit_percent: Option<f64>,
    /// Of the database, by both nodes.
    queries: Option<f64>,
}

impl Told {
    fn new(pass: &Pass) -> Self {
        let row = |second: u32| {
            let tally = pass.timeline.over(second..second + 1, Which::All);
            Row {
                second,
                phase: pass.phases.at(second),
                requests: tally.due(),
                p95_ms: tally.p95_ms(),
                errors: tally.failed(),
                hit_percent: tally.hit_rate().map(|rate| rate * 100.0),
                queries: pass.queries.get(second as usize).copied().flatten(),
            }
        };
        Self { figures: Figures::of(pass), timeline: pass.phases.all().map(row).collect() }
    }

    fn lines(&self, [hits, queries]: [&'static str; 2]) -> [Line; 2] {
        let line =
            |name, value: fn(&Row) -> Option<f64>| Line { name, values: self.timeline.iter().map(value).collect() };
        [line(hits, |row| row.hit_percent), line(queries, |row| row.queries)]
    }
}

impl Report {
    /// Judges what was seen.
    pub(super) fn new(args: &Args, without: &Pass, with: &Pass) -> Self {
        let phases = with.phases.clone();
        let (without_warming, with_warming) = (Told::new(without), Told::new(with));
        let promises = judge_rolling([&without_warming.figures, &with_warming.figures], args.redis);
        Self {
            machine: Machine::read(),
            date: date(),
            command: command(),
            scenario: args.scenario,
            rate: args.rate(),
            clients: args.clients(),
            pitches: args.pitches,
            redis: args.redis,
            phases,
            without_warming,
            with_warming,
            verdict: verdict(&promises),
            promises,
        }
    }

    /// Whether all promises held.
    pub(super) fn held(&self) -> bool {
        self.promises.iter().all(|promise| promise.held)
    }

    /// Everything as one JSON document, with a line end.
    ///
    /// # Errors
    /// Never with the values that a drill produces.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// Facts of the run, the pass with warming second by second, both passes side by side, the promises and, as the last line, the verdict.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").expect("writing to a String cannot fail");
    line(format_args!("{}", report.machine));
    line(format_args!("{} — {}", report.date, report.command));
    line(format_args!("{}: {}.", report.scenario.name(), report.scenario.sentence()));
    let (rate, clients, pitches) = (report.rate, report.clients, report.pitches);
    let redis = if report.redis { "a Redis for both nodes" } else { "no Redis" };
    line(format_args!("{rate} reads/s offered (Poisson spacing), {clients} clients, {pitches} pitches, {redis}"));
    line(format_args!("\n{}\n", seconds(report)));
    let (without, with) = (&report.without_warming, &report.with_warming);
    let lines = [without.lines(["hit %, cold", "queries, cold"]), with.lines(["hit %, warm", "queries, warm"])];
    line(format_args!("{}", plot(&report.phases, &lines.concat())));
    line(format_args!(
        "A request counts in the second in which it was due; p95 is of right answers, from then to the last byte.\n\
         Hits are fresh answers of a tier, and stale ones that are renewed behind them, of the reads that may be stored.\n\
         Queries are what both nodes count, less those for the balancer's questions whether they want requests."
    ));
    line(format_args!("\n{}\n", passes(report)));
    for promise in &report.promises {
        line(format_args!("{promise}"));
    }
    line(format_args!("\n{}", report.verdict));
    text
}

/// The pass with warming, and beside it what the other one had.
fn seconds(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let header =
        ["second", "phase", "req/s", "p95 ms", "errors", "hit %", "queries", "hit % without", "queries without"];
    table.set_header(header);
    let some = |value: Option<f64>| value.map_or(ABSENT.to_owned(), number);
    let percent = |value: Option<f64>| value.map_or(ABSENT.to_owned(), |value| format!("{value:.1}"));
    for (with, without) in report.with_warming.timeline.iter().zip(&report.without_warming.timeline) {
        table.add_row([
            with.second.to_string(),
            with.phase.map_or(ABSENT, Phase::name).to_owned(),
            with.requests.to_string(),
            some(with.p95_ms),
            with.errors.to_string(),
            percent(with.hit_percent),
            some(with.queries),
            percent(without.hit_percent),
            some(without.queries),
        ]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(if header[at] == "phase" { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

/// Both passes side by side.
fn passes(report: &Report) -> Table {
    let (without, with) = (&report.without_warming.figures, &report.with_warming.figures);
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["", "without warming", "with warming"]);
    // Without Redis all that is held is held in memory.
    let redis = if report.redis { REDIS_ROWS } else { &[] };
    for (name, cell) in ROWS.iter().chain(redis) {
        table.add_row([(*name).to_owned(), cell(without), cell(with)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A row of the last table.
type Cell = fn(&Figures) -> String;

const ROWS: &[(&str, Cell)] = &[
    ("hit rate before, %", |figures| tenths(figures.hit_before)),
    ("lowest of 5 s after, %", |figures| window(figures.hit_lowest, |value| tenths(Some(value)))),
    ("points below before", |figures| tenths(figures.fall())),
    ("queries/s before", |figures| short(figures.queries_before)),
    ("most queries/s of 1 s after", |figures| window(figures.queries_most, number)),
    ("most queries/s of 5 s after", |figures| window(figures.queries_most_in_window, number)),
    ("seconds with more than twice as many", |figures| {
        figures.doubled_seconds.map_or(ABSENT.to_owned(), |seconds| seconds.to_string())
    }),
    ("failed requests", |figures| format!("{} of {}", figures.failed, figures.requests)),
    ("p95 before, ms", |figures| short(figures.p95_before_ms)),
    ("highest p95 of 5 s after, ms", |figures| window(figures.p95_most_ms, number)),
    ("node A away, s", |figures| away(&figures.restarts[0])),
    ("node B away, s", |figures| away(&figures.restarts[1])),
    ("entries restored, A + B", |figures| both(figures, |restart| restart.restored)),
    ("of what was hot, fresh when ready, A + B", |figures| {
        let held = |restart: &Restart| {
            let pair = restart.held.zip(restart.hot);
            pair.map_or(ABSENT.to_owned(), |(held, hot)| format!("{held:.0} of {hot:.0}"))
        };
        figures.restarts.each_ref().map(held).join(" + ")
    }),
];

const REDIS_ROWS: &[(&str, Cell)] = &[
    ("hits of memory before, %", |figures| tenths(figures.memory_before)),
    ("lowest of 5 s after, %", |figures| window(figures.memory_lowest, |value| tenths(Some(value)))),
    ("points below before", |figures| tenths(figures.memory_fall())),
    ("entries brought from Redis, A + B", |figures| both(figures, |restart| restart.promoted)),
];

fn tenths(value: Option<f64>) -> String {
    value.map_or(ABSENT.to_owned(), |value| format!("{value:.1}"))
}

fn short(value: Option<f64>) -> String {
    value.map_or(ABSENT.to_owned(), number)
}

fn window(window: Option<Window>, number: fn(f64) -> String) -> String {
    window.map_or(ABSENT.to_owned(), |Window { from, value }| format!("{} (second {from})", number(value)))
}

/// From the moment when it was told to stop until it wanted requests again; of that, without a process that listens.
fn away(restart: &Restart) -> String {
    let Restart { told, listening, ready, .. } = *restart;
    let [all, silent] = [ready, listening].map(|until| until.saturating_sub(told).as_secs_f64());
    format!("{all:.2} ({silent:.2} until it listened)")
}

fn both(figures: &Figures, of: fn(&Restart) -> Option<f64>) -> String {
    figures.restarts.each_ref().map(|restart| short(of(restart))).join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(with: &Pass) -> Report {
        Report::new(&Args::made_up(Scenario::RollingRestart), &Pass::made_up(50), with)
    }

    #[test]
    fn both_passes_stand_in_one_table_and_the_verdict_is_the_last_line() {
        let held = report(&Pass::made_up(100));
        let text = render(&held);
        assert!(held.held() && text.ends_with("\nverdict: all promises held\n"), "{text}");
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_default();
        let cells = |name: &str| row(name).split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(cells("points below")[2..4], ["50.0", "0.0"], "{text}");
        assert_eq!(cells("entries restored")[2..4], ["7 + 7", "7 + 7"], "{text}");
        assert!(!report(&Pass::made_up(90)).held(), "ten points");
    }

    #[test]
    fn the_json_has_both_passes() {
        let report = report(&Pass::made_up(100));
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        for pass in ["without_warming", "with_warming"] {
            assert_eq!(json[pass]["timeline"].as_array().unwrap().len(), 75, "{pass}");
            assert_eq!(json[pass]["figures"]["failed"], 0, "{pass}");
        }
        assert_eq!(json["verdict"].as_str(), Some(&*report.verdict));
    }
}
