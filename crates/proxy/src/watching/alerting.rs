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
use crate::performance::{Sources, Totals, Way, process, unix_now};

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
    let (this, every, failures) = (alerting.clone(), config.every, config.failures);
    let work = async move {
        tokio::join!(this.evaluate(sources, monitoring, (every, failures)), delivery.run());
    };
    Ok(Some((alerting, work)))
}

impl Alerting {
    async fn evaluate(&self, sources: Sources, monitoring: Option<Monitoring>, (every, failures): (Duration, u32)) {
        let mut beat = interval(every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.tick().await;
        let mut before = sources.totals();
        loop {
            beat.tick().await;
            let now = sources.totals();
            let figures = figures(&sources, monitoring.as_ref(), failures, (&before, &now));
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

/// A node that has just started has nothing yet: its hit rate says nothing of how well it works.
const COLD: Duration = Duration::from_secs(10 * 60);

/// What the rules are about, over the time since `before`; what this node does not have, or cannot tell, is left unknown.
fn figures(
    sources: &Sources,
    monitoring: Option<&Monitoring>,
    failures: u32,
    (before, now): (&Totals, &Totals),
) -> Figures {
    let mut figures = Figures::new();
    let seen = now.requests.since(&before.requests);
    let requests = seen.requests();
    figures.set_over(Figure::ErrorRate, seen.error_rate(), requests);
    figures.set_over(Figure::P95, seen.duration().quantile(0.95), requests);
    if process::uptime() >= COLD {
        figures.set_over(Figure::HitRate, seen.hit_rate(), seen.lookups());
    }
    if let Some(database) = &sources.database {
        let state = database.state();
        let share = f64::from(state.in_use) / f64::from(state.connections_max.max(1));
        figures.set(Figure::Pool, Some(share));
    }
    set_down(&mut figures, Figure::DatabaseDown, &before.database_ways, &now.database_ways);
    set_down(&mut figures, Figure::OriginDown, &before.origins, &now.origins);
    set_down(&mut figures, Figure::RedisDown, &before.redis, &now.redis);
    if sources.cache.redis().is_some() {
        let cut_off = matches!(sources.cache.standing(), Standing::CutOff { .. });
        figures.set_flag(Figure::BackplaneCutOff, cut_off);
    }
    if let Some(is_down) = monitoring.and_then(|monitoring| monitoring.is_failing(failures)) {
        figures.set_flag(Figure::MonitorFailing, is_down);
    }
    figures.set_flag(Figure::IdentityLeak, !sources.cache.distrusted().is_empty());
    figures
}

/// Down where no way is known to be well, and at least one is known not to be. A breaker that is half-open waits for somebody to ask: only
/// one that has opened once more since `before` says that the way is still down.
fn set_down(figures: &mut Figures, figure: Figure, before: &[Way], now: &[Way]) {
    let reopened = |at: usize, way: &Way| before.get(at).is_some_and(|before| way.opened > before.opened);
    let was_asked = |at: usize, way: &Way| before.get(at).is_some_and(|before| way.asked > before.asked);
    // On trial, and asked without a failure since: it is used more and more again.
    let is_tried = |at, way: &Way| way.breaker == State::HalfOpen && was_asked(at, way) && !reopened(at, way);
    let is_well = |(at, way): (usize, &Way)| way.is_healthy && (way.breaker == State::Closed || is_tried(at, way));
    let is_down = |(at, way): (usize, &Way)| {
        !way.is_healthy || way.breaker == State::Open || (way.breaker != State::Closed && reopened(at, way))
    };
    if now.iter().enumerate().any(is_well) {
        figures.set_flag(figure, false);
    } else if now.iter().enumerate().any(is_down) {
        figures.set_flag(figure, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &[Way], now: &[Way]) -> Option<f64> {
        let mut figures = Figures::new();
        set_down(&mut figures, Figure::OriginDown, before, now);
        figures.get(Figure::OriginDown)
    }

    #[test]
    fn a_way_is_down_while_its_breaker_opens_and_no_longer() {
        let way = |breaker, opened| Way { is_healthy: true, breaker, opened, asked: 7 };
        let (closed, open, half) = (way(State::Closed, 0), way(State::Open, 1), way(State::HalfOpen, 1));
        assert_eq!(told(&[], &[]), None, "what is not there is not down");
        assert_eq!(told(&[closed], &[closed]), Some(0.0));
        assert_eq!(told(&[closed], &[open]), Some(1.0));
        assert_eq!(told(&[closed], &[half]), Some(1.0), "it has opened in between");
        assert_eq!(told(&[half], &[half]), None, "nobody has asked since");
        assert_eq!(told(&[half], &[closed]), Some(0.0));
        assert_eq!(told(&[closed, closed], &[open, closed]), Some(0.0), "another way is well");
        assert_eq!(told(&[half], &[Way { asked: 8, ..half }]), Some(0.0), "the trial goes well");
        let unhealthy = Way { is_healthy: false, ..closed };
        assert_eq!(told(&[closed], &[unhealthy]), Some(1.0));
    }
}
