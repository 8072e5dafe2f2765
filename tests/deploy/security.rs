//! What `SECURITY.md` claims: each test that it names is there.

use std::path::Path;

use crate::{root, text};

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, all);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_test_that_is_named_is_there() {
    let mut all = String::new();
    sources(&root().join("crates"), &mut all);
    sources(&root().join("tests"), &mut all);
    sources(&root().join("fuzz"), &mut all);
    let text = text("SECURITY.md");
    let (_, table) = text.split_once("## Attacks, defences, tests").unwrap();
    let last = table.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.rsplit('|').nth(1));
    let named: Vec<_> = last.flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 90, "{named:?}");
    for name in named.into_iter().filter(|name| !name.starts_with('.')) {
        assert!(all.contains(&format!("fn {name}(")), "{name} is no test");
    }
}
