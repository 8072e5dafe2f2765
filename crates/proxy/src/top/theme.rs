//! Colours, for meaning only, and marks.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::bar,
};

const ASCII_BARS: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "*",
    three_quarters: "*",
    five_eighths: "+",
    half: "=",
    three_eighths: "-",
    one_quarter: "-",
    one_eighth: ".",
    empty: " ",
};

/// How things look. Without colours, what matters is bold or reversed; the words say it in any case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colour: bool,
    ascii: bool,
}

impl Theme {
    /// `plain` is what the command line says, `no_colour` what the environment does.
    pub(super) const fn new(plain: bool, no_colour: bool) -> Self {
        Self { colour: !plain && !no_colour, ascii: plain }
    }

    const fn coloured(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    pub(super) const fn good(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    pub(super) const fn warning(self) -> Style {
        self.coloured(Color::Yellow, Modifier::BOLD)
    }

    pub(super) const fn bad(self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD)
    }

    /// For what must not be overlooked.
    pub(super) const fn alarm(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.colour { style.fg(Color::White).bg(Color::Red) } else { style.add_modifier(Modifier::REVERSED) }
    }

    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// For what only names something else.
    pub(super) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Of a share of errors.
    pub(super) fn errors(self, share: Option<f64>) -> Style {
        match share {
            Some(share) if share >= 0.01 => self.bad(),
            Some(share) if share > 0.0 => self.warning(),
            _ => Style::new(),
        }
    }

    pub(super) fn mark(self, state: &str) -> (&'static str, Style) {
        let (mark, ascii, style) = match state {
            "live" => ("●", "*", self.good()),
            "lost" => ("✗", "x", self.bad()),
            _ => ("○", "o", self.warning()),
        };
        (if self.ascii { ascii } else { mark }, style)
    }

    pub(super) const fn is_ascii(self) -> bool {
        self.ascii
    }

    pub(super) const fn arrow(self, ascending: bool) -> &'static str {
        match (self.ascii, ascending) {
            (false, true) => "▲",
            (false, false) => "▼",
            (true, true) => "^",
            (true, false) => "v",
        }
    }

    pub(super) const fn bars(self) -> bar::Set<'static> {
        if self.ascii { ASCII_BARS } else { bar::NINE_LEVELS }
    }

    /// Where a plot knows nothing.
    pub(super) const fn gap(self) -> &'static str {
        if self.ascii { " " } else { "·" }
    }

    /// Shortens a text that is too long.
    pub(super) const fn ellipsis(self) -> &'static str {
        if self.ascii { "~" } else { "…" }
    }
}
