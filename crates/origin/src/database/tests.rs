use std::time::Duration;

use edge_cache_core::Timestamp;
use edge_cache_sandbox::Postgres;
use serde_json::json;

use super::{ConstraintKind, Database, DatabaseConfig, DbError, Dialect, OpenError, Pooling, Unavailable, Value};

const COUNT: &str =
    "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE application_name = 'edge-cache' AND pid <> pg_backend_pid()";

/// Limits that a busy machine does not come to.
fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.to_owned(),
        acquire_timeout: Duration::from_secs(20),
        queue_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
        ..DatabaseConfig::default()
    }
}

async fn sqlite() -> (Database, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    (Database::connect(config(&url)).await.unwrap(), folder)
}

fn types(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => {
            "CREATE TABLE t (i bigint PRIMARY KEY, f double precision, b boolean, s text, at timestamptz, l text[], j jsonb, \
             y bytea, CHECK (i < 100))"
        }
        Dialect::Sqlite => {
            "CREATE TABLE t (i integer PRIMARY KEY, f real, b integer, s text, at integer, l text, j text, y blob, CHECK (i < 100))"
        }
    }
}

const COLUMNS: [&str; 8] = ["i", "f", "b", "s", "at", "l", "j", "y"];

fn full_row(id: i64) -> Vec<Value> {
    vec![
        Value::Int(id),
        Value::Float(1.5),
        Value::Bool(true),
        Value::from("tab\tquote\"back\\slash\nline 'é'"),
        Value::Time(Timestamp::from_millis(-1)),
        Value::TextList(vec!["a\"b".into(), "c\\d\t".into(), String::new()]),
        Value::Json(json!({"a": [1, null, "x\ny"]})),
        Value::Bytes(vec![0, 1, 255]),
    ]
}

/// What holds for both databases.
async fn behaves(db: &Database) {
    db.batch(types(db.dialect())).await.unwrap();
    let insert = "INSERT INTO t (i, f, b, s, at, l, j, y) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    assert_eq!(db.execute(insert, &full_row(1)).await.unwrap(), 1);
    let nulls: Vec<Value> = (0..8).map(|at| if at == 0 { Value::Int(2) } else { Value::Null }).collect();
    db.execute(insert, &nulls).await.unwrap();
    let mut tx = db.begin_long().await.unwrap();
    assert_eq!(tx.insert_rows("t", &COLUMNS, (3..=4).map(full_row)).await.unwrap(), 2);
    assert_eq!(
        tx.insert_rows("t", &COLUMNS, std::iter::once([vec![Value::Int(5)], nulls[1..].to_vec()].concat()))
            .await
            .unwrap(),
        1
    );
    tx.commit().await.unwrap();
    // The parameters stand out of order, and one twice.
    let rows = db
        .query("SELECT * FROM t WHERE i <= $2 AND i >= $1 AND i <= $2 ORDER BY i", &[Value::Int(1), Value::Int(4)])
        .await;
    let rows = rows.unwrap();
    for at in [0, 2, 3] {
        let row = &rows[at];
        assert_eq!(row.float("f").unwrap(), 1.5);
        assert!(row.bool("b").unwrap());
        assert_eq!(Value::Text(row.text("s").unwrap()), full_row(1)[3]);
        assert_eq!(row.time("at").unwrap(), Timestamp::from_millis(-1));
        assert_eq!(Value::TextList(row.text_list("l").unwrap()), full_row(1)[5]);
        assert_eq!(Value::Json(row.json("j").unwrap()), full_row(1)[6]);
        assert_eq!(row.bytes("y").unwrap(), [0, 1, 255]);
    }
    assert_eq!(rows[1].opt_text("s").unwrap(), None);
    assert!(matches!(rows[1].text("s"), Err(DbError::Decode { .. })));
    assert!(matches!(rows[1].int("absent"), Err(DbError::Decode { .. })));

    let twice = db.execute(insert, &full_row(1)).await.unwrap_err();
    assert_eq!(twice.constraint(), Some(ConstraintKind::Unique));
    let above = db.execute(insert, &full_row(100)).await.unwrap_err();
    assert_eq!(above.constraint(), Some(ConstraintKind::Check));
    assert!(matches!(db.query("SELECT nothing FROM t", &[]).await, Err(DbError::Query { .. })));

    let mut tx = db.begin().await.unwrap();
    tx.execute("DELETE FROM t WHERE i = $1", &[Value::Int(1)]).await.unwrap();
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    tx.execute("DELETE FROM t WHERE i = $1", &[Value::Int(2)]).await.unwrap();
    tx.rollback().await.unwrap();
    let rows = db.query("SELECT CAST(COUNT(*) AS bigint) AS n FROM t", &[]).await.unwrap();
    assert_eq!(rows[0].int("n").unwrap(), 5, "what was not committed never happened");
    assert!(db.state().connections <= 10);
}

#[tokio::test]
async fn sqlite_behaves() {
    let (db, _folder) = sqlite().await;
    behaves(&db).await;
}

#[tokio::test]
async fn postgres_behaves() {
    let server = Postgres::start().await.unwrap();
    behaves(&Database::connect(config(server.url())).await.unwrap()).await;
}

#[tokio::test]
async fn a_long_statement_is_ended_by_the_statement_timeout() {
    let (sqlite, folder) = sqlite().await;
    drop(sqlite);
    let server = Postgres::start().await.unwrap();
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i > 0) SELECT MAX(i) AS m FROM n";
    let cases = [
        (format!("sqlite:{}", folder.path().join("test.db").display()), endless),
        (server.url().to_owned(), "SELECT CAST(pg_sleep(60) AS text) AS slept"),
    ];
    for (url, sql) in cases {
        let config = DatabaseConfig { statement_timeout: Duration::from_millis(500), ..config(&url) };
        let db = Database::connect(config).await.unwrap();
        assert!(matches!(db.query(sql, &[]).await, Err(DbError::Timeout { .. })), "{url}");
        db.query("SELECT 1 AS one", &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_is_stopped_and_its_connection_replaced() {
    let server = Postgres::start().await.unwrap();
    let config =
        DatabaseConfig { connections_max: 1, statement_timeout: Duration::from_secs(60), ..config(server.url()) };
    let db = Database::connect(config).await.unwrap();
    let slow = db.query("SELECT CAST(pg_sleep(60) AS text) AS slept", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(100), slow).await.is_err());
    let next = tokio::time::timeout(Duration::from_secs(5), db.query("SELECT 1 AS one", &[])).await;
    assert_eq!(next.unwrap().unwrap()[0].int("one").unwrap(), 1);
    assert_eq!(db.state().closed_broken, 1);
}

#[tokio::test]
async fn a_pool_never_opens_more_connections_than_it_may() {
    let server = Postgres::start().await.unwrap();
    let observer = Database::connect(DatabaseConfig {
        connections_max: 1,
        ..config(&format!("{}?application_name=observer", server.url()))
    });
    let observer = observer.await.unwrap();
    let limits = DatabaseConfig { connections_max: 3, ..config(server.url()) };
    let db = Database::connect(limits).await.unwrap();
    let mut queries = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let db = db.clone();
        queries.spawn(async move { db.query("SELECT CAST(pg_sleep(0.01) AS text) AS slept", &[]).await.map(|_| ()) });
    }
    let mut most = 0;
    while let Some(done) = queries.join_next().await {
        done.unwrap().unwrap();
        most = most.max(observer.query(COUNT, &[]).await.unwrap()[0].int("n").unwrap());
    }
    assert!((1..=3).contains(&most), "{most} connections");
    assert_eq!(db.queries_total(), 60);
    assert!(db.state().waits > 0);
}

#[tokio::test]
async fn a_full_pool_says_so_in_time() {
    let (_, folder) = sqlite().await;
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let limits = DatabaseConfig { connections_max: 1, queue_timeout: Duration::from_millis(20), ..config(&url) };
    let db = Database::connect(limits).await.unwrap();
    let held = db.begin().await.unwrap();
    let refused = db.query("SELECT 1 AS one", &[]).await.unwrap_err();
    assert_eq!(refused.unavailability(), Some(Unavailable::Overloaded), "{refused:?}");
    drop(held);
    db.query("SELECT 1 AS one", &[]).await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_is_named_at_once_and_found_again() {
    let server = Postgres::start().await.unwrap();
    let limits = DatabaseConfig { acquire_timeout: Duration::from_secs(30), ..config(server.url()) };
    let db = Database::connect(limits).await.unwrap();
    server.stop(edge_cache_sandbox::Mode::Immediate).await.unwrap();
    for _ in 0..3 {
        let query = tokio::time::timeout(Duration::from_secs(5), db.query("SELECT 1 AS one", &[])).await;
        assert!(query.expect("at once, not after the acquire timeout").unwrap_err().is_unavailable());
    }
    server.restart().await.unwrap();
    // As soon as it is not left alone any more.
    while let Err(error) = db.query("SELECT 1 AS one", &[]).await {
        assert_eq!(error.unavailability(), Some(Unavailable::BreakerOpen), "{error:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connect_error_names_the_place_and_the_reason_but_not_the_password() {
    let refused = Database::connect(config("postgres://ann:hunter2@127.0.0.1:1/pitchey")).await.unwrap_err();
    assert!(matches!(refused, OpenError::Connect(_)));
    let mut text = refused.to_string();
    let mut source = std::error::Error::source(&refused);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    assert!(text.contains("127.0.0.1:1") && text.contains("pitchey") && text.contains("refused"), "{text}");
    assert!(!text.contains("hunter2") && !format!("{refused:?}").contains("hunter2"), "{text}");
}

#[tokio::test]
async fn per_request_opens_one_connection_for_each_statement() {
    let server = Postgres::start().await.unwrap();
    let db = Database::connect(DatabaseConfig { pooling: Pooling::PerRequest, ..config(server.url()) }).await.unwrap();
    for _ in 0..3 {
        db.query("SELECT 1 AS one", &[]).await.unwrap();
    }
    assert_eq!((db.state().created, db.state().in_use), (4, 0), "the first one proved the address");
}

#[test]
fn configuration_is_checked_by_key_and_never_shows_the_password() {
    let read = |text: &str| toml::from_str::<DatabaseConfig>(text);
    assert_eq!(read("").unwrap(), DatabaseConfig::default());
    assert_eq!(
        read("pooling = 'per-request'\nacquire_timeout = '1s'").unwrap().acquire_timeout,
        Duration::from_secs(1)
    );
    assert!(read("conections_max = 3").unwrap_err().to_string().contains("conections_max"));
    for (url, shown) in [
        ("postgres://ann:p@ss:w@db/x", "postgres://ann:***@db/x"),
        ("postgres://ann@db/x?password=abc", "postgres://ann@db/x?***"),
        ("sqlite:a.db", "sqlite:a.db"),
    ] {
        assert_eq!(config(url).redacted_url(), shown);
        assert!(format!("{:?}", config(url)).contains(shown));
    }
    let refused = |url: &str| config(url).validate().unwrap_err().to_string();
    assert_eq!(refused("mysql://a:b@c"), "database.url = mysql://a:***@c: must begin with `postgres://` or `sqlite:`");
    assert_eq!(refused("sqlite:"), "database.url = sqlite:: must name a file after `sqlite:`");
    let none = DatabaseConfig { connections_max: 0, ..config("sqlite:x") };
    assert_eq!(none.validate().unwrap_err().to_string(), "database.connections_max = 0: must be at least 1");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_in_time_and_found_again() {
    let postgres = Postgres::start().await.unwrap();
    let brief = Duration::from_millis(500);
    let limits = DatabaseConfig { statement_timeout: brief, acquire_timeout: 2 * brief, ..config(postgres.url()) };
    let db = Database::connect(limits).await.unwrap();
    postgres.pause().await.unwrap();
    let error = db.query("SELECT 1 AS n", &[]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    postgres.resume().await.unwrap();
    while db.query("SELECT 1 AS n", &[]).await.is_err() {
        tokio::task::yield_now().await;
    }
}
