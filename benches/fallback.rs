//! How long does a read take while the first way to the database swallows everything, and when is that way used again? Twenty rounds over a
//! private Postgres: a steady trickle of reads, one after the other and a crowd of thirty at once, through a way that falls silent and
//! heals.

use std::time::Duration;

use edge_cache_origin::database::{Database, DatabaseConfig};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Fault, Way};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

const ROUNDS: usize = 20;
const CROWD: usize = 30;
const TRICKLE: Duration = Duration::from_millis(20);

async fn read(db: &Database) -> Duration {
    let began = Instant::now();
    db.query("SELECT 1 AS one", &[]).await.expect("one of the ways is open");
    began.elapsed()
}

async fn is_back(db: &Database, took: &mut Vec<Duration>) -> bool {
    let before = db.endpoints()[0].pool.checkouts;
    took.push(read(db).await);
    let first = &db.endpoints()[0];
    first.pool.checkouts > before && first.breaker == edge_cache_breaker::State::Closed
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("{name:<56} {:>9.1} {:>9.1} {:>9.1}", at(0.5), at(0.95), at(1.0));
}

#[tokio::main]
async fn main() {
    let postgres = Postgres::start().await.expect("PostgreSQL is installed");
    let fault = Fault::before(postgres.port()).await;
    let url = postgres.url().replace(&format!(":{}/", postgres.port()), &format!(":{}/", fault.address.port()));
    let config = DatabaseConfig { url, fallback_urls: vec![postgres.url().to_owned()], ..DatabaseConfig::default() };
    let db = Database::connect(config).await.expect("it answers");
    let (mut single, mut crowd, mut healed, mut most) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        join_all((0..CROWD).map(|_| read(&db))).await;
        fault.make(Way::Silent);
        if round % 2 == 0 {
            single.push(read(&db).await);
        } else {
            crowd.extend(join_all((0..CROWD).map(|_| read(&db))).await);
        }
        // Reads while it stays silent: probes are among them.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            single.push(read(&db).await);
            most = most.max(db.state().connections);
            sleep(TRICKLE).await;
        }
        fault.make(Way::Open);
        let began = Instant::now();
        while !is_back(&db, &mut single).await {
            sleep(TRICKLE).await;
        }
        healed.push(began.elapsed());
    }
    println!("{:<56} {:>9} {:>9} {:>9}", "ms", "p50", "p95", "max");
    print("a read while the first way is silent", single);
    print("the same, thirty at once as it falls silent", crowd);
    print("from its healing until it carries reads, breaker closed", healed);
    println!("most connections at once: {most} of 10");
}
