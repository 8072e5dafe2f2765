use super::*;

fn paths(text: &str) -> Vec<String> {
    parse("w.toml", text).unwrap().into_iter().map(|wanted| wanted.path_and_query).collect()
}

fn error(text: &str) -> String {
    parse("w.toml", text).unwrap_err().to_string()
}

#[test]
fn the_order_is_the_file_s_and_the_last_placeholder_changes_fastest() {
    let text = r#"
        [[template]]
        path = "/{tab}?limit={limit}&tab={tab}&offset={offset}"
        values = { tab = ["new", "old"], limit = [4, 10], offset = { from = 0, to = 5, step = 5 } }
        [[url]]
        path = "/a"
        [[template]]
        path = "/{z}"
        values = { z = ["z"] }
        [[url]]
        path = "/b"
    "#;
    assert_eq!(
        paths(text),
        [
            "/new?limit=4&tab=new&offset=0",
            "/new?limit=4&tab=new&offset=5",
            "/new?limit=10&tab=new&offset=0",
            "/new?limit=10&tab=new&offset=5",
            "/old?limit=4&tab=old&offset=0",
            "/old?limit=4&tab=old&offset=5",
            "/old?limit=10&tab=old&offset=0",
            "/old?limit=10&tab=old&offset=5",
            "/a",
            "/z",
            "/b",
        ]
    );
    assert!(paths("").is_empty());
}

#[test]
fn values_are_encoded_and_ranges_include_both_ends() {
    let text = "[[template]]\npath = '/s?q={q}'\nvalues = { q = ['Film Noir', 'a&b=c', 'ä/?#%'] }";
    assert_eq!(paths(text), ["/s?q=Film%20Noir", "/s?q=a%26b%3Dc", "/s?q=%C3%A4%2F%3F%23%25"]);
    let text = "[[template]]\npath = '/{n}'\nvalues = { n = { from = -1, to = 1 } }";
    assert_eq!(paths(text), ["/-1", "/0", "/1"]);
    let text = "[[template]]\npath = '/{n}'\nvalues = { n = { from = 0, to = 95, step = 24 } }";
    assert_eq!(paths(text), ["/0", "/24", "/48", "/72"]);
}

#[test]
fn headers_and_authorities_are_kept() {
    let text = "[[url]]\npath = '/a'\nauthority = 'B.example'\nheaders = { accept-language = 'de' }";
    let wanted = parse("w.toml", text).unwrap();
    let replay = wanted[0].at("http", "h").unwrap();
    assert_eq!((replay.to_string().as_str(), replay.headers().len()), ("http://b.example/a", 1));
}

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    for (text, expected) in [
        ("[[url]]\npath = 'a'", "w.toml:2: path `a`: must begin with `/`"),
        ("\n\n[[url]]\npath = '/a b'", "w.toml:4: path `/a b`: must be visible ASCII"),
        ("[[url]]\npath = '/a'\nhost = 'x'", "w.toml:3: unknown field `host`"),
        ("[[urls]]\npath = '/a'", "w.toml:1: unknown field `urls`, expected `url` or `template`"),
        ("[[url]]\nheaders = {}", "w.toml:1: missing field `path`"),
        ("[[url]\n", "w.toml:1: "),
        ("[[url]]\npath = '/a'\nheaders = { cookie = 'x' }", "w.toml:2: header `cookie` cannot be replayed"),
        ("[[url]]\npath = '/a'\nheaders = { 'a b' = 'x' }", "w.toml:3: header `a b`: must be a header name"),
        ("[[url]]\npath = '/a'\nauthority = 'a/b'", "w.toml:2: authority `a/b`: must be HOST"),
        ("[[template]]\npath = '/a'", "w.toml:2: template `/a`: must have at least one placeholder"),
        ("[[template]]\npath = '/{a'", "w.toml:2: template `/{a`: a `{` needs a name and a `}` behind it"),
        ("[[template]]\npath = '/a}{b}'", "a `{` needs a name"),
        ("[[template]]\npath = '/{}'", "a `{` needs a name"),
        ("[[template]]\npath = '/{a}'", "`{a}` has no values: must be one of those in [template.values]"),
        (
            "[[template]]\npath = '/{a}{c}'\n[template.values]\na = [1]\nb = [1]",
            "w.toml:5: template `/{a}{c}`: the values of `b` are not used: the path must contain `{b}`",
        ),
        ("[[template]]\npath = '/{a}{c}'\nvalues = { a = [1] }", "`{c}` has no values: must be one of a"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = [] }", "w.toml:3: values of `a`: must not be empty"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = [1.5] }", "values of `a`: must be texts and whole numbers"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = 7 }", "values of `a`: must be a list"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = { from = 1 } }", "must be { from = N, to = N, step = N }"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = { from = 1, to = 2, by = 1 } }", "must be { from = N"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = { from = 1, to = 2, step = 0 } }", "step must be at least 1"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = { from = 2, to = 1 } }", "from must be at most to"),
        ("[[template]]\npath = '/{a}'\nvalues = { a = { from = 0, to = 100000 } }", "at most 100000 numbers"),
    ] {
        let said = error(text);
        assert!(said.contains(expected) && said.starts_with("w.toml:"), "{text:?}: {said}");
        assert!(!said.contains('\n'), "one line: {said:?}");
    }
}

#[test]
fn the_number_of_urls_is_bounded_before_they_are_made() {
    let range = "{ from = 1, to = 1000 }";
    let text =
        format!("[[template]]\npath = '/{{a}}/{{b}}/{{c}}'\nvalues = {{ a = {range}, b = {range}, c = {range} }}");
    assert!(
        error(&text).contains("template `/{a}/{b}/{c}`: makes 1000000000 URLs, at most 100000 fit"),
        "{}",
        error(&text)
    );
    let text = "[[url]]\npath = '/x'\n[[template]]\npath = '/{a}'\nvalues = { a = { from = 1, to = 100000 } }";
    assert!(error(text).contains("makes 100000 URLs, at most 99999 fit"), "{}", error(text));
    let full = text.replace("100000", "99999");
    assert_eq!(paths(&full).len(), 100_000);
    assert!(error(&format!("{full}\n[[url]]\npath = '/y'")).contains("w.toml:7: more than 100000 URLs"));
}
