//! What is done to the servers while clients ask.

use std::{sync::Arc, time::Duration};

use edge_cache_sandbox::Mode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ledger::{Broken, Ledger, Span},
    wire::HOST,
    world::{BREAKER, LEASE, World},
};

/// How long a server is away.
const AWAY: Duration = Duration::from_millis(1_500);
const BETWEEN_PURGES: Duration = Duration::from_millis(700);
/// After a restart: connections that were on their way.
const SETTLED: Duration = Duration::from_secs(1);

/// Breaks and mends in turn until `until`, each at least once, with `pause` in between.
pub(super) async fn run(world: &World, ledger: &Ledger, until: Instant, pause: Duration) {
    for nth in 0_u64.. {
        if nth >= 4 && Instant::now() >= until {
            return;
        }
        match nth % 4 {
            0 => {
                reload(world, ledger, nth).await;
                refused(world, ledger, nth).await;
            }
            1 => certificate(world, ledger, nth).await,
            2 => redis(world, ledger).await,
            _ => postgres(world, ledger).await,
        }
        sleep(pause).await;
    }
}

async fn redis(world: &World, ledger: &Ledger) {
    ledger.begins(Broken::Redis, Instant::now());
    world.redis.kill().await.expect("Redis ends");
    sleep(AWAY).await;
    world.redis.restart().await.expect("Redis starts again");
    for node in &world.nodes {
        node.in_step().await;
    }
    ledger.ends(Broken::Redis, Instant::now() + LEASE);
    ledger.happened("Redis restarts");
}

async fn postgres(world: &World, ledger: &Ledger) {
    ledger.begins(Broken::Postgres, Instant::now());
    world.postgres.stop(Mode::Fast).await.expect("Postgres ends");
    sleep(AWAY).await;
    world.postgres.restart().await.expect("Postgres starts again");
    for node in &world.nodes {
        node.in_step().await;
    }
    ledger.ends(Broken::Postgres, Instant::now() + BREAKER);
    ledger.happened("Postgres restarts");
}

async fn reload(world: &World, ledger: &Ledger, nth: u64) {
    for node in &world.nodes {
        match node.reload(nth, "").await {
            true => ledger.happened("configurations read again"),
            false => ledger.breaks("a right configuration is taken", format!("the {nth}th was not")),
        }
    }
}

async fn refused(world: &World, ledger: &Ledger, nth: u64) {
    for wrong in ["nonsense", "[cache]\ntenant = \"another\"\n"] {
        for node in &world.nodes {
            match node.reload(nth, wrong).await {
                true => ledger.breaks("a wrong configuration is refused", wrong.to_owned()),
                false => ledger.happened("wrong configurations refused"),
            }
        }
    }
}

/// Renews the certificate; whoever connects from now on must be shown it.
async fn certificate(world: &World, ledger: &Ledger, nth: u64) {
    let issued = world.renew();
    reload(world, ledger, nth).await;
    for node in &world.nodes {
        match world.authority.connect(node.tls, None, &[b"http/1.1"]).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                if shown.is_none_or(|shown| shown.as_ref() != issued.der()) {
                    ledger.breaks("a renewed certificate is shown", format!("the {nth}th was not"));
                }
            }
            Err(error) => ledger.breaks("a renewed certificate is shown", error.to_string()),
        }
    }
    ledger.happened("certificates renewed");
}

/// Restarts one node after the other, in order.
pub(super) async fn rolling(world: &World, ledger: &Ledger) {
    for node in &world.nodes {
        ledger.begins(Broken::Rolling, Instant::now());
        node.restart().await;
        ledger.ends(Broken::Rolling, Instant::now() + SETTLED);
        ledger.happened("nodes restarted");
    }
}

/// Purges this and that, softly and hard.
pub(super) fn purges(world: &Arc<World>, ledger: &Arc<Ledger>) -> AbortOnDropHandle<()> {
    let (world, ledger) = (Arc::clone(world), Arc::clone(ledger));
    AbortOnDropHandle::new(tokio::spawn(async move {
        for nth in 0_usize.. {
            sleep(BETWEEN_PURGES).await;
            let (id, _) = world.written[nth % world.written.len()];
            let what = match nth % 8 {
                0 | 2 | 4 => json!({"tags": [format!("pitch-{id}")]}),
                1 | 5 => json!({"urls": [format!("http://{HOST}/api/pitches/{id}")]}),
                3 => json!({"urls": [format!("https://{HOST}/api/pitches/trending?limit=4")]}),
                6 => json!({"prefixes": [format!("https://{HOST}/api/")]}),
                _ if nth % 48 == 7 => json!({"all": true}),
                _ => json!({"tags": ["list-new"]}),
            };
            purge(&world, &ledger, nth, what).await;
        }
    }))
}

async fn purge(world: &World, ledger: &Ledger, nth: usize, mut what: Value) {
    what["hard"] = (nth / 3).is_multiple_of(2).into();
    what["reason"] = "soak".into();
    let began = Instant::now();
    let answer = world.nodes[nth % world.nodes.len()].admin().post("/purge", &what).try_send().await;
    let span = Span { began, ended: Instant::now() };
    match answer.map(|answer| answer.status.as_u16()) {
        Ok(200) => ledger.happened("purges"),
        Ok(202) => ledger.happened("purges that not every node had heard of in time"),
        _ if ledger.was(Broken::Rolling, span) => ledger.happened("purges without an answer, in a restart"),
        other => ledger.breaks("every purge is taken", format!("{what}: {other:?}")),
    }
}
