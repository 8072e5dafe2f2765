//! The rules, held against what was measured, and whoever is told.

use std::{sync::Arc, time::Duration};

use edge_cache::{
    Standing,
    telemetry::{Metrics, Reading, catalogue},
};
use edge_cache_alerts::{
    AlertConfig, AlertConfigError, Courier, DeliveryCounts, Engine, Figure, Figures, Notice, Sender, Severity,
};
use edge_cache_breaker::State;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Monitoring;
use crate::performance::{Sources, Totals, unix_now};

/// Alerts, as they are shown. Clones share them.
#[derive(Clone)]
pub(crate) struct Alerting {
    engine: Arc<Mutex<Engine>>,
    courier: Courier,
}

/// Who holds the rules against the figures, and tells, until it is dropped; `None` where alerts are off.
pub(super) fn start(
    config: &AlertConfig,
    sources: Sources,
    monitoring: Option<Monitoring>,
    (node, page): (&str, Option<String>),
) -> Result<Option<(Alerting, impl Future<Output = ()> + Send + use<>)>, AlertConfigError> {
    if !config.enabled {
        return Ok(None);
    }
    config.validate()?;
    let (courier, delivery) = Courier::new(config, Sender { node: node.to_owned(), page_url: page })?;
    let alerting = Alerting { engine: Arc::new(Mutex::new(Engine::new(config))), courier };
    alerting.watch(sources.cache.metrics());
    let (this, every) = (alerting.clone(), config.every);
    let work = async move {
        tokio::join!(this.evaluate(sources, monitoring, every), delivery.run());
    };
    Ok(Some((alerting, work)))
}

impl Alerting {
    async fn evaluate(&self, sources: Sources, monitoring: Option<Monitoring>, every: Duration) {
        let mut beat = interval(every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.tick().await;
        let mut before = sources.totals();
        loop {
            beat.tick().await;
            let now = sources.totals();
            let figures = figures(&sources, monitoring.as_ref(), &before, &now);
            let notices = self.engine.lock().evaluate(Instant::now(), unix_now(), &figures);
            for notice in &notices {
                self.tell(notice);
            }
            before = now;
        }
    }

    fn tell(&self, notice: &Notice) {
        let (rule, text) = (&notice.rule, &notice.text);
        match notice.event {
            edge_cache_alerts::Event::Fired => tracing::warn!(target: "edge_cache::alert", rule, "{text}"),
            edge_cache_alerts::Event::Recovered => tracing::info!(target: "edge_cache::alert", rule, "{text}"),
        }
        self.courier.send(notice);
    }

    fn watch(&self, metrics: &Metrics) {
        for severity in [Severity::Critical, Severity::Warning] {
            let engine = Arc::clone(&self.engine);
            let firing =
                move || engine.lock().firing().iter().filter(|alert| alert.severity == severity).count() as f64;
            metrics.read_at_scrape(Reading::gauge(&catalogue::ALERTS_FIRING, firing).labelled(severity.name()));
        }
        let count = |result: &'static str, read: fn(&DeliveryCounts) -> u64| {
            let courier = self.courier.clone();
            let all = move || courier.counts().map(|(_, counts)| read(&counts)).sum();
            metrics.read_at_scrape(Reading::counter(&catalogue::ALERT_MESSAGES, all).labelled(result));
        };
        count("sent", |counts| counts.sent);
        count("failed", |counts| counts.failed);
        let (engine, courier) = (Arc::clone(&self.engine), self.courier.clone());
        let suppressed = move || {
            let untold: u64 = courier.counts().map(|(_, counts)| counts.suppressed).sum();
            engine.lock().suppressed() + untold
        };
        metrics.read_at_scrape(Reading::counter(&catalogue::ALERT_MESSAGES, suppressed).labelled("suppressed"));
    }

    /// As the page shows them.
    pub(crate) fn json(&self) -> Value {
        let engine = self.engine.lock();
        let recent = engine.recent().map(|notice| {
            json!({
                "at": notice.at,
                "event": notice.event.name(),
                "rule": notice.rule,
                "severity": notice.severity.name(),
                "text": notice.text,
            })
        });
        let recent: Vec<_> = recent.collect();
        json!({ "firing": engine.firing(), "recent": recent })
    }
}

/// What the rules are about, over the time since `before`; what this node does not have is left unknown.
fn figures(sources: &Sources, monitoring: Option<&Monitoring>, before: &Totals, now: &Totals) -> Figures {
    let mut figures = Figures::new();
    let seen = now.requests.since(&before.requests);
    let requests = seen.requests();
    figures.set_over(Figure::ErrorRate, seen.error_rate(), requests);
    figures.set_over(Figure::P95, seen.duration().quantile(0.95), requests);
    figures.set_over(Figure::HitRate, seen.hit_rate(), requests);
    if let Some(database) = &sources.database {
        let state = database.state();
        let share = f64::from(state.in_use) / f64::from(state.connections_max.max(1));
        figures.set(Figure::Pool, Some(share));
        // A replica alone is no way to write.
        let mut ways = database.endpoints().into_iter().filter(|way| !way.name.starts_with("replica_urls")).peekable();
        if ways.peek().is_some() {
            figures.set_flag(Figure::DatabaseDown, ways.all(|way| way.breaker != State::Closed));
        }
    }
    if let Some(upstream) = &sources.upstream {
        let is_away = upstream.state().iter().all(|origin| !origin.healthy || origin.breaker != State::Closed);
        figures.set_flag(Figure::OriginDown, is_away);
    }
    if let Some(redis) = sources.cache.redis() {
        figures.set_flag(Figure::RedisDown, redis.read_breaker() != State::Closed);
        let cut_off = matches!(sources.cache.standing(), Standing::CutOff { .. });
        figures.set_flag(Figure::BackplaneCutOff, cut_off);
    }
    if let Some(is_down) = monitoring.and_then(Monitoring::is_down) {
        figures.set_flag(Figure::MonitorFailing, is_down);
    }
    figures
}
