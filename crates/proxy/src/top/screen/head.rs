//! The top lines: what is looked at, the nodes, what alerts.

use ratatui::{
    text::{Line, Span},
    widgets::Paragraph,
};
use tokio::time::Instant;

use super::{NODES_LINES_MAX, shorten};
use crate::top::{
    model::{NodeLine, Sum, WINDOW_SECONDS},
    node::Node,
    text::{seconds, whole_span},
    theme::Theme,
    view::View,
};

pub(super) fn title(sum: &Sum, nodes: &[Node], view: &View, theme: Theme, width: u16) -> Line<'static> {
    let of = match (view.focus.and_then(|at| nodes.get(at)), nodes) {
        (Some(node), _) => format!("{}, one of {} nodes", node.label(), nodes.len()),
        (None, [only]) => only.label().to_owned(),
        (None, _) if sum.summed == nodes.len() => format!("sum of {} nodes", nodes.len()),
        (None, _) => format!("sum of {} of {} nodes", sum.summed, nodes.len()),
    };
    let (says, style) = match (sum.is_live, sum.summed) {
        (true, _) => (window(sum), theme.faint()),
        (false, 0) => (String::new(), theme.faint()),
        (false, _) => ("not live: the last known".to_owned(), theme.warning()),
    };
    let name = Span::styled(" cache-proxy top  ", theme.strong());
    let room = usize::from(width).saturating_sub(name.width() + says.len() + 2);
    let of = Span::raw(shorten(&of, room, theme));
    let gap = room.saturating_sub(of.width()) + 1;
    Line::from(vec![name, of, Span::raw(" ".repeat(gap)), Span::styled(says, style)])
}

/// As many as fit in a line, in as few lines as they need.
pub(super) fn nodes(sum: &Sum, view: &View, theme: Theme, width: u16, now: Instant) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(2);
    // What is not well must be seen, whatever else is left out.
    let mut order: Vec<usize> = (0..sum.nodes.len()).collect();
    order.sort_by_key(|at| sum.nodes[*at].state == "live");
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (placed, at) in order.into_iter().enumerate() {
        let spans = node(&sum.nodes[at], view.focus == Some(at), theme, room, now);
        let needs: usize = spans.iter().map(Span::width).sum();
        let rest = sum.nodes.len() - placed;
        let fits = lines.last().is_some_and(|line| line.width() + 2 + needs <= room);
        if fits && let Some(line) = lines.last_mut() {
            line.spans.push(Span::raw("  "));
            line.spans.extend(spans);
        } else if lines.len() + 1 == NODES_LINES_MAX && rest > 1 {
            lines.push(Line::styled(format!(" and {rest} more nodes"), theme.faint()));
            break;
        } else {
            lines.push(Line::from([vec![Span::raw(" ")], spans].concat()));
        }
    }
    lines
}

fn node(node: &NodeLine, is_focus: bool, theme: Theme, room: usize, now: Instant) -> Vec<Span<'static>> {
    let name = if node.node.as_str().is_empty() { node.admin.as_str() } else { node.node.as_str() };
    let (mark, style) = theme.mark(node.state);
    let says = match (node.state, node.lost_since) {
        ("lost", Some(since)) => {
            let time = whole_span(now.saturating_duration_since(since));
            let why = node.why.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("lost for {time}: {why}")
        }
        ("live", _) => format!("live, up {}", whole_span(seconds(node.uptime_seconds.unwrap_or(0.0)))),
        (state, _) => state.to_owned(),
    };
    let name = Span::styled(
        shorten(name, room / 2, theme),
        if is_focus { theme.strong() } else { ratatui::style::Style::new() },
    );
    let taken = name.width() + 4;
    let mut spans = vec![
        Span::styled(mark, style),
        Span::raw(" "),
        name,
        Span::raw(" "),
        Span::styled(
            shorten(&says, room.saturating_sub(taken), theme),
            if node.state == "live" { theme.faint() } else { style },
        ),
    ];
    for remark in &node.remarks {
        spans.push(Span::styled(format!(", {remark}"), theme.warning()));
    }
    spans
}

/// The first that fires, and how many more there are.
pub(super) fn alert(sum: &Sum, theme: Theme, width: u16) -> Option<Paragraph<'static>> {
    let (style, text) = match sum.firing.as_slice() {
        [] => {
            let down = sum.checks_down.first()?;
            let more = sum.checks_down.len() - 1;
            (theme.warning(), format!("check down: {down}{}", and_more(more)))
        }
        [first, rest @ ..] => {
            let node = if first.node.as_str().is_empty() { String::new() } else { format!("{}: ", first.node) };
            let more = and_more(rest.len() + sum.checks_down.len());
            let style = if first.is_critical() { theme.alarm() } else { theme.warning() };
            let room = usize::from(width).saturating_sub(2 + more.len());
            let text = shorten(&format!("ALERT {} {node}{}", first.severity, first.text), room, theme);
            (style, format!("{text}{more}"))
        }
    };
    Some(Paragraph::new(format!(" {}", shorten(&text, usize::from(width).saturating_sub(2), theme))).style(style))
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

/// What the rates are of.
pub(in crate::top) fn window(sum: &Sum) -> String {
    let worst = if sum.latencies_of_worst_node { "worst node's" } else { "worst second" };
    format!("last {WINDOW_SECONDS:.0} s; latencies: {worst}")
}
