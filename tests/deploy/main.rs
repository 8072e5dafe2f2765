//! What runs the program elsewhere: containers, systemd, Prometheus. Files, ports, variables and flags that they name are there.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod compose;
mod dockerfile;
mod security;
mod unit;

use std::path::{Path, PathBuf};

use edge_cache_tests::{Ended, ProxyBuilder};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The reference configuration, checked by the program itself in this environment.
async fn checked(variables: &[(String, String)]) -> Ended {
    let file = root().join("config/cache-proxy.toml");
    let check = ProxyBuilder::bare(&["check", "--config", file.to_str().unwrap()]);
    variables.iter().fold(check, |check, (name, value)| check.env(name, value)).to_end().await
}

/// Fails unless the program takes these arguments: a subcommand and its flags.
async fn takes(arguments: &[String]) {
    let (subcommand, rest) = arguments.split_first().unwrap();
    let help = ProxyBuilder::bare(&[subcommand, "--help"]).to_end().await;
    assert_eq!(help.code, Some(0), "{subcommand}: {help:?}");
    for flag in rest.iter().filter(|argument| argument.starts_with("--")) {
        assert!(help.stdout.contains(&format!("{flag} ")), "{subcommand} {flag}: {}", help.stdout);
    }
}
