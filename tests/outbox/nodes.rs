//! Several nodes: one consumes for all, and another takes over.

use edge_cache_origin::database::{Database, Value};
use edge_cache_sandbox::{Postgres, Redis};
use edge_cache_tests::{Demo, Resp, eventually, pooled_database};

struct Pair {
    _postgres: Postgres,
    redis: Redis,
    nodes: [Demo; 2],
    database: Database,
}

impl Pair {
    async fn start() -> Self {
        let (postgres, redis) = (Postgres::builder().start().await.unwrap(), Redis::start().await.unwrap());
        let args = ["--pitches", "40", "--database", postgres.url(), "--redis", redis.url()];
        let one = Demo::with(&args).await;
        let other = Demo::with(&args).await;
        let database = pooled_database(postgres.url()).await;
        Self { _postgres: postgres, redis, nodes: [one, other], database }
    }

    async fn title(node: &Demo, id: i64) -> String {
        let answer = node.client().get(&format!("/api/pitches/{id}")).header("host", "shop.example").send().await;
        answer.json()["data"]["title"].as_str().unwrap_or_default().to_owned()
    }

    async fn retitle(&self, id: i64, title: &str) {
        let sql = "UPDATE pitches SET title = $1 WHERE id = $2";
        self.database.execute(sql, &[Value::Text(title.into()), Value::Int(id)]).await.unwrap();
    }

    async fn leader(&self) -> usize {
        eventually("one of them consumes", async || {
            for (at, node) in self.nodes.iter().enumerate() {
                if node.metrics().await.sum("edge_cache_outbox_leader", &[]) == 1.0 {
                    return Some(at);
                }
            }
            None
        })
        .await
    }
}

#[tokio::test]
async fn one_node_consumes_for_all_and_another_takes_over_when_it_dies() {
    let pair = Pair::start().await;
    let id = pair.nodes[0].get("/api/pitches/new").await.ids()[0];
    for node in &pair.nodes {
        Pair::title(node, id).await;
    }
    pair.retitle(id, "Seen By Both").await;
    for node in &pair.nodes {
        eventually("it is purged", async || (Pair::title(node, id).await == "Seen By Both").then_some(())).await;
    }
    let leader = pair.leader().await;
    let Pair { nodes: [one, other], database, .. } = pair;
    let (leader, left) = if leader == 0 { (one, other) } else { (other, one) };
    drop(leader);
    let sql = "UPDATE pitches SET title = 'Taken Over' WHERE id = $1";
    database.execute(sql, &[Value::Int(id)]).await.unwrap();
    eventually("it is purged", async || (Pair::title(&left, id).await == "Taken Over").then_some(())).await;
    assert_eq!(left.metrics().await.sum("edge_cache_outbox_leader", &[]), 1.0);
}

#[tokio::test]
async fn what_a_redis_that_lost_its_data_was_told_is_told_again() {
    let pair = Pair::start().await;
    let id = pair.nodes[0].get("/api/pitches/new").await.ids()[0];
    pair.retitle(id, "Told Twice").await;
    let sql = "SELECT count(*) AS n FROM edge_cache.outbox WHERE done_at IS NOT NULL";
    let done = async || pair.database.query(sql, &[]).await.unwrap()[0].int("n").unwrap();
    eventually("it is done", async || (done().await == 1).then_some(())).await;
    let consumed = async || {
        let mut sum = 0.0;
        for node in &pair.nodes {
            sum += node.metrics().await.sum("edge_cache_outbox_rows_total", &[]);
        }
        sum
    };
    // It is counted a moment after it is marked.
    eventually("it is counted", async || (consumed().await == 1.0).then_some(())).await;
    Resp::connect(pair.redis.port()).await.flush().await;
    eventually("it is done again", async || (consumed().await == 2.0).then_some(())).await;
    assert_eq!(done().await, 1);
}
