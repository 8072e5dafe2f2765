//! What writes leave in the database, purged.

pub(crate) mod sql;

use std::sync::Arc;

use anyhow::Context;
use edge_cache::{
    Audit, EdgeCache, EdgeCacheBuilder, Purge, PurgeKind, Settings, Target,
    core::BoxError,
    core::PurgedBy,
    settings::OriginKind,
    telemetry::{Metrics, Reading, catalogue},
};
use edge_cache_origin::{
    database::Database,
    outbox::{self, Consumer, Entry, Progress, Purges},
};
use edge_cache_pitchey::{Writer, install_triggers};
use futures_util::future::BoxFuture;

/// Tags that an audit entry names; of more it tells how many.
const NAMED_MAX: usize = 10;

/// The consumer that the settings ask for. Beside a `pitchey` origin, whose database is ours, the outbox is made where it is missing.
pub(crate) async fn prepare(settings: &Settings, database: Option<&Database>) -> anyhow::Result<Option<Consumer>> {
    if !settings.outbox.enabled {
        return Ok(None);
    }
    if let (Some(database), OriginKind::Pitchey) = (database, settings.origin.kind) {
        if !outbox::is_installed(database).await.context("cannot look for the outbox")? {
            outbox::install(database).await.context("cannot make the outbox")?;
        }
        install_triggers(database).await.context("cannot make the triggers that write to the outbox")?;
    }
    Ok(Some(Consumer::new(&settings.database, settings.outbox.clone())?))
}

/// Marks as done what a handler has purged by itself.
pub(crate) fn mark_done(builder: EdgeCacheBuilder, database: Database) -> EdgeCacheBuilder {
    builder.after_write(move |extensions| {
        let Some(Writer(writer)) = extensions.get::<Writer>().cloned() else { return };
        let database = database.clone();
        tokio::spawn(async move {
            if let Err(error) = outbox::done_by(&database, &writer).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a write will be purged for once more");
            }
        });
    })
}

/// Shows the consumer in the metrics.
pub(crate) fn watch(metrics: &Metrics, progress: &Arc<Progress>) {
    let gauge = |metric, read: fn(&Progress) -> f64| {
        let progress = Arc::clone(progress);
        metrics.read_at_scrape(Reading::gauge(metric, move || read(&progress)));
    };
    gauge(&catalogue::OUTBOX_LAG, |progress| progress.lag().map_or(f64::NAN, |lag| lag.as_secs_f64()));
    gauge(&catalogue::OUTBOX_LEADER, |progress| f64::from(u8::from(progress.leads())));
    let (done, failures) = (Arc::clone(progress), Arc::clone(progress));
    metrics.read_at_scrape(Reading::counter(&catalogue::OUTBOX_ROWS, move || done.done()));
    metrics.read_at_scrape(Reading::counter(&catalogue::OUTBOX_FAILURES, move || failures.failures()));
}

/// The cache as the one who purges what the outbox names.
pub(crate) struct ByCache(pub(crate) EdgeCache);

impl Purges for ByCache {
    fn told_to(&self) -> Option<String> {
        let incarnation = self.0.purger().incarnation();
        (incarnation != 0).then(|| format!("{incarnation:032x}"))
    }

    fn purge<'a>(&'a self, entries: &'a [Entry]) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            for (kind, hard) in [(PurgeKind::Hard, true), (PurgeKind::Soft, false)] {
                let entries: Vec<&Entry> = entries.iter().filter(|entry| entry.hard == hard).collect();
                let mut tags: Vec<&str> = entries.iter().flat_map(|entry| &entry.tags).map(String::as_str).collect();
                tags.sort_unstable();
                tags.dedup();
                if tags.is_empty() {
                    continue;
                }
                let targets = tags.iter().map(|tag| Target::Tag((*tag).to_owned())).collect();
                let receipt = self.0.purger().purge(&Purge { targets, kind }).await;
                let receipt = receipt.map_err(|why| format!("a tag has no marker: {}", why.as_str()))?;
                if !receipt.acknowledged {
                    return Err("the purge is not acknowledged yet".into());
                }
                self.0.purger().audit(&audit(&entries, &tags, kind), &receipt);
            }
            Ok(())
        })
    }
}

/// One entry for all that was purged together.
fn audit(entries: &[&Entry], tags: &[&str], kind: PurgeKind) -> Audit {
    let several = |texts: Vec<&str>| -> String {
        let mut texts = texts;
        texts.sort_unstable();
        texts.dedup();
        texts.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ")
    };
    let mut what = tags.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if tags.len() > NAMED_MAX {
        what.push_str(&format!(" and {} more", tags.len() - NAMED_MAX));
    }
    Audit {
        by: PurgedBy::Outbox,
        actor: format!("sql: {}", several(entries.iter().map(|entry| entry.actor.as_str()).collect())),
        reason: several(entries.iter().map(|entry| entry.reason.as_str()).collect()),
        what,
        kind,
    }
}
