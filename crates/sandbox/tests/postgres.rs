//! A private Postgres does what its handle says, and leaves nothing behind.

mod common;

use common::{PATIENCE, connect, folder, is_alive};
use edge_cache_sandbox::{Error, Mode, Postgres};
use std::{path::Path, time::Duration};

#[tokio::test]
async fn starts_answers_and_is_gone_with_its_handle() {
    let pg = Postgres::builder()
        .max_connections(20)
        .setting("shared_buffers", "16MB")
        .setting("application_name", "it's \"odd\" $HOME")
        .start()
        .await
        .expect("starts");
    assert_eq!(pg.url(), format!("postgres://postgres@127.0.0.1:{}/pitchey", pg.port()));
    let client = connect(pg.url()).await.expect("connects");
    let settings = client
        .query_one("SELECT current_setting('max_connections'), current_setting('shared_buffers'), current_setting('server_encoding'), (SELECT reset_val FROM pg_settings WHERE name = 'fsync')", &[])
        .await
        .expect("answers");
    let settings: Vec<String> = (0..4).map(|column| settings.get(column)).collect();
    assert_eq!(settings, ["20", "16MB", "UTF8", "off"]);

    let pids = pg.pids();
    assert_eq!(pids.first().copied(), pg.pid());
    assert!(pids.len() > 1, "workers and our session: {pids:?}");
    let folder = folder(&client).await;
    assert!(Path::new(&folder).is_dir());
    drop(client);
    drop(pg);
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));
    assert!(!Path::new(&folder).exists());
}

#[tokio::test]
async fn data_survives_every_way_of_stopping() {
    let pg = Postgres::start().await.expect("starts");
    let client = connect(pg.url()).await.expect("connects");
    client.batch_execute("CREATE TABLE t (n int)").await.expect("creates");
    drop(client);
    let url = pg.url().to_owned();
    for (n, mode) in [Mode::Smart, Mode::Fast, Mode::Immediate, Mode::Kill].into_iter().enumerate() {
        let client = connect(&url).await.expect("connects");
        // The log of a server that is killed lives in the kernel's cache, so nothing is lost.
        client.batch_execute("SET synchronous_commit = on; INSERT INTO t VALUES (1)").await.expect("inserts");
        drop(client);
        let before = pg.pids();
        pg.stop(mode).await.expect("stops");
        pg.stop(mode).await.expect("stopping twice is no error");
        assert_eq!((pg.pid(), pg.pids()), (None, Vec::new()), "{mode:?}");
        assert!(before.into_iter().all(|pid| !is_alive(pid)), "{mode:?}");
        assert_eq!(pg.cpu_time(), Duration::ZERO);
        assert!(matches!(pg.pause().await, Err(Error::NotRunning("postgres"))));
        connect(&url).await.expect_err("the port refuses");

        pg.restart().await.expect("starts again");
        let client = connect(&url).await.expect("the same URL");
        let rows = client.query("SELECT n FROM t", &[]).await.expect("the data is there");
        assert_eq!(rows.len(), n + 1, "{mode:?}");
    }
}

#[tokio::test]
async fn a_paused_server_accepts_and_does_not_answer() {
    let pg = Postgres::start().await.expect("starts");
    let client = connect(pg.url()).await.expect("connects");
    let before = pg.cpu_time();
    client.query_one("SELECT count(*) FROM generate_series(1, 2000000)", &[]).await.expect("counts");
    assert!(pg.cpu_time() > before, "a session's work counts");

    pg.pause().await.expect("pauses");
    let halted = pg.cpu_time();
    std::net::TcpStream::connect(("127.0.0.1", pg.port())).expect("the kernel accepts");
    let mut answer = Box::pin(client.simple_query("SELECT 1"));
    tokio::time::timeout(Duration::from_millis(50), &mut answer).await.expect_err("no answer");
    assert_eq!(pg.cpu_time(), halted, "nothing runs");

    pg.resume().await.expect("resumes");
    tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("answers");
    pg.pause().await.expect("pauses");
    pg.restart().await.expect("a paused server can be restarted");
    connect(pg.url()).await.expect("connects");
    pg.pause().await.expect("pauses");
    let pids = pg.pids();
    drop(pg);
    assert!(pids.into_iter().all(|pid| !is_alive(pid)), "a paused server is gone too");
}

#[tokio::test]
async fn databases_are_made_on_request() {
    let pg = Postgres::start().await.expect("starts");
    let url = pg.create_database("other-1").await.expect("creates");
    assert!(url.ends_with("/other-1"));
    let client = connect(&url).await.expect("connects");
    let row = client.query_one("SELECT current_database()", &[]).await.expect("answers");
    assert_eq!(row.get::<_, String>(0), "other-1");
    assert!(matches!(pg.create_database("other-1").await, Err(Error::Postgres(_))));
    assert!(matches!(pg.create_database("x\"; DROP").await, Err(Error::BadName(_))));
}

#[tokio::test(start_paused = true)]
async fn two_at_once_stand_apart_even_under_a_paused_clock() {
    let (one, two) = tokio::try_join!(Postgres::start(), Postgres::start()).expect("both start");
    assert_ne!(one.port(), two.port());
    assert_ne!(one.pid(), two.pid());
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let missing = Postgres::builder().binaries("/nowhere").start().await.expect_err("no binary");
    assert_eq!(missing.to_string(), "no `postgres` in /nowhere: install it with `apt-get install postgresql`");
    let refused = Postgres::builder().setting("shared_buffers", "plenty").start().await;
    let refused = refused.expect_err("not a size").to_string();
    assert!(refused.contains("shared_buffers") && refused.contains("plenty"), "{refused}");
    let name = Postgres::builder().setting("a b", "1").start().await;
    assert!(matches!(name, Err(Error::BadName(_))));
}
