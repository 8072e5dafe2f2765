use std::{borrow::Cow, io::Write, net::IpAddr, path::Path};

use anyhow::Context;
use edge_cache::{
    Settings,
    settings::{OriginKind, Place, Policy, RouteSettings},
};

use crate::{
    admin::{token_is_set, token_is_short, token_is_usable},
    cli::{CheckArgs, ConfigArgs},
    exit::UsageError,
    server::Tls,
    warming,
};

/// The reference configuration: every key with its default.
pub(crate) const DEFAULTS: &str = include_str!("../../../config/cache-proxy.toml");

/// `cache-proxy check`.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let settings = Settings::load(&args.config)?;
    let in_file = || args.config.display().to_string();
    runnable(&settings).with_context(in_file)?;
    warming::plan(&settings).with_context(in_file)?;
    Tls::load(&settings.tls).with_context(in_file)?;
    folders(&settings).with_context(in_file)?;
    let redis = if settings.redis.url.is_empty() { "off".to_owned() } else { settings.redis.url_redacted() };
    let admin = if settings.listen.admin.is_empty() { "off" } else { &settings.listen.admin };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: ok", args.config.display()).context("cannot print")?;
    writeln!(
        out,
        "  listen {}, admin {admin}, redis {redis}, routes {}",
        settings.listen.address,
        settings.route.len()
    )
    .context("cannot print")?;
    let behind = match settings.origin.kind {
        OriginKind::Http => format!("{} http origins", 1 + settings.origin.more_urls.len()),
        OriginKind::Pitchey => format!(
            "pitchey over {} and {} fallbacks, {} replicas",
            settings.database.redacted_url(),
            settings.database.fallback_urls.len(),
            settings.database.replica_urls.len()
        ),
    };
    writeln!(out, "  origin {behind}").context("cannot print")?;
    for concern in concerns(&settings) {
        writeln!(out, "  warning: {concern}").context("cannot print")?;
    }
    Ok(())
}

/// What is allowed, and weakens what is promised.
pub(crate) fn concerns(settings: &Settings) -> Vec<Cow<'static, str>> {
    let mut concerns: Vec<Cow<'static, str>> = settings.redis.concerns().into_iter().map(Into::into).collect();
    if settings.outbox.enabled && settings.redis.url.is_empty() {
        concerns.push("outbox.enabled without redis.url: one process consumes the outbox; of several over one database the others do not hear of it".into());
    }
    if !settings.listen.admin.is_empty() && token_is_short() {
        concerns.push("CACHE_PROXY_ADMIN_TOKEN has fewer than 16 bytes: it may be guessed".into());
    }
    if is_open_to_nobody(settings) {
        concerns.push("listen.admin is open to other machines and CACHE_PROXY_ADMIN_TOKEN is not set: whoever asks for metrics or a purge gets a 403".into());
    }
    concerns.extend(ignored(settings).map(Into::into));
    concerns.extend(in_vain(settings).into_iter().map(Into::into));
    let http = settings.origin.kind == OriginKind::Http;
    if http && settings.origin.response_timeout >= settings.limits.request_timeout {
        concerns.push("origin.response_timeout is not below limits.request_timeout: an origin that hangs is not found out, because requests end first".into());
    }
    let (kept, passed) = (settings.cache.body_idle_max, settings.origin.body_idle_max);
    if http && !passed.is_zero() && kept > passed {
        concerns
            .push("cache.body_idle_max is above origin.body_idle_max: the shorter of them cuts what is kept".into());
    }
    if !http && settings.database.statement_timeout >= settings.limits.request_timeout {
        concerns.push(
            "database.statement_timeout is not below limits.request_timeout: a database that hangs is not found out"
                .into(),
        );
    }
    if http && !settings.origin.more_urls.is_empty() && settings.origin.health_path.is_empty() {
        concerns.push(
            "origin.more_urls without origin.health_path: an origin that answers, only wrongly, goes on being asked"
                .into(),
        );
    }
    let told = !(settings.alerts.slack.is_empty() && settings.alerts.webhook.is_empty());
    if told && (settings.monitor.check.is_empty() || !settings.monitor.enabled) {
        concerns.push("alerts without a [[monitor.check]]: an origin that is down behind a warm cache is not seen until somebody misses".into());
    }
    if told && !settings.telemetry.enabled {
        concerns.push("alerts without telemetry.enabled: rules about requests have nothing to go by".into());
    }
    concerns
}

/// Whether operators can connect from elsewhere, and have nothing to show.
fn is_open_to_nobody(settings: &Settings) -> bool {
    let Some(Place::Tcp { address, .. }) = Place::parse(&settings.listen.admin) else { return false };
    let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host).trim_matches(['[', ']']);
    let is_local = host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback());
    !is_local && settings.tls.admin_client_ca_file.as_os_str().is_empty() && !token_is_set()
}

/// What is set, and does nothing beside something else that is.
fn in_vain(settings: &Settings) -> Vec<&'static str> {
    let Settings { telemetry, memory, redis, disk, compression, origin, .. } = settings;
    let is_http = origin.kind == OriginKind::Http;
    let rules = [
        (
            !telemetry.enabled && !telemetry.access_log.is_empty(),
            "telemetry.access_log without telemetry.enabled: nothing is written to it",
        ),
        (
            !memory.enabled && redis.url.is_empty() && !disk.is_enabled(),
            "memory.enabled = false without redis.url or disk.path: nothing is cached",
        ),
        (
            compression.enabled && compression.codings.is_empty(),
            "compression.enabled without compression.codings: nothing is compressed",
        ),
        (!is_http && !origin.url.is_empty(), "origin.url is for origins of kind \"http\" and is ignored"),
        (!is_http && !origin.more_urls.is_empty(), "origin.more_urls is for origins of kind \"http\" and is ignored"),
    ];
    rules.into_iter().filter_map(|(holds, concern)| holds.then_some(concern)).collect()
}

/// What is declared of routes whose policy does not look at it.
fn ignored(settings: &Settings) -> impl Iterator<Item = String> {
    settings.route.iter().enumerate().filter_map(|(at, route)| {
        let counts = RouteSettings {
            name: route.name.clone(),
            path: route.path.clone(),
            policy: route.policy,
            uncacheable: route.uncacheable,
            stale_when_cut: route.stale_when_cut,
            ..RouteSettings::default()
        };
        let is_rfc = route.policy.unwrap_or(settings.cache.policy) == Policy::Rfc;
        (is_rfc && counts != *route)
            .then(|| format!("route[{at}] is under the policy rfc: but for path, policy, uncacheable and stale_when_cut nothing that is declared of it counts"))
    })
}

/// Checks what a file may leave open and a server needs.
pub(crate) fn runnable(settings: &Settings) -> anyhow::Result<()> {
    if !settings.listen.admin.is_empty() {
        token_is_usable()?;
    }
    let missing = match settings.origin.kind {
        OriginKind::Http if settings.origin.url.is_empty() => {
            "origin.url is empty: must be http://HOST:PORT or https://HOST:PORT"
        }
        OriginKind::Pitchey if settings.database.url.is_empty() => {
            "database.url is empty: must be postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:PATH"
        }
        _ => return Ok(()),
    };
    Err(UsageError(missing.to_owned()).into())
}

/// Checks that there is room for the files that a server writes.
fn folders(settings: &Settings) -> anyhow::Result<()> {
    let files = [("telemetry.access_log", &settings.telemetry.access_log), ("warm.snapshot", &settings.warm.snapshot)];
    for (key, file) in files {
        let file = Path::new(file);
        // A name alone is one in the folder where the server is started.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let text = format!("{key} = {:?}: must be in a folder that exists", file.display().to_string());
            return Err(UsageError(text).into());
        }
    }
    Ok(())
}

/// `cache-proxy config`.
pub(crate) fn print(args: &ConfigArgs) -> anyhow::Result<()> {
    let text: Cow<'_, str> = match &args.config {
        Some(file) => Settings::load(file)?.to_toml_redacted().into(),
        None => DEFAULTS.into(),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot print")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_defaults() {
        assert_eq!(Settings::from_toml(DEFAULTS).expect("the reference is valid"), Settings::default());
    }

    #[test]
    fn the_reference_names_every_key() {
        let defaults = toml::Table::try_from(Settings::default()).expect("settings are a table");
        for (section, keys) in defaults {
            if section == "route" {
                continue;
            }
            assert!(DEFAULTS.contains(&format!("[{section}]")), "{section}");
            for (key, _) in keys.as_table().expect("every section is a table") {
                // A list of sections stands as such, be it as an example.
                let (plain, list) = (format!("{key} = "), format!("[[{section}.{key}]]"));
                let is_named = |line: &str| line.starts_with(&plain) || line.trim_start_matches("# ") == list;
                assert!(DEFAULTS.lines().any(is_named), "{section}.{key}");
            }
        }
    }

    #[test]
    fn what_weakens_a_promise_is_said() {
        let settings = |toml: &str| Settings::from_toml(toml).expect("it is allowed");
        assert!(concerns(&Settings::default()).is_empty());
        let outbox = "[database]\nurl = \"postgres://h/d\"\n[outbox]\nenabled = true\n";
        assert_eq!(concerns(&settings(outbox)).len(), 1);
        assert!(concerns(&settings(&format!("{outbox}[redis]\nurl = \"redis://h\""))).is_empty());
        let hangs = "[origin]\nresponse_timeout = \"90s\"\n";
        assert!(concerns(&settings(hangs))[0].starts_with("origin.response_timeout is not below"));
        let several = "[origin]\nmore_urls = [\"http://b:1\"]\n";
        assert!(concerns(&settings(several))[0].starts_with("origin.more_urls without origin.health_path"));
        let told = "[alerts]\nwebhook = \"http://h/x\"\n[telemetry]\nenabled = false\n";
        assert!(concerns(&settings(told))[0].starts_with("alerts without a [[monitor.check]]"));
        assert!(concerns(&settings(told))[1].starts_with("alerts without telemetry.enabled"));
        let open = "[listen]\nadmin = \"0.0.0.0:9901\"\n";
        assert!(concerns(&settings(open))[0].starts_with("listen.admin is open"));
        for local in ["127.0.0.1:9901", "[::1]:9901", "localhost:9901", "unix:/run/admin"] {
            assert!(concerns(&settings(&format!("[listen]\nadmin = \"{local}\"\n"))).is_empty(), "{local}");
        }
        for (vain, said) in [
            ("[telemetry]\nenabled = false\naccess_log = \"-\"\n", "telemetry.access_log without"),
            ("[memory]\nenabled = false\n", "memory.enabled = false without"),
            ("[compression]\nenabled = true\ncodings = []\n", "compression.enabled without"),
            ("[origin]\nkind = \"pitchey\"\nurl = \"http://h:1\"\n", "origin.url is for"),
        ] {
            assert!(concerns(&settings(vain))[0].starts_with(said), "{vain}");
        }
        let letter = "[[route]]\nname = \"a\"\npath = \"/a\"\npolicy = \"rfc\"\n";
        assert!(concerns(&settings(letter)).is_empty());
        assert!(
            concerns(&settings(&format!("{letter}ttl = \"1s\"\n")))[0].starts_with("route[0] is under the policy rfc")
        );
        let watched = "[redis]\nurl = \"redis://h\"\ntopology = \"sentinel\"";
        assert!(concerns(&settings(watched))[0].starts_with("redis.wait_replicas"));
    }

    #[test]
    fn what_is_open_is_named() {
        let error = Settings::from_toml("[origin]\nurl = \"ftp://x\"").expect_err("no such scheme");
        assert!(error.to_string().starts_with("origin.url = ftp://x: "), "{error}");
        assert!(runnable(&Settings::default()).is_err());
    }
}
