//! What does a limit on one statement cost, by each way to set it? Side by side over a private Postgres, and through a private PgBouncer in
//! transaction mode, which takes no settings of a session: alone (the limit is the server's default, a role's, or the client's own, who
//! cancels), and with `SET LOCAL` in a transaction around it, all sent in one flight.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_cache_sandbox::{PgBouncer, Postgres};
use futures_util::try_join;
use tokio::{runtime::Runtime, time::timeout};
use tokio_postgres::{Client, NoTls, types::Type};

const SQL: &str = "SELECT $1::int8 AS n";

#[expect(clippy::disallowed_methods, reason = "one connection, measured without the pool around it")]
async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

async fn alone(client: &Client) {
    let asked = client.query_typed(SQL, &[(&1_i64, Type::INT8)]);
    timeout(Duration::from_secs(2), asked).await.expect("in time").expect("one row");
}

async fn in_one_flight(client: &Client) {
    let flight = async {
        try_join!(
            client.batch_execute("BEGIN; SET LOCAL statement_timeout = 2000"),
            client.query_typed(SQL, &[(&1_i64, Type::INT8)]),
            client.batch_execute("COMMIT"),
        )
    };
    timeout(Duration::from_secs(2), flight).await.expect("in time").expect("one row");
}

fn bench(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (_postgres, _pooler, clients) = runtime.block_on(async {
        let postgres = Postgres::start().await.expect("PostgreSQL is installed");
        let pooler = PgBouncer::in_front_of(&postgres).await.expect("PgBouncer is installed");
        let clients = [("direct", connect(postgres.url()).await), ("pgbouncer", connect(pooler.url()).await)];
        (postgres, pooler, clients)
    });
    for (way, client) in &clients {
        let mut group = c.benchmark_group(*way);
        group.bench_function("alone", |b| b.iter(|| runtime.block_on(alone(client))));
        group.bench_function("set_local_in_one_flight", |b| b.iter(|| runtime.block_on(in_one_flight(client))));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
