//! SIGHUP: the configuration is read again, and takes effect as a whole or not at all.
//!
//! What is served is swapped for what the new configuration makes of the same tiers: a request goes by the one or by the other, and no connection is cut.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use edge_cache::{
    EdgeCache, Settings,
    core::route::Route,
    telemetry::{LogFilter, Metrics, Reading, catalogue},
};
use toml::{Table, Value};
use tower::Layer;

use crate::{
    cli::ServeArgs,
    exit::UsageError,
    live::Live,
    origin::Origin,
    serve,
    server::{Threads, Tls, certificate},
};

/// What takes effect without a restart: keys, and sections as a whole.
const LIVE: [&str; 9] = [
    "route",
    "cache.trusted",
    "limits",
    "listen.trusted_proxies",
    "listen.forwarded_header",
    "listen.proxy_protocol",
    "log.filter",
    "tls.cert_file",
    "tls.key_file",
];
/// Of these sections what does not: the places for connections are counted from the start.
const FIXED: [&str; 1] = ["limits.connections_max"];

/// How the configuration is read again.
pub(crate) struct Reload {
    pub(crate) args: ServeArgs,
    pub(crate) logs: LogFilter,
    /// What the origin's handlers declare themselves.
    pub(crate) own_routes: Vec<Route>,
    pub(crate) counts: Reloads,
}

/// How often that went well, and how often not. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads(Arc<[AtomicU64; 2]>);

impl Reloads {
    /// A count that the metrics show.
    pub(crate) fn watched(metrics: &Metrics) -> Self {
        let this = Self::default();
        for (at, label) in ["applied", "refused"].into_iter().enumerate() {
            let counts = Arc::clone(&this.0);
            let count = Reading::counter(&catalogue::CONFIG_RELOADS, move || counts[at].load(Ordering::Relaxed));
            metrics.read_at_scrape(count.labelled(label));
        }
        this
    }
}

/// What a configuration is about.
pub(crate) struct Served<'a> {
    /// As it was read last.
    pub(crate) settings: &'a mut Settings,
    pub(crate) cache: &'a EdgeCache,
    pub(crate) origin: &'a Origin,
    pub(crate) threads: &'a Threads,
    pub(crate) live: &'a Live,
    pub(crate) tls: Option<&'a Tls>,
}

impl Reload {
    /// Reads the configuration again; says what came of it in one line.
    pub(crate) fn run(&self, served: Served<'_>) {
        let result = self.try_run(served);
        self.counts.0[usize::from(result.is_err())].fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(changed) if changed.is_empty() => tracing::info!("reloaded: nothing but certificates can have changed"),
            Ok(changed) => tracing::info!("reloaded: {}", changed.join(", ")),
            Err(error) => tracing::error!("reload refused, all goes on as before: {error:#}"),
        }
    }

    fn try_run(&self, served: Served<'_>) -> anyhow::Result<Vec<String>> {
        let Served { settings, cache, origin, threads, live, tls } = served;
        let mut new = serve::settings(&self.args)?;
        // Names that were made up at the start stay.
        if new.origin.name.is_empty() {
            new.origin.name.clone_from(&settings.origin.name);
        }
        let changed = changed(settings, &new);
        let fixed: Vec<_> = changed
            .iter()
            .filter(|key| !is_live(key) || tls.is_none() && key.starts_with("tls."))
            .map(String::as_str)
            .collect();
        if !fixed.is_empty() {
            return Err(UsageError(format!("{} cannot change without a restart", fixed.join(", "))).into());
        }
        // All that can fail comes first.
        let certificate = tls.map(|_| certificate(&new.tls)).transpose()?;
        let routes: Vec<_> = new.declared_routes()?.into_iter().chain(self.own_routes.iter().cloned()).collect();
        self.logs.set(&new.log.filter).map_err(|error| UsageError(format!("log.filter: {error}")))?;
        if let (Some(tls), Some(certificate)) = (tls, certificate) {
            tls.show(certificate);
        }
        let service =
            cache.redeclared(routes, new.cache.trusted.iter().copied().map(Into::into)).layer().layer(origin.clone());
        threads.change(&service, &new);
        live.set(service);
        *settings = new;
        Ok(changed)
    }
}

fn is_live(key: &str) -> bool {
    let is_in = |live: &str| key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    LIVE.iter().any(|live| is_in(live)) && !FIXED.contains(&key)
}

/// The keys whose values differ: `section.key`, and of lists of sections the section.
fn changed(old: &Settings, new: &Settings) -> Vec<String> {
    let table = |settings| Table::try_from(settings).expect("settings are a table");
    let (old, new) = (table(old), table(new));
    let mut changed = Vec::new();
    for (section, value) in &new {
        match (old.get(section), value) {
            (Some(Value::Table(old)), Value::Table(new)) => {
                let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
                let differ = keys.filter(|key| old.get(*key) != new.get(*key));
                changed.extend(differ.map(|key| format!("{section}.{key}")));
            }
            (old, new) if old != Some(new) => changed.push(section.clone()),
            _ => {}
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named_and_known_to_be_live_or_not() {
        let old = Settings::default();
        let new = Settings::from_toml(
            "[limits]\nheaders_max = 50\nconnections_max = 7\n[redis]\nurl = \"redis://h\"\n\
             [[route]]\nname = \"a\"\npath = \"/a\"\n[listen]\ntrusted_proxies = [\"unix\"]\n[cache]\ntenant = \"t\"",
        )
        .unwrap();
        let changed = changed(&old, &new);
        assert_eq!(
            changed,
            [
                "cache.tenant",
                "limits.connections_max",
                "limits.headers_max",
                "listen.trusted_proxies",
                "redis.url",
                "route"
            ]
        );
        let live: Vec<_> = changed.iter().filter(|key| is_live(key)).collect();
        assert_eq!(live, ["limits.headers_max", "listen.trusted_proxies", "route"]);
        assert!(!is_live("routes") && !is_live("limit") && is_live("limits.h2_streams_max"));
    }

    #[test]
    fn every_live_key_is_one() {
        let all = Table::try_from(Settings::default()).unwrap();
        for key in LIVE.iter().chain(&FIXED) {
            let found = match key.split_once('.') {
                Some((section, key)) => all[section].get(key).is_some(),
                None => all.contains_key(*key),
            };
            assert!(found, "{key}");
        }
    }
}
