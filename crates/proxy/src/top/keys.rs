//! What the keys do.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

use super::view::{Sort, Table, View};

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Draw,
    Quit,
}

/// Does to `view`, of so many `nodes`, what the key asks for.
pub(super) fn press(event: &Event, view: &mut View, nodes: usize) -> After {
    let Event::Key(key) = event else { return After::Draw };
    if key.kind == KeyEventKind::Release {
        return After::Draw;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return After::Quit,
        KeyCode::Char(_) if control => {}
        KeyCode::Char('q') => return After::Quit,
        // The help lies over the rest, and goes first.
        KeyCode::Esc if view.help => view.help = false,
        KeyCode::Esc => return After::Quit,
        KeyCode::Char('?') => view.help = !view.help,
        KeyCode::Char('n') => view.next_node(nodes),
        KeyCode::Char('a') => (view.focus, view.scroll) = (None, 0),
        KeyCode::Tab | KeyCode::BackTab => {
            view.table = if view.table == Table::Routes { Table::Keys } else { Table::Routes };
            view.scroll = 0;
        }
        KeyCode::Up => view.scroll = view.scroll.saturating_sub(1),
        KeyCode::Down => view.scroll = view.scroll.saturating_add(1),
        KeyCode::PageUp => view.scroll = view.scroll.saturating_sub(view.page.max(1)),
        KeyCode::PageDown => view.scroll = view.scroll.saturating_add(view.page.max(1)),
        KeyCode::Home => view.scroll = 0,
        KeyCode::End => view.scroll = usize::MAX,
        KeyCode::Char(letter) if view.table == Table::Routes => {
            if let Some(sort) = sort(letter) {
                view.sort_by(sort);
            }
        }
        _ => {}
    }
    After::Draw
}

const fn sort(letter: char) -> Option<Sort> {
    Some(match letter {
        'c' => Sort::Calls,
        'h' => Sort::HitRate,
        'p' => Sort::P95,
        'b' => Sort::Bytes,
        's' => Sort::Saved,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    fn typed(view: &mut View, code: KeyCode) -> After {
        press(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)), view, 2)
    }

    #[test]
    fn q_escape_and_control_c_quit() {
        let mut view = View::default();
        assert_eq!(typed(&mut view, KeyCode::Char('q')), After::Quit);
        assert_eq!(typed(&mut view, KeyCode::Esc), After::Quit);
        let interrupt = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(press(&interrupt, &mut view, 1), After::Quit);
        assert_eq!(typed(&mut view, KeyCode::Char('c')), After::Draw);
    }

    #[test]
    fn escape_closes_the_help_first() {
        let mut view = View::default();
        typed(&mut view, KeyCode::Char('?'));
        assert!(view.help);
        assert_eq!((typed(&mut view, KeyCode::Esc), view.help), (After::Draw, false));
        assert_eq!(typed(&mut view, KeyCode::Esc), After::Quit);
    }

    #[test]
    fn keys_choose_the_node_the_table_and_the_order() {
        let mut view = View::default();
        typed(&mut view, KeyCode::Char('n'));
        assert_eq!(view.focus, Some(0));
        typed(&mut view, KeyCode::Char('a'));
        assert_eq!(view.focus, None);
        for (letter, sort) in [('h', Sort::HitRate), ('p', Sort::P95), ('b', Sort::Bytes), ('s', Sort::Saved)] {
            typed(&mut view, KeyCode::Char(letter));
            assert_eq!((view.sort, view.ascending), (sort, false));
        }
        typed(&mut view, KeyCode::Char('s'));
        assert!(view.ascending);
        typed(&mut view, KeyCode::Tab);
        typed(&mut view, KeyCode::Char('c'));
        assert_eq!((view.table, view.sort), (Table::Keys, Sort::Saved), "the keys are sorted by their score");
        typed(&mut view, KeyCode::Down);
        typed(&mut view, KeyCode::Down);
        typed(&mut view, KeyCode::Up);
        assert_eq!(view.scroll, 1);
        typed(&mut view, KeyCode::End);
        typed(&mut view, KeyCode::Down);
        assert_eq!(view.settle(10, 4), 6);
    }
}
