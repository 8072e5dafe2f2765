//! Writers: a version is raised, and purged in one of the ways there are.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use edge_cache_origin::database::Value;
use http::StatusCode;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ledger::{ITEMS, Ledger, says_stale},
    readers::Dice,
    wire::Wire,
    world::World,
};

const WRITERS: usize = 4;
/// How long a row of the outbox is waited for.
const OUTBOX_PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn start(world: &Arc<World>, ledger: &Arc<Ledger>, seed: u64) -> Vec<AbortOnDropHandle<()>> {
    let writer = |at: usize| {
        let mut writer = Writer {
            world: Arc::clone(world),
            ledger: Arc::clone(ledger),
            dice: Dice::new(seed ^ (at as u64 + 1000)),
            wire: Wire::default(),
        };
        tokio::spawn(async move {
            loop {
                // Each has rows of its own, so that the versions of a row are acknowledged in turn.
                let item = writer.dice.below(ITEMS / WRITERS) * WRITERS + at;
                writer.write(item).await;
                let pause = writer.dice.below(30) as u64;
                sleep(Duration::from_millis(pause)).await;
            }
        })
    };
    (0..WRITERS).map(writer).map(AbortOnDropHandle::new).collect()
}

struct Writer {
    world: Arc<World>,
    ledger: Arc<Ledger>,
    dice: Dice,
    wire: Wire,
}

impl Writer {
    async fn write(&mut self, item: usize) {
        let began = Instant::now();
        let version = match self.dice.below(10) {
            0..=2 => self.by_outbox(item).await,
            // Whether all nodes have heard of it, its answer does not say: the writer looks for himself.
            3 => return self.through_a_node(item).await.unwrap_or_default(),
            _ => self.by_api(item).await,
        };
        match version {
            Some(version) => self.ledger.acknowledged(item, version, began.elapsed()),
            None => drop(self.ledger.counts().unacknowledged.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Writes, and asks a node to purge.
    async fn by_api(&mut self, item: usize) -> Option<u64> {
        let sql = "UPDATE items SET version = version + 1 WHERE id = $1 RETURNING version";
        let rows = self.world.database.query(sql, &[Value::Int(item as i64)]).await.ok()?;
        let version = rows.first()?.int("version").ok()?;
        let node = self.dice.below(self.world.nodes.len());
        let at = self.world.nodes[node].admin().await?;
        let purge = match self.dice.below(4) {
            0 => json!({ "urls": [format!("http://shop.example/item/{item}")] }),
            1 => json!({ "tags": [format!("item-{item}")], "hard": true }),
            _ => json!({ "tags": [format!("item-{item}")] }),
        };
        let answer = self.wire.ask(at, "POST", "/purge", Some(purge.to_string())).await?;
        // 202 promises nothing.
        (answer.status == StatusCode::OK).then(|| u64::try_from(version).unwrap_or(0))
    }

    /// Writes, and leaves the purge in the same transaction.
    async fn by_outbox(&mut self, item: usize) -> Option<u64> {
        let database = &self.world.database;
        let mut tx = database.begin().await.ok()?;
        let sql = "UPDATE items SET version = version + 1 WHERE id = $1 RETURNING version, \
                       (SELECT edge_cache.invalidate('item-' || $1::text)) IS NULL AS left_there";
        let rows = tx.query(sql, &[Value::Int(item as i64)]).await.ok()?;
        let version = rows.first()?.int("version").ok()?;
        let sql = "SELECT currval('edge_cache.outbox_id_seq') AS id";
        let row = tx.query(sql, &[]).await.ok()?.first()?.int("id").ok()?;
        tx.commit().await.ok()?;
        let sql = "SELECT 1 AS done FROM edge_cache.outbox WHERE id = $1 AND done_at IS NOT NULL";
        let done = async {
            loop {
                if database.query(sql, &[Value::Int(row)]).await.is_ok_and(|rows| !rows.is_empty()) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(OUTBOX_PATIENCE, done).await.ok()?;
        u64::try_from(version).ok()
    }

    /// Writes through a node, which must not show this writer anything older from then on.
    async fn through_a_node(&mut self, item: usize) -> Option<()> {
        let node = self.dice.below(self.world.nodes.len());
        let at = self.world.nodes[node].address().await?;
        let target = format!("/item/{item}");
        let written = self.wire.ask(at, "PUT", &target, None).await.filter(|answer| answer.status == StatusCode::OK)?;
        let version: u64 = std::str::from_utf8(&written.body).ok()?.parse().ok()?;
        let read = self.wire.ask(at, "GET", &target, None).await.filter(|answer| answer.status == StatusCode::OK)?;
        let seen: u64 = std::str::from_utf8(&read.body).ok()?.parse().ok()?;
        if seen < version && !says_stale(&read.said) {
            self.ledger
                .violate(format!("node {node} showed {seen} to who had written {version} through it: {}", read.said));
        }
        Some(())
    }
}
