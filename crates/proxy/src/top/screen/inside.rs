//! What is behind the rates: tiers, database, permits, breakers.

use ratatui::text::{Line, Span};

use super::{WIDE, shorten};
use crate::top::{
    model::{Governor, Pool, Sum},
    text::{bytes, count, known, percent, rate},
    theme::Theme,
};

const NAME_WIDTH: usize = 10;

pub(in crate::top) fn lines(sum: &Sum, theme: Theme, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![line("tiers", tiers(sum, width >= WIDE), theme)];
    if let Some(pool) = &sum.database {
        lines.push(line("database", database(pool, theme), theme));
    }
    if let Some(governor) = &sum.permits {
        lines.push(line("permits", permits(governor, theme), theme));
    }
    lines.push(line("breakers", breakers(sum, theme, usize::from(width)), theme));
    lines
}

fn line(name: &'static str, spans: Vec<Span<'static>>, theme: Theme) -> Line<'static> {
    Line::from([vec![Span::styled(format!(" {name:NAME_WIDTH$}"), theme.faint())], spans].concat())
}

/// What each tier served, and holds.
fn tiers(sum: &Sum, with_sizes: bool) -> Vec<Span<'static>> {
    let rates = &sum.rates;
    let shares = [("memory", rates.memory_share), ("redis", rates.redis_share), ("disk", rates.disk_share)];
    let mut parts = Vec::new();
    for (name, share) in shares {
        let Some(tier) = sum.tiers.iter().find(|tier| tier.tier == name) else { continue };
        let mut part = format!("{name} {}", known(share, percent));
        if with_sizes && tier.capacity_bytes > 0 {
            let (used, all) = (bytes(tier.used_bytes as f64), bytes(tier.capacity_bytes as f64));
            part.push_str(&format!(" ({used} of {all})"));
        }
        parts.push(part);
    }
    let served: f64 = shares.iter().filter_map(|(_, share)| *share).sum();
    let rest = rates.memory_share.map(|_| (1.0 - served).max(0.0));
    parts.push(format!("none {}", known(rest, percent)));
    parts.push(format!("{} fills/s", known(rates.fills_per_second, rate)));
    vec![Span::raw(parts.join("  "))]
}

fn database(pool: &Pool, theme: Theme) -> Vec<Span<'static>> {
    let Pool { connections, in_use, max, waiting, .. } = pool;
    vec![Span::raw(format!("{in_use} in use, {connections} open of {max}")), wait(*waiting, theme)]
}

fn permits(governor: &Governor, theme: Theme) -> Vec<Span<'static>> {
    let Governor { pressure, permits, in_use, waiting, .. } = governor;
    let mut spans = vec![Span::raw(format!("{in_use} of {permits} in use")), wait(*waiting, theme)];
    let style = if matches!(pressure.as_str(), "" | "calm") { ratatui::style::Style::new() } else { theme.warning() };
    spans.push(Span::styled(format!(", {pressure}"), style));
    if governor.redis_lost {
        spans.push(Span::styled(", without redis", theme.warning()));
    }
    spans
}

fn wait(waiting: u64, theme: Theme) -> Span<'static> {
    let style = if waiting > 0 { theme.warning() } else { ratatui::style::Style::new() };
    Span::styled(format!(", {} waiting", count(waiting)), style)
}

/// Those that are not closed; where there are many, the first.
fn breakers(sum: &Sum, theme: Theme, width: usize) -> Vec<Span<'static>> {
    if sum.breakers.is_empty() {
        let says = if sum.is_live { "all closed" } else { crate::top::text::UNKNOWN };
        return vec![Span::raw(says)];
    }
    let mut room = width.saturating_sub(NAME_WIDTH + 2 + "  and 999 more".len());
    let mut spans = Vec::new();
    for (at, breaker) in sum.breakers.iter().enumerate() {
        let node = if breaker.node.as_str().is_empty() { String::new() } else { format!("{}: ", breaker.node) };
        let gap = if at == 0 { "" } else { "  " };
        let text = format!("{gap}{node}{} {}", breaker.what, breaker.state);
        let text = if at == 0 { shorten(&text, room, theme) } else { text };
        let style = if breaker.state.as_str() == "open" { theme.bad() } else { theme.warning() };
        let span = Span::styled(text, style);
        if span.width() > room {
            spans.push(Span::styled(format!("  and {} more", sum.breakers.len() - at), theme.warning()));
            break;
        }
        room -= span.width();
        spans.push(span);
    }
    spans
}
