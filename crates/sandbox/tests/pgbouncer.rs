//! A private PgBouncer does what its handle says, and leaves nothing behind.

mod common;

use common::{PATIENCE, connect, eventually, is_alive};
use edge_cache_sandbox::{Error, Mode, PgBouncer, Postgres};
use std::time::Duration;
use tokio::{net::TcpListener, time::timeout};
use tokio_postgres::{Client, SimpleQueryMessage};

/// The first column of the first row, by the simple protocol, which needs no prepared statement.
async fn ask(client: &Client, query: &str) -> String {
    let answer = timeout(PATIENCE, client.simple_query(query)).await.expect("in time").expect("answers");
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.expect("one value").to_owned()
}

/// The value of a parameter, as its console says.
async fn parameter(pooler: &PgBouncer, name: &str) -> String {
    let console = connect(&pooler.url().replace("/pitchey", "/pgbouncer")).await.expect("the console is open");
    let messages = console.simple_query("SHOW CONFIG").await.expect("answers");
    let value = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.get(0) == Some(name) => row.get(1),
        _ => None,
    });
    value.expect("a parameter that it has").to_owned()
}

/// The process that serves the session, on the other side of the pool.
const BACKEND: &str = "SELECT pg_backend_pid()";

#[tokio::test]
async fn pools_per_transaction_and_is_gone_with_its_handle() {
    let postgres = Postgres::start().await.expect("starts");
    let pooler = PgBouncer::builder(&postgres).setting("default_pool_size", "1").start().await.expect("starts");
    assert_eq!(pooler.url(), format!("postgres://postgres@127.0.0.1:{}/pitchey", pooler.port()));
    assert_ne!(pooler.port(), postgres.port());
    let (one, two) = tokio::try_join!(connect(pooler.url()), connect(pooler.url())).expect("both connect");
    let backend = ask(&one, BACKEND).await;
    assert_eq!(ask(&two, BACKEND).await, backend, "both clients share the one connection");
    assert!(postgres.pids().contains(&backend.parse().expect("a number")), "it is of the Postgres behind");
    assert_eq!(ask(&one, "SELECT current_user").await, "postgres");

    let pid = pooler.pid().expect("runs");
    let folder = parameter(&pooler, "conffile").await.replace("/pgbouncer.ini", "");
    assert!(std::path::Path::new(&folder).is_dir());
    drop(pooler);
    assert!(!is_alive(pid) && !std::path::Path::new(&folder).exists());
    assert!(postgres.pid().is_some(), "the server behind it goes on");
}

#[tokio::test]
async fn reaches_every_database_as_every_role() {
    let postgres = Postgres::start().await.expect("starts");
    let other = postgres.create_database("other").await.expect("creates");
    let direct = connect(&other).await.expect("connects");
    direct.batch_execute("CREATE ROLE reader LOGIN").await.expect("creates");
    let pooler = PgBouncer::in_front_of(&postgres).await.expect("starts");
    let url = pooler.url().replace("postgres@", "reader@").replace("/pitchey", "/other");
    let client = connect(&url).await.expect("connects");
    assert_eq!(ask(&client, "SELECT current_database() || current_user").await, "otherreader");
    let stranger = pooler.url().replace("postgres@", "stranger@");
    connect(&stranger).await.expect_err("a role that does not exist is refused");
}

#[tokio::test]
async fn a_paused_pooler_accepts_and_does_not_answer() {
    let postgres = Postgres::start().await.expect("starts");
    let pooler = PgBouncer::in_front_of(&postgres).await.expect("starts");
    let client = connect(pooler.url()).await.expect("connects");
    pooler.pause().await.expect("pauses");
    std::net::TcpStream::connect(("127.0.0.1", pooler.port())).expect("the kernel accepts");
    let mut answer = Box::pin(ask(&client, "SELECT 'late'"));
    timeout(Duration::from_millis(50), &mut answer).await.expect_err("no answer");
    pooler.resume().await.expect("resumes");
    assert_eq!(answer.await, "late");

    pooler.pause().await.expect("pauses");
    pooler.stop(Mode::Kill).await.expect("a paused pooler can be killed");
    assert!(matches!(pooler.pause().await, Err(Error::NotRunning("pgbouncer"))));
    pooler.resume().await.expect("nothing to resume is no error");
}

#[tokio::test]
async fn a_stopped_pooler_comes_back_on_its_port() {
    let postgres = Postgres::start().await.expect("starts");
    let pooler = PgBouncer::in_front_of(&postgres).await.expect("starts");
    let (port, url) = (pooler.port(), pooler.url().to_owned());
    for mode in [Mode::Smart, Mode::Fast, Mode::Immediate, Mode::Kill] {
        let client = connect(&url).await.expect("connects");
        assert_eq!(ask(&client, "SELECT 1").await, "1");
        let pid = pooler.pid().expect("runs");
        pooler.stop(mode).await.expect("stops");
        pooler.stop(mode).await.expect("stopping twice is no error");
        assert!(pooler.pid().is_none() && !is_alive(pid), "{mode:?}");
        client.simple_query("SELECT 1").await.expect_err("its clients are cut off");
        connect(&url).await.expect_err("the port refuses");
        pooler.restart().await.expect("starts again");
        assert_eq!((pooler.port(), pooler.url()), (port, url.as_str()));
    }
    let client = connect(&url).await.expect("connects");
    pooler.restart().await.expect("a running pooler is restarted");
    client.simple_query("SELECT 1").await.expect_err("its clients are cut off");
    connect(&url).await.expect("connects");
}

#[tokio::test]
async fn a_smart_stop_lets_an_open_transaction_end() {
    let postgres = Postgres::start().await.expect("starts");
    let pooler = PgBouncer::in_front_of(&postgres).await.expect("starts");
    let client = connect(pooler.url()).await.expect("connects");
    client.batch_execute("CREATE TABLE t (n int); BEGIN; INSERT INTO t VALUES (1)").await.expect("begins");
    let stopping = pooler.stop(Mode::Smart);
    let committing = async {
        eventually("it has heard the signal", || pooler.log().contains("got SIGINT")).await;
        client.batch_execute("COMMIT").await
    };
    let (stopped, committed) = tokio::join!(stopping, committing);
    stopped.expect("stops");
    committed.expect("commits");
    let direct = connect(postgres.url()).await.expect("connects");
    assert_eq!(ask(&direct, "SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_an_error_that_says_so() {
    let postgres = Postgres::start().await.expect("starts");
    let pooler = PgBouncer::in_front_of(&postgres).await.expect("starts");
    pooler.stop(Mode::Kill).await.expect("kills");
    let other = TcpListener::bind(("127.0.0.1", pooler.port())).await.expect("binds");
    let error = pooler.restart().await.expect_err("taken").to_string();
    assert!(error.contains("taking its port again") && error.contains("Address already in use"), "{error}");
    drop(other);
    pooler.restart().await.expect("free again");
}

#[tokio::test]
async fn settings_win_over_the_usual_and_wrong_ones_are_said() {
    let postgres = Postgres::start().await.expect("starts");
    let builder = PgBouncer::builder(&postgres);
    let pooler = builder.clone().setting("pool_mode", "session").start().await.expect("starts");
    assert_eq!(parameter(&pooler, "pool_mode").await, "session");
    assert_eq!(parameter(&pooler, "listen_addr").await, "127.0.0.1");

    let missing = builder.clone().binaries("/nowhere").start().await.expect_err("no binary");
    assert_eq!(missing.to_string(), "no `pgbouncer` in /nowhere: install it with `apt-get install pgbouncer`");
    let refused = builder.clone().setting("pool_mode", "sometimes").start().await.expect_err("not a mode");
    assert!(refused.to_string().contains("pool_mode"), "{refused}");
    for (name, value) in [("pool mode", "session"), ("pool_mode", "session\n[users]")] {
        let error = builder.clone().setting(name, value).start().await.expect_err("not one line");
        assert!(matches!(error, Error::BadName(_)), "{error}");
    }
}
