//! Several nodes as one.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    Alert, Counts, Governor, Hot, Pool, Route, State,
    rates::{Rates, rates},
    state::Store,
};
use crate::top::{
    node::{Node, Status},
    text::Text,
};

/// What is shown, of one node or of several.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sum {
    /// All that were asked, also those that are no part of the rest.
    pub(crate) nodes: Vec<NodeLine>,
    /// How many nodes the rest is of.
    pub(crate) summed: usize,
    /// Whether it is of now: otherwise, no node of it tells what is, and it is what was last known.
    pub(crate) is_live: bool,
    /// Latencies are those of the worst of several nodes, never an average.
    pub(crate) latencies_of_worst_node: bool,
    pub(crate) rates: Rates,
    pub(crate) totals: Counts,
    pub(crate) error_rate: Option<f64>,
    pub(crate) routes: Vec<Route>,
    /// The highest score first.
    pub(crate) hot: Vec<Hot>,
    pub(crate) tiers: Vec<Tier>,
    pub(crate) database: Option<Pool>,
    pub(crate) permits: Option<Governor>,
    /// Those that are not closed.
    pub(crate) breakers: Vec<Breaker>,
    /// The checks that are down, with their nodes.
    pub(crate) checks_down: Vec<Text>,
    /// The critical ones first.
    pub(crate) firing: Vec<Alert>,
}

/// One node in a line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodeLine {
    pub(crate) admin: String,
    pub(crate) node: Text,
    pub(crate) version: Text,
    pub(crate) state: &'static str,
    /// Why it is lost.
    pub(crate) why: Option<Text>,
    #[serde(skip)]
    pub(crate) lost_since: Option<tokio::time::Instant>,
    pub(crate) uptime_seconds: Option<f64>,
    /// What else is to be known of it, as "draining".
    pub(crate) remarks: Vec<Text>,
}

/// What a tier holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Tier {
    pub(crate) tier: &'static str,
    pub(crate) entries: u64,
    pub(crate) used_bytes: u64,
    pub(crate) capacity_bytes: u64,
}

/// A breaker that is not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Breaker {
    pub(crate) node: Text,
    pub(crate) what: Text,
    pub(crate) state: Text,
}

/// Adds up what the nodes say: `focus` is the one to look at alone, otherwise all that are live, or if none is, what was last known of all.
pub(crate) fn sum(nodes: &[Node], focus: Option<usize>) -> Sum {
    let chosen = choose(nodes, focus);
    let is_live = chosen.iter().any(|node| node.is_live());
    let mut sum = Sum {
        nodes: nodes.iter().map(line).collect(),
        summed: chosen.iter().filter(|node| node.state.is_some()).count(),
        is_live,
        latencies_of_worst_node: chosen.len() > 1,
        rates: if is_live { rates(&chosen) } else { Rates::default() },
        ..Sum::default()
    };
    let mut routes: HashMap<&Text, Counts> = HashMap::new();
    let mut hot: HashMap<&Text, Hot> = HashMap::new();
    for node in &chosen {
        let Some(state) = &node.state else { continue };
        let label = Text::of(if nodes.len() > 1 { node.label() } else { "" });
        sum.totals.add(&state.totals);
        for route in &state.routes {
            routes.entry(&route.route).or_default().add(&route.counts);
        }
        for key in &state.hot {
            let sum = hot.entry(&key.url).or_insert_with(|| Hot { url: key.url.clone(), ..Hot::default() });
            sum.hits = sum.hits.saturating_add(key.hits);
            sum.score += key.score;
            sum.cost_millis = sum.cost_millis.max(key.cost_millis);
        }
        sum.add_state(state, &label);
    }
    sum.error_rate = sum.totals.error_rate();
    sum.routes = routes.into_iter().map(|(route, counts)| Route { route: route.clone(), counts }).collect();
    sum.routes.sort_by(|a, b| b.counts.calls.cmp(&a.counts.calls).then_with(|| a.route.cmp(&b.route)));
    sum.hot = hot.into_values().collect();
    sum.hot.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.url.cmp(&b.url)));
    sum.firing.sort_by_key(|alert| !alert.is_critical());
    sum
}

/// Those that are summed.
pub(super) fn choose(nodes: &[Node], focus: Option<usize>) -> Vec<&Node> {
    if let Some(node) = focus.and_then(|at| nodes.get(at)) {
        return vec![node];
    }
    let live: Vec<&Node> = nodes.iter().filter(|node| node.is_live()).collect();
    if live.is_empty() { nodes.iter().filter(|node| node.state.is_some()).collect() } else { live }
}

impl Sum {
    fn add_state(&mut self, state: &State, label: &Text) {
        for (name, store) in
            [("memory", &state.tiers.memory), ("redis", &state.tiers.redis), ("disk", &state.tiers.disk)]
        {
            if let Some(store) = store {
                self.add_tier(name, store, label);
            }
        }
        if let Some(pool) = &state.database {
            let sum = self.database.get_or_insert_default();
            sum.connections = sum.connections.saturating_add(pool.connections);
            sum.in_use = sum.in_use.saturating_add(pool.in_use);
            sum.max = sum.max.saturating_add(pool.max);
            sum.waiting = sum.waiting.saturating_add(pool.waiting);
            sum.waits = sum.waits.saturating_add(pool.waits);
            sum.queries = sum.queries.saturating_add(pool.queries);
        }
        if let Some(governor) = &state.origin.governor {
            let sum = self.permits.get_or_insert_default();
            sum.permits = sum.permits.saturating_add(governor.permits);
            sum.in_use = sum.in_use.saturating_add(governor.in_use);
            sum.waiting = sum.waiting.saturating_add(governor.waiting);
            sum.admitted = sum.admitted.saturating_add(governor.admitted);
            sum.shed = sum.shed.saturating_add(governor.shed);
            sum.redis_lost |= governor.redis_lost;
            if sum.pressure.as_str().is_empty() || sum.pressure.as_str() == "calm" {
                sum.pressure = governor.pressure.clone();
            }
        }
        for endpoint in &state.origin.endpoints {
            self.add_breaker(label, format!("database {}", endpoint.endpoint), &endpoint.breaker);
        }
        for origin in &state.origin.origins {
            self.add_breaker(label, format!("origin {}", origin.origin), &origin.breaker);
        }
        let checks = state.monitor.iter().flat_map(|monitor| &monitor.checks);
        for check in checks.filter(|check| check.state.as_str() == "down") {
            let at = if label.as_str().is_empty() { String::new() } else { format!("{label}: ") };
            self.checks_down.push(Text::of(&format!("{at}{}", check.name)));
        }
        let firing = state.alerts.iter().flat_map(|alerts| &alerts.firing);
        self.firing.extend(firing.map(|alert| Alert { node: label.clone(), ..alert.clone() }));
    }

    fn add_tier(&mut self, name: &'static str, store: &Store, label: &Text) {
        self.add_breaker(label, format!("{name} reads"), &store.reads);
        self.add_breaker(label, format!("{name} writes"), &store.writes);
        let at = self.tiers.iter().position(|tier| tier.tier == name).unwrap_or_else(|| {
            self.tiers.push(Tier { tier: name, entries: 0, used_bytes: 0, capacity_bytes: 0 });
            self.tiers.len() - 1
        });
        let sum = &mut self.tiers[at];
        sum.entries = sum.entries.saturating_add(store.entries);
        sum.used_bytes = sum.used_bytes.saturating_add(store.used_bytes);
        sum.capacity_bytes = sum.capacity_bytes.saturating_add(store.capacity_bytes);
    }

    fn add_breaker(&mut self, node: &Text, what: String, state: &Text) {
        if !matches!(state.as_str(), "" | "closed") {
            self.breakers.push(Breaker { node: node.clone(), what: Text::of(&what), state: state.clone() });
        }
    }
}

fn line(node: &Node) -> NodeLine {
    let (state, why, lost_since) = match &node.status {
        Status::Connecting => ("connecting", None, None),
        Status::Live => ("live", None, None),
        Status::Lost { since, why } => ("lost", Some(why.clone()), Some(*since)),
    };
    let mut remarks = Vec::new();
    if let Some(known) = node.state.as_ref().filter(|_| node.is_live()) {
        let ready = &known.ready;
        if ready.draining {
            remarks.push(Text::of("draining"));
        } else if !ready.ready {
            remarks.push(Text::of("not ready"));
        }
        if !matches!(ready.warm.state.as_str(), "" | "ready" | "off") {
            remarks.push(Text::of(&format!("warm: {}", ready.warm.state)));
        }
        if !matches!(ready.backplane.as_str(), "" | "alone" | "in step") {
            remarks.push(Text::of(&format!("backplane {}", ready.backplane)));
        }
    }
    NodeLine {
        admin: node.admin.clone(),
        node: node.name.clone(),
        version: node.version.clone(),
        state,
        why,
        lost_since,
        uptime_seconds: node.state.as_ref().map(|state| state.uptime_seconds),
        remarks,
    }
}
