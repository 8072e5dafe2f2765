//! The table of routes, and that of the hottest keys.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Rect},
    style::Style,
    text::{Line, Text},
    widgets::{Cell, Row, Table as Rows},
};

use super::{inset, shorten};
use crate::top::{
    model::{Counts, Hot, Route, Sum},
    text::{bytes, count, known, millis, percent, rate, seconds, span},
    theme::Theme,
    view::{Sort, Table, View},
};

/// One figure of the routes.
struct Column {
    name: &'static str,
    width: u16,
    /// The screen must be so wide.
    from: u16,
    sort: Option<Sort>,
    show: fn(&Counts) -> String,
}

const fn column(name: &'static str, width: u16, from: u16, sort: Option<Sort>, show: fn(&Counts) -> String) -> Column {
    Column { name, width, from, sort, show }
}

const COLUMNS: [Column; 13] = [
    column("calls", 8, 0, Some(Sort::Calls), |counts| count(counts.calls)),
    column("hit rate", 10, 0, Some(Sort::HitRate), |counts| known(counts.hit_rate, percent)),
    column("stale", 8, 120, None, |counts| count(counts.stale)),
    column("shared", 8, 132, None, |counts| count(counts.coalesced)),
    column("miss", 8, 120, None, |counts| count(counts.miss)),
    column("bypass", 8, 132, None, |counts| count(counts.bypass)),
    column("errors", 7, 0, None, |counts| known(counts.error_rate(), percent)),
    column("p50", 8, 100, None, |counts| known(counts.p50_ms, millis)),
    column("p95", 9, 0, Some(Sort::P95), |counts| known(counts.p95_ms, millis)),
    column("p99", 8, 100, None, |counts| known(counts.p99_ms, millis)),
    column("bytes", 9, 0, Some(Sort::Bytes), |counts| bytes(counts.bytes as f64)),
    column("saved", 8, 90, None, |counts| count(counts.saved_calls)),
    column("time saved", 12, 0, Some(Sort::Saved), |counts| span(seconds(counts.saved_seconds))),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, sum: &Sum, view: &mut View, theme: Theme) {
    let area = inset(area);
    match view.table {
        Table::Routes => routes(frame, area, sum, view, theme),
        Table::Keys => keys(frame, area, sum, view, theme),
    }
}

/// The rows below the head that fit, and the head's first cell: what it is, and which of it.
fn begin(what: &str, rows: usize, area: Rect, view: &mut View) -> (std::ops::Range<usize>, String) {
    let page = usize::from(area.height.saturating_sub(1));
    let from = view.settle(rows, page);
    let to = (from + page).min(rows);
    let which = if rows > page && page > 0 { format!(" {}-{to} of {rows}", from + 1) } else { String::new() };
    (from..to, format!("{what}{which}"))
}

fn routes(frame: &mut Frame<'_>, area: Rect, sum: &Sum, view: &mut View, theme: Theme) {
    let mut sorted = sum.routes.clone();
    view.arrange(&mut sorted);
    let (shown, title) = begin("route", sorted.len(), area, view);
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| area.width + 2 >= column.from).collect();
    let taken: u16 = columns.iter().map(|column| column.width + 1).sum();
    let room = usize::from(area.width.saturating_sub(taken));
    let mut head = vec![Cell::from(shorten(&title, room, theme))];
    for column in &columns {
        let sorted = column.sort == Some(view.sort);
        let arrow = if sorted { theme.arrow(view.ascending) } else { "" };
        head.push(right(format!("{}{arrow}", column.name), if sorted { theme.strong() } else { theme.faint() }));
    }
    let rows = sorted[shown].iter().map(|Route { route, counts }| {
        let name = Cell::from(shorten(route.as_str(), room, theme));
        let figures = columns.iter().map(|column| {
            let style = if column.name == "errors" { theme.errors(counts.error_rate()) } else { Style::new() };
            right((column.show)(counts), style)
        });
        Row::new(std::iter::once(name).chain(figures))
    });
    let widths = columns.iter().map(|column| Constraint::Length(column.width));
    let table = Rows::new(rows, std::iter::once(Constraint::Fill(1)).chain(widths)).column_spacing(1);
    frame.render_widget(table.header(Row::new(head).style(theme.faint())), area);
}

fn keys(frame: &mut Frame<'_>, area: Rect, sum: &Sum, view: &mut View, theme: Theme) {
    // What all URLs begin with is said once, so that there is room for what tells them apart.
    let site = shared_site(&sum.hot).unwrap_or_default();
    let title = if site.is_empty() { "hottest keys".to_owned() } else { format!("hottest keys of {site}") };
    let (shown, title) = begin(&title, sum.hot.len(), area, view);
    let widths = [10, 11, 11];
    let room = usize::from(area.width.saturating_sub(widths.iter().map(|width| width + 1).sum()));
    let head = vec![
        Cell::from(shorten(&title, room, theme)),
        right("hits".to_owned(), theme.faint()),
        right("cost".to_owned(), theme.faint()),
        right(format!("score{}", theme.arrow(false)), theme.strong()),
    ];
    let rows = sum.hot[shown].iter().map(|Hot { url, hits, cost_millis, score }| {
        Row::new([
            Cell::from(shorten(&url.as_str()[site.len()..], room, theme)),
            right(count(*hits), Style::new()),
            right(millis(*cost_millis), Style::new()),
            right(rate(*score), Style::new()),
        ])
    });
    let widths = std::iter::once(Constraint::Fill(1)).chain(widths.map(Constraint::Length));
    let table = Rows::new(rows, widths).column_spacing(1);
    frame.render_widget(table.header(Row::new(head).style(theme.faint())), area);
}

/// The scheme and the host, where they are the same everywhere.
fn shared_site(keys: &[Hot]) -> Option<&str> {
    let first = keys.first()?.url.as_str();
    let host = first.find("://")? + "://".len();
    let site = &first[..host + first[host..].find('/')?];
    let is_of = |key: &Hot| key.url.as_str().strip_prefix(site).is_some_and(|path| path.starts_with('/'));
    keys.iter().all(is_of).then_some(site)
}

fn right(text: String, style: Style) -> Cell<'static> {
    Cell::from(Text::from(Line::raw(text).alignment(Alignment::Right)).style(style))
}
