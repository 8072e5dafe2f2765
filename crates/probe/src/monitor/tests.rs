use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use edge_cache_core::Timestamp;
use edge_cache_testkit::FakeClock;
use futures_util::{FutureExt, future::BoxFuture};
use http::StatusCode;
use tokio::time::{advance, sleep};

use super::*;
use crate::{Answer, AskError, By, Class};

/// Answers each way as it is told, in turn; then with a good answer of the origin.
#[derive(Clone, Default)]
struct Scripted(Arc<Inner>);

#[derive(Default)]
struct Inner {
    says: Mutex<VecDeque<(Way, Says)>>,
    asked: Mutex<Vec<(String, Way)>>,
    here: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Says {
    Status(u16, By),
    Takes(Duration),
    NoConnection,
    Broken,
    HalfABody,
    Large,
}

impl Scripted {
    fn will(&self, way: Way, says: impl IntoIterator<Item = Says>) {
        self.0.says.lock().extend(says.into_iter().map(|says| (way, says)));
    }
}

impl Ask for Scripted {
    fn ask(&self, question: &Question) -> BoxFuture<'static, Result<Answer, AskError>> {
        let (inner, way) = (Arc::clone(&self.0), question.way);
        inner.asked.lock().push((question.replay.to_string(), way));
        let says = {
            let mut says = inner.says.lock();
            let at = says.iter().position(|(of, _)| *of == way);
            at.and_then(|at| says.remove(at)).map_or(Says::Status(200, By::Origin), |(_, says)| says)
        };
        async move {
            let here = inner.here.fetch_add(1, Ordering::SeqCst) + 1;
            inner.most.fetch_max(here, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let answer = |status, by| {
                Ok(Answer { status: StatusCode::from_u16(status).unwrap(), by, detail: None, body_bytes: 1 })
            };
            let answer = match says {
                Says::Status(status, by) => answer(status, by),
                Says::Takes(time) => {
                    sleep(time).await;
                    answer(200, By::Origin)
                }
                Says::NoConnection => Err(AskError::Connect("refused".into())),
                Says::Broken => Err(AskError::Transport("reset".into())),
                Says::HalfABody => Err(AskError::BrokeOff("eof".into())),
                Says::Large => Err(AskError::TooLarge),
            };
            inner.here.fetch_sub(1, Ordering::SeqCst);
            answer
        }
        .boxed()
    }
}

fn check(name: &str, past: bool) -> CheckConfig {
    CheckConfig { name: name.to_owned(), path: format!("/{name}"), past, ..CheckConfig::default() }
}

fn monitor(asker: &Scripted, checks: Vec<CheckConfig>) -> Monitor<Scripted> {
    let config = MonitorConfig { authority: "h".to_owned(), check: checks, ..MonitorConfig::default() };
    let clock = FakeClock::at(Timestamp::from_secs(1_000)).shared();
    Monitor::new(&config, asker.clone()).unwrap().with_clock(clock)
}

#[tokio::test(start_paused = true)]
async fn a_dead_origin_is_seen_behind_a_warm_cache_and_so_is_its_recovery() {
    let asker = Scripted::default();
    asker.will(Way::Through, [Says::Status(200, By::Cache); 4]);
    asker.will(
        Way::Past,
        [
            Says::Status(200, By::Origin),
            Says::Status(200, By::Stale),
            Says::Status(502, By::Origin),
            Says::Status(200, By::Origin),
        ],
    );
    let monitor = monitor(&asker, vec![check("home", true)]);
    let view = monitor.view();
    assert!(view.snapshot().checks.iter().all(|check| check.state == State::Unknown && check.last.is_none()));
    assert_eq!(view.snapshot().day.uptime, None);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let finished = monitor.round().await;
        assert_eq!((finished[0].state, finished[0].way), (State::Up, Way::Through));
        let past = &finished[1];
        seen.push((past.before, past.state, past.last.class, past.consecutive_failures));
        advance(Duration::from_secs(60)).await;
    }
    assert_eq!(
        seen,
        [
            (State::Unknown, State::Up, Class::Ok, 0),
            (State::Up, State::Down, Class::NotAsked, 1),
            (State::Down, State::Down, Class::Status, 2),
            (State::Down, State::Up, Class::Ok, 0),
        ]
    );
    let MonitorSnapshot { rounds, last_round_at, day, checks } = view.snapshot();
    assert_eq!((rounds, last_round_at), (4, Some(1_180)));
    assert_eq!((day.checks, day.successes, day.failures, day.connection_errors), (8, 6, 2, 0));
    assert_eq!((checks[0].ok, checks[0].failed, checks[0].since), (4, 0, Some(1_000)));
    assert_eq!((checks[1].ok, checks[1].failed, checks[1].since), (2, 2, Some(1_180)));
    assert_eq!((checks[0].day.uptime, checks[1].day.uptime), (Some(1.0), Some(0.5)));
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_told_apart() {
    let asker = Scripted::default();
    let all = [
        (Says::Status(404, By::Origin), Class::Status, Some(404), "status 404, expected 2xx or 3xx"),
        (Says::NoConnection, Class::Connection, None, "no connection: refused"),
        (Says::Broken, Class::Connection, None, "the connection broke before an answer: reset"),
        (Says::HalfABody, Class::Body, None, "the body broke off: eof"),
        (Says::Large, Class::Body, None, "the body is longer than 16777216 bytes"),
        (Says::Takes(Duration::from_secs(6)), Class::Timeout, None, "no whole answer within 5s"),
    ];
    asker.will(Way::Through, all.map(|(says, ..)| says));
    let monitor = monitor(&asker, vec![check("home", false)]);
    for (_, class, status, error) in all {
        let finished = monitor.round().await;
        let last = &finished[0].last;
        assert_eq!((last.class, last.status, last.error.as_deref()), (class, status, Some(error)));
    }
    let day = monitor.snapshot().day;
    assert_eq!((day.checks, day.failures, day.connection_errors, day.uptime), (6, 6, 2, Some(0.0)));
    assert_eq!(monitor.snapshot().checks[0].last.as_ref().unwrap().millis, 5_000.0);
}

#[tokio::test(start_paused = true)]
async fn it_asks_through_the_cache_first_and_not_for_everything_at_once() {
    let asker = Scripted::default();
    let names: Vec<String> = (0..20).map(|at| format!("c{at}")).collect();
    let monitor = monitor(&asker, names.iter().map(|name| check(name, true)).collect());
    let finished = monitor.round().await;
    let order: Vec<_> = finished.iter().map(|one| (one.name.clone(), one.way)).collect();
    let expected: Vec<_> =
        names.iter().flat_map(|name| [(name.clone(), Way::Through), (name.clone(), Way::Past)]).collect();
    assert_eq!(order, expected);
    assert_eq!(asker.0.most.load(Ordering::SeqCst), CONCURRENCY);
    let asked = asker.0.asked.lock();
    let place = |way| asked.iter().position(|one| *one == ("http://h/c7".to_owned(), way)).unwrap();
    assert!(place(Way::Through) < place(Way::Past));
}

#[tokio::test(start_paused = true)]
async fn rounds_begin_at_once_and_come_at_their_time_one_after_the_other() {
    let asker = Scripted::default();
    let monitor = monitor(&asker, vec![check("home", false)]);
    let view = monitor.view();
    let running = tokio::spawn(monitor.run());
    for (seconds, rounds) in [(1, 1), (118, 1), (2, 2), (120, 3)] {
        sleep(Duration::from_secs(seconds)).await;
        assert_eq!(view.snapshot().rounds, rounds);
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_off_asks_for_nothing() {
    let asker = Scripted::default();
    let check = vec![check("home", true)];
    let config = MonitorConfig { enabled: false, authority: "h".to_owned(), check, ..MonitorConfig::default() };
    let running = tokio::spawn(Monitor::new(&config, asker.clone()).unwrap().run());
    sleep(Duration::from_secs(600)).await;
    assert!(asker.0.asked.lock().is_empty() && !running.is_finished());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_given_up_keeps_what_had_come() {
    let asker = Scripted::default();
    asker.will(Way::Past, [Says::Takes(Duration::from_secs(4))]);
    let monitor = monitor(&asker, vec![check("home", true)]);
    assert!(tokio::time::timeout(Duration::from_secs(1), monitor.round()).await.is_err());
    let snapshot = monitor.snapshot();
    assert_eq!((snapshot.rounds, snapshot.day.checks), (0, 1));
    assert_eq!(snapshot.checks.iter().map(|check| check.state).collect::<Vec<_>>(), [State::Up, State::Unknown]);
}

#[tokio::test(start_paused = true)]
async fn a_day_later_only_the_last_day_counts() {
    let asker = Scripted::default();
    asker.will(Way::Through, [Says::NoConnection]);
    let monitor = monitor(&asker, vec![check("home", false)]);
    monitor.round().await;
    advance(Duration::from_secs(24 * 3600)).await;
    monitor.round().await;
    let snapshot = monitor.snapshot();
    assert_eq!((snapshot.day.checks, snapshot.day.uptime), (1, Some(1.0)));
    assert_eq!((snapshot.checks[0].ok, snapshot.checks[0].failed), (1, 1));
}
