use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use http::StatusCode;
use tokio::time::sleep;

use super::*;

/// A cache that answers each URL by its script, in turn; the last answer again and again.
#[derive(Clone, Default)]
struct Cache(Arc<Inner>);

#[derive(Default)]
struct Inner {
    scripts: Mutex<HashMap<String, Vec<Says>>>,
    asked: Mutex<Vec<(Duration, String, How)>>,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    began: Mutex<Option<Instant>>,
    dropped: AtomicUsize,
}

#[derive(Clone)]
enum Says {
    Told(u16, FromCache),
    After(Duration, FromCache),
    Never,
    NoConnection,
    Broken,
    Large,
}

use Says::{After, Broken, Large, Never, NoConnection, Told as Tell};

struct Here(Arc<Inner>, bool);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Cache {
    fn script(&self, path: &str, says: impl IntoIterator<Item = Says>) {
        let mut says: Vec<_> = says.into_iter().collect();
        says.reverse();
        self.0.scripts.lock().unwrap().insert(path.to_owned(), says);
    }

    fn asked(&self) -> Vec<(u128, String, How)> {
        let asked = self.0.asked.lock().unwrap();
        asked.iter().map(|(at, path, how)| (at.as_millis(), path.clone(), *how)).collect()
    }

    fn hows(&self, path: &str) -> Vec<How> {
        self.asked().into_iter().filter(|(_, asked, _)| asked == path).map(|(_, _, how)| how).collect()
    }
}

impl Ask for Cache {
    fn ask(&self, replay: &Replay, how: How) -> BoxFuture<'static, Result<Told, AskError>> {
        let (inner, path) = (Arc::clone(&self.0), replay.path_and_query().to_string());
        async move {
            let began = *inner.began.lock().unwrap().get_or_insert_with(Instant::now);
            inner.asked.lock().unwrap().push((began.elapsed(), path.clone(), how));
            let here = inner.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            inner.most.fetch_max(here, Ordering::SeqCst);
            let mut here = Here(Arc::clone(&inner), false);
            let says = {
                let mut scripts = inner.scripts.lock().unwrap();
                match scripts.get_mut(&path) {
                    Some(says) if says.len() > 1 => says.pop().unwrap(),
                    Some(says) => says[0].clone(),
                    None if how == How::ReadBack => Tell(200, FromCache::Fresh),
                    None => Tell(200, FromCache::Stored),
                }
            };
            let told = |status, from_cache| {
                Ok(Told { status: StatusCode::from_u16(status).unwrap(), from_cache, body_bytes: 10 })
            };
            let answer = match says {
                Tell(status, from_cache) => told(status, from_cache),
                After(time, from_cache) => {
                    sleep(time).await;
                    told(200, from_cache)
                }
                Never => std::future::pending().await,
                NoConnection => Err(AskError::Connect("refused".into())),
                Broken => Err(AskError::Transport("reset".into())),
                Large => Err(AskError::TooLarge),
            };
            here.1 = true;
            answer
        }
        .boxed()
    }
}

fn replays(paths: &[&str]) -> Vec<Replay> {
    paths.iter().map(|path| Replay::new("http", "h", path, []).unwrap()).collect()
}

fn numbered(count: usize) -> Vec<Replay> {
    (0..count).map(|n| Replay::new("http", "h", &format!("/{n}"), []).unwrap()).collect()
}

fn at(cache: &Cache, replays: Vec<Replay>) -> Vec<Target<Cache>> {
    vec![Target { name: "t".to_owned(), asker: cache.clone(), replays }]
}

async fn warm(cache: &Cache, replays: Vec<Replay>, options: &Options) -> Report {
    run(at(cache, replays), options, &mut (), || Go::Go, &CancellationToken::new()).await
}

fn reasons(report: &Report) -> Vec<(&str, u64)> {
    report.failed.iter().map(|(reason, count)| (reason.as_str(), *count)).collect()
}

fn limits(interval: u64, concurrency: usize) -> Options {
    let concurrency = NonZeroUsize::new(concurrency).unwrap();
    let limits = Limits { interval: Duration::from_millis(interval), concurrency, ..Limits::default() };
    Options { limits, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn everything_is_asked_once_in_order_and_read_back() {
    let cache = Cache::default();
    cache.script("/c", [Tell(200, FromCache::Fresh)]);
    let report = warm(&cache, replays(&["/b", "/a", "/b", "/c"]), &limits(10, 1)).await;
    let order: Vec<_> = cache.asked().into_iter().map(|(_, path, how)| (path, how)).collect();
    let expected = [
        ("/b", How::IfNeeded),
        ("/b", How::ReadBack),
        ("/a", How::IfNeeded),
        ("/a", How::ReadBack),
        ("/c", How::IfNeeded),
    ];
    assert_eq!(order, expected.map(|(path, how)| (path.to_owned(), how)));
    assert_eq!((report.planned, report.asked, report.warmed, report.fresh), (3, 3, 2, 1));
    assert!(report.is_complete() && report.failed_count() == 0 && report.bytes == 30, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn slots_lie_an_interval_apart_and_never_catch_up() {
    let cache = Cache::default();
    cache.script("/1", [After(Duration::from_millis(100), FromCache::Stored)]);
    let options = Options { verify: false, ..limits(20, 1) };
    warm(&cache, numbered(5), &options).await;
    let times: Vec<u128> = cache.asked().into_iter().map(|(at, ..)| at).collect();
    // One that took five slots' time is followed by no burst.
    assert_eq!(times[..3], [0, 20, 120]);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 19), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_are_in_flight_as_may_be_and_no_more() {
    for concurrency in [1, 3, 7] {
        let cache = Cache::default();
        for n in 0..40 {
            let slow = After(Duration::from_millis(100), FromCache::Stored);
            cache.script(&format!("/{n}"), [slow, After(Duration::from_millis(30), FromCache::Fresh)]);
        }
        let report = warm(&cache, numbered(40), &limits(1, concurrency)).await;
        assert_eq!(cache.0.most.load(Ordering::SeqCst), concurrency);
        assert_eq!(report.warmed, 40);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fresh_takes_no_slot() {
    let cache = Cache::default();
    for n in 0..100 {
        cache.script(&format!("/{n}"), [Tell(200, FromCache::Fresh)]);
    }
    let report = warm(&cache, numbered(100), &limits(1000, 3)).await;
    assert_eq!(report.fresh, 100);
    assert!(report.seconds < 5.0, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_has_its_word() {
    let cache = Cache::default();
    for (path, says) in [
        ("/404", Tell(404, FromCache::Stored)),
        ("/503", Tell(503, FromCache::NotStored { detail: None })),
        ("/404-hit", Tell(404, FromCache::Fresh)),
        ("/private", Tell(200, FromCache::NotStored { detail: Some("private".to_owned()) })),
        ("/no-detail", Tell(200, FromCache::NotStored { detail: None })),
        ("/untold", Tell(200, FromCache::Untold)),
        ("/never-a-hit", Tell(200, FromCache::Stored)),
        ("/stale", Tell(200, FromCache::Stale)),
        ("/silent", Never),
        ("/refused", NoConnection),
        ("/broken", Broken),
        ("/large", Large),
    ] {
        cache.script(path, [says]);
    }
    let all = ["/404", "/503", "/404-hit", "/private", "/no-detail", "/untold", "/never-a-hit"];
    let more = ["/stale", "/silent", "/refused", "/broken", "/large", "/good"];
    let report = warm(&cache, replays(&[&all[..], &more].concat()), &Options::default()).await;
    let expected = [
        ("connect", 1),
        ("no-cache-status", 1),
        ("not-a-hit", 1),
        ("not-stored", 1),
        ("not-stored: private", 1),
        ("status-404", 2),
        ("status-503", 1),
        ("still-stale", 1),
        ("timeout", 1),
        ("too-large", 1),
        ("transport", 1),
    ];
    assert_eq!(reasons(&report), expected);
    assert_eq!((report.warmed, report.asked, report.failures.len()), (1, 13, 12));
    let first = &report.failures[0];
    assert_eq!((first.url.as_str(), first.target.as_str(), first.reason.as_str()), ("http://h/404", "t", "status-404"));
    assert_eq!(cache.hows("/never-a-hit"), [How::IfNeeded, How::ReadBack, How::ReadBack, How::ReadBack]);
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_read_until_it_is_fresh() {
    let cache = Cache::default();
    let stale = || Tell(200, FromCache::Stale);
    cache.script("/a", [stale(), stale(), stale(), Tell(200, FromCache::Fresh)]);
    cache.script("/b", [stale(), Tell(200, FromCache::Stored), Tell(200, FromCache::Fresh)]);
    for verify in [true, false] {
        let report = warm(&cache, replays(&["/a", "/b"]), &Options { verify, ..Options::default() }).await;
        assert_eq!(report.warmed + report.fresh, 2, "{report:?}");
    }
    assert_eq!(cache.hows("/a")[..4], [How::IfNeeded, How::ReadBack, How::ReadBack, How::ReadBack]);
}

#[tokio::test(start_paused = true)]
async fn a_read_back_that_comes_too_soon_is_made_again_and_paid_for() {
    let cache = Cache::default();
    let stored = || Tell(200, FromCache::Stored);
    cache.script("/0", [stored(), stored(), Tell(200, FromCache::Fresh)]);
    let report = warm(&cache, numbered(3), &limits(500, 3)).await;
    assert_eq!(report.warmed, 3);
    let first_of_2 = cache.asked().into_iter().find(|(_, path, _)| path == "/2").unwrap().0;
    // /0 takes a slot, and another for its read-back; then /1, then /2.
    assert_eq!(first_of_2, 1500);
}

#[tokio::test(start_paused = true)]
async fn refreshing_asks_for_something_new_and_takes_nothing_old() {
    let cache = Cache::default();
    cache.script("/hit", [Tell(200, FromCache::Fresh)]);
    cache.script("/stale", [Tell(200, FromCache::Stale)]);
    let options = Options { refresh: true, ..Options::default() };
    let report = warm(&cache, replays(&["/new", "/hit", "/stale"]), &options).await;
    assert_eq!(cache.hows("/new"), [How::Refresh, How::ReadBack]);
    assert_eq!((report.warmed, reasons(&report)), (1, vec![("refresh-ignored", 2)]));
    assert!(report.failures[0].hint.unwrap().contains("cache.trusted"));
}

#[tokio::test(start_paused = true)]
async fn without_proof_nothing_is_read_back() {
    let cache = Cache::default();
    warm(&cache, numbered(2), &Options { verify: false, ..Options::default() }).await;
    assert!(cache.asked().iter().all(|(_, _, how)| *how == How::IfNeeded));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_given_up_keeps_its_place_for_a_while() {
    let cache = Cache::default();
    cache.script("/0", [After(Duration::from_secs(8), FromCache::Stored)]);
    cache.script("/1", [Never]);
    let report = warm(&cache, numbered(4), &limits(10, 1)).await;
    let times: Vec<_> = cache.asked().into_iter().filter(|(_, _, how)| *how == How::IfNeeded).map(|at| at.0).collect();
    assert_eq!(reasons(&report), [("timeout", 2)]);
    assert_eq!(times[..3], [0, 8_000, 38_000], "until the answer came; and for 5 and 25 s");
    assert_eq!(cache.0.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_stops_what_has_not_begun() {
    let cache = Cache::default();
    let asked = Arc::clone(&cache.0);
    let gate = move || if asked.asked.lock().unwrap().len() >= 3 { Go::Stop } else { Go::Go };
    let options = Options { verify: false, ..limits(10, 2) };
    cache.script("/2", [After(Duration::from_secs(1), FromCache::Stored)]);
    let report = run(at(&cache, numbered(10)), &options, &mut (), gate, &CancellationToken::new()).await;
    assert_eq!((report.asked, report.warmed, report.stopped, report.interrupted), (3, 3, true, false));
    assert!(!report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn cancelling_drops_what_is_in_flight() {
    let cache = Cache::default();
    cache.script("/1", [Never]);
    let cancel = CancellationToken::new();
    let (running, token) = (cache.clone(), cancel.clone());
    // Also says that the future can go to another thread.
    let run =
        tokio::spawn(async move { run(at(&running, numbered(2)), &limits(10, 3), &mut (), || Go::Go, &token).await });
    sleep(Duration::from_secs(1)).await;
    cancel.cancel();
    let report = run.await.unwrap();
    assert_eq!((report.asked, report.interrupted, report.stopped), (1, true, false));
    assert_eq!((cache.0.in_flight.load(Ordering::SeqCst), cache.0.dropped.load(Ordering::SeqCst)), (0, 1));
}

/// Knows some digests, and collects others.
#[derive(Default)]
struct Notes {
    known: HashSet<u128>,
    begun: usize,
    done: Vec<u128>,
    failed: Vec<String>,
}

impl Observer for Notes {
    fn is_done(&self, digest: u128) -> bool {
        self.known.contains(&digest)
    }

    fn begins(&mut self, jobs: usize) {
        self.begun = jobs;
    }

    fn finished(&mut self, finished: &Finished<'_>) {
        match finished.outcome {
            Outcome::Failed(reason) => self.failed.push(format!("{} {reason}", finished.replay)),
            Outcome::Warmed | Outcome::Fresh => self.done.push(finished.digest),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_not_asked_for_and_each_target_has_its_own_jobs() {
    let cache = Cache::default();
    cache.script("/1", [Broken]);
    let cancel = CancellationToken::new();
    let mut notes = Notes::default();
    let named = |name: &str| Target { name: name.to_owned(), asker: cache.clone(), replays: numbered(2) };
    let first = run(vec![named("a")], &Options::default(), &mut notes, || Go::Go, &cancel).await;
    assert_eq!((first.warmed, notes.begun, notes.done.len()), (1, 2, 1));
    assert_eq!(notes.failed, ["http://h/1 transport"]);
    let mut again = Notes { known: notes.done.into_iter().collect(), ..Notes::default() };
    cache.script("/1", [Tell(200, FromCache::Fresh)]);
    let before = cache.asked().len();
    let targets = vec![named("a"), named("b")];
    let second = run(targets, &Options::default(), &mut again, || Go::Go, &cancel).await;
    assert_eq!((second.planned, second.resumed, second.asked, again.begun), (4, 1, 3, 3));
    let paths: Vec<_> =
        cache.asked()[before..].iter().filter(|asked| asked.2 == How::IfNeeded).map(|asked| asked.1.clone()).collect();
    assert_eq!(paths, ["/1", "/0", "/1"], "one target after the other");
    assert!(second.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_report_is_json_and_names_the_first_failures() {
    let cache = Cache::default();
    for n in 0..60 {
        cache.script(&format!("/{n}"), [Tell(200, FromCache::NotStored { detail: Some(format!("d{n}")) })]);
    }
    let report = warm(&cache, numbered(60), &limits(0, 3)).await;
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["failures"].as_array().unwrap().len(), 20);
    assert_eq!((json["failed"].as_object().unwrap().len(), &json["failed"]["other"]), (51, &10.into()));
    assert_eq!((json["planned"].as_u64(), json["interrupted"].as_bool()), (Some(60), Some(false)));
}
