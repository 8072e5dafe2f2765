use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend, style::Color};
use serde_json::json;

use super::*;
use crate::top::{
    feed::{Event, Loss},
    stub,
    text::Text,
    view::{Sort, Table},
};

const THEME: Theme = Theme::new(false, false);

fn node(name: &str, state: &serde_json::Value) -> Node {
    let mut node = Node::new("http://127.0.0.1:9901".to_owned());
    let rows: Vec<_> = (1..=600).map(|at| stub::row(at.into(), 90, 10)).collect();
    let history = json!({"columns": stub::COLUMNS, "fine": {"rows": rows}});
    let now = Instant::now();
    node.hear(Event::Hello(serde_json::from_value(json!({"node": name})).unwrap()), now);
    node.hear(Event::History(serde_json::from_value(history).unwrap()), now);
    node.hear(
        Event::Now(serde_json::from_value(json!({"sample": stub::row(601.0, 90, 10), "state": state})).unwrap()),
        now,
    );
    node
}

/// What is drawn, a line each.
fn drawn(
    nodes: &[Node],
    view: &mut View,
    theme: Theme,
    [width, height]: [u16; 2],
) -> (Vec<String>, ratatui::buffer::Buffer) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = Instant::now() + Duration::from_secs(5);
    terminal.draw(|frame| draw(frame, nodes, view, theme, now)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    ((0..height).map(line).collect(), buffer)
}

fn lines(nodes: &[Node], view: &mut View, size: [u16; 2]) -> Vec<String> {
    drawn(nodes, view, THEME, size).0
}

fn find<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part:?} in {lines:#?}"))
}

#[test]
fn a_small_screen_has_the_most_important() {
    let lines = lines(&[node("n1", &stub::state())], &mut View::default(), [80, 24]);
    assert_eq!(lines[0], " cache-proxy top  n1                         last 10 s; latencies: worst second");
    assert_eq!(lines[1], " ● n1 live, up 1 h 2 min");
    assert_eq!(lines[2], " requests/s hit rate errors  p50      p95      p99      CPU    memory   clients");
    assert_eq!(lines[3], " 100        90.0 %   0.0 %   0.20 ms  3.10 ms  8.00 ms  25 %   50.0 MiB 12");
    assert!(lines[4].starts_with(" requests/s 5 min ████"), "{}", lines[4]);
    assert!(lines[5].starts_with(" most 100         ████"), "{}", lines[5]);
    assert!(lines[6].starts_with(" hit rate 5 min   ▆▆▆▆"), "{}", lines[6]);
    assert!(lines[7].starts_with(" least 90.0 %     ████"), "{}", lines[7]);
    assert_eq!(lines[8], " tiers     memory 90.0 %  redis 0.0 %  none 10.0 %  10.0 fills/s");
    assert_eq!(lines[9], " database  1 in use, 3 open of 10, 0 waiting");
    assert_eq!(lines[10], " permits   1 of 10 in use, 0 waiting, calm");
    assert_eq!(lines[11], " breakers  all closed");
    assert_eq!(lines[12], " route               calls▼   hit rate  errors       p95     bytes   time saved");
    assert_eq!(lines[13], " trending               700     98.6 %   0.0 %   0.90 ms  4.00 KiB       20.0 s");
    assert_eq!(lines[15], " login                   10          -   0.0 %         -     480 B       0.00 s");
    assert!(lines[23].starts_with(" q quit  ? help  tab keys  c h p b s sort  ↑↓ scroll"), "{}", lines[23]);
}

#[test]
fn a_wide_screen_has_more_columns_and_the_plots_side_by_side() {
    let lines = lines(&[node("n1", &stub::state())], &mut View::default(), [120, 40]);
    assert_eq!(lines[0].len(), 119);
    let head = find(&lines, "calls▼");
    for column in ["hit rate", "stale", "miss", "errors", "p50", "p95", "p99", "bytes", "saved", "time saved"] {
        assert!(head.contains(column), "{column}: {head}");
    }
    let plots = find(&lines, "requests/s 5 min");
    assert!(plots.contains("hit rate 5 min"), "{plots}");
    assert!(find(&lines, "tiers").contains("memory 90.0 % (1.00 MiB of 256 MiB)"));
    assert!(find(&lines, "trending").contains("98.6 %"));
}

#[test]
fn any_size_is_drawn() {
    let nodes = [node("n1", &stub::state()), node("n2", &stub::state())];
    for size in [[1, 1], [10, 3], [20, 50], [79, 10], [300, 12], [500, 200]] {
        for help in [false, true] {
            lines(&nodes, &mut View { help, ..View::default() }, size);
        }
    }
}

#[test]
fn the_state_of_each_node_is_named_with_its_reason() {
    let mut nodes = [node("n1", &stub::state()), node("n2", &stub::state()), Node::new("http://n3:1".to_owned())];
    nodes[1].hear(Event::Lost(Loss::Forbidden { why: Text::of("no") }), Instant::now());
    let lines = lines(&nodes, &mut View::default(), [80, 24]);
    assert!(lines[0].starts_with(" cache-proxy top  sum of 1 of 3 nodes"), "{}", lines[0]);
    assert_eq!(lines[1], " ✗ n2 lost for 5 s: 403, no  ○ http://n3:1 connecting  ● n1 live, up 1 h 2 min");
}

#[test]
fn many_nodes_leave_room_for_the_rest() {
    let nodes: Vec<Node> = (0..40).map(|at| node(&format!("a-rather-long-name-{at}"), &stub::state())).collect();
    let lines = lines(&nodes, &mut View::default(), [80, 24]);
    assert_eq!(lines[NODES_LINES_MAX], " and 37 more nodes");
    assert!(lines[NODES_LINES_MAX + 1].starts_with(" requests/s"));
}

#[test]
fn what_is_wrong_is_at_the_top_and_red() {
    let mut state = stub::state();
    state["alerts"]["firing"] =
        json!([{"severity": "critical", "text": "error rate 7.0 % is above 5.0 %"}, {"severity": "warning"}]);
    state["tiers"]["redis"]["reads"] = json!("open");
    state["ready"]["draining"] = json!(true);
    let (lines, buffer) = drawn(&[node("n1", &state)], &mut View::default(), THEME, [80, 24]);
    assert_eq!(lines[1], " ALERT critical error rate 7.0 % is above 5.0 % (and 1 more)");
    assert_eq!(buffer[(1, 1)].bg, Color::Red);
    assert_eq!(lines[2], " ● n1 live, up 1 h 2 min, draining");
    assert_eq!(find(&lines, "breakers"), " breakers  redis reads open");
}

#[test]
fn without_colours_nothing_has_one() {
    let mut state = stub::state();
    state["alerts"]["firing"] = json!([{"severity": "critical", "text": "x"}]);
    state["tiers"]["redis"]["reads"] = json!("open");
    for theme in [Theme::new(false, true), Theme::new(true, false)] {
        let (_, buffer) = drawn(&[node("n1", &state)], &mut View::default(), theme, [120, 40]);
        assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }
}

#[test]
fn the_plain_screen_is_ascii() {
    for view in
        [View::default(), View { table: Table::Keys, ..View::default() }, View { help: true, ..View::default() }]
    {
        let mut view = view;
        let mut nodes = [node("n1", &stub::state()), node("n2", &stub::state())];
        nodes[1].hear(Event::Lost(Loss::Ended), Instant::now());
        let (lines, _) = drawn(&nodes, &mut view, Theme::new(true, false), [80, 24]);
        assert!(lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
    }
}

#[test]
fn a_sorted_table_is_marked_and_scrolls() {
    let mut state = stub::state();
    let routes: Vec<_> =
        (0..50).map(|at| json!({"route": format!("r{at:02}"), "calls": 100 - at, "p95_ms": at})).collect();
    state["routes"] = json!(routes);
    let nodes = [node("n1", &state)];
    let mut view = View { sort: Sort::P95, ..View::default() };
    let by_p95 = lines(&nodes, &mut view, [80, 24]);
    assert!(by_p95[12].starts_with(" route 1-10 of 50") && by_p95[12].contains("p95▼"), "{}", by_p95[12]);
    assert!(by_p95[13].starts_with(" r49"), "{}", by_p95[13]);
    view.scroll = usize::MAX;
    let end = lines(&nodes, &mut view, [80, 24]);
    assert!(end[12].starts_with(" route 41-50 of 50") && end[22].starts_with(" r00"), "{end:#?}");
    assert_eq!((view.scroll, view.page), (40, 10));
}

#[test]
fn the_keys_are_in_a_table_of_their_own() {
    let mut view = View { table: Table::Keys, ..View::default() };
    let lines = lines(&[node("n1", &stub::state())], &mut view, [80, 24]);
    assert_eq!(lines[12], " hottest keys of http://localhost:8080             hits        cost      score▼");
    assert_eq!(lines[13], " /api/pitches/trending?limit=10                     500     3.00 ms        1500");
}

#[test]
fn nothing_from_the_feed_steers_the_terminal() {
    let hostile = "a\u{1b}[2J\r\n\u{9b}31m\u{202e}b";
    let mut state = stub::state();
    state["routes"][0]["route"] = json!(hostile);
    state["hot"][0]["url"] = json!(hostile);
    state["alerts"]["firing"] = json!([{"severity": hostile, "text": hostile}]);
    state["tiers"]["redis"]["reads"] = json!(hostile);
    state["origin"]["governor"]["pressure"] = json!(hostile);
    state["ready"]["backplane"] = json!(hostile);
    let nodes = [node(hostile, &state)];
    for table in [Table::Routes, Table::Keys] {
        let (lines, _) = drawn(&nodes, &mut View { table, ..View::default() }, THEME, [120, 40]);
        let text = lines.concat();
        assert!(!text.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{text:?}");
        assert!(find(&lines, "ALERT").contains("a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}31m\u{fffd}b"));
    }
    let sum = model::sum(&nodes, None);
    let text = crate::top::plain::text(&sum, THEME, Instant::now());
    let json = serde_json::to_string_pretty(&sum).unwrap();
    for text in [text, json] {
        assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'), "{text:?}");
    }
}

#[test]
fn a_node_that_is_lost_leaves_what_was_known() {
    let mut nodes = [node("n1", &stub::state())];
    nodes[0].hear(Event::Lost(Loss::Ended), Instant::now());
    let lines = lines(&nodes, &mut View::default(), [80, 24]);
    assert!(lines[0].ends_with("not live: the last known"), "{}", lines[0]);
    assert!(lines[3].starts_with(" -          -"), "{}", lines[3]);
    assert!(find(&lines, "trending").contains("700"));
}

#[test]
fn before_anything_is_known_that_is_said() {
    let lines = lines(&[Node::new("http://127.0.0.1:9901".to_owned())], &mut View::default(), [80, 24]);
    assert_eq!(lines[0], " cache-proxy top  http://127.0.0.1:9901");
    assert_eq!(lines[1], " ○ http://127.0.0.1:9901 connecting");
}
