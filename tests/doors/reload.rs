//! Another configuration while requests are served.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use edge_cache_tests::{Gate, Origin, ProxyBuilder, Reply};
use http::StatusCode;
use http_body_util::BodyExt;

fn toml(origin: &Origin, further: &str) -> String {
    format!("[origin]\nurl = \"{}\"\n{further}", origin.url())
}

#[tokio::test]
async fn routes_and_limits_change_and_what_is_stored_stays() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = ProxyBuilder::config(&toml(&origin, "")).start().await;
    proxy.get("/kept").await;
    proxy.get("/secret").await;
    let route = "[[route]]\nname = \"secret\"\npath = \"/secret\"\nuncacheable = true\n[limits]\nuri_bytes_max = 20\n";
    proxy.reload(&toml(&origin, route));
    let said = proxy.logged("reloaded").await;
    assert!(said.contains("limits.uri_bytes_max, route"), "{said}");
    assert!(proxy.get("/kept").await.is_hit_of("memory"), "nothing is lost");
    assert_eq!(proxy.get("/secret").await.status, StatusCode::OK);
    assert_eq!(origin.count("/secret"), 2, "the new declaration counts");
    assert_eq!(proxy.get("/longer-than-twenty-bytes").await.status, StatusCode::URI_TOO_LONG);
    let applied = proxy.metrics().await.sum("edge_cache_config_reloads_total", &[("result", "applied")]);
    assert_eq!(applied, 1.0);
}

#[tokio::test]
async fn what_is_wrong_or_needs_a_restart_leaves_all_as_it_was() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = ProxyBuilder::config(&toml(&origin, "")).start().await;
    proxy.get("/").await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nuncacheable = true\n";
    for (wrong, said) in [
        ("nonsense", "reload refused, all goes on as before"),
        ("[limits]\nheaders_mx = 3\n", "unknown key, did you mean `headers_max`?"),
        (
            "[memory]\ncapacity_bytes = 2000000\n[cache]\ntenant = \"t\"\n",
            "cache.tenant, memory.capacity_bytes cannot change without a restart",
        ),
        ("[limits]\nconnections_max = 5\n", "limits.connections_max cannot change without a restart"),
    ] {
        proxy.reload(&toml(&origin, &format!("{route}{wrong}")));
        let line = proxy.logged(said).await;
        assert!(line.contains("reload refused") && line.contains("ERROR"), "{line}");
        assert!(proxy.get("/").await.is_hit_of("memory"), "{wrong}");
    }
    let refused = proxy.metrics().await.sum("edge_cache_config_reloads_total", &[("result", "refused")]);
    assert_eq!(refused, 4.0);
}

#[tokio::test]
async fn a_request_under_way_is_answered_across_reloads() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "max-age=60").await;
    let proxy = ProxyBuilder::config(&toml(&origin, "")).patient().start().await;
    let under_way = tokio::spawn(proxy.client().get("/slow").send());
    origin.arrived("/slow", 1).await;
    proxy.reload(&toml(&origin, "[limits]\nheaders_max = 50\n"));
    proxy.logged("reloaded").await;
    // Whoever comes now waits for the same fill.
    let joined = tokio::spawn(proxy.client().get("/slow").send());
    gate.open();
    assert_eq!((under_way.await.unwrap().status, joined.await.unwrap().status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(origin.count("/slow"), 1);
}

#[tokio::test]
async fn no_request_fails_while_the_configuration_changes_again_and_again() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=1", "x") }).await;
    let proxy = ProxyBuilder::config(&toml(&origin, "")).start().await;
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (client, done, asked) = (proxy.client(), Arc::clone(&done), Arc::clone(&asked));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    // Hits, misses, what is not cached, and HTTP/2.
                    let count = asked.fetch_add(1, Ordering::Relaxed);
                    let ask = client.get(&format!("/{}", (count + n) % 50));
                    let answer = if n % 2 == 0 { ask } else { ask.http2() }.try_send().await;
                    let answer = answer.unwrap_or_else(|error| panic!("request {count} failed: {error}"));
                    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "x"));
                }
            })
        })
        .collect();
    let mut reloads = 0;
    // Twice at least, however fast the clients are.
    while asked.load(Ordering::Relaxed) < 2_000 || reloads < 2 {
        reloads += 1;
        let route = "[[route]]\nname = \"r\"\npath = \"/7\"\nuncacheable = true\n";
        let limits = format!("{}[limits]\nheaders_max = {}\n", if reloads % 2 == 0 { route } else { "" }, 50 + reloads);
        proxy.reload(&toml(&origin, &limits));
        let applied = async || {
            let samples = proxy.metrics().await;
            let applied = samples.sum("edge_cache_config_reloads_total", &[("result", "applied")]);
            (applied >= f64::from(reloads)).then_some(())
        };
        edge_cache_tests::eventually("it is applied", applied).await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn limits_and_trust_reach_connections_that_are_open() {
    let origin = Origin::start(|_| async { Reply::cached("no-store", "x") }).await;
    let proxy = ProxyBuilder::config(&toml(&origin, "[listen]\ntrusted_proxies = [\"127.0.0.1\"]\n")).start().await;
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let request = http::Request::get("/").header("host", "h").header("x-forwarded-for", "192.0.2.1");
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let mut body = answer.into_body();
        while body.frame().await.is_some() {}
        status
    };
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(origin.seen().pop().unwrap().header("x-forwarded-for"), "192.0.2.1, 127.0.0.1");
    proxy.reload(&toml(&origin, "[limits]\nrequests_per_client = 1\n"));
    proxy.logged("reloaded").await;
    let mut limited = false;
    // Each takes far less than the second in which one is earned.
    for _ in 0..1_000 {
        limited = ask().await == StatusCode::TOO_MANY_REQUESTS;
        if limited {
            break;
        }
    }
    assert!(limited);
    assert_eq!(origin.seen().pop().unwrap().header("x-forwarded-for"), "127.0.0.1", "not believed any more");
}
