//! One snapshot as text.

use std::fmt::Write;

use tokio::time::Instant;

use super::{
    model::{Hot, Sum},
    screen::{head, inside},
    text::{bytes, count, known, millis, percent, rate, seconds, span, whole_span},
    theme::Theme,
};

const FITS: &str = "writing to a String cannot fail";
/// Rows of each table.
const ROWS_MAX: usize = 20;
/// Nobody measures how wide a pipe is.
const WIDTH: u16 = 160;

/// What `sum` says, in lines.
pub(super) fn text(sum: &Sum, theme: Theme, now: Instant) -> String {
    let mut text = String::new();
    nodes(&mut text, sum, now);
    for alert in &sum.firing {
        let node = if alert.node.as_str().is_empty() { String::new() } else { format!("{}: ", alert.node) };
        writeln!(text, "ALERT {} {node}{}", alert.severity, alert.text).expect(FITS);
    }
    for check in &sum.checks_down {
        writeln!(text, "check down: {check}").expect(FITS);
    }
    let rates = &sum.rates;
    writeln!(
        text,
        "\n{}\n{} requests/s, hit rate {}, errors {}, p50 {}, p95 {}, p99 {}\nCPU {}, memory {}, {} clients, {}/s sent",
        head::window(sum),
        known(rates.requests_per_second, rate),
        known(rates.hit_rate, percent),
        known(rates.error_rate, percent),
        known(rates.p50_ms, millis),
        known(rates.p95_ms, millis),
        known(rates.p99_ms, millis),
        known(rates.cpu, |cores| format!("{:.0} %", cores * 100.0)),
        known(rates.resident_bytes, bytes),
        known(rates.connections, |open| format!("{open:.0}")),
        known(rates.bytes_per_second, bytes),
    )
    .expect(FITS);
    for line in inside::lines(sum, theme, WIDTH) {
        writeln!(text, "{}", line.to_string().trim()).expect(FITS);
    }
    routes(&mut text, sum);
    keys(&mut text, sum);
    text.trim_end().to_owned()
}

fn nodes(text: &mut String, sum: &Sum, now: Instant) {
    for node in &sum.nodes {
        let mut line = node.admin.clone();
        if !node.node.as_str().is_empty() {
            line.push_str(&format!("  {} {}", node.node, node.version));
        }
        match (node.lost_since, node.uptime_seconds) {
            (Some(since), _) => {
                let time = whole_span(now.saturating_duration_since(since));
                let why = node.why.as_ref().map(ToString::to_string).unwrap_or_default();
                line.push_str(&format!("  lost for {time}: {why}"));
            }
            (None, Some(uptime)) => line.push_str(&format!("  {}, up {}", node.state, whole_span(seconds(uptime)))),
            (None, None) => line.push_str(&format!("  {}", node.state)),
        }
        for remark in &node.remarks {
            line.push_str(&format!(", {remark}"));
        }
        writeln!(text, "{line}").expect(FITS);
    }
}

fn routes(text: &mut String, sum: &Sum) {
    if sum.routes.is_empty() {
        return;
    }
    let head = ["route", "calls", "hit rate", "errors", "p50", "p95", "p99", "bytes", "saved", "time saved"];
    let rows = sum.routes.iter().take(ROWS_MAX).map(|route| {
        let counts = &route.counts;
        [
            route.route.to_string(),
            count(counts.calls),
            known(counts.hit_rate, percent),
            known(counts.error_rate(), percent),
            known(counts.p50_ms, millis),
            known(counts.p95_ms, millis),
            known(counts.p99_ms, millis),
            bytes(counts.bytes as f64),
            count(counts.saved_calls),
            span(seconds(counts.saved_seconds)),
        ]
    });
    table(text, head.map(str::to_owned), rows.collect(), sum.routes.len());
}

fn keys(text: &mut String, sum: &Sum) {
    if sum.hot.is_empty() {
        return;
    }
    let head = ["hottest key", "hits", "cost", "score"].map(str::to_owned);
    let row = |key: &Hot| [key.url.to_string(), count(key.hits), millis(key.cost_millis), rate(key.score)];
    table(text, head, sum.hot.iter().take(ROWS_MAX).map(row).collect(), sum.hot.len());
}

/// The first column to the left, the others to the right.
fn table<const N: usize>(text: &mut String, head: [String; N], mut rows: Vec<[String; N]>, all: usize) {
    rows.insert(0, head);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    writeln!(text).expect(FITS);
    for row in &rows {
        write!(text, "{:<1$}", row[0], widths[0]).expect(FITS);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(text, "  {cell:>width$}").expect(FITS);
        }
        writeln!(text).expect(FITS);
    }
    let more = all.saturating_sub(rows.len() - 1);
    if more > 0 {
        writeln!(text, "and {more} more").expect(FITS);
    }
}
