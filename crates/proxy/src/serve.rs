use std::net::SocketAddr;

use edge_cache::{
    EdgeCache, Settings,
    settings::{LogFormatSetting, LogSettings, OriginKind, Policy},
    telemetry::{LogFilter, LogFormat, LogGuard, init_logs},
    warmer::Replay,
};
use edge_cache_origin::{database::Database, outbox::Consumer};
use futures_util::future::BoxFuture;
use tokio_util::task::AbortOnDropHandle;
use tower::Layer;

use crate::{
    admin::{self, Readiness},
    check::{concerns, runnable},
    cli::{PolicyArg, ServeArgs},
    exit::{UsageError, say},
    files,
    listener::{self, Listener},
    live::Live,
    origin::{self, Behind, HttpUpstream, Origin},
    outbox,
    performance::{Feed, Sources, process},
    reload::{Reload, Reloads, Served},
    server::{self, Doors, Places, Threads, Tls},
    shutdown::Signals,
    warming, watching,
};

/// How long the last word to the other nodes may take.
const LEAVE: std::time::Duration = std::time::Duration::from_secs(2);

/// `cache-proxy serve`.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let settings = named(settings(&args)?);
    let (logs, _logged) = start_logs(&settings.log)?;
    files::allow(&settings);
    let signals = Signals::listen()?;
    let Behind { origin, database, upstream } = origin::connect(&settings).await?;
    // What the handlers declare, they declare themselves.
    let own = match settings.origin.kind {
        OriginKind::Pitchey => edge_cache_pitchey::routes(),
        OriginKind::Http => Vec::new(),
    };
    let consumer = outbox::prepare(&settings, database.as_ref()).await?;
    let mut builder = EdgeCache::builder().settings(&settings)?.routes(own.clone());
    if let (Some(_), Some(database)) = (&consumer, &database) {
        builder = outbox::mark_done(builder, database.clone());
    }
    let of_database = database.as_ref().map(Database::permits);
    if let Some(permits) = of_database.or(upstream.as_ref().map(HttpUpstream::permits)) {
        builder = builder.origin_permits(permits.clone());
    }
    let cache = builder.build()?;
    if let Some(database) = &database {
        origin::follow_purges(database, &cache);
    }
    let behind = Behind { origin, database, upstream };
    let counts = Reloads::watched(cache.metrics());
    let reload = Reload { args, logs, own_routes: own, counts };
    Running::start(&settings, cache, behind, consumer).await?.until_stopped(signals, Some(reload)).await
}

/// What the command line and its file say.
pub(crate) fn settings(args: &ServeArgs) -> anyhow::Result<Settings> {
    let ServeArgs { config, origin, listen, admin, redis, policy } = args.clone();
    let mut settings = match &config {
        Some(file) => Settings::load(file)?,
        None if origin.is_none() => {
            let hint = "say where the origin is: `serve --origin http://HOST:PORT --listen ADDRESS:PORT`, or `serve --config FILE`";
            return Err(UsageError(hint.to_owned()).into());
        }
        None => Settings::from_environment()?,
    };
    if let Some(origin) = origin {
        settings.origin.kind = OriginKind::Http;
        settings.origin.url = origin;
    }
    if let Some(listen) = listen {
        settings.listen.address = listen;
    }
    if let Some(admin) = admin {
        settings.listen.admin = admin;
    }
    if let Some(redis) = redis {
        settings.redis.url = redis;
    }
    if let Some(policy) = policy {
        settings.cache.policy = match policy {
            PolicyArg::Guarded => Policy::Guarded,
            PolicyArg::Rfc => Policy::Rfc,
        };
    }
    settings.validate()?;
    runnable(&settings)?;
    Ok(settings)
}

/// With one name for what is forwarded and for what comes back.
fn named(mut settings: Settings) -> Settings {
    if settings.origin.kind == OriginKind::Http {
        settings.origin.name = settings.origin.upstream().name;
    }
    settings
}

/// Logs as the settings say.
pub(crate) fn start_logs(log: &LogSettings) -> anyhow::Result<(LogFilter, LogGuard)> {
    let format = match log.format {
        LogFormatSetting::Text => LogFormat::Text,
        LogFormatSetting::Json => LogFormat::Json,
    };
    init_logs(&log.filter, format).map_err(|error| UsageError(format!("log.filter = {}: {error}", log.filter)).into())
}

/// What operators call this node.
fn node_name(name: &str, address: Option<SocketAddr>) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "node" } else { host.trim() };
    match address {
        Some(address) if !address.ip().is_unspecified() => address.to_string(),
        Some(address) => format!("{host}:{}", address.port()),
        None => host.to_owned(),
    }
}

/// A server that listens, and all it needs to run.
pub(crate) struct Running {
    settings: Settings,
    cache: EdgeCache,
    /// As it was read last.
    configured: Settings,
    origin: Origin,
    /// What clients ask.
    live: Live,
    doors: Doors,
    /// Who serves them.
    threads: Threads,
    places: Places,
    watching: BoxFuture<'static, ()>,
    monitor: BoxFuture<'static, ()>,
    outbox: Option<Consumer>,
    /// What is asked for beside what is hot.
    plan: Vec<Replay>,
    /// Where clients connect first, as a URL names it.
    pub(crate) base: String,
    /// Where operators connect, and what they get.
    pub(crate) admin: Option<admin::Admin>,
}

impl Running {
    /// Binds the sockets: from here on clients are queued.
    pub(crate) async fn start(
        settings: &Settings,
        cache: EdgeCache,
        behind: Behind,
        outbox: Option<Consumer>,
    ) -> anyhow::Result<Self> {
        let Behind { origin, database, upstream } = behind;
        let (configured, mut settings) = (settings.clone(), settings.clone());
        let plan = warming::plan(&settings)?;
        listener::raise_descriptor_limit();
        if let Some(database) = &database {
            origin::watch(cache.metrics(), database);
        }
        if let Some(upstream) = &upstream {
            origin::watch_upstream(cache.metrics(), upstream);
        }
        if let Some(outbox) = &outbox {
            outbox::watch(cache.metrics(), &outbox.progress());
        }
        let tls = Tls::load(&settings.tls)?;
        let mut listeners = Vec::new();
        for (key, place) in settings.listen.places() {
            listeners.push(Listener::bind(&key, place).await?);
        }
        let address = listeners.iter().find_map(Listener::address);
        let base = listeners.first().expect("there is one place at least").to_string();
        let places = Places::new(settings.limits.connections_max);
        places.watch(cache.metrics());
        process::watch(cache.metrics());
        if settings.monitor.authority == settings.listen.address
            && let Some(address) = address
        {
            // Of a port that the system chose.
            settings.monitor.authority = address.to_string();
        }
        let identity = cache.identity_check(origin.clone());
        let service = cache.layer().layer(origin.clone());
        let threads = server::threads(&cache, &service, &settings)?;
        let operators = match settings.listen.admin.as_str() {
            "" => None,
            at => Some(Listener::bind("listen.admin", at).await?),
        };
        let readiness = Readiness::default();
        let sources = Sources {
            cache: cache.clone(),
            database: database.clone(),
            upstream: upstream.clone(),
            places: places.clone(),
            readiness: readiness.clone(),
            monitoring: None,
            alerting: None,
        };
        let node = node_name(&settings.listen.name, address);
        let admin_url = settings.listen.admin_url.trim_end_matches('/');
        let page = (!admin_url.is_empty()).then(|| format!("{admin_url}/admin/performance"));
        let live = Live::new(service);
        let watched = watching::watch(&settings, sources, live.clone(), (&node, page))?;
        let admin = operators.map(|operators| {
            let feed = Feed::new(watched.performance, &node);
            admin::Admin::new((operators, tls.clone()), cache.clone(), database, upstream, (readiness, feed))
        });
        for concern in concerns(&settings) {
            tracing::warn!("{concern}");
        }
        if let Err(error) = cache.sync().await {
            let error = &error as &dyn std::error::Error;
            let url = settings.redis.url_redacted();
            tracing::warn!(url, error, "redis does not answer: serving without its tier until it does");
        }
        let (watching, monitor) = (watched.measure, watching::beside(watched.ask, identity));
        Ok(Self {
            settings,
            cache,
            configured,
            origin,
            live,
            outbox,
            doors: Doors { listeners, tls },
            threads,
            places,
            watching,
            monitor,
            base,
            admin,
            plan,
        })
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    ///
    /// At SIGHUP it reads the configuration again, where there is one.
    pub(crate) async fn until_stopped(self, mut signals: Signals, reload: Option<Reload>) -> anyhow::Result<()> {
        let Self {
            settings,
            cache,
            mut configured,
            origin,
            live,
            outbox,
            doors,
            mut threads,
            places,
            watching,
            monitor,
            base: _,
            admin,
            plan,
        } = self;
        for listener in &doors.listeners {
            say(format_args!("listening {listener}"));
        }
        if let Some(admin) = &admin {
            say(format_args!("admin {}", admin.base));
        }
        let housekeeping = tokio::spawn(cache.clone().housekeeping());
        let watching = AbortOnDropHandle::new(tokio::spawn(watching));
        let monitor = tokio::spawn(monitor);
        let progress = outbox.as_ref().map(Consumer::progress);
        let warmer = warming::start(&cache, live.clone(), plan, progress);
        let outbox = outbox.map(|consumer| tokio::spawn(consumer.run(outbox::ByCache(cache.clone()))));
        let readiness = admin.as_ref().map(|admin| admin.readiness.clone());
        let operators = admin.map(|admin| tokio::spawn(admin.serve()));
        let stopping = || {
            // What it would ask for now, nobody would be there for.
            monitor.abort();
            if let Some(readiness) = &readiness {
                readiness.draining();
            }
            tracing::info!("stopping: requests in flight are finished first; a second signal ends them");
        };
        let reload = reload.map(|reload| {
            let (settings, cache, origin, live) = (&mut configured, &cache, &origin, &live);
            move |threads: &Threads, tls: Option<&Tls>| {
                reload.run(Served { settings: &mut *settings, cache, origin, threads, live, tls });
            }
        });
        let limit = settings.listen.drain_timeout;
        // They live until the end: connections to Redis and to the origin may have been opened on these threads.
        let hear = (reload, stopping);
        let all_ended = server::run(doors, (&cache, &mut threads), limit, &places, &mut signals, hear).await;
        if let Some(warmer) = warmer {
            warmer.abort();
        }
        if let Some(outbox) = outbox {
            // What it has not marked done, the next one purges again.
            outbox.abort();
            drop(outbox.await);
        }
        if let Some(readiness) = &readiness {
            // Nor is anything purged that the next start would have to know.
            readiness.close();
        }
        if let Some(operators) = operators {
            // Nobody would publish what is purged from here on.
            operators.abort();
            // Its socket goes with it.
            drop(operators.await);
        }
        if tokio::time::timeout(LEAVE, cache.keep(all_ended)).await.is_err() {
            tracing::warn!("what is hot was not kept in time");
        }
        drop(watching);
        housekeeping.abort();
        match tokio::time::timeout(LEAVE, cache.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "left without a word to redis"),
            Err(_) => tracing::warn!("left without a word to redis: it does not answer"),
        }
        if cache.purger().waiting_tags() > 0 {
            let tags = cache.purger().waiting_tags();
            tracing::error!(
                tags,
                "purges that were queued end here: they were never published, and never acknowledged"
            );
        }
        Ok(())
    }
}
