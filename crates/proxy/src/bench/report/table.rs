//! The report for people: modes as columns, measures as rows.

use std::collections::BTreeSet;
use std::fmt::Write;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::super::measure::Measured;
use super::Report;
use crate::load::mode::Mode;
use crate::load::read::Group;
use crate::load::recorder::Latency;

const ABSENT: &str = "–";

/// Facts of the run, the table, and what has to be said beside it.
pub(crate) fn render(report: &Report) -> String {
    let settings = &report.settings;
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").expect("writing to a String cannot fail");
    line(format_args!("{}", report.machine));
    line(format_args!("{} — {}", report.date, report.command));
    line(format_args!(
        "{} reads/s offered ({:?} spacing), {} clients, {} s warm-up, {} s counted, {} pitches, writes {}, seed {}, Postgres max_connections {}",
        settings.rate,
        settings.pacing,
        settings.clients,
        settings.warmup_seconds,
        settings.counted_seconds,
        settings.pitches,
        if settings.writes { "on" } else { "off" },
        settings.seed,
        settings.max_connections,
    ));
    line(format_args!("\n{}\n", table(report)));
    line(format_args!(
        "Latencies run from the intended start to the last byte, of right answers only. CPU in % of one core."
    ));
    for mode in report.overrun() {
        let measured = report.modes.iter().find(|measured| measured.mode == mode);
        let reached = measured.map_or(0.0, |measured| measured.load.reads_per_second);
        line(format_args!(
            "{}: {:.0} of {:.0} reads/s reached; the rest failed or came late.",
            mode.label(),
            reached,
            report.offered_per_second()
        ));
    }
    text
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let labels = report.modes.iter().map(|measured| measured.mode.label().to_owned());
    table.set_header(std::iter::once("measure".to_owned()).chain(labels));
    for (name, cells) in rows(report) {
        table.add_row(std::iter::once(name).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

type Row = (String, Vec<String>);
type Quantile = fn(&Latency) -> Option<f64>;

fn rows(report: &Report) -> Vec<Row> {
    let each = |name: &str, value: &dyn Fn(&Measured) -> String| -> Row {
        (name.to_owned(), report.modes.iter().map(value).collect())
    };
    let mut rows = vec![
        each("reads/s offered", &|_| format!("{:.0}", report.offered_per_second())),
        each("reads/s reached", &|m| format!("{:.0}", m.load.reads_per_second)),
        each("reads counted", &|m| m.load.reads.to_string()),
        each("errors", &|m| with_share(m.load.errors, m.load.reads)),
    ];
    let kinds: BTreeSet<&str> =
        report.modes.iter().flat_map(|m| m.load.errors_by_kind.keys().map(String::as_str)).collect();
    rows.extend(
        kinds
            .iter()
            .map(|kind| each(&format!("  {kind}"), &|m| m.load.errors_by_kind.get(*kind).unwrap_or(&0).to_string())),
    );
    let quantiles: [(&str, Quantile); 5] = [
        ("mean", |latency| latency.mean_ms),
        ("p50", |latency| latency.p50_ms),
        ("p95", |latency| latency.p95_ms),
        ("p99", |latency| latency.p99_ms),
        ("max", |latency| latency.max_ms),
    ];
    for (name, value) in quantiles {
        rows.push(each(&format!("latency {name}, ms"), &|m| number(value(&m.load.latency))));
    }
    let mut groups =
        vec![("trending", Group::Trending), ("new", Group::New), ("search", Group::Search), ("detail", Group::Detail)];
    if report.settings.writes {
        groups.push(("write", Group::Write));
    }
    for (name, group) in groups {
        rows.push(each(&format!("{name} mean / p95 / p99, ms"), &|m| {
            let latency = &m.load.latency_by_group[&group];
            [latency.mean_ms, latency.p95_ms, latency.p99_ms].map(number).join(" / ")
        }));
    }
    rows.extend(cache_rows(report, &each));
    rows.extend(cost_rows(report, &each));
    rows
}

type Each<'a> = dyn Fn(&str, &dyn Fn(&Measured) -> String) -> Row + 'a;

fn cache_rows(report: &Report, each: &Each<'_>) -> Vec<Row> {
    let cached = |mode: Mode, value: Option<f64>| if mode.memory() { percent(value) } else { ABSENT.to_owned() };
    vec![
        each("hit rate", &|m| cached(m.mode, m.hit_rate)),
        each("  an infinite cache's", &|m| cached(m.mode, report.bound_rate)),
        each("  by memory", &|m| cached(m.mode, m.cache.tier_rate(m.cache.memory))),
        each("  by redis", &|m| {
            if m.mode.redis() { percent(m.cache.tier_rate(m.cache.redis)) } else { ABSENT.to_owned() }
        }),
        each("hit rate over all reads", &|m| cached(m.mode, m.hit_rate_all_reads)),
        each("hit + stale / coalesced / miss", &|m| {
            format!("{} + {} / {} / {}", m.cache.hit, m.cache.stale, m.cache.coalesced, m.cache.miss)
        }),
        each("bypass / error", &|m| format!("{} / {}", m.cache.bypass, m.cache.error)),
    ]
}

fn cost_rows(report: &Report, each: &Each<'_>) -> Vec<Row> {
    let seconds = f64::from(report.settings.counted_seconds);
    let mut rows = vec![
        each("database connections, most", &|m| m.database.connections_max.to_string()),
        each("database queries", &|m| m.database.queries.map_or(ABSENT.to_owned(), |count| count.to_string())),
        each("database queries/s", &|m| {
            m.database.queries.map_or(ABSENT.to_owned(), |count| format!("{:.0}", count as f64 / seconds))
        }),
        each("database transactions", &|m| m.database.transactions.to_string()),
        each("database CPU", &|m| format!("{:.0} %", m.cpu.database)),
        each("redis CPU", &|m| if m.mode.redis() { format!("{:.0} %", m.cpu.redis) } else { ABSENT.to_owned() }),
        each("server CPU", &|m| format!("{:.0} %", m.cpu.server)),
        each("generator CPU", &|m| format!("{:.0} %", m.cpu.generator)),
    ];
    if report.settings.writes {
        rows.push(each("writes", &|m| m.load.writes.to_string()));
        rows.push(each("write errors", &|m| with_share(m.load.write_errors, m.load.writes)));
        rows.push(each("writes skipped", &|m| m.load.writes_skipped.to_string()));
    }
    if report.modes.iter().any(|m| m.cold.is_some()) {
        rows.push(each("cold key: clients at once", &|m| {
            m.cold.as_ref().map_or(ABSENT.to_owned(), |cold| cold.clients.to_string())
        }));
        rows.push(each("cold key: answered", &|m| {
            m.cold.as_ref().map_or(ABSENT.to_owned(), |cold| cold.answered.to_string())
        }));
        rows.push(each("cold key: database queries", &|m| {
            m.cold.as_ref().and_then(|cold| cold.queries).map_or(ABSENT.to_owned(), |count| count.to_string())
        }));
        rows.push(each("cold key: all answered after, ms", &|m| number(m.cold.as_ref().map(|cold| cold.milliseconds))));
    }
    rows
}

fn number(value: Option<f64>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or(ABSENT.to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

fn with_share(part: u64, whole: u64) -> String {
    match part {
        0 => "0".to_owned(),
        part => format!("{part} ({:.2} %)", part as f64 / whole.max(1) as f64 * 100.0),
    }
}

#[cfg(test)]
mod tests;
