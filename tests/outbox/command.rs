//! `cache-proxy sql`.

use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Origin, ProxyBuilder, Reply, eventually, pooled_database};

async fn sql(args: &[&str]) -> edge_cache_tests::Ended {
    ProxyBuilder::bare(&[&["sql"], args].concat()).to_end().await
}

#[tokio::test]
async fn it_is_installed_in_a_database_that_is_there_and_removed_without_a_trace() {
    let postgres = Postgres::builder().start().await.unwrap();
    let at = ["--database", postgres.url()];
    let with = |what: &'static str| [&[what][..], &at[..]].concat();
    assert_eq!(sql(&with("status")).await.stdout.trim_end(), "not installed");
    for _ in 0..2 {
        let installed = sql(&with("install")).await;
        assert_eq!(installed.code, Some(0), "{installed:?}");
    }
    let database = pooled_database(postgres.url()).await;
    database.execute("SELECT edge_cache.invalidate('a', 'b')", &[]).await.unwrap();
    let status = sql(&with("status")).await.stdout;
    assert!(status.starts_with("installed: 1 waiting"), "{status}");
    assert_eq!(sql(&with("uninstall")).await.code, Some(0));
    assert_eq!(sql(&with("status")).await.stdout.trim_end(), "not installed");
    let printed = sql(&["install", "--print"]).await.stdout;
    database.batch(&printed).await.unwrap();
    assert!(sql(&with("status")).await.stdout.starts_with("installed: 0 waiting"));
}

#[tokio::test]
async fn a_wrong_database_is_a_usage_error() {
    for args in [&["status"][..], &["status", "--database", "sqlite:x"]] {
        let ended = sql(args).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
    }
}

#[tokio::test]
async fn a_cache_before_an_http_origin_consumes_the_outbox_of_that_origin_s_database() {
    let postgres = Postgres::builder().start().await.unwrap();
    let origin = Origin::start(|request| async move {
        Reply::cached("max-age=1000", format!("answer {}", request.earlier)).header("cache-tag", "product-7")
    })
    .await;
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[database]\nurl = \"{}\"\n[outbox]\nenabled = true\n",
        origin.url(),
        postgres.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    // It is not there yet: said, and tried again.
    proxy.logged("the outbox cannot be consumed").await;
    assert_eq!(sql(&["install", "--database", postgres.url()]).await.code, Some(0));
    let held = proxy.get("/").await.text().to_owned();
    assert!(proxy.get("/").await.is_hit_of("memory"));
    let database = pooled_database(postgres.url()).await;
    database.execute("SELECT edge_cache.invalidate('product-7')", &[]).await.unwrap();
    eventually("it is purged", async || (proxy.get("/").await.text() != held).then_some(())).await;
}
