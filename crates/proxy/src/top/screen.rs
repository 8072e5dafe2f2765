//! Draws the screen.

mod figures;
pub(super) mod head;
mod help;
pub(super) mod inside;
mod table;
#[cfg(test)]
mod tests;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Paragraph,
};
use tokio::time::Instant;

use super::{model, node::Node, theme::Theme, view::View};

/// From here on there is room for a plot beside the other, and for all columns.
const WIDE: u16 = 120;
/// Lines of nodes at most.
const NODES_LINES_MAX: usize = 4;

/// All of it. `view` learns how many rows fit.
pub(super) fn draw(frame: &mut Frame<'_>, nodes: &[Node], view: &mut View, theme: Theme, now: Instant) {
    let area = frame.area();
    let sum = model::sum(nodes, view.focus);
    let node_lines = head::nodes(&sum, view, theme, area.width, now);
    let alert = head::alert(&sum, theme, area.width);
    let inside = inside::lines(&sum, theme, area.width);
    let is_tall = area.height >= 36;
    let plots = match (area.width >= WIDE, is_tall) {
        (true, true) => 6,
        (true, false) => 3,
        (false, true) => 8,
        (false, false) => 4,
    };
    let gap = u16::from(is_tall);
    let heights = [
        Constraint::Length(1),
        Constraint::Length(alert.is_some().into()),
        Constraint::Length(rows(&node_lines)),
        Constraint::Length(gap),
        Constraint::Length(2),
        Constraint::Length(gap),
        Constraint::Length(plots),
        Constraint::Length(gap),
        Constraint::Length(rows(&inside)),
        Constraint::Length(gap),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [title, alert_area, node_area, _, rates, _, plot_area, _, inside_area, _, table, foot] =
        Layout::vertical(heights).areas(area);
    frame.render_widget(head::title(&sum, nodes, view, theme, area.width), title);
    frame.render_widget(Paragraph::new(node_lines), node_area);
    if let Some(alert) = alert {
        frame.render_widget(alert, alert_area);
    }
    figures::rates(frame, rates, &sum, theme);
    figures::plots(frame, plot_area, nodes, view, theme);
    frame.render_widget(Paragraph::new(inside), inside_area);
    table::draw(frame, table, &sum, view, theme);
    frame.render_widget(help::foot(view, nodes.len(), theme), foot);
    if view.help {
        help::draw(frame, area, theme);
    }
}

fn rows(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

/// `text` in at most `width` columns.
fn shorten(text: &str, width: usize, theme: Theme) -> String {
    if Line::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        short.push(letter);
        if Line::raw(short.as_str()).width() >= width {
            short.pop();
            short.push_str(theme.ellipsis());
            break;
        }
    }
    short
}

/// The columns of `area` after a margin of one.
fn inset(area: Rect) -> Rect {
    Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(2), ..area }
}
