//! What does a hit in Redis cost beside a bare pipelined `GET` through the same client? Processor time of this process, and time on the wall, for
//! `RedisStore::get` of a stored entry and for the client's own multiplexed connection that gets the same stored bytes and looks no further,
//! over a private Redis and by turns, so that what the machine does besides falls on both alike.
//!
//! All have one connection, `Bytes` as answer, and a limit on how long an answer may take. In between is the bare `GET` whose answer is decoded
//! as the store does it: the checksum, the comparison of the key, the head, and where the body was stored compressed (as JSON of 4 KiB is by default)
//! its decompression, while the bare way is content with the few bytes it was sent. The hit has besides: the key's name, futures on the heap,
//! the breaker, and the look whether the connection is still good. Each way has one timer: the bare one the client's, the hit the breaker's.
//! What none has: the judgement by purges and freshness, and the way up through memory.
//!
//! `cargo bench -p edge-cache-benches --bench redis_hit`

use std::{future::Future, time::Duration};

use bytes::Bytes;
use edge_cache::{
    core::{CacheKey, Entry, KeyParts, Store},
    wire::decode,
};
use edge_cache_benches::{SIZES, at_share, entry, warmed};
use edge_cache_redis::{RedisConfig, RedisStore};
use edge_cache_sandbox::Redis;
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, IntoConnectionInfo, aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::{task::JoinSet, time::Instant};

/// As in `cache-proxy`. The C library's gives memory back to the kernel and takes it again, at 16 KiB with every turn or with none, as
/// chance has it: that would be measured, up to 3 µs for a hit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: usize = 64;
/// Gets of a turn, over all tasks.
const TURN: usize = 20_032;
const TURNS: usize = 21;
const GOAL: f64 = 1.3;
/// Bodies of at least this many bytes are compressed; 0 for never.
const FORMS: [(&str, u64); 2] = [("plain", 0), ("zstd", 1)];
const BODY_BYTES_MAX: u64 = 1 << 20;
/// Generous, so that a machine that is busy fails nobody; the timers are set all the same.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    // The services that are asked for the entries have runtimes of their own, which may not be made within another.
    let entries = SIZES.map(|(size, len)| (size, entry(&mut warmed(len))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let redis = Redis::start().await.expect("redis-server is installed");
        println!("a hit in Redis, {TASKS} tasks on one thread, median of {TURNS} turns of {TURN}, µs of processor time (on the wall):");
        for (size, entry) in entries {
            for (form, compress_bytes_min) in FORMS {
                let ways = Ways::open(&redis, &entry, compress_bytes_min).await;
                compare(&format!("{size}, {form}"), &ways).await;
            }
        }
    });
}

/// What is compared, the bare way first.
const WAYS: [&str; 3] = ["bare GET", "GET, decoded", "hit"];

/// Ways to the same bytes.
struct Ways {
    store: RedisStore,
    key: CacheKey,
    bare: MultiplexedConnection,
    name: String,
    stored: usize,
}

impl Ways {
    async fn open(redis: &Redis, entry: &Entry, compress_bytes_min: u64) -> Self {
        let config = RedisConfig {
            url: redis.url().to_owned(),
            read_timeout: PATIENCE,
            write_timeout: PATIENCE,
            compress_bytes_min,
            body_bytes_max: BODY_BYTES_MAX,
            ..RedisConfig::default()
        };
        let key = CacheKey::new(&KeyParts {
            scheme: "http",
            authority: "pitchey.example",
            tenant: "",
            path: "/api/pitches/trending",
            query: "limit=10",
        });
        let name = format!("{}:e:{key}", config.key_prefix);
        let store = RedisStore::new(config).expect("the server is named rightly");
        store.put(key.clone(), entry.clone(), Duration::from_secs(3600)).await.expect("redis answers");

        let server = redis.url().into_connection_info().expect("the sandbox names it rightly");
        // As the store has it; not the client's default.
        let server = server.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(server).expect("the server is named rightly");
        let limits = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let mut bare = client.get_multiplexed_async_connection_with_config(&limits).await.expect("redis answers");
        let frame: Option<Bytes> = bare.get(&name).await.expect("redis answers");
        let found = store.get(&key).await.expect("redis answers").expect("it was just put");
        assert_eq!(found.body(), entry.body());
        Self { store, key, bare, name, stored: frame.expect("the store keeps it under this name").len() }
    }

    /// One turn of one of [`WAYS`].
    async fn turn(&self, way: usize) -> Spent {
        let Self { store, key, bare, name, .. } = self;
        match way {
            0 => spent(|| gets(bare.clone(), name.clone())).await,
            1 => spent(|| decoded_gets(bare.clone(), name.clone(), key.clone())).await,
            _ => spent(|| hits(store.clone(), key.clone())).await,
        }
    }
}

async fn gets(mut bare: MultiplexedConnection, name: String) {
    for _ in 0..TURN / TASKS {
        let frame: Option<Bytes> = bare.get(&name).await.expect("redis answers");
        assert!(frame.is_some());
    }
}

async fn decoded_gets(mut bare: MultiplexedConnection, name: String, key: CacheKey) {
    for _ in 0..TURN / TASKS {
        let frame: Option<Bytes> = bare.get(&name).await.expect("redis answers");
        let entry = decode(&frame.expect("it is kept"), &key, BODY_BYTES_MAX).expect("it is sound");
        assert!(entry.is_some());
    }
}

async fn hits(store: RedisStore, key: CacheKey) {
    for _ in 0..TURN / TASKS {
        assert!(store.get(&key).await.expect("redis answers").is_some());
    }
}

/// Microseconds for one get.
struct Spent {
    processor: f64,
    wall: f64,
}

async fn spent<F: Future<Output = ()> + Send + 'static>(task: impl Fn() -> F) -> Spent {
    let (processor, wall) = (processor_time(), Instant::now());
    let mut tasks: JoinSet<()> = (0..TASKS).map(|_| task()).collect();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("each get is answered");
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / TURN as f64;
    Spent { processor: each(processor_time() - processor), wall: each(wall.elapsed()) }
}

/// Processor time of this thread, on which everything runs but Redis.
fn processor_time() -> Duration {
    // The kernel brings the count up to date when the thread gives way, and otherwise only once in a while.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanos = text.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("a number of nanoseconds"))
}

async fn compare(name: &str, ways: &Ways) {
    let mut spent = WAYS.map(|_| Vec::with_capacity(TURNS));
    for turn in 0..=TURNS {
        for at in 0..WAYS.len() {
            // None always goes first.
            let way = (turn + at) % WAYS.len();
            let this = ways.turn(way).await;
            // The first turn warms what is to be measured.
            if turn > 0 {
                spent[way].push(this);
            }
        }
    }
    println!("{name}, {} bytes stored", ways.stored);
    for (way, these) in WAYS.iter().zip(&spent) {
        let processor: Vec<f64> = these.iter().map(|spent| spent.processor).collect();
        let wall: Vec<f64> = these.iter().map(|spent| spent.wall).collect();
        let ratios: Vec<f64> =
            these.iter().zip(&spent[0]).map(|(this, bare)| this.processor / bare.processor).collect();
        print!("  {way:<12} {:6.2} ({:6.2})", at_share(&processor, 0.5), at_share(&wall, 0.5));
        if *way == WAYS[0] {
            println!();
            continue;
        }
        let [low, ratio, high] = [0.25, 0.5, 0.75].map(|share| at_share(&ratios, share));
        print!("   {ratio:.3} × bare (quartiles {low:.3} to {high:.3})");
        match *way {
            "hit" => println!("   within {GOAL} ×: {}", if ratio <= GOAL { "yes" } else { "no" }),
            _ => println!(),
        }
    }
}
