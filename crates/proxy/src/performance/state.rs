//! Where the figures come from, and how the node is now.

use edge_cache::{
    EdgeCache, RedisStore, Standing,
    core::TierName,
    telemetry::{RouteSnapshot, SeenPurge},
    warm::Warmth,
};
use edge_cache_breaker::State;
use edge_cache_origin::{
    database::{Database, EndpointState, Role},
    upstream::OriginState,
};
use serde_json::{Value, json};

use super::{
    numbers::significant,
    process,
    totals::{DatabaseTotals, Totals, Way, by_result, by_tier, sum},
    unix_now,
};
use crate::{
    admin::{Readiness, hot, origin},
    origin::HttpUpstream,
    server::Places,
    watching::{Alerting, Monitoring},
};

/// Hot keys shown.
const HOT: usize = 20;

/// Everything that is measured.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) cache: EdgeCache,
    pub(crate) database: Option<Database>,
    pub(crate) upstream: Option<HttpUpstream>,
    pub(crate) places: Places,
    pub(crate) readiness: Readiness,
    pub(crate) monitoring: Option<Monitoring>,
    pub(crate) alerting: Option<Alerting>,
}

impl Sources {
    /// All counters at this moment.
    pub(crate) fn totals(&self) -> Totals {
        let database = self.database.as_ref().map(|database| {
            let state = database.state();
            DatabaseTotals { connections: state.connections.into(), in_use: state.in_use.into(), waits: state.waits }
        });
        let routes = self.cache.metrics().routes();
        Totals {
            at: unix_now(),
            monotonic: process::uptime(),
            requests: sum(&routes),
            routes,
            fills: self.cache.metrics().fills(self.innermost()),
            connections: self.places.taken(),
            in_flight: self.cache.metrics().in_flight(),
            database,
            database_ways: self.database_ways(),
            origins: self.origins(),
            redis: self.redis_way(),
            waiting: self.cache.governed().map(|seen| seen.load.waiting as u64),
            origin_calls: self.cache.governed().map(|seen| seen.load.admitted),
            cpu: process::cpu(),
            resident_bytes: process::resident_bytes(),
        }
    }

    /// A replica alone is no way to write.
    fn database_ways(&self) -> Vec<Way> {
        let ways = self.database.iter().flat_map(Database::endpoints);
        let to_write = ways.filter(|way| way.role != Role::Replica);
        let way = |way: EndpointState| Way {
            is_healthy: true,
            breaker: way.breaker,
            opened: way.breaker_opened,
            asked: way.pool.checkouts,
        };
        to_write.map(way).collect()
    }

    fn origins(&self) -> Vec<Way> {
        let origins = self.upstream.iter().flat_map(HttpUpstream::state);
        let way = |origin: OriginState| Way {
            is_healthy: origin.healthy,
            breaker: origin.breaker,
            opened: origin.failures,
            asked: origin.requests,
        };
        origins.map(way).collect()
    }

    /// Nodes ask Redis for purges whether or not anybody reads: who is in step has its answer.
    fn redis_way(&self) -> Vec<Way> {
        let in_step = matches!(self.cache.standing(), Standing::InStep);
        let breaker = |breaker| if breaker == State::HalfOpen && in_step { State::Closed } else { breaker };
        let way =
            |redis: &RedisStore| Way { is_healthy: true, breaker: breaker(redis.read_breaker()), opened: 0, asked: 0 };
        self.cache.redis().map(way).into_iter().collect()
    }

    /// The tier behind which only the origin is.
    fn innermost(&self) -> TierName {
        match (self.cache.disk(), self.cache.redis()) {
            (Some(_), _) => TierName::Disk,
            (None, Some(_)) => TierName::Redis,
            (None, None) => TierName::Memory,
        }
    }

    /// What the page shows beside the history.
    pub(super) fn state(&self, now: &Totals) -> Value {
        let asked = now.routes.iter().filter(|route| route.requests() > 0);
        json!({
            "at": now.at,
            "telemetry": self.cache.watch().is_some(),
            "uptime_seconds": significant(process::uptime().as_secs_f64()),
            "totals": totals(&now.requests),
            "routes": asked.map(route).collect::<Vec<_>>(),
            "process": {
                "cpu_seconds": significant(process::cpu().as_secs_f64()),
                "resident_bytes": process::resident_bytes(),
                "open_descriptors": process::descriptors(),
                "connections": now.connections,
                "in_flight": now.in_flight,
            },
            "tiers": self.tiers(),
            "database": self.database.as_ref().map(database),
            "origin": origin::state(&self.cache, self.database.as_ref(), self.upstream.as_ref()),
            "ready": self.ready(),
            "monitor": self.monitoring.as_ref().map(Monitoring::json),
            "hot": hot::keys(&self.cache, HOT),
            "purges": self.cache.metrics().recent_purges().iter().map(purge).collect::<Vec<_>>(),
            "alerts": self.alerting.as_ref().map(Alerting::json),
        })
    }

    fn tiers(&self) -> Value {
        json!({
            "memory": self.cache.memory().map(|memory| {
                json!({
                    "entries": memory.entries(),
                    "used_bytes": memory.weight_bytes(),
                    "capacity_bytes": memory.capacity_bytes(),
                })
            }),
            "redis": self.cache.redis().map(|redis| json!({
                "reads": redis.read_breaker().as_str(),
                "writes": redis.write_breaker().as_str(),
            })),
            "disk": self.cache.disk().map(|disk| json!({
                "entries": disk.entries(),
                "used_bytes": disk.used_bytes(),
                "capacity_bytes": disk.capacity_bytes(),
                "reads": disk.read_breaker().as_str(),
                "writes": disk.write_breaker().as_str(),
            })),
        })
    }

    fn ready(&self) -> Value {
        let Warmth { readiness, held, hot, .. } = self.cache.warmth();
        let draining = self.readiness.is_draining();
        json!({
            "ready": !draining && readiness.is_ready(),
            "draining": draining,
            "warm": { "state": readiness.as_str(), "held": held, "hot": hot },
            "backplane": match self.cache.standing() {
                Standing::Alone => "alone",
                Standing::InStep => "in step",
                Standing::CutOff { .. } => "cut off",
            },
        })
    }
}

fn totals(all: &RouteSnapshot) -> Value {
    let mut figures = route(all);
    let [memory, redis, disk] = by_tier(all);
    figures["memory"] = memory.into();
    figures["redis"] = redis.into();
    figures["disk"] = disk.into();
    if let Some(figures) = figures.as_object_mut() {
        figures.remove("route");
    }
    figures
}

fn route(route: &RouteSnapshot) -> Value {
    let [hit, stale, coalesced, miss, bypass, error] = by_result(route);
    let took = route.duration();
    let millis = |share| took.quantile(share).map(|seconds| significant(seconds * 1000.0));
    json!({
        "route": &*route.name,
        "calls": route.requests(),
        "hit": hit,
        "stale": stale,
        "coalesced": coalesced,
        "miss": miss,
        "bypass": bypass,
        "error": error,
        "hit_rate": route.hit_rate().map(significant),
        "error_rate": route.error_rate().map(significant),
        "p50_ms": millis(0.5),
        "p95_ms": millis(0.95),
        "p99_ms": millis(0.99),
        "bytes": route.body_bytes(),
        "saved_calls": route.saved_calls,
        "saved_seconds": significant(route.saved.as_secs_f64()),
    })
}

fn database(database: &Database) -> Value {
    let state = database.state();
    json!({
        "connections": state.connections,
        "in_use": state.in_use,
        "idle": state.idle,
        "max": state.connections_max,
        "waiting": state.waiting,
        "checkouts": state.checkouts,
        "waits": state.waits,
        "queries": database.queries_total(),
    })
}

fn purge(seen: &SeenPurge) -> Value {
    let note = &seen.note;
    json!({
        "at": seen.at.as_millis() as f64 / 1000.0,
        "kind": note.kind.as_str(),
        "tags": note.tags,
        "by": note.by.as_str(),
        "what": note.what,
        "actor": note.actor,
        "reason": note.reason,
    })
}
