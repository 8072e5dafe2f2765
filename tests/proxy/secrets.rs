//! What is secret is told to nobody: not in the log, in errors, in figures, or in what commands print.

use std::{fmt::Write as _, time::Duration};

use edge_cache_sandbox::{Mode, Postgres};
use edge_cache_tests::{Ended, Performance, Proxy, ProxyBuilder, eventually};
use http::StatusCode;

const TOKEN: &str = "t0psecret-of-the-admin-listener";

/// Where a secret can be, and that secret.
const PLACES: [&str; 9] = [
    "t0psecret-in-database-url",
    "t0psecret-in-fallback-url",
    "t0psecret-in-replica-url",
    "t0psecret-in-redis-url",
    "t0psecret-of-sentinels",
    "t0psecret-in-slack",
    "t0psecret-in-webhook",
    "t0psecret-in-authorization",
    TOKEN,
];

/// Fails if any of it is in `text`. Parts count too: what escapes a secret shows it.
fn says_nothing(what: &str, text: &str) {
    for secret in PLACES {
        assert!(!text.contains(secret), "{what} tells {secret}:\n{text}");
    }
    assert!(!text.contains("t0psecret"), "{what} tells a part of a secret:\n{text}");
}

/// Alerts to a receiver that is not there, with a rule that fires at once.
const ALERTS: &str = "[alerts]\nslack = \"http://127.0.0.1:1/t0psecret-in-slack\"\nwebhook = \"http://127.0.0.1:1/t0psecret-in-webhook?k=t0psecret-in-webhook\"\n\
                      authorization = \"Bearer t0psecret-in-authorization\"\nevery = \"50ms\"\nfailures = 1\nrequests_min = 1\ntimeout = \"1s\"\n\
                      [[alerts.rule]]\nname = \"errors\"\nfigure = \"error-rate\"\nabove = 0.1\nseverity = \"critical\"\n\
                      [log]\nfilter = \"debug\"\n";

/// Everything that a running node shows, with and without the token.
async fn shows_nothing(proxy: &Proxy) {
    for target in [
        "/metrics",
        "/health/ready",
        "/origin",
        "/hot",
        "/requests",
        "/requests/none",
        "/explain?url=x",
        "/none",
        "/admin/performance",
    ] {
        for token in [TOKEN, "", "a-guess"] {
            let answer = proxy.admin().get(target).bearer(token).send().await;
            says_nothing(target, &format!("{answer:?} {}", String::from_utf8_lossy(&answer.body)));
        }
    }
    let mut page = Performance::open_with(proxy.admin_address(), TOKEN).await;
    let state = page.until("figures", |state| state["totals"].is_object()).await;
    says_nothing("the feed", &state.to_string());
}

/// Rules are held against what happened since they were held the last time: one failure may fall between two.
async fn asked_until_it_alerts(proxy: &Proxy, target: &str) {
    let ask = async {
        loop {
            proxy.get(target).await;
        }
    };
    tokio::select! {
        () = ask => {}
        _ = proxy.logged("edge_cache::alert") => {}
    }
}

fn ended_well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    says_nothing("the log", &ended.stderr);
    says_nothing("the output", &ended.stdout);
}

#[tokio::test]
async fn a_node_whose_servers_are_gone_tells_no_password() {
    let postgres = Postgres::start().await.unwrap();
    // Who asks for no password takes any.
    let database = postgres.url().replace('@', ":t0psecret-in-database-url@");
    let mut toml = format!("[origin]\nkind = \"pitchey\"\n[database]\nurl = \"{database}\"\n");
    writeln!(toml, "fallback_urls = [\"postgres://ann:t0psecret-in-fallback-url@127.0.0.1:1/x\"]").unwrap();
    writeln!(toml, "replica_urls = [\"postgres://ann:t0psecret-in-replica-url@127.0.0.1:1/x\"]").unwrap();
    writeln!(toml, "[redis]\nurl = \"redis://ann:t0psecret-in-redis-url@127.0.0.1:1/0\"").unwrap();
    let proxy = ProxyBuilder::config(&(toml + ALERTS)).env("CACHE_PROXY_ADMIN_TOKEN", TOKEN).start().await;
    assert_eq!(proxy.get("/api/pitches/trending").await.status, StatusCode::OK);
    postgres.stop(Mode::Immediate).await.unwrap();
    eventually("it fails", async || {
        let answer = proxy.get("/api/stats").await;
        says_nothing("an answer", &format!("{answer:?} {}", answer.text()));
        (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    asked_until_it_alerts(&proxy, "/api/stats").await;
    shows_nothing(&proxy).await;
    proxy.terminate();
    ended_well(&proxy.ended_within(Duration::from_secs(60)).await);
}

#[tokio::test]
async fn a_node_without_its_sentinels_tells_no_password() {
    let toml = "[origin]\nurl = \"http://127.0.0.1:1\"\n[redis]\nurl = \"redis://ann:t0psecret-in-redis-url@127.0.0.1:1/0\"\ntopology = \"sentinel\"\n\
                sentinel_username = \"sam\"\nsentinel_password = \"t0psecret-of-sentinels\"\nmore_urls = [\"redis://ann:t0psecret-in-redis-url@127.0.0.1:2/0\"]\n";
    let proxy = ProxyBuilder::config(&format!("{toml}{ALERTS}")).env("CACHE_PROXY_ADMIN_TOKEN", TOKEN).start().await;
    let answer = proxy.client().get("/").header("authorization", "Bearer t0psecret-in-authorization").send().await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    asked_until_it_alerts(&proxy, "/api/stats").await;
    shows_nothing(&proxy).await;
    proxy.terminate();
    ended_well(&proxy.ended_within(Duration::from_secs(60)).await);
}

#[tokio::test]
async fn no_mistake_in_a_configuration_tells_what_is_secret() {
    for toml in [
        // A database that is not there; a URL that is none; a scheme that does not exist.
        "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"postgres://ann:t0psecret-in-database-url@127.0.0.1:1/x\"\n",
        "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"mysql://ann:t0psecret-in-database-url@h/x\"\n",
        "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"postgres://ann:t0psecret-in-database-url@h:port/x\"\n",
        "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"sqlite:x\"\nfallback_urls = [\"postgres://ann:t0psecret-in-fallback-url@h:port/x\"]\n",
        "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"postgres://ann:t0psecret-in-database-url@h/x?sslmode=prefer\"\n",
        "[origin]\nurl = \"http://ann:t0psecret-in-database-url@h\"\n",
        "[redis]\nurl = \"redis://ann:t0psecret-in-redis-url@h:port/0\"\n",
        "[redis]\nurl = \"http://ann:t0psecret-in-redis-url@h\"\n",
        "[redis]\nurl = \"redis://ann:t0psecret-in-redis-url@h:1/zero\"\n",
        "[redis]\nurl = \"redis://h\"\nmore_urls = [\"redis://ann:t0psecret-in-redis-url@h:port\"]\ntopology = \"cluster\"\n",
        "[alerts]\nslack = \"ftp://h/t0psecret-in-slack\"\n",
        "[alerts]\nwebhook = \"t0psecret-in-webhook\"\n",
        "[alerts]\nwebhook = \"http://ann:t0psecret-in-webhook@h/x\"\n",
        "[alerts]\nwebhook = \"http://h/\"\nauthorization = \"t0psecret-in-authorization\\n\"\n",
        // Not even where the file is no TOML, or a key is of another type.
        "[redis]\nurl = \"redis://ann:t0psecret-in-redis-url@h\n",
        "[redis]\nurl = redis://ann:t0psecret-in-redis-url@h\n",
        "[redis]\nsentinel_password = [\"t0psecret-of-sentinels\"]\n",
        "[redis]\nurl = { t0psecret-in-redis-url = 1 }\n",
        "[database]\nfallback_urls = \"postgres://ann:t0psecret-in-fallback-url@h/x\"\n",
        "redis = \"redis://ann:t0psecret-in-redis-url@h\"\n",
    ] {
        let ended = ProxyBuilder::config(toml).to_end().await;
        assert!(matches!(ended.code, Some(1 | 64)), "{toml}: {ended:?}");
        says_nothing(toml, &ended.stderr);
        says_nothing(toml, &ended.stdout);
    }
    for (name, value) in [
        ("CACHE_PROXY__DATABASE__URL", "mysql://ann:t0psecret-in-database-url@h/x"),
        ("CACHE_PROXY__DATABASE__FALLBACK_URLS", "postgres://ann:t0psecret-in-fallback-url@h:port/x"),
        ("CACHE_PROXY__REDIS__URL", "redis://ann:t0psecret-in-redis-url@h:port"),
        ("CACHE_PROXY__ALERTS__SLACK", "t0psecret-in-slack"),
        ("CACHE_PROXY__REDIS__PASWORD", "t0psecret-in-redis-url"),
    ] {
        let ended = ProxyBuilder::config("[origin]\nkind = \"pitchey\"\n").env(name, value).to_end().await;
        assert_eq!(ended.code, Some(64), "{name}: {ended:?}");
        says_nothing(name, &ended.stderr);
    }
}

#[tokio::test]
async fn what_commands_print_of_a_configuration_is_not_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    let toml = "[origin]\nkind = \"pitchey\"\n[database]\nurl = \"postgres://ann:t0psecret-in-database-url@h/x\"\nfallback_urls = [\"postgres://ann:t0psecret-in-fallback-url@h2/x\"]\n\
                [redis]\nurl = \"redis://ann:t0psecret-in-redis-url@h:1/0\"\n";
    std::fs::write(&file, format!("{toml}{ALERTS}")).unwrap();
    let file = file.to_str().unwrap();
    let check = ProxyBuilder::bare(&["check", "--config", file]).to_end().await;
    assert_eq!(check.code, Some(0), "{check:?}");
    says_nothing("check", &(check.stdout + &check.stderr));
    let printed = ProxyBuilder::bare(&["config", "--print-defaults"])
        .env("CACHE_PROXY__REDIS__URL", "redis://:t0psecret-in-redis-url@h")
        .to_end()
        .await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    says_nothing("config", &(printed.stdout + &printed.stderr));
    let in_force = ProxyBuilder::bare(&["config", "--config", file])
        .env("CACHE_PROXY__REDIS__MORE_URLS", "redis://:t0psecret-in-redis-url@h2:1")
        .to_end()
        .await;
    assert_eq!(in_force.code, Some(0), "{in_force:?}");
    let shown = ["***@h:1", "***@h2:1", "ann:***@h/x", "ann:***@h2/x"];
    assert!(shown.iter().all(|shown| in_force.stdout.contains(shown)), "{in_force:?}");
    says_nothing("config --config", &(in_force.stdout + &in_force.stderr));
}
