use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use edge_cache::{
    DiskConfig, EdgeCache, Settings, WarmSettings,
    core::{Clock, SystemClock},
    settings::OriginKind,
};
use edge_cache_origin::database::Database;
use edge_cache_pitchey::{
    MigrateError, PitcheyOptions, SeedOptions, is_seeded, migrate, migrate_beside, routes, seed, tokens,
};
use edge_cache_probe::monitor::CheckConfig;

use crate::{
    cli::DemoArgs,
    exit::{UsageError, say},
    origin::{self, Behind},
    outbox,
    serve::{Running, start_logs},
    shutdown::Signals,
};

/// Seed of the demo's data: the same everywhere, so that a token printed once stays good.
const SEED: u64 = 1;

/// `cache-proxy demo`. It never reads `DATABASE_URL`: a stranger's database is not for demos.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    let _logs = start_logs(&settings.log)?;
    let mut signals = Signals::listen()?;
    let state = State::open(args.state.clone())?;
    let running = tokio::select! {
        running = prepare(&args, &settings, &state) => running?,
        // The temporary folder goes with `state`.
        () = signals.next() => return Ok(()),
    };
    say(welcome(&running));
    running.until_stopped(signals, None).await
}

fn settings(args: &DemoArgs) -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    settings.log.filter = "warn".to_owned();
    settings.origin.kind = OriginKind::Pitchey;
    // Whoever tries it may ask past the cache, as `monitor` does.
    settings.cache.trusted = vec![IpAddr::from(Ipv4Addr::LOCALHOST).into(), IpAddr::from(Ipv6Addr::LOCALHOST).into()];
    settings.listen.address.clone_from(&args.listen);
    settings.listen.admin.clone_from(&args.admin);
    settings.redis.url = args.redis.clone().unwrap_or_default();
    settings.database.url = args.database.clone().unwrap_or_default();
    let postgres = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
    if args.database.as_deref().is_some_and(|url| !postgres(url)) {
        return Err(UsageError("--database: must be postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned()).into());
    }
    // What is written past the API, as with psql, is purged too.
    settings.outbox.enabled = args.database.is_some();
    if !args.no_monitor {
        settings.monitor.authority.clone_from(&args.listen);
        settings.monitor.check = checks();
    }
    settings.validate()?;
    Ok(settings)
}

/// What the monitor looks at: a list that the cache keeps, and counts.
fn checks() -> Vec<CheckConfig> {
    let check =
        |name: &str, path: &str| CheckConfig { name: name.to_owned(), path: path.to_owned(), ..CheckConfig::default() };
    vec![check("trending", "/api/pitches/trending?limit=10"), check("stats", "/api/stats")]
}

async fn prepare(args: &DemoArgs, settings: &Settings, state: &State) -> anyhow::Result<Running> {
    let mut config = settings.database.clone();
    if settings.outbox.enabled {
        // One of them is the consumer's.
        config.connections_max -= 1;
    }
    if config.url.is_empty() {
        config.url = format!("sqlite:{}", state.path().join("pitchey.db").display());
    }
    let database = Database::connect(config).await?;
    fill(&database, args).await?;
    let consumer = outbox::prepare(settings, Some(&database)).await?;
    let mut builder =
        EdgeCache::builder().settings(settings)?.routes(routes()).origin_permits(database.permits().clone());
    if consumer.is_some() {
        builder = outbox::mark_done(builder, database.clone());
    }
    if settings.redis.url.is_empty() {
        builder = builder.disk(DiskConfig { path: state.path().join("cache"), ..DiskConfig::default() });
    }
    if let State::Kept(folder) = state {
        let snapshot = folder.join("memory.snapshot").display().to_string();
        builder = builder.warm(WarmSettings { snapshot, ..settings.warm.clone() });
    }
    let cache = builder.build()?;
    let options = PitcheyOptions { outbox: consumer.is_some(), ..PitcheyOptions::new(Arc::new(SystemClock)) };
    let handlers = origin::pitchey(database.clone(), options);
    let behind = Behind { origin: handlers, database: Some(database), upstream: None };
    Running::start(settings, cache, behind, consumer).await
}

async fn fill(database: &Database, args: &DemoArgs) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let migrated = if args.seed { migrate_beside(database, now).await } else { migrate(database, now).await };
    match migrated {
        Ok(()) => {}
        Err(error @ MigrateError::Foreign { .. }) => {
            return Err(
                anyhow::Error::new(error).context("the database is not the demo's; --seed adds the demo beside")
            );
        }
        Err(error) => return Err(error).context("cannot make the tables"),
    }
    if !is_seeded(database).await.context("cannot read the database")? {
        let options = SeedOptions { pitches: args.pitches, seed: SEED };
        seed(database, options, now).await.context("cannot seed the database")?;
    }
    Ok(())
}

fn welcome(running: &Running) -> String {
    let base = &running.base;
    let mut text = format!(
        "Pitchey's API behind the edge cache. Try:\n\
         \x20 curl -si '{base}/api/pitches/trending?limit=17'    # a miss; again: edge-memory; hit\n\
         \x20 curl -si '{base}/api/pitches/search?q=night'\n"
    );
    if let Some(admin) = &running.admin {
        let admin = &admin.base;
        text.push_str(&format!(
            "  curl -s {admin}/metrics\n\
             \x20 curl -s -XPOST {admin}/purge -H 'content-type: application/json' -d '{{\"tags\":[\"list-trending\"]}}'\n"
        ));
    }
    text.push_str("Sessions, one for each type of user (-H 'authorization: Bearer TOKEN'):\n");
    for (user_type, token) in tokens(SEED) {
        text.push_str(&format!("  {user_type:<11} {token}\n"));
    }
    text.push_str("Ctrl-C stops it.");
    text
}

/// The folder of the embedded database: the user's, or one that goes with the process.
enum State {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl State {
    fn open(kept: Option<PathBuf>) -> anyhow::Result<Self> {
        match kept {
            Some(path) => {
                std::fs::create_dir_all(&path)
                    .with_context(|| format!("--state {}: cannot be made", path.display()))?;
                Ok(Self::Kept(path))
            }
            None => Ok(Self::Temporary(
                tempfile::Builder::new()
                    .prefix("cache-proxy-demo-")
                    .tempdir()
                    .context("cannot make a temporary folder")?,
            )),
        }
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
