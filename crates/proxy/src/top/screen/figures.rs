//! The rates in large, and the last minutes as bars.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    style::Style,
    text::Line,
    widgets::{Paragraph, Sparkline},
};

use super::{WIDE, inset};
use crate::top::{
    model::{self, Sum},
    node::Node,
    text::{bytes, known, millis, percent, rate},
    theme::Theme,
    view::View,
};

/// Least time that a plot shows.
const PAST_SECONDS: u64 = 300;
/// Most, as a node tells it second by second.
const PAST_SECONDS_MAX: u64 = 600;
/// Beside the bars: what they are and how high.
const LABEL_WIDTH: u16 = 17;

pub(super) fn rates(frame: &mut Frame<'_>, area: Rect, sum: &Sum, theme: Theme) {
    let rates = &sum.rates;
    let cells = [
        ("requests/s", known(rates.requests_per_second, rate), theme.strong()),
        ("hit rate", known(rates.hit_rate, percent), theme.strong()),
        ("errors", known(rates.error_rate, percent), theme.strong().patch(theme.errors(rates.error_rate))),
        ("p50", known(rates.p50_ms, millis), theme.strong()),
        ("p95", known(rates.p95_ms, millis), theme.strong()),
        ("p99", known(rates.p99_ms, millis), theme.strong()),
        ("CPU", known(rates.cpu, |cores| format!("{:.0} %", cores * 100.0)), theme.strong()),
        ("memory", known(rates.resident_bytes, bytes), theme.strong()),
        ("clients", known(rates.connections, |open| format!("{open:.0}")), theme.strong()),
    ];
    let widths = [10, 8, 7, 8, 8, 8, 6, 8, 7].map(Constraint::Length);
    let spread = if area.width >= WIDE { Flex::SpaceBetween } else { Flex::Start };
    let areas: [Rect; 9] = Layout::horizontal(widths).flex(spread).spacing(1).areas(inset(area));
    for ((name, value, style), area) in cells.into_iter().zip(areas) {
        let lines = vec![Line::styled(name, theme.faint()), Line::styled(value, style)];
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// Beside each other where there is room, else one above the other.
pub(super) fn plots(frame: &mut Frame<'_>, area: Rect, nodes: &[Node], view: &View, theme: Theme) {
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [first, second] = if area.width >= WIDE {
        Layout::horizontal(halves).spacing(2).areas(inset(area))
    } else {
        Layout::vertical(halves).areas(inset(area))
    };
    let columns = first.width.min(second.width).saturating_sub(LABEL_WIDTH);
    if columns == 0 {
        return;
    }
    let each = PAST_SECONDS.div_ceil(columns.into()).max(1);
    let columns = usize::from(columns).min((PAST_SECONDS_MAX / each) as usize);
    let figures = model::bars(nodes, view.focus, columns, Duration::from_secs(each));
    let past = format!("{} min", (columns as u64 * each + 30) / 60);
    // Bars are of whole numbers: thousandths are fine enough.
    let fine = |value: f64| (value * 1e3) as u64;
    let requests: Vec<Option<u64>> = figures.iter().map(|bar| bar.requests_per_second.map(fine)).collect();
    let most = requests.iter().flatten().max().copied();
    let says = known(most.map(|most| most as f64 / 1e3), |most| format!("most {}", rate(most)));
    plot(frame, first, [&format!("requests/s {past}"), &says], requests, most.unwrap_or(0).max(1), theme);
    let hits: Vec<Option<u64>> = figures.iter().map(|bar| bar.hit_rate.map(fine)).collect();
    let least = hits.iter().flatten().min().copied();
    let says = known(least.map(|least| least as f64 / 1e3), |least| format!("least {}", percent(least)));
    plot(frame, second, [&format!("hit rate {past}"), &says], hits, 1_000, theme);
}

fn plot(frame: &mut Frame<'_>, area: Rect, says: [&str; 2], bars: Vec<Option<u64>>, most: u64, theme: Theme) {
    let [label, plot] = Layout::horizontal([Constraint::Length(LABEL_WIDTH), Constraint::Fill(1)]).areas(area);
    let lines: Vec<Line<'_>> = says.into_iter().map(|text| Line::styled(text.to_owned(), theme.faint())).collect();
    frame.render_widget(Paragraph::new(lines), label);
    // The bars stand at the right, where now is.
    let skip = plot.width.saturating_sub(u16::try_from(bars.len()).unwrap_or(u16::MAX));
    let plot = Rect { x: plot.x + skip, width: plot.width - skip, ..plot };
    let sparkline = Sparkline::default()
        .data(bars)
        .max(most)
        .bar_set(theme.bars())
        .absent_value_symbol(theme.gap())
        .absent_value_style(theme.faint())
        .style(Style::new());
    frame.render_widget(sparkline, plot);
}
