use std::{convert::Infallible, io::IoSlice, pin::pin, time::Duration};

use arc_swap::ArcSwap;
use edge_cache::{EdgeCache, settings::LimitSettings, telemetry::Metrics, tier::RequestBody};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use httparse::Status;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::yield_now,
    time::{sleep, timeout},
};
use tower::{Layer, util::BoxCloneSyncService};

use super::*;
use crate::{
    body::ClientBody,
    server::{conduct::Conduct, front::Site, house::House, interim::Interim, peer::Peer},
};

type Handler = BoxCloneSyncService<Request<RequestBody<ClientBody>>, Response<Full<Bytes>>, Infallible>;

const LIMIT: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);
const SLOW: Duration = Duration::from_secs(4);

/// Says what it was asked, and allows to keep that where the path begins with `/kept`; `/kept/<n>` is that long. `/slow` takes time.
async fn handle(req: Request<RequestBody<ClientBody>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = req.into_parts();
    let (mut body, mut took) = (pin!(body), 0);
    while let Some(Ok(frame)) = body.as_mut().frame().await {
        took += frame.data_ref().map_or(0, Bytes::len);
    }
    let path = parts.uri.path();
    if path == "/slow" {
        sleep(SLOW).await;
    }
    let long = path.strip_prefix("/kept/").and_then(|len| len.parse().ok()).unwrap_or(0);
    let mut text = format!("{} {path} {took}", parts.method);
    text.extend(std::iter::repeat_n('x', long));
    let mut response = Response::new(Full::from(text));
    let kept = if path.starts_with("/kept") { "max-age=36000" } else { "no-store" };
    let lines = [
        ("cache-control", kept),
        ("content-type", "text/plain"),
        ("link", "<a>"),
        ("link", "<b>"),
        ("cache-tag", "t"),
        ("cache-status", "further; hit"),
        ("x-odd", "\u{e9}"),
    ];
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    Ok(response)
}

fn site() -> Arc<ArcSwap<Site<Handler>>> {
    let metrics = Metrics::new();
    let cached =
        EdgeCache::builder().build().unwrap().layer().layer(BoxCloneSyncService::new(tower::service_fn(handle)));
    Arc::new(ArcSwap::from_pointee(Site { cached, house: House::empty(&metrics) }))
}

fn front(site: &Arc<ArcSwap<Site<Handler>>>) -> Arc<Front<Handler>> {
    Arc::new(Front {
        site: Arc::clone(site),
        peer: Peer { address: None, in_files: false, secure: false },
        account: None,
        interim: Arc::<Interim>::default(),
        conduct: Arc::new(Conduct::new()),
        turn: Arc::default(),
    })
}

/// What the server read.
type Read = Arc<Mutex<Vec<u8>>>;

/// A lane that keeps what the server reads.
struct Overheard(Lane<DuplexStream, Handler>, Read);

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.lock().extend_from_slice(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// The client's side of a connection that is served, over which so many bytes may be on their way.
struct Client {
    stream: DuplexStream,
    /// What came, and is of no answer yet.
    came: Vec<u8>,
    read: Read,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// In the order of their names, and as they came.
    lines: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.lines.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]).collect()
    }
}

impl Client {
    fn connect(site: &Arc<ArcSwap<Site<Handler>>>, room: usize) -> Self {
        let (stream, server) = duplex(room);
        let (front, timer, read) = (front(site), HeadTimer::of(LIMIT), Read::default());
        let lane = Lane::new(server, Arc::clone(&front), timer.clone(), 100);
        let overheard = Overheard(lane, Arc::clone(&read));
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(timer).header_read_timeout(LIMIT);
            drop(builder.serve_connection_with_upgrades(TokioIo::new(overheard), front).await);
        });
        Self { stream, came: Vec::new(), read }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, has_body: bool) -> Answer {
        loop {
            if let Some((answer, len)) = answer_in(&self.came, has_body) {
                self.came.drain(..len);
                return answer;
            }
            let came = timeout(HOUR, self.stream.read_buf(&mut self.came)).await.expect("it does not hang").unwrap();
            assert!(came > 0, "the connection ended within {:?}", String::from_utf8_lossy(&self.came));
        }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(&get(path)).await;
        self.answer(true).await
    }

    /// What the server has read since this was last asked.
    fn server_read(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.read.lock())).unwrap()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: h\r\naccept: */*\r\n\r\n")
}

/// The answer that these bytes begin with, once it is there, and its length.
fn answer_in(bytes: &[u8], has_body: bool) -> Option<(Answer, usize)> {
    let mut lines = [httparse::EMPTY_HEADER; 40];
    let mut head = httparse::Response::new(&mut lines);
    let Status::Complete(head_len) = head.parse(bytes).unwrap() else { return None };
    let mut lines: Vec<_> = head.headers.iter().map(|line| (line.name.to_owned(), line.value.to_vec())).collect();
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    let lens: Vec<_> = lines.iter().filter(|(name, _)| name == "content-length").collect();
    let has_length = head.code != Some(304);
    assert_eq!(lens.len(), usize::from(has_length), "one length: {lines:?}");
    let len = lens.first().map_or(0, |(_, len)| str::from_utf8(len).unwrap().parse().unwrap());
    let end = head_len + if has_body { len } else { 0 };
    let body = bytes.get(head_len..end)?.to_vec();
    Some((Answer { status: head.code.unwrap(), lines, body }, end))
}

#[tokio::test(start_paused = true)]
async fn hits_are_answered_beneath_the_server_and_all_else_by_it() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    assert_eq!(client.get("/kept").await.body, b"GET /kept 0");
    assert_eq!(client.server_read(), get("/kept"), "the first is the server's");
    for _ in 0..3 {
        assert_eq!(client.get("/kept").await.body, b"GET /kept 0");
    }
    assert_eq!(client.server_read(), "");
    for path in ["/other", "/kept/1", "/other"] {
        assert!(client.get(path).await.body.starts_with(format!("GET {path} 0").as_bytes()));
        assert_eq!(client.server_read(), get(path), "it is not in memory");
    }
    client.send("GET /kept/1 HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n").await;
    assert_eq!(client.answer(true).await.body, b"GET /kept/1 0x");
    assert_eq!(client.server_read(), "");
    // Only the server answers without a body, and takes the connection as it was.
    client.send("GET /kept HTTP/1.1\r\nhost: h\r\nif-modified-since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n").await;
    assert_eq!(client.answer(true).await.status, 304);
    assert!(client.server_read().contains("if-modified-since"));
    client.get("/kept").await;
    assert_eq!(client.server_read(), "");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_no_hits_is_looked_at_now_and_then_and_finds_the_lane_again() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    client.get("/kept").await;
    for n in 0..100 {
        let path = format!("/other/{n}");
        assert_eq!(client.get(&path).await.body, format!("GET {path} 0").as_bytes());
    }
    client.server_read();
    let mut by_the_server = 0;
    loop {
        assert_eq!(client.get("/kept").await.body, b"GET /kept 0", "whoever answers");
        if client.server_read().is_empty() {
            break;
        }
        by_the_server += 1;
    }
    assert_eq!(by_the_server, 3, "after 101 that were none, the next one looked at is the 104th");
    for _ in 0..10 {
        client.get("/kept").await;
    }
    assert_eq!(client.server_read(), "", "it is as before");
}

#[tokio::test(start_paused = true)]
async fn the_lane_says_what_the_server_says() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    for path in ["/kept", "/kept/9000", "/kept/100000"] {
        client.get(path).await;
        let lane = client.get(path).await;
        assert!(client.server_read().matches(path).count() == 1, "it came by the lane");
        let server = Client::connect(&site, 64 << 10).get(path).await;
        let but_name = |mut answer: Answer| {
            assert_eq!(answer.values("x-edge-cache-id")[0].len(), 16);
            assert!(answer.values("cache-status").last().unwrap().starts_with(b"edge-memory; hit; ttl="));
            answer.lines.retain(|(name, _)| name != "x-edge-cache-id" && name != "cache-status");
            answer
        };
        let (lane, server) = (but_name(lane), but_name(server));
        assert_eq!(lane, server);
        assert_eq!((lane.values("link"), lane.values("cache-tag")), (vec![&b"<a>"[..], b"<b>"], vec![]));
    }
}

/// Bytes after which nobody beneath the server can tell where a request ends, each with how many answers there are to them, and what of the next request they
/// are.
#[tokio::test(start_paused = true)]
async fn after_what_is_in_doubt_the_server_has_the_connection() {
    let kept = get("/kept");
    let of_lines = |lines: &str| format!("GET /kept HTTP/1.1\r\nhost: h\r\n{lines}\r\n");
    let doubtful = [
        (kept.repeat(2), 2, ""),
        (format!("{kept}GET"), 1, "GET"),
        ("POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nGET".to_owned(), 1, ""),
        (format!("{}GET ", of_lines("content-length: 4\r\n")), 1, ""),
        (of_lines("content-length: 0\r\n"), 1, ""),
        (format!("{}0\r\n\r\n", of_lines("transfer-encoding: chunked\r\n")), 1, ""),
        ("GET /kept HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\n\r\n".to_owned(), 1, ""),
        ("OPTIONS /x HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), 1, ""),
        ("GET http://h/kept HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), 1, ""),
        (format!("\r\n{kept}"), 1, ""),
        (of_lines("connection: keep-alive, x\r\n"), 1, ""),
        (of_lines("Connection: keep-alive\r\nconnection: x\r\n"), 1, ""),
        (of_lines("upgrade: x\r\n"), 1, ""),
        (of_lines("expect: 100-continue\r\n"), 1, ""),
        (kept.replace('\r', "") + &kept.replace('\r', ""), 2, ""),
        (of_lines(&"x: y\r\n".repeat(70)), 1, ""),
        (of_lines(&format!("x: {}\r\n", "y".repeat(READ_MAX))), 1, ""),
    ];
    for (bytes, answers, begun) in doubtful {
        let site = site();
        let mut client = Client::connect(&site, 64 << 10);
        client.get("/kept").await;
        client.get("/kept").await;
        client.server_read();
        client.send(&bytes).await;
        for _ in 0..answers {
            assert_eq!(client.answer(true).await.status, 200, "{bytes}");
        }
        let rest = &kept[begun.len()..];
        client.send(rest).await;
        assert_eq!(client.answer(true).await.body, b"GET /kept 0", "{bytes}");
        assert_eq!(client.server_read(), format!("{bytes}{rest}"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_refused_by_the_server() {
    for lines in ["content-length : 4\r\n", "x: y\r\n z\r\n", "x: \0\r\n", ": y\r\n", "x y: z\r\n", "host: other\r\n"] {
        let site = site();
        let mut client = Client::connect(&site, 64 << 10);
        client.get("/kept").await;
        client.get("/kept").await;
        client.send(&format!("GET /kept HTTP/1.1\r\nhost: h\r\n{lines}\r\n")).await;
        assert_eq!(client.answer(true).await.status, 400, "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_answer_is_out_is_the_servers() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    client.get("/kept").await;
    // The server reads the head of the next request while it is at the one before, and that one's body reads as a request.
    let body = get("/kept");
    let head = format!("POST /post HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len());
    client.send(&get("/slow")).await;
    sleep(SLOW / 2).await;
    client.send(&head).await;
    assert_eq!(client.answer(true).await.body, b"GET /slow 0");
    sleep(SLOW).await;
    client.send(&body).await;
    assert_eq!(client.answer(true).await.body, format!("POST /post {}", body.len()).as_bytes());
    assert!(client.server_read().ends_with(&(get("/slow") + &head + &body)));
}

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_overtake_what_was_asked_before_it() {
    let site = site();
    Client::connect(&site, 64 << 10).get("/kept").await;
    let mut client = Client::connect(&site, 64 << 10);
    client.get("/kept").await;
    client.send(&get("/slow")).await;
    sleep(SLOW / 2).await;
    client.send(&get("/kept")).await;
    assert_eq!(client.answer(true).await.body, b"GET /slow 0");
    assert_eq!(client.answer(true).await.body, b"GET /kept 0");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_to_close_is_left_by_the_server() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    client.get("/kept").await;
    client.send("GET /kept HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    assert_eq!(client.answer(true).await.values("connection"), [b"close"]);
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_takes_long_for_an_answer_gets_all_of_it_and_then_has_the_time_for_a_head() {
    let site = site();
    let mut client = Client::connect(&site, 100);
    client.get("/kept/100000").await;
    client.send(&get("/kept/100000")).await;
    let mut all = Vec::new();
    while answer_in(&all, true).is_none() {
        // Twice as long as a head may take, for each piece.
        if all.len() < 1_000 {
            sleep(LIMIT * 2).await;
        }
        assert!(client.stream.read_buf(&mut all).await.unwrap() > 0, "cut off after {} bytes", all.len());
    }
    assert_eq!(answer_in(&all, true).unwrap().0.body.len(), "GET /kept/100000 0".len() + 100_000);
    assert_eq!(client.server_read(), get("/kept/100000"), "that was the lane");
    let out = Instant::now();
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(out.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_head_begins_with_each_answer() {
    let site = site();
    let mut client = Client::connect(&site, 64 << 10);
    for _ in 0..10 {
        client.get("/kept").await;
        sleep(LIMIT * 9 / 10).await;
    }
    client.get("/kept").await;
    let out = Instant::now();
    assert_eq!(client.server_read(), get("/kept"));
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(out.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_shut_before_the_answer_is_out() {
    let site = site();
    Client::connect(&site, 64 << 10).get("/kept/1000").await;
    let (mut client, server) = duplex(100);
    let mut lane = Lane::new(server, front(&site), HeadTimer::of(LIMIT), 100);
    lane.stage = Stage::Open;
    client.write_all(get("/kept/1000").as_bytes()).await.unwrap();
    // What the server sees is that nothing comes.
    assert!(timeout(LIMIT, lane.read(&mut [0; 100])).await.is_err());
    let mut all = Vec::new();
    let (shut, read) = tokio::join!(lane.shutdown(), client.read_to_end(&mut all));
    shut.unwrap();
    read.unwrap();
    assert_eq!(answer_in(&all, true).unwrap().1, all.len());
}

#[tokio::test(start_paused = true)]
async fn the_server_may_read_in_small_pieces() {
    let site = site();
    let (mut client, server) = duplex(1000);
    let mut lane = Lane::new(server, front(&site), HeadTimer::of(LIMIT), 100);
    client.write_all(get("/kept").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    while all.len() < get("/kept").len() {
        let mut piece = [0; 7];
        let len = lane.read(&mut piece).await.unwrap();
        all.extend_from_slice(&piece[..len]);
    }
    assert_eq!(all, get("/kept").as_bytes());
    assert!(lane.front.turn.take().is_some(), "it was handed over");
}

/// Requests of every kind, cut anywhere: the answers are those that there would be without a lane, in their order.
#[tokio::test(start_paused = true)]
async fn however_requests_come_each_gets_its_own_answer() {
    let site = site();
    let mut by_lane = 0;
    for seed in 0..400 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let room = [64, 700, 1 << 16][rng.random_range(0..3)];
        let client = Client::connect(&site, room);
        let (mut reader, mut writer) = split(client.stream);
        // Whoever waits for each answer before the next request, and whoever does not; whose requests come whole, and whose in pieces.
        let (waits, is_whole) = (rng.random_bool(0.7), rng.random_bool(0.5));
        let (mut requests, mut expected) = (Vec::new(), Vec::new());
        for at in 0..rng.random_range(1..12) {
            let key = rng.random_range(0..3);
            let (method, path, more, body) = match rng.random_range(0..10) {
                0..5 => ("GET", format!("/kept/{}", key * 5000), String::new(), String::new()),
                5 => ("GET", format!("/kept-{seed}-{at}"), String::new(), String::new()),
                6 => ("GET", "/other".to_owned(), "connection: keep-alive\r\n".to_owned(), String::new()),
                7 => ("HEAD", "/kept/0".to_owned(), String::new(), String::new()),
                8 => {
                    // A body that reads as a request.
                    let body = get("/kept/0");
                    ("POST", "/post".to_owned(), format!("content-length: {}\r\n", body.len()), body)
                }
                _ => {
                    let chunks = format!("5\r\nGET /\r\n{key}\r\n{}\r\n0\r\n\r\n", "y".repeat(key));
                    let chunks = if key == 0 { "5\r\nGET /\r\n0\r\n\r\n".to_owned() } else { chunks };
                    ("POST", "/post".to_owned(), "transfer-encoding: chunked\r\n".to_owned(), chunks)
                }
            };
            let took = match (method, more.starts_with('c')) {
                ("POST", true) => body.len(),
                ("POST", false) => 5 + key,
                _ => 0,
            };
            let long = path.strip_prefix("/kept/").and_then(|len| len.parse().ok()).unwrap_or(0);
            // The answer to a HEAD is made from that to a GET, where there is one, and has no body.
            let text = (method != "HEAD").then(|| format!("{method} {path} {took}{}", "x".repeat(long)));
            requests.push(format!("{method} {path} HTTP/1.1\r\nhost: h\r\n{more}\r\n{body}").into_bytes());
            expected.push(text);
        }
        let (answered, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let write = async {
            for request in &requests {
                let mut rest = &request[..];
                while !rest.is_empty() {
                    let whole = is_whole || rng.random_bool(0.6);
                    let len = if whole { rest.len() } else { rng.random_range(1..=rest.len()) };
                    writer.write_all(&rest[..len]).await.unwrap();
                    rest = &rest[len..];
                    for _ in 0..rng.random_range(0..4) {
                        yield_now().await;
                    }
                }
                if waits {
                    heard.recv().await.unwrap();
                }
            }
        };
        let read = async {
            let mut came = Vec::new();
            for text in &expected {
                let answer = loop {
                    if let Some((answer, len)) = answer_in(&came, text.is_some()) {
                        came.drain(..len);
                        break answer;
                    }
                    let more = timeout(HOUR, reader.read_buf(&mut came)).await.expect("it does not hang").unwrap();
                    assert!(more > 0, "seed {seed}: the connection ended early");
                };
                let body = String::from_utf8(answer.body).unwrap();
                assert_eq!((answer.status, &body), (200, text.as_ref().unwrap_or(&String::new())), "seed {seed}");
                answered.send(()).ok();
            }
            assert!(came.is_empty(), "seed {seed}: more than the answers");
        };
        tokio::join!(write, read);
        let sent: usize = requests.iter().map(Vec::len).sum();
        by_lane += usize::from(client.read.lock().len() < sent);
    }
    assert!(by_lane > 50, "the lane took part in {by_lane}");
}

#[tokio::test(start_paused = true)]
async fn limits_hold_in_the_lane_too() {
    let site = site();
    let address = "192.0.2.1".parse().unwrap();
    let limits = LimitSettings { requests_per_client: 3, ..LimitSettings::default() };
    let mut house = site.load().house.clone();
    house.limits = limits;
    site.store(Arc::new(Site { cached: site.load().cached.clone(), house }));
    let (stream, server) = duplex(1 << 16);
    let front = Arc::new(Front {
        site: Arc::clone(&site),
        peer: Peer { address: Some(address), in_files: false, secure: false },
        account: None,
        interim: Arc::default(),
        conduct: Arc::new(Conduct::new()),
        turn: Arc::default(),
    });
    let timer = HeadTimer::of(LIMIT);
    let lane = Lane::new(server, Arc::clone(&front), timer.clone(), 100);
    tokio::spawn(async move {
        let builder = auto::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection_with_upgrades(TokioIo::new(lane), front).await);
    });
    let mut client = Client { stream, came: Vec::new(), read: Read::default() };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(client.get("/kept").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429], "each request counts once");
}
