use std::io::{BufReader, Cursor};

use super::{line::Line, lines::LINE_BYTES_MAX, *};

const COMMON: &str = r#"192.0.2.1 - - [22/Nov/2026:10:00:00 +0100] "GET /a?x=1 HTTP/1.1" 200 512"#;
const COMBINED: &str = r#"::1 - a user [22/Nov/2026:10:00:01 +0100] "GET /b HTTP/2.0" 304 - "https://e.example/\"x\"" "An agent [x] \"y\"""#;

fn asked(text: &str) -> Asked {
    // A small buffer, so that lines come in pieces.
    read(BufReader::with_capacity(7, Cursor::new(text.to_owned()))).unwrap()
}

#[test]
fn both_formats_are_understood() {
    assert_eq!(line::parse(COMMON.as_bytes()), Some(Line { method: "GET", target: "/a?x=1", status: 200 }));
    assert_eq!(line::parse(COMBINED.as_bytes()), Some(Line { method: "GET", target: "/b", status: 304 }));
    for broken in [
        "",
        "nonsense",
        r#"h - - [t] "GET /a" 200 1"#,
        r#"h - - [t] "GET /a b HTTP/1.1" 200 1"#,
        r#"h - - [t] "GET /a HTTP/1.1" 2000 1"#,
        r#"h - - [t] "GET /a HTTP/1.1" abc 1"#,
        r#"h - - [t] "GET /a HTTP/1.1" 200 x"#,
        r#"h - - [t] "GET /a HTTP/1.1"#,
        r#"h - - [t] "-" 400 0"#,
        r#"{"request": "GET /a HTTP/1.1"}"#,
    ] {
        assert_eq!(line::parse(broken.as_bytes()), None, "{broken}");
    }
}

#[test]
fn the_most_asked_come_first_and_ties_are_in_order() {
    let line = |target: &str| format!("h - - [t] \"GET {target} HTTP/1.1\" 200 1\n");
    let text = [line("/b"), line("/c"), line("/a"), line("/c"), "\n".to_owned()].concat();
    let asked = asked(&text);
    assert_eq!(asked.most(10), [("/c", 2), ("/a", 1), ("/b", 1)]);
    assert_eq!(asked.most(1), [("/c", 2)]);
    assert_eq!((asked.lines, asked.not_understood, asked.passed_over), (4, 0, 0));
}

#[test]
fn only_what_can_be_warmed_counts() {
    let text = r#"
h - - [t] "GET /kept HTTP/1.1" 200 1
h - - [t] "POST /a HTTP/1.1" 200 1
h - - [t] "HEAD /a HTTP/1.1" 200 1
h - - [t] "GET /a HTTP/1.1" 404 1
h - - [t] "GET /a HTTP/1.1" 206 1
h - - [t] "GET http://h/a HTTP/1.1" 200 1
h - - [t] "GET * HTTP/1.1" 200 1
h - - [t] "GET /\x22 HTTP/1.1" 400 1
h - - [t] "CONNECT h:443 HTTP/1.1" 200 1
garbage
"#;
    let asked = asked(text);
    assert_eq!(asked.most(10), [("/kept", 1)]);
    assert_eq!((asked.lines, asked.not_understood, asked.passed_over), (10, 1, 8));
}

#[test]
fn memory_is_bounded_and_what_is_known_is_counted_on() {
    let line = |target: &str| format!("h - - [t] \"GET {target} HTTP/1.1\" 200 1\n");
    let text = [line("/a"), line("/b"), line("/c"), line("/a")].concat();
    for (targets_max, bytes_max) in [(2, 100), (100, 5)] {
        let asked = read_at_most(Cursor::new(&text), targets_max, bytes_max).unwrap();
        assert_eq!(asked.most(10), [("/a", 2), ("/b", 1)]);
        assert_eq!(asked.left_out, 1);
    }
    let long = format!("{}\n{COMMON}\n{}", "x".repeat(LINE_BYTES_MAX + 1), "y".repeat(3 * LINE_BYTES_MAX));
    let asked = super::read(BufReader::new(Cursor::new(long))).unwrap();
    assert_eq!((asked.lines, asked.not_understood), (3, 2));
    assert_eq!(asked.most(10), [("/a?x=1", 1)]);
}

#[test]
fn a_file_of_something_else_is_an_error_and_an_empty_one_is_not() {
    let error = read(Cursor::new("a\nb\n\u{0}\n")).unwrap_err();
    assert!(error.to_string().starts_with("none of 3 lines is of an access log"), "{error}");
    assert_eq!(read(Cursor::new("\n\n")).unwrap(), Asked::default());
}
