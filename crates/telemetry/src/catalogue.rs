//! Every metric: name, kind, unit, labels and meaning. Nothing else can be shown: a reading and a counter are made of an entry here.

use std::fmt::Write;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its name gets `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution: `_bucket`, `_sum` and `_count`.
    Histogram,
    /// A constant 1 with facts as labels; its name gets `_info`.
    Info,
}

/// The unit of a value; it ends the metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Bytes => Some("bytes"),
            Self::Seconds => Some("seconds"),
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name without prefix, unit and suffix.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
    /// Of the process, as every program names it: without our prefix.
    pub(crate) of_process: bool,
}

impl Definition {
    /// The name as Prometheus stores it; of a histogram the stem.
    #[must_use]
    pub fn full_name(&self) -> String {
        let mut name = if self.of_process { String::new() } else { "edge_cache_".to_owned() };
        name.push_str(self.name);
        if let Some(unit) = self.unit.as_str() {
            name.push('_');
            name.push_str(unit);
        }
        match self.kind {
            Kind::Counter => name.push_str("_total"),
            Kind::Info => name.push_str("_info"),
            Kind::Gauge | Kind::Histogram => {}
        }
        name
    }

    /// The names of the series that a scrape of it stores.
    #[must_use]
    pub fn series(&self) -> Vec<String> {
        let name = self.full_name();
        match self.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"].iter().map(|part| format!("{name}{part}")).collect(),
            Kind::Counter | Kind::Gauge | Kind::Info => vec![name],
        }
    }
}

/// The catalogue as a Markdown table.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let labels = metric.labels.join(", ");
        writeln!(text, "| `{}` | {kind} | {labels} | {} |", metric.full_name(), metric.help).expect("it is a String");
    }
    text
}

macro_rules! catalogue {
    (ours { $($constant:ident: $kind:ident $name:literal $unit:ident [$($label:literal),*] $help:literal;)* }
     of_process { $($of_process:ident: $pkind:ident $pname:literal $punit:ident $phelp:literal;)* }) => {
        $(
            #[doc = $help]
            pub static $constant: Definition = Definition {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
                of_process: false,
            };
        )*
        $(
            #[doc = $phelp]
            pub static $of_process: Definition = Definition {
                name: $pname,
                kind: Kind::$pkind,
                unit: Unit::$punit,
                labels: &[],
                help: $phelp,
                of_process: true,
            };
        )*
        /// All of them.
        pub static ALL: &[&Definition] = &[$(&$constant,)* $(&$of_process,)*];
    };
}

catalogue! {
    ours {
    // What clients got.
    REQUESTS: Counter "requests" None ["route", "result", "tier"] "Requests answered, by route, by what was done (hit, stale, coalesced, miss, bypass, error) and by the tier whose bytes were served (origin where none)";
    REQUEST_DURATION: Histogram "request_duration" Seconds ["route", "result"] "From the request's head read to the last byte of its answer handed to the connection, errors included";
    RESPONSE_BODY: Counter "response_body" Bytes ["route", "result"] "Bytes of bodies sent";
    REQUESTS_ABANDONED: Counter "requests_abandoned" None [] "Requests whose clients did not wait for the head of an answer; they are not among the requests answered";
    REQUESTS_REFUSED: Counter "requests_refused" None ["status"] "Requests that the server refused: too long a target or a body, not one valid host, a body that can be read in two ways, going in circles, too many from one client, a body that stopped";
    REQUESTS_IN_FLIGHT: Gauge "requests_in_flight" None [] "Requests being answered";
    SERVED_AGE: Histogram "served_age" Seconds ["tier"] "How old stored answers were when they were served, by the tier that had them";
    ORIGIN_CALLS_SAVED: Counter "origin_calls_saved" None ["route"] "Calls of the origin that were not made: answers from a tier behind which nothing was asked for, and waiters of a fill";
    ORIGIN_SAVED: Counter "origin_saved" Seconds ["route"] "Time that the origin would have taken for those calls, by what each answer took it when it was filled, in whole milliseconds";
    CONFIG_RELOADS: Counter "config_reloads" None ["result"] "Times that the configuration was read again (SIGHUP), and whether it took effect (applied) or all went on as before (refused)";
    CLIENT_CONNECTIONS_CUT: Counter "client_connections_cut" None ["reason"] "Connections that were not served to their end: too many of one client (limit), no TLS in time (handshake), no PROXY header from a trusted proxy (proxy-header), most requests taken back (abuse), twice as old as one may be (age), no room made for what is there (stalled; over HTTP/2)";
    CLIENT_CONNECTIONS: Gauge "client_connections" None [] "Open connections of clients";
    // What tiers asked for.
    FILLS: Counter "fills" None ["tier", "stored"] "Fills ended, by tier and by whether the answer was kept";
    FILL_DURATION: Histogram "fill_duration" Seconds ["tier"] "From the call inward to the last byte of its answer, by tier";
    FILL_FAILURES: Counter "fill_failures" None ["tier"] "Fills without an answer to keep: no answer, a server error, or a body that ended early";
    EARLY_REFRESHES: Counter "early_refreshes" None ["tier"] "Hits that found a fresh entry near its end and had it asked for anew behind the answer, by tier";
    STORE_FAILURES: Counter "store_failures" None ["tier", "operation"] "Operations on a tier's store that failed; the request went on as on a miss";
    // Purges.
    PURGES: Counter "purges" None ["kind"] "Purges applied on this node, by kind";
    PURGED_TAGS: Counter "purged_tags" None [] "Tags that purges named";
    IDENTITY_DISTRUSTED: Gauge "identity_distrusted" None ["route"] "Whether a route was found to depend on who asks, against its declaration, and is not cached any more: 1 or 0; absent where a route declares nothing";
    IDENTITY_CHECKS: Counter "identity_checks" None ["result"] "Samples of requests with credentials on routes that are declared not to depend on them, by what the origin's answers with and without said (same, differs, undecided, failed, dropped)";
    BACKPLANE_IN_STEP: Gauge "backplane_in_step" None [] "Whether this node serves what it holds: 1 in step with the others, 0 cut off from them";
    BACKPLANE_LAG: Gauge "backplane_lag" Seconds [] "Since Redis last told what was purged";
    BACKPLANE_NODES: Gauge "backplane_nodes" None [] "Nodes that share purges, this one included";
    BACKPLANE_WAITING_TAGS: Gauge "backplane_waiting_tags" None [] "Tags whose purges count on this node and wait for Redis to reach the others";
    BACKPLANE_GAPS: Counter "backplane_gaps" None [] "Announcements of purges that showed that something before them was missed";
    BACKPLANE_LOSSES: Counter "backplane_losses" None [] "Times that Redis was found to have lost the order of purges";
    OUTBOX_LAG: Gauge "outbox_lag" Seconds [] "Since the oldest purge that waits in the outbox was written";
    OUTBOX_LEADER: Gauge "outbox_leader" None [] "Whether this node is the one that consumes the outbox";
    OUTBOX_ROWS: Counter "outbox_rows" None [] "Rows of the outbox purged for";
    OUTBOX_FAILURES: Counter "outbox_failures" None [] "Times that the outbox could not be consumed";
    // Tiers.
    MEMORY_ENTRIES: Gauge "memory_entries" None [] "Entries in the memory tier";
    MEMORY_USED: Gauge "memory_used" Bytes [] "What the memory tier's entries weigh";
    MEMORY_CAPACITY: Gauge "memory_capacity" Bytes [] "What the memory tier's entries may weigh";
    MEMORY_EVICTIONS: Counter "memory_evictions" None ["reason"] "Entries that left the memory tier, by reason";
    REDIS_BREAKER: Gauge "redis_breaker" None ["calls"] "Breakers of the Redis tier: 0 closed, 1 half-open, 2 open";
    DISK_ENTRIES: Gauge "disk_entries" None [] "Entries in the disk tier, about";
    DISK_WAITING: Gauge "disk_waiting_entries" None [] "Entries, and removals of such, that wait to be written to the disk: lost if the process is killed";
    DISK_USED: Gauge "disk_used" Bytes [] "What the disk tier's entries occupy";
    DISK_CAPACITY: Gauge "disk_capacity" Bytes [] "What the disk tier's entries may occupy";
    DISK_EVICTIONS: Counter "disk_evictions" None ["reason"] "Entries that left the disk tier, by reason";
    DISK_BREAKER: Gauge "disk_breaker" None ["calls"] "Breakers of the disk tier: 0 closed, 1 half-open, 2 open";
    // The origin.
    ORIGIN_PRESSURE: Gauge "origin_pressure" None [] "How hard the origin is pressed: 0 calm; 1 nothing is refreshed or warmed; 2 stale answers are stretched; 3 fills queue";
    ORIGIN_UTILISATION: Gauge "origin_utilisation" None [] "Permits taken, of all, over the last 100 ms";
    ORIGIN_PERMITS_LIMIT: Gauge "origin_permits_limit" None [] "Most requests at work at the origin at once; lower while Redis is lost";
    ORIGIN_PERMITS_IN_USE: Gauge "origin_permits_in_use" None [] "Requests at work at the origin";
    ORIGIN_PERMITS_IN_USE_MAX: Gauge "origin_permits_in_use_max" None [] "Most requests that have been at work at the origin at once";
    ORIGIN_PERMITS_SAFE: Gauge "origin_permits_safe" None [] "Requests that can be at work at the origin without Redis too, by the load of the last minute with it";
    ORIGIN_WAITING: Gauge "origin_waiting" None [] "Requests that wait for a permit";
    ORIGIN_ADMITTED: Counter "origin_admitted" None [] "Requests that got a permit";
    ORIGIN_SHED: Counter "origin_shed" None [] "Requests refused a permit: the queue was full or too slow";
    ORIGIN_WAIT: Counter "origin_wait" Seconds [] "Time spent waiting for permits";
    DATABASE_CONNECTIONS: Gauge "database_connections" None [] "Open connections to the database";
    DATABASE_CONNECTIONS_IDLE: Gauge "database_connections_idle" None [] "Open connections that nobody uses";
    DATABASE_CONNECTIONS_IN_USE: Gauge "database_connections_in_use" None [] "Open connections at work";
    DATABASE_CONNECTIONS_MAX: Gauge "database_connections_max" None [] "Most connections allowed";
    DATABASE_WAITING: Gauge "database_waiting" None [] "Callers that wait for a connection to be open";
    DATABASE_CHECKOUTS: Counter "database_checkouts" None [] "Checkouts of connections";
    DATABASE_WAITS: Counter "database_waits" None [] "Checkouts that had to wait for a connection";
    DATABASE_WAIT: Counter "database_wait" Seconds [] "Time spent waiting for connections";
    DATABASE_TIMEOUTS: Counter "database_timeouts" None [] "Checkouts given up at the acquire timeout";
    DATABASE_CONNECTS: Counter "database_connects" None [] "Connections opened";
    DATABASE_CONNECT_ERRORS: Counter "database_connect_errors" None [] "Connects that failed";
    DATABASE_CLOSED_BROKEN: Counter "database_closed_broken" None [] "Connections closed because they broke or were left in a statement";
    DATABASE_CLOSED_AGED: Counter "database_closed_aged" None [] "Connections closed for age or idleness";
    DATABASE_QUERIES: Counter "database_queries" None [] "Statements sent to the database";
    DATABASE_BREAKER: Gauge "database_breaker" None ["endpoint", "role"] "Breaker of each way to the database (role: primary, fallback, replica): 0 closed, 1 half-open, 2 open";
    DATABASE_ENDPOINT_CONNECTIONS: Gauge "database_endpoint_connections" None ["endpoint"] "Open connections of each way to the database";
    DATABASE_BREAKER_OPENED: Counter "database_breaker_opened" None ["endpoint"] "Times that a way to the database was found not to be fit for use";
    UPSTREAM_IN_FLIGHT: Gauge "upstream_in_flight" None ["origin"] "Requests under way to the origin, to the last byte";
    UPSTREAM_HEALTHY: Gauge "upstream_healthy" None ["origin"] "Whether the origin passes its health checks: 1 or 0; 1 where there are none";
    UPSTREAM_BREAKER: Gauge "upstream_breaker" None ["origin"] "Breaker of the origin: 0 closed, 1 half-open, 2 open";
    UPSTREAM_REQUESTS: Counter "upstream_requests" None ["origin"] "Requests sent to the origin, checks aside";
    UPSTREAM_FAILURES: Counter "upstream_failures" None ["origin"] "Requests that the origin failed at: not reached, too slow, no answer, or 502, 503, 504";
    UPSTREAM_RETRIES: Counter "upstream_retries" None ["origin"] "Requests that another origin had failed at before";
    // Never cold.
    WARM_KEYS: Gauge "warm_keys" None [] "Keys counted in the hot set of this node";
    WARM_READY: Gauge "warm_ready" None [] "Whether the node is warm enough to be sent requests: 1 or 0";
    WARM_HELD: Gauge "warm_held" None [] "Of what was hot when the node started, keys that it has loaded";
    WARM_HOT: Gauge "warm_hot" None [] "Keys that were hot when the node started";
    WARM_RESTORED: Counter "warm_restored" None [] "Entries of the run before that were loaded into memory";
    WARM_PROMOTED: Counter "warm_promoted" None [] "Entries brought into memory from the tier behind it, unasked";
    WARM_ROUNDS: Counter "warm_rounds" None [] "Rounds of asking for what is hot";
    WARM_STOPPED: Counter "warm_stopped" None [] "Rounds that stopped because the origin was pressed";
    WARM_KEYS_ASKED: Counter "warm_keys_asked" None ["outcome"] "Keys that rounds looked after, by what came of it";
    // Watching.
    MONITOR_UP: Gauge "monitor_up" None ["check", "way"] "Whether the monitor's last look at an endpoint went well, through the cache and past it: 1 or 0; absent before the first";
    MONITOR_DURATION: Gauge "monitor_duration" Seconds ["check", "way"] "How long the monitor's last look took";
    MONITOR_CHECKS: Counter "monitor_checks" None ["check", "way", "result"] "Looks of the monitor, by what came of them (ok, failed)";
    ALERTS_FIRING: Gauge "alerts_firing" None ["severity"] "Alerts that fire now";
    ALERT_MESSAGES: Counter "alert_messages" None ["result"] "Messages of alerts: sent, failed, or suppressed because there were too many";
    ACCESS_LOG_DROPPED: Counter "access_log_dropped" None [] "Lines of the access log that were lost because it was written too slowly";
    SPANS_DROPPED: Counter "spans_dropped" None [] "Spans that were lost because the collector took them too slowly, or not at all";
    BUILD: Info "build" None ["version"] "The running build";
    }
    of_process {
    PROCESS_CPU: Counter "process_cpu" Seconds "Processor time that the process has used";
    PROCESS_RESIDENT: Gauge "process_resident_memory" Bytes "Memory of the process that is in RAM";
    PROCESS_DESCRIPTORS: Gauge "process_open_fds" None "Open file descriptors of the process";
    PROCESS_START: Gauge "process_start_time" Seconds "When the process began, as a Unix time";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_well_formed_and_unique() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(metric.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", metric.name);
            assert!(seen.insert(metric.full_name()), "{}", metric.name);
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains('|'),
                "{}",
                metric.name
            );
        }
        assert_eq!(ORIGIN_SAVED.full_name(), "edge_cache_origin_saved_seconds_total");
        assert_eq!(PROCESS_CPU.full_name(), "process_cpu_seconds_total");
        assert_eq!(BUILD.full_name(), "edge_cache_build_info");
        assert_eq!(SERVED_AGE.series()[2], "edge_cache_served_age_seconds_count");
    }

    #[test]
    fn the_documentation_lists_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&table()), "docs/metrics.md must hold this table:\n{}", table());
    }
}
