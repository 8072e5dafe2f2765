//! What the keys and the figures mean.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use crate::top::{
    theme::Theme,
    view::{Table, View},
};

const LINES: [&str; 19] = [
    "q, Esc, Ctrl-C    quit",
    "n / a             next node alone / all nodes",
    "Tab               routes or hottest keys",
    "arrows, PgUp/PgDn scroll; Home and End too",
    "c h p b s         sort routes by calls, hit rate, p95,",
    "                  bytes, time saved; again: other way",
    "?                 this help",
    "",
    "hit rate   hits and stale hits of what the cache had",
    "           a part in: not bypasses, not errors",
    "p50 p95    above: of the worst of the last 10 seconds;",
    "  p99      in the table: since the node started",
    "nodes      counts add up; latencies are the worst",
    "           node's, never an average",
    "none       of the requests, those no tier served",
    "saved      calls of the origin that were needless,",
    "           and the time they would have taken",
    "score      of a key: hits times the cost of a fill",
    "-          not known",
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let (width, height) = (58.min(area.width), (LINES.len() as u16 + 2).min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let lines: Vec<Line<'_>> = LINES.iter().map(|line| Line::raw(format!(" {line}"))).collect();
    let block = if theme.is_ascii() { Block::new().title(" Help ") } else { Block::bordered().title(" Help ") };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

/// The keys that do something here.
pub(super) fn foot(view: &View, nodes: usize, theme: Theme) -> Line<'static> {
    let mut keys = vec![("q", "quit"), ("?", "help")];
    if nodes > 1 {
        keys.extend([("n", "next node"), ("a", "all")]);
    }
    match view.table {
        Table::Routes => keys.extend([("tab", "keys"), ("c h p b s", "sort")]),
        Table::Keys => keys.push(("tab", "routes")),
    }
    keys.push((if theme.is_ascii() { "up/down" } else { "↑↓" }, "scroll"));
    let mut line = Line::raw(" ");
    for (key, does) in keys {
        line.push_span(Span::styled(key, theme.strong()));
        line.push_span(Span::styled(format!(" {does}  "), theme.faint()));
    }
    line
}
