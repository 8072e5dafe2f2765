//! The database: its connections, who waits for them, and whether there is a way to it.

use edge_cache_sandbox::{Mode, Postgres};
use edge_cache_tests::{Demo, Performance, ProxyBuilder, eventually, pooled_database, row};
use serde_json::Value;

fn count(state: &Value, name: &str) -> u64 {
    state["database"][name].as_u64().unwrap_or_else(|| panic!("{name} of {state:#}"))
}

#[tokio::test]
async fn a_slow_query_holds_a_connection_and_the_figures_say_so() {
    let postgres = Postgres::start().await.unwrap();
    let demo = Demo::patient(&["--database", postgres.url(), "--pitches", "60"]).await;
    let own = pooled_database(postgres.url()).await;
    let mut page = Performance::open(demo.admin_address()).await;
    let before = page.until("nothing is at work", |state| state["database"]["in_use"] == 0).await;

    let mut lock = own.begin().await.unwrap();
    lock.execute("LOCK TABLE pitches IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let client = demo.client();
    let asked: Vec<_> =
        (4..7).map(|limit| tokio::spawn(client.get(&format!("/api/pitches/new?limit={limit}")).send())).collect();
    let held = page.until("three are at work", |state| state["database"]["in_use"] == 3).await;
    assert!(count(&held, "connections") >= 3 && count(&held, "connections") <= count(&held, "max"), "{held:#}");
    assert_eq!(count(&held, "idle") + count(&held, "in_use"), count(&held, "connections"));
    assert_eq!(count(&held, "max"), 9, "one of ten is the outbox's");
    let way = row(&held["origin"]["endpoints"], "endpoint", &format!("127.0.0.1:{}", postgres.port()));
    for (name, expected) in [("in_use", "in_use"), ("connections", "connections"), ("idle", "idle")] {
        assert_eq!(way[name], held["database"][expected], "{name}");
    }
    assert_eq!((&way["waiting"], &held["database"]["waiting"]), (&0.into(), &0.into()));
    assert_eq!((&way["breaker"], &way["timeouts"], &way["connect_errors"]), (&"closed".into(), &0.into(), &0.into()));
    assert!(way["connects"].as_u64().unwrap() >= 3, "{way:#}");
    assert_eq!((page.most("database_in_use"), page.most("database_connections") <= 9.0), (3.0, true));

    lock.commit().await.unwrap();
    for answer in asked {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    let after = page.until("they are done", |state| state["database"]["in_use"] == 0).await;
    let metrics = demo.metrics().await;
    for (name, metric) in [("queries", "queries"), ("checkouts", "checkouts"), ("waits", "waits")] {
        let total = format!("edge_cache_database_{metric}_total");
        assert_eq!(count(&after, name) as f64, metrics.sum(&total, &[]), "{name}");
    }
    assert_eq!(count(&after, "queries"), count(&before, "queries") + 3);
    assert_eq!(count(&after, "checkouts"), count(&before, "checkouts") + 3);
    // It was slow, and the page shows where.
    let new = row(&after["routes"], "route", "new");
    assert_eq!((&new["calls"], &new["miss"]), (&3.into(), &3.into()));
}

#[tokio::test]
async fn who_waits_for_a_connection_is_counted() {
    let postgres = Postgres::start().await.unwrap();
    let toml =
        format!("[origin]\nkind = \"pitchey\"\n[database]\nurl = \"{}\"\nlifetime_max = \"1s\"\n", postgres.url());
    let proxy = ProxyBuilder::config(&toml).patient().start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let before = count(page.step().await, "waits");
    let told = page.sum("database_waits");
    // Each finds no connection idle at first, and waits until one is open.
    let client = proxy.client();
    let asked: Vec<_> =
        (4..9).map(|limit| tokio::spawn(client.get(&format!("/api/pitches/new?limit={limit}")).send())).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    let state = page.until("they are counted", |state| state["totals"]["calls"] == 5).await;
    let waits = count(&state, "waits");
    assert_eq!(proxy.metrics().await.sum("edge_cache_database_waits_total", &[]), waits as f64);
    assert_eq!(page.sum("database_waits") - told, (waits - before) as f64);

    // A connection that has lived its life is closed, and counted.
    let (mut limit, endpoint) = (9, format!("127.0.0.1:{}", postgres.port()));
    let aged = eventually("one is closed for its age", async || {
        limit += 1;
        proxy.get(&format!("/api/pitches/new?limit={limit}")).await;
        let way = row(&page.step().await["origin"]["endpoints"], "endpoint", &endpoint).clone();
        way["closed_aged"].as_u64().filter(|aged| *aged > 0)
    })
    .await;
    assert!(proxy.metrics().await.sum("edge_cache_database_closed_aged_total", &[]) >= aged as f64);
}

#[tokio::test]
async fn a_breaker_opens_when_the_database_is_gone_and_closes_when_it_is_back() {
    let postgres = Postgres::start().await.unwrap();
    let demo = Demo::with(&["--database", postgres.url(), "--pitches", "60"]).await;
    let endpoint = format!("127.0.0.1:{}", postgres.port());
    let mut page = Performance::open(demo.admin_address()).await;
    let way = |state: &Value| row(&state["origin"]["endpoints"], "endpoint", &endpoint).clone();
    let state = page.until("it is closed", |state| way(state)["breaker"] == "closed").await;
    assert_eq!(way(&state)["breaker_opened"], 0);
    pooled_database(postgres.url()).await.execute("CHECKPOINT", &[]).await.unwrap();
    postgres.stop(Mode::Immediate).await.unwrap();
    let mut limit = 4;
    let mut ask = async || {
        limit += 1;
        demo.get(&format!("/api/pitches/new?limit={limit}")).await.status
    };
    eventually("its breaker opens", async || {
        assert_eq!(ask().await, 503);
        (page.step().await["origin"]["endpoints"][0]["breaker"] != "closed").then_some(())
    })
    .await;
    let state = page.until("it is told", |state| way(state)["breaker_opened"].as_u64() > Some(0)).await;
    assert!(
        way(&state)["connect_errors"].as_u64().unwrap() + way(&state)["closed_broken"].as_u64().unwrap() > 0,
        "{state:#}"
    );
    assert!(state["totals"]["error"].as_u64().unwrap() > 0);

    postgres.restart().await.unwrap();
    let mut offset = 0;
    eventually("it answers again", async || {
        offset += 1;
        (demo.get(&format!("/api/pitches/browse?limit=5&offset={offset}")).await.status == 200).then_some(())
    })
    .await;
    // What is asked proves it, some at first and then more. The page is told once a second: each time much is asked.
    let state = eventually("its breaker closes", async || {
        for _ in 0..10 {
            offset += 1;
            demo.get(&format!("/api/pitches/browse?limit=5&offset={offset}")).await;
        }
        let state = page.step().await;
        (way(state)["breaker"] == "closed").then(|| state.clone())
    })
    .await;
    assert!(way(&state)["connects"].as_u64().unwrap() >= 2, "{state:#}");
    let metrics = demo.metrics().await;
    assert_eq!(metrics.sum("edge_cache_database_breaker", &[("endpoint", &endpoint)]), 0.0);
}
