//! `docker-compose.yml` and what it mounts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{checked, dockerfile::Dockerfile, root, takes, text, yaml};

/// Variables of images that are not ours.
const OTHERS: [&str; 5] =
    ["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "GF_AUTH_ANONYMOUS_ENABLED", "GF_AUTH_ANONYMOUS_ORG_ROLE"];

fn texts(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array().into_iter().flatten().map(text).collect()
}

fn services(compose: &Value) -> Vec<(&String, &Value)> {
    compose["services"].as_object().expect("services").iter().collect()
}

fn is_node(service: &Value) -> bool {
    service["build"]["target"] == "cache-proxy"
}

fn environment(service: &Value) -> Vec<(String, String)> {
    let all = service["environment"].as_object().into_iter().flatten();
    all.map(|(name, value)| (name.clone(), value.as_str().expect("variables are texts").to_owned())).collect()
}

fn variable(service: &Value, name: &str) -> String {
    service["environment"][name].as_str().unwrap_or_default().to_owned()
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

/// Everything that does not fit, in words.
fn faults(compose: &Value, prometheus: &Value) -> Vec<String> {
    let (dockerfile, mut faults) = (Dockerfile::read(), Vec::new());
    let mut check = |ok: bool, what: String| {
        if !ok {
            faults.push(what);
        }
    };
    let names: BTreeSet<_> = services(compose).into_iter().map(|(name, _)| name.as_str()).collect();
    for (name, service) in services(compose) {
        if let Some(target) = service["build"]["target"].as_str() {
            check(dockerfile.has(target), format!("{name}: no stage {target}"));
        }
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().unwrap();
            let is_file = source.starts_with("./");
            check(is_file || compose["volumes"].get(source).is_some(), format!("{name}: no volume {source}"));
            check(!is_file || root().join(source).exists(), format!("{name}: no file {source}"));
            check(!is_file || mount.ends_with(":ro"), format!("{name}: {source} can be written to"));
        }
        for needed in service["depends_on"].as_object().into_iter().flatten() {
            check(names.contains(needed.0.as_str()), format!("{name}: no service {}", needed.0));
            let is_watched = compose["services"][needed.0].get("healthcheck").is_some();
            check(is_watched, format!("{name}: {} has no health check", needed.0));
        }
        for published in texts(&service["ports"]) {
            check(published.starts_with("127.0.0.1:"), format!("{name}: {published} is open to all"));
        }
        for (variable, _) in environment(service) {
            let known = variable.starts_with("CACHE_PROXY__")
                || variable == "CACHE_PROXY_ADMIN_TOKEN"
                || OTHERS.contains(&variable.as_str());
            check(known, format!("{name}: unknown variable {variable}"));
        }
        if is_node(service) {
            node(name, service, &dockerfile, &mut check);
        }
    }
    for (_, node) in services(compose).into_iter().filter(|(_, service)| is_node(service)) {
        for (variable, value) in environment(node).iter().filter(|(_, value)| value.contains("://")) {
            let place = value.split("://").nth(1).unwrap().split('/').next().unwrap();
            let host = place.rsplit('@').next().unwrap().split(':').next().unwrap();
            check(names.contains(host), format!("{variable}: no service {host}"));
        }
    }
    scraped(compose, prometheus, &mut check);
    faults
}

/// What a node publishes is what it listens at.
fn node(name: &str, service: &Value, dockerfile: &Dockerfile, check: &mut impl FnMut(bool, String)) {
    let (clients, operators) =
        (variable(service, "CACHE_PROXY__LISTEN__ADDRESS"), variable(service, "CACHE_PROXY__LISTEN__ADMIN"));
    let listens = BTreeSet::from([port(&clients), port(&operators)]);
    let published = texts(&service["ports"]);
    let published: BTreeSet<_> = published.iter().map(|published| port(published)).collect();
    check(published == listens, format!("{name}: publishes {published:?} and listens at {listens:?}"));
    let exposed: BTreeSet<_> =
        dockerfile.all("cache-proxy", "EXPOSE").into_iter().flat_map(|all| all.split(' ')).collect();
    check(exposed == listens, format!("{name}: the image exposes {exposed:?}, not {listens:?}"));
    let health = texts(&service["healthcheck"]["test"]).join(" ");
    check(health.contains(&format!(":{}", port(&operators))), format!("{name}: `{health}` asks at another port"));
    let token = variable(service, "CACHE_PROXY_ADMIN_TOKEN");
    check(token.len() >= 16, format!("{name}: operators need a token"));
    check(service["read_only"] == true, format!("{name}: its files can be written to"));
    check(texts(&service["cap_drop"]) == ["ALL"], format!("{name}: has capabilities"));
    let options = texts(&service["security_opt"]);
    check(options == ["no-new-privileges:true"], format!("{name}: may gain privileges"));
}

/// Prometheus asks every node, with the token, and finds its rules.
fn scraped(compose: &Value, prometheus: &Value, check: &mut impl FnMut(bool, String)) {
    let nodes = services(compose).into_iter().filter(|(_, service)| is_node(service));
    let of =
        |(name, node): (&String, &Value)| format!("{name}:{}", port(&variable(node, "CACHE_PROXY__LISTEN__ADMIN")));
    let nodes: Vec<_> = nodes.map(|node| (of(node), variable(node.1, "CACHE_PROXY_ADMIN_TOKEN"))).collect();
    let job = &prometheus["scrape_configs"][0];
    let mut targets = texts(&job["static_configs"][0]["targets"]);
    targets.sort();
    let asked: Vec<_> = nodes.iter().map(|(place, _)| place.clone()).collect();
    check(targets == asked, format!("prometheus asks {targets:?}, not {asked:?}"));
    let sent = job["authorization"]["credentials"].as_str().unwrap_or_default();
    check(nodes.iter().all(|(_, token)| token == sent), "prometheus sends another token".to_owned());
    let mounts = texts(&compose["services"]["prometheus"]["volumes"]);
    for rules in texts(&prometheus["rule_files"]) {
        // Relative to where the file itself is mounted.
        let place = format!("/etc/prometheus/{rules}");
        let mounted = mounts.iter().any(|mount| {
            let mut parts = mount.split(':');
            let (from, to) = (parts.next().unwrap(), parts.next().unwrap());
            place.strip_prefix(to).is_some_and(|rest| root().join(from).join(rest.trim_start_matches('/')).is_file())
        });
        check(mounted, format!("prometheus: no rules {rules}"));
    }
}

#[test]
fn files_ports_services_and_targets_are_there() {
    let found = faults(&yaml(&text("docker-compose.yml")), &yaml(&text("config/prometheus.yml")));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_of_them_is_missed() {
    let (compose, prometheus) = (text("docker-compose.yml"), text("config/prometheus.yml"));
    for (from, to, says) in [
        ("target: cache-proxy", "target: cache-proxi", "no stage cache-proxi"),
        ("./config/pgbouncer.ini", "./config/pgbouncer.conf", "no file ./config/pgbouncer.conf"),
        ("/etc/pgbouncer/pgbouncer.ini:ro", "/etc/pgbouncer/pgbouncer.ini", "can be written to"),
        ("127.0.0.1:8081:8080", "8081:8080", "is open to all"),
        ("127.0.0.1:8081:8080", "127.0.0.1:8081:80", "node1: publishes"),
        ("0.0.0.0:8080", "0.0.0.0:8000", "the image exposes"),
        ("http://127.0.0.1:9901", "http://127.0.0.1:9902", "asks at another port"),
        ("redis://redis:6379", "redis://reddis:6379", "CACHE_PROXY__REDIS__URL: no service reddis"),
        ("@postgres:5432", "@postgre:5432", "no service postgre"),
        ("GF_AUTH_ANONYMOUS_ENABLED", "GF_AUTH_ANONYMUS_ENABLED", "unknown variable"),
        ("CACHE_PROXY_ADMIN_TOKEN", "CACHE_PROXY_ADMIN_TOKN", "unknown variable"),
        ("CACHE_PROXY_ADMIN_TOKEN: ", "CACHE_PROXY_ADMIN_TOKEN: x", "sends another token"),
        ("read_only: true", "read_only: false", "its files can be written to"),
        ("[ALL]", "[NET_RAW]", "has capabilities"),
        ("no-new-privileges:true", "no-new-privileges:false", "may gain privileges"),
        ("node2:9901", "node3:9901", "prometheus asks"),
        ("prometheus/alerts.yml", "prometheus/rules.yml", "no rules"),
    ] {
        let broken = (compose.replacen(from, to, 1), prometheus.replacen(from, to, 1));
        assert!(broken.0 != compose || broken.1 != prometheus, "`{from}` stands nowhere");
        let both = if broken.0 == compose { (&compose, &broken.1) } else { (&broken.0, &prometheus) };
        let found = faults(&yaml(both.0), &yaml(both.1));
        assert!(found.iter().any(|fault| fault.contains(says)), "{to}: {found:?}");
    }
}

#[tokio::test]
async fn the_program_takes_every_variable_and_the_health_check() {
    let compose = yaml(&text("docker-compose.yml"));
    let nodes: Vec<_> = services(&compose).into_iter().filter(|(_, service)| is_node(service)).collect();
    assert_eq!(nodes.len(), 2);
    for (name, node) in nodes {
        let variables = environment(node);
        let ended = checked(&variables).await;
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(ended.stdout.contains("origin pitchey") && !ended.stdout.contains("warning"), "{}", ended.stdout);
        for (at, (variable, value)) in variables.iter().enumerate().filter(|(_, (name, _))| name.contains("__")) {
            let mut broken = variables.clone();
            broken[at] = (format!("{variable}X"), value.clone());
            let ended = checked(&broken).await;
            let key = variable.trim_start_matches("CACHE_PROXY__").replace("__", ".").to_lowercase();
            assert_eq!(ended.code, Some(64), "{variable}X is refused");
            assert!(ended.stderr.contains(&format!("{key}x: unknown key")), "{}", ended.stderr);
        }
        let health = texts(&node["healthcheck"]["test"]);
        assert_eq!(health[..2], ["CMD", "/usr/local/bin/cache-proxy"], "no shell");
        takes(&health[2..]).await;
    }
}

#[test]
fn the_pooler_listens_where_it_is_asked() {
    let ini = text("config/pgbouncer.ini");
    let compose = yaml(&text("docker-compose.yml"));
    let url = variable(&compose["services"]["node1"], "CACHE_PROXY__DATABASE__URL");
    let port = port(url.rsplit_once('/').unwrap().0);
    assert!(ini.lines().any(|line| line == format!("listen_port = {port}")), "{ini}");
    assert_eq!(Dockerfile::read().all("pgbouncer", "EXPOSE"), [port]);
    let health = texts(&compose["services"]["pgbouncer"]["healthcheck"]["test"]).join(" ");
    assert!(health.ends_with(&format!("/{port}")), "{health}");
}
