//! The page in a real browser.

use std::path::PathBuf;

use edge_cache_sandbox::WebDriver;
use edge_cache_tests::{Demo, Origin, Proxy, ProxyBuilder, Reply, eventually};
use fantoccini::{Client, ClientBuilder, Locator, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// A browser with the performance page of one node open in it.
struct Page {
    client: Client,
    _driver: WebDriver,
}

impl Page {
    async fn open(proxy: &Proxy) -> Self {
        Self::open_sized(proxy, 1280, 900).await
    }

    async fn open_sized(proxy: &Proxy, width: u32, height: u32) -> Self {
        let driver = WebDriver::start().await.unwrap();
        let folder = driver.folder().join("profile");
        let args = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", folder.display()),
        ];
        let options = json!({ "binary": driver.browser(), "args": args });
        let capabilities =
            json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"} });
        let Value::Object(capabilities) = capabilities else { unreachable!("it was just made") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(driver.url()).await;
        let client = client.unwrap_or_else(|error| panic!("no session: {error}: {}", driver.log()));
        let page = Self { client, _driver: driver };
        // As much of the window as was asked for, whatever frames the browser draws.
        page.client.set_window_size(width, height).await.unwrap();
        page.client.goto(&format!("http://{}/", proxy.admin_address())).await.unwrap();
        page
    }

    async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script says true.
    async fn until(&self, what: &str, script: &str) {
        eventually(what, async || (self.run(script).await == true).then_some(())).await;
    }

    async fn is_in_state(&self, state: &str) {
        self.until(state, &format!("return document.body.dataset.state === '{state}'")).await;
    }

    /// What a figure shows: its raw value, and its text.
    async fn figure(&self, selector: &str) -> (String, String) {
        let script = format!(
            "const found = document.querySelectorAll(`{selector}`); if (found.length !== 1) throw new Error(found.length + ' of {}'); \
             return [found[0].dataset.value ?? '', found[0].textContent.trim()]",
            selector.replace('\'', "")
        );
        let both = self.run(&script).await;
        (both[0].as_str().unwrap().to_owned(), both[1].as_str().unwrap().to_owned())
    }

    async fn shows(&self, selector: &str, value: &str) {
        let script = format!("return document.querySelector(`{selector}`)?.dataset.value === '{value}'");
        self.until(&format!("{selector} = {value}"), &script).await;
    }

    async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Where pictures for the documentation are wanted: `EDGE_CACHE_SCREENSHOTS=docs/images`, below the repository.
fn pictures() -> Option<PathBuf> {
    let folder = std::env::var_os("EDGE_CACHE_SCREENSHOTS")?;
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))
}

/// A picture, where one is wanted.
async fn picture(page: &Page, name: &str) {
    if let Some(folder) = pictures() {
        let png = page.client.screenshot().await.unwrap();
        std::fs::write(folder.join(name), png).unwrap();
    }
}

#[tokio::test]
async fn the_page_shows_what_the_metrics_say_and_moves_with_them() {
    let demo = Demo::start().await;
    let page = Page::open(&demo).await;
    page.is_in_state("live").await;
    page.shows("[data-figure='totals.calls']", "0").await;
    assert_eq!(page.run("return document.querySelector('#overall').dataset.value").await, "ready");
    for limit in [4, 4, 4, 10] {
        demo.get(&format!("/api/pitches/trending?limit={limit}")).await;
    }
    demo.get("/api/pitches/search?q=night").await;
    demo.get_as("creator", "/api/pitches/mine").await;
    page.shows("[data-figure='totals.calls']", "6").await;

    let metrics = demo.metrics().await;
    let requests = |labels: &[(&str, &str)]| metrics.sum("edge_cache_requests_total", labels);
    for (figure, value) in [
        ("calls", requests(&[])),
        ("hit", requests(&[("result", "hit")])),
        ("miss", requests(&[("result", "miss")])),
        ("bypass", requests(&[("result", "bypass")])),
        ("error", requests(&[("result", "error")])),
        ("memory", requests(&[("tier", "memory")])),
    ] {
        let (raw, text) = page.figure(&format!("[data-figure='totals.{figure}']")).await;
        // A sum of nothing is minus zero.
        let value = (value + 0.0).to_string();
        assert_eq!((raw, text), (value.clone(), value), "{figure}");
    }
    let (bytes, _) = page.figure("[data-figure='totals.bytes']").await;
    assert_eq!(bytes, metrics.sum("edge_cache_response_body_bytes_total", &[]).to_string());
    let (rate, text) = page.figure("[data-figure='totals.hit_rate']").await;
    let (hits, misses) = (requests(&[("result", "hit")]), requests(&[("result", "miss")]));
    assert!((rate.parse::<f64>().unwrap() - hits / (hits + misses)).abs() < 1e-5, "{rate}");
    // With a narrow space that does not break.
    assert_eq!(text, "40.0\u{202f}%");
    let of_route = [("route", "trending")];
    let (calls, _) = page.figure("tr[data-route='trending'] [data-figure='calls']").await;
    assert_eq!(calls, requests(&of_route).to_string());
    let (_, version) = page.figure("[data-figure='hello.version']").await;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let (_, node) = page.figure("[data-figure='hello.node']").await;
    assert!(node.contains(&demo.address.to_string()), "{node}");

    // The last second's figures move too, and are quiet again after.
    page.shows("[data-figure='rate.requests']", "0").await;
    let client = demo.client();
    let load = tokio::spawn(async move {
        loop {
            client.get("/api/pitches/trending?limit=4").send().await;
        }
    });
    page.until(
        "requests a second",
        "return Number(document.querySelector(`[data-figure='rate.requests']`).dataset.value) > 20",
    )
    .await;
    for (figure, least, most) in [
        ("hit_rate", 1.0, 1.0),
        ("error_rate", 0.0, 0.0),
        ("p50", 0.0, 10_000.0),
        ("p95", 0.0, 10_000.0),
        ("p99", 0.0, 10_000.0),
        ("cpu", 0.0, 64.0),
    ] {
        let (value, _) = page.figure(&format!("[data-figure='rate.{figure}']")).await;
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("rate.{figure} = {value:?}"));
        assert!((least..=most).contains(&value), "{figure} = {value}");
    }
    if pictures().is_some() {
        // With something to see in it.
        page.client.set_window_size(1280, 1500).await.unwrap();
        for _ in 0..40 {
            let before = page.run("return document.body.dataset.at").await;
            let passed = format!("return document.body.dataset.at !== '{}'", before.as_str().unwrap());
            page.until("a second passes", &passed).await;
        }
    }
    picture(&page, "performance.png").await;
    load.abort();
    page.shows("[data-figure='rate.requests']", "0").await;
    page.close().await;
}

#[tokio::test]
async fn tables_are_sorted_by_hand_and_by_key_and_keep_their_focus() {
    let demo = Demo::start().await;
    for (target, times) in [("/api/pitches/trending?limit=4", 5), ("/api/pitches/new?limit=4", 2), ("/api/stats", 9)] {
        for _ in 0..times {
            demo.get(target).await;
        }
    }
    let page = Page::open(&demo).await;
    page.shows("[data-figure='totals.calls']", "16").await;
    let order = "return [...document.querySelectorAll('tr[data-route]')].map((row) => row.dataset.route).join()";
    page.client
        .find(Locator::Css("#routes button[data-sort='calls'], button[data-sort='calls']"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    let first = page.run(order).await;
    let sort = "return document.querySelector(`button[data-sort='calls']`).closest('th').getAttribute('aria-sort')";
    let direction = page.run(sort).await;
    assert_eq!(first, if direction == "descending" { "stats,trending,new" } else { "new,trending,stats" });
    let button = page.client.find(Locator::Css("button[data-sort='calls']")).await.unwrap();
    button.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    assert_ne!(page.run(order).await, first, "the other way around");
    // New figures do not take the focus away.
    let before = page.run("return document.body.dataset.at").await;
    page.until("a second passes", &format!("return document.body.dataset.at !== '{}'", before.as_str().unwrap())).await;
    assert_eq!(page.run("return document.activeElement.dataset.sort").await, "calls");
    page.close().await;
}

#[tokio::test]
async fn a_node_that_is_gone_is_said_to_be_and_is_followed_when_it_is_back() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let page = Page::open(&proxy).await;
    page.is_in_state("live").await;
    // Halted, it says nothing, and closes nothing.
    proxy.pause();
    page.is_in_state("disconnected").await;
    assert!(page.run("return document.querySelector('#lost').checkVisibility()").await == true);
    picture(&page, "performance-disconnected.png").await;
    proxy.resume();
    page.is_in_state("live").await;
    page.close().await;
}

#[tokio::test]
async fn a_token_is_asked_for_where_there_is_one() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY_ADMIN_TOKEN", "s3cret-of-operators").start().await;
    let page = Page::open(&proxy).await;
    page.is_in_state("forbidden").await;
    let field = page.client.find(Locator::Css("#token")).await.unwrap();
    field.send_keys("wrong").await.unwrap();
    field.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    page.is_in_state("forbidden").await;
    page.until("it is empty again", "return document.querySelector('#token').value === ''").await;
    field.send_keys("s3cret-of-operators").await.unwrap();
    field.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    page.is_in_state("live").await;
    assert_eq!(
        page.run("return JSON.stringify(localStorage).includes('s3cret') || document.cookie.includes('s3cret')").await,
        false
    );
    page.close().await;
}

#[tokio::test]
async fn it_is_readable_on_a_phone_and_in_the_dark_and_breaks_no_rule_of_its_own() {
    let demo = Demo::with(&["--pitches", "100"]).await;
    for limit in 4..9 {
        for _ in 0..limit {
            demo.get(&format!("/api/pitches/trending?limit={limit}")).await;
        }
    }
    let page = Page::open_sized(&demo, 500, 900).await;
    page.is_in_state("live").await;
    // As narrow as phones are, which the browser's own window cannot be.
    page.run("document.documentElement.style.width = '360px'; document.body.style.width = '360px'; return true").await;
    page.until("nothing is wider", "return document.body.scrollWidth <= 361").await;
    let theme = "return getComputedStyle(document.body).backgroundColor";
    let light = page.run(theme).await;
    page.client.find(Locator::Css("#theme")).await.unwrap().click().await.unwrap();
    if page.run(theme).await == light {
        page.client.find(Locator::Css("#theme")).await.unwrap().click().await.unwrap();
    }
    assert_ne!(page.run(theme).await, light, "the other theme looks different");
    // What the page's own policy forbids, the browser would have complained of.
    let errors = page.run(
        "return performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith(location.origin)).map((entry) => entry.name)",
    );
    assert_eq!(errors.await, json!([]), "nothing comes from elsewhere");
    page.close().await;
}
