use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{Priority, Served, marker::PurgeKind};
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::{Notify, mpsc};
use tower::{Layer, Service, ServiceExt};

use crate::origin::{Bench, Body, Origin, answer, ask, get};

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// An origin that answers only when told to.
fn held(headers: &'static [(&'static str, &'static str)]) -> (Origin, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |n, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            answer(200, headers, format!("body {n}"))
        }
    });
    (origin, gate)
}

/// Opens `gate` for whoever waits there, time and again, so that every fill that comes to it goes on.
async fn keep_opening(gate: &Notify) {
    for _ in 0..200 {
        tokio::task::yield_now().await;
        gate.notify_waiters();
    }
}

/// An origin whose first body comes in pieces from a channel.
fn streamed(
    headers: &'static [(&'static str, &'static str)],
) -> (Origin, mpsc::UnboundedSender<Result<Bytes, &'static str>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let origin = Origin::new(move |n, _| {
        let receiver = receiver.lock().unwrap().take();
        async move {
            let Some(receiver) = receiver else { return answer(200, headers, format!("body {n}")) };
            let frames = stream::unfold(receiver, |mut receiver| async move {
                let piece: Result<Bytes, &str> = receiver.recv().await?;
                Some((piece.map(Frame::data).map_err(Into::into), receiver))
            });
            let body: Body = BodyExt::boxed_unsync(StreamBody::new(frames.boxed()));
            let mut response = Response::new(body);
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
    });
    (origin, sender)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_on_a_cold_key_are_one_fill() {
    let (origin, gate) = held(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let clients = join_all((0..1000).map(|_| ask(&stack, get("/a"))));
    let release = async {
        tokio::task::yield_now().await;
        gate.notify_waiters();
        gate.notify_one();
    };
    let (answers, ()) = tokio::join!(clients, release);
    assert_eq!(origin.calls(), 1);
    assert!(answers.iter().all(|got| got.text == "body 0"));
    let served = |what| answers.iter().filter(|got| got.outcome.unwrap().served == what).count();
    assert_eq!((served(Served::Miss), served(Served::Coalesced)), (1, 999));
    assert!(answers[999].cache_status().contains("collapsed"));
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_wait_for_what_is_asked_in_advance() {
    let (bench, (origin, gate)) = (Bench::new(Mode::Guarded), held(MINUTE));
    let stack = bench.over(&origin);
    let asked = |warm: bool| {
        let request = if warm { get("/a").extension(Priority::Warm) } else { get("/a") };
        let mut asked = Box::pin(ask(&stack, request));
        // On its way before the next one comes.
        assert!((&mut asked).now_or_never().is_none());
        asked
    };
    let warming = asked(true);
    let clients: Vec<_> = (0..10).map(|_| asked(false)).collect();
    let late = asked(true);
    let (warming, clients, late, ()) = tokio::join!(warming, join_all(clients), late, keep_opening(&gate));
    for client in clients {
        assert_eq!(client.text, "body 1", "the clients' own, one for all of them");
    }
    assert_eq!(late.text, "body 1", "whoever warms joins them");
    assert_eq!((warming.text.as_str(), origin.calls()), ("body 0", 2));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_loses_neither_the_waiters_nor_the_entry() {
    let (origin, gate) = held(MINUTE);
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    let stack = bench.outside(tier.layer(origin.clone()));
    let mut leader = Box::pin(ask(&stack, get("/a")));
    assert!(leader.as_mut().now_or_never().is_none());
    let mut waiter = Box::pin(ask(&stack, get("/a")));
    assert!(waiter.as_mut().now_or_never().is_none());
    drop(leader);
    gate.notify_one();
    assert_eq!(waiter.await.text, "body 0");
    tier.drain().await;
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=60");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_wakes_everybody() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |_, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            panic!("the origin's own fault")
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let clients = join_all((0..3).map(|_| ask(&stack, get("/a"))));
    let release = keep_opening(&gate);
    let (answers, ()) = tokio::join!(clients, release);
    assert!(answers.iter().all(|got| got.status == 503 && got.header("retry-after").is_some()));
    assert!(origin.calls() <= 2, "one more leader tries for all");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_is_cut_for_everybody() {
    let origin = Origin::new(|_, _| async {
        let frames = stream::iter(["a", "b"]).then(|text| async move {
            // Long enough for both to be there.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            assert_eq!(text, "a", "the body's own fault");
            Ok(Frame::data(Bytes::from(text)))
        });
        answer(200, &[("cache-control", "max-age=60")], "").map(|_| StreamBody::new(frames).boxed_unsync())
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let read = async || {
        let request = get("/a").body(http_body_util::Full::<Bytes>::default()).unwrap();
        let mut body = stack.clone().oneshot(request).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        (first, body.frame().await.unwrap().is_err())
    };
    let cut = (Bytes::from("a"), true);
    assert_eq!(tokio::join!(read(), read()), (cut.clone(), cut));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiters_of_an_answer_that_cannot_be_shared_ask_for_themselves() {
    let (origin, gate) = held(&[("cache-control", "max-age=60"), ("set-cookie", "a=1")]);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let clients = join_all((0..5).map(|_| ask(&stack, get("/a"))));
    let release = keep_opening(&gate);
    let (answers, ()) = tokio::join!(clients, release);
    let mut texts: Vec<_> = answers.iter().map(|got| got.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["body 0", "body 1", "body 2", "body 3", "body 4"], "no cookie is shared");
}

#[tokio::test(start_paused = true)]
async fn a_failing_leader_does_not_send_its_waiters_to_the_origin() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |_, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            answer(503, &[], "down")
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let clients = join_all((0..50).map(|_| ask(&stack, get("/a"))));
    let release = keep_opening(&gate);
    let (answers, ()) = tokio::join!(clients, release);
    assert!(answers.iter().all(|got| got.status == 503));
    assert_eq!(origin.calls(), 2, "one more leader tries for all");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_waits_no_longer_than_its_limit() {
    let slow = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&slow);
    let origin = Origin::new(move |n, _| {
        let count = Arc::clone(&count);
        async move {
            if n == 0 {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            answer(200, MINUTE, format!("body {n}"))
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let mut leader = Box::pin(ask(&stack, get("/a")));
    assert!(leader.as_mut().now_or_never().is_none());
    let began = tokio::time::Instant::now();
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(slow.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_reaches_its_readers_as_it_grows() {
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let open = || async {
        stack
            .clone()
            .oneshot(get("/a").body(http_body_util::Full::<bytes::Bytes>::default()).unwrap())
            .await
            .unwrap()
            .into_body()
    };
    let mut leader = open().await;
    pieces.send(Ok("one ".into())).unwrap();
    assert_eq!(leader.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
    let mut waiter = open().await;
    assert_eq!(waiter.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
    pieces.send(Ok("two".into())).unwrap();
    assert_eq!(waiter.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    drop(pieces);
    assert!(waiter.frame().await.is_none());
    assert_eq!(ask(&stack, get("/a")).await.text, "one two");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_is_an_error_and_is_not_stored() {
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let mut service = stack.clone();
    let mut body = service
        .call(get("/a").body(http_body_util::Full::<bytes::Bytes>::default()).unwrap())
        .await
        .unwrap()
        .into_body();
    pieces.send(Ok("half".into())).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    pieces.send(Err("connection reset")).unwrap();
    assert!(body.frame().await.unwrap().is_err());
    let next = ask(&stack, get("/a")).await;
    assert_eq!(
        (next.text.as_str(), next.cache_status().as_str()),
        ("body 1", "edge-memory; fwd=uri-miss; ttl=60; stored")
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_too_large_to_keep_streams_on_unstored() {
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let chunk = Bytes::from(vec![b'x'; 300 << 10]);
    let feed = async {
        for _ in 0..10 {
            pieces.send(Ok(chunk.clone())).unwrap();
            tokio::task::yield_now().await;
        }
        drop(pieces);
    };
    let (got, ()) = tokio::join!(ask(&stack, get("/a")), feed);
    assert_eq!(got.text.len(), 10 * (300 << 10));
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
}

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_driven_ready_by_the_fill_alone() {
    let bench = Bench::new(Mode::Guarded);
    let (inner, mut handle) = tower_test::mock::pair::<http::Request<http_body_util::Full<Bytes>>, Response<Body>>();
    let mut tier = bench.memory().layer(inner);
    handle.allow(0);
    assert!(futures_util::future::poll_fn(|cx| tier.poll_ready(cx)).now_or_never().is_some(), "always ready");
}

#[tokio::test(start_paused = true)]
async fn a_leader_s_own_failure_is_not_everybody_s() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |n, req| {
        let wait = Arc::clone(&wait);
        async move {
            if n == 0 {
                wait.notified().await;
            }
            match req.headers().contains_key("x-poison") {
                true => answer(500, &[], "poisoned"),
                false => answer(200, MINUTE, "good"),
            }
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let mut leader = Box::pin(ask(&stack, get("/a").header("x-poison", "1")));
    assert!(leader.as_mut().now_or_never().is_none());
    let others = join_all((0..50).map(|_| ask(&stack, get("/a"))));
    let release = async {
        tokio::task::yield_now().await;
        gate.notify_one();
    };
    let (leader, others, ()) = tokio::join!(leader, others, release);
    assert_eq!(leader.status, 500);
    assert!(others.iter().all(|got| got.text == "good"));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_must_be_validated_before_each_use_is_not_shared() {
    let (origin, gate) = held(&[("cache-control", "no-cache"), ("etag", "\"v\"")]);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let clients = join_all((0..3).map(|_| ask(&stack, get("/a"))));
    let release = keep_opening(&gate);
    let (answers, ()) = tokio::join!(clients, release);
    let mut texts: Vec<_> = answers.iter().map(|got| got.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["body 0", "body 1", "body 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_forbids_storing_does_not_switch_coalescing_off() {
    for (name, value) in [("cache-control", "no-store"), ("authorization", "x")] {
        let (origin, gate) = held(MINUTE);
        let stack = Bench::new(Mode::Guarded).over(&origin);
        let mut first = Box::pin(ask(&stack, get("/a").header(name, value)));
        assert!(first.as_mut().now_or_never().is_none());
        let others = join_all((0..100).map(|_| ask(&stack, get("/a"))));
        let release = keep_opening(&gate);
        let (_, others, ()) = tokio::join!(first, others, release);
        assert!(others.iter().all(|got| got.status == 200));
        assert_eq!(origin.calls(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_stalls_in_its_body_does_not_hold_the_key() {
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let mut body = stack
        .clone()
        .oneshot(get("/a").body(http_body_util::Full::<bytes::Bytes>::default()).unwrap())
        .await
        .unwrap()
        .into_body();
    pieces.send(Ok("half".into())).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err(), "cut after the longest silence");
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
}

#[tokio::test(start_paused = true)]
async fn a_body_shorter_than_it_said_is_cut_and_not_stored() {
    let (origin, pieces) = streamed(&[("cache-control", "max-age=60"), ("content-length", "6")]);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let mut body = stack
        .clone()
        .oneshot(get("/a").body(http_body_util::Full::<bytes::Bytes>::default()).unwrap())
        .await
        .unwrap()
        .into_body();
    pieces.send(Ok("four".into())).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    drop(pieces);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; fwd=uri-miss; ttl=60; stored");
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_is_all_there_reaches_its_leader() {
    let origin = Origin::new(|_, _| async move {
        let frames = stream::iter((0..40).map(|_| Ok(Frame::data(Bytes::from(vec![b'x'; 64 << 10])))));
        let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
        response.headers_mut().insert("cache-control", "max-age=60".parse().unwrap());
        response
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for _ in 0..3 {
        let got = ask(&stack, get("/a")).await;
        assert_eq!((got.status.as_u16(), got.text.len()), (200, 40 * (64 << 10)));
    }
}

#[tokio::test(start_paused = true)]
async fn variants_asked_for_at_once_are_one_fill_each() {
    let (origin, gate) = held(&[("cache-control", "max-age=60"), ("vary", "accept-encoding")]);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let coding = |n: usize| if n.is_multiple_of(2) { "gzip" } else { "br" };
    let clients = join_all((0..200).map(|n| ask(&stack, get("/a").header("accept-encoding", coding(n)))));
    let release = keep_opening(&gate);
    let (answers, ()) = tokio::join!(clients, release);
    assert!(answers.iter().all(|got| got.status == 200));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_too_get_the_stale_copy_of_a_slow_origin() {
    let origin = Origin::new(|n, _| async move {
        if n > 0 {
            tokio::time::sleep(Duration::from_millis(1900)).await;
        }
        answer(200, &[("cache-control", "max-age=10, stale-if-error=600")], format!("{n}"))
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    ask(&stack, get("/a")).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let began = tokio::time::Instant::now();
    let answers = join_all((0..10).map(|_| ask(&stack, get("/a")))).await;
    assert!(answers.iter().all(|got| got.text == "0"));
    assert!(began.elapsed() <= Duration::from_millis(151), "{:?}", began.elapsed());
}

/// An origin that takes this long from its second answer on, or from its first.
fn slow(headers: &'static [(&'static str, &'static str)], takes: Duration, from: usize) -> Origin {
    Origin::new(move |n, _| async move {
        if n >= from {
            tokio::time::sleep(takes).await;
        }
        answer(200, headers, format!("body {n}"))
    })
}

#[tokio::test(start_paused = true)]
async fn an_origin_slower_than_waiters_wait_is_asked_by_one_more_at_a_time() {
    for (takes, most) in [(3, 2), (7, 4)] {
        let origin = slow(MINUTE, Duration::from_secs(takes), 0);
        let stack = Bench::new(Mode::Guarded).over(&origin);
        let answers = join_all((0..300).map(|_| ask(&stack, get("/a")))).await;
        assert!(answers.iter().all(|got| got.status == 200), "all are answered");
        assert!(origin.calls() <= most, "{} fills in {takes} s", origin.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_all_wait_for_what_is_slow_sends_nobody_away_and_one_more_to_the_origin() {
    let headers: &[(&str, &str)] = &[("cache-control", "max-age=1, stale-if-error=60")];
    for kind in [PurgeKind::Soft, PurgeKind::Hard] {
        let origin = slow(headers, Duration::from_millis(500), 1);
        let bench = Bench::new(Mode::Guarded);
        let stack = bench.over(&origin);
        ask(&stack, get("/a")).await;
        tokio::time::advance(Duration::from_secs(5)).await;
        let purge = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            bench.purger.purge(&Purge { targets: vec![Target::All], kind }).await.unwrap();
        };
        let (answers, ()) = tokio::join!(join_all((0..300).map(|_| ask(&stack, get("/a")))), purge);
        for got in &answers {
            assert_eq!((got.status.as_u16(), got.text != "body 0"), (200, true), "{}", got.cache_status());
        }
        assert!(origin.calls() <= 3, "{kind:?}: {} fills", origin.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_that_nobody_reads_is_given_up_after_a_while() {
    for (pieces, is_kept) in [(8, true), (20, false)] {
        let (origin, pieces_of) = streamed(MINUTE);
        let bench = Bench::new(Mode::Guarded);
        let tier = bench.memory();
        let stack = bench.outside(tier.layer(origin.clone()));
        pieces_of.send(Ok(Bytes::from_static(b"first "))).unwrap();
        let response = stack.clone().oneshot(get("/a").body(crate::origin::body("")).unwrap()).await.unwrap();
        drop(response);
        // A piece a second.
        for _ in 0..pieces {
            tokio::time::sleep(Duration::from_secs(1)).await;
            pieces_of.send(Ok(Bytes::from_static(b"more "))).ok();
        }
        drop(pieces_of);
        tier.drain().await;
        let next = ask(&stack, get("/a")).await;
        assert_eq!(next.cache_status().contains("hit"), is_kept, "{pieces} s: {}", next.cache_status());
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_body_that_its_leader_left_reads_it_to_its_end() {
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    pieces.send(Ok(Bytes::from_static(b"first "))).unwrap();
    drop(stack.clone().oneshot(get("/a").body(crate::origin::body("")).unwrap()).await.unwrap());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let rest = async move {
        // Longer than what nobody reads is waited for, and shorter than the longest silence.
        tokio::time::sleep(Duration::from_secs(20)).await;
        pieces.send(Ok(Bytes::from_static(b"last"))).unwrap();
    };
    let (joined, ()) = tokio::join!(ask(&stack, get("/a")), rest);
    assert_eq!(joined.text, "first last");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_what_is_too_large_to_keep_gets_all_of_it() {
    const PIECES: usize = 40;
    let (origin, pieces) = streamed(MINUTE);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for _ in 0..PIECES {
        pieces.send(Ok(Bytes::from(vec![b'x'; 64 << 10]))).unwrap();
    }
    drop(pieces);
    let request = get("/a").body(crate::origin::body("")).unwrap();
    let mut body = stack.clone().oneshot(request).await.unwrap().into_body();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        len += frame.unwrap().into_data().unwrap().len();
        // Longer than the origin may be silent, once for each window.
        if len % (1 << 20) == 0 {
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    }
    assert_eq!(len, PIECES * (64 << 10));
}
