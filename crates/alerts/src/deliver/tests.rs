use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use self::receiver::{Answer, Receiver};
use super::*;
use crate::{Event, Figure, Secret, Severity, deliver::queue::WAITING_MAX};

mod receiver;
mod tls;

/// Far longer than any of this takes.
const LONG: Duration = Duration::from_secs(60);
/// Longer still: whoever waits for this waits in vain.
const FOREVER: Duration = Duration::from_secs(3600);

pub(super) fn notice(event: Event, rule: &str) -> Notice {
    Notice {
        event,
        rule: rule.to_owned(),
        severity: Severity::Critical,
        figure: Figure::ErrorRate,
        value: 0.07,
        threshold: 0.05,
        since: 1_000.0,
        at: 1_040.0,
        text: "error rate 7.0 % is above 5.0 %".to_owned(),
        still: None,
        suppressed: 0,
    }
}

fn to_webhook(url: String) -> AlertConfig {
    AlertConfig { webhook: Secret::new(url), ..AlertConfig::default() }
}

/// A courier that waits at random up to `first` between attempts, but hardly less.
fn courier(config: &AlertConfig, first: Duration) -> (Courier, Delivery) {
    let sender = Sender { node: "edge-1".to_owned(), page_url: None };
    Courier::build(config, sender, Backoff::new(first, || 0.99), post::connector()).unwrap()
}

/// Sends `notices` and tells what came of them.
async fn deliver(config: &AlertConfig, first: Duration, notices: &[Notice]) -> Vec<(Channel, DeliveryCounts)> {
    let (courier, delivery) = courier(config, first);
    notices.iter().for_each(|notice| courier.send(notice));
    let lanes = Arc::clone(&courier.lanes);
    drop(courier);
    timeout(LONG, delivery.run()).await.expect("it ends when all is sent");
    lanes.iter().map(|lane| (lane.channel, lane.counts())).collect()
}

const fn counts(sent: u64, failed: u64, suppressed: u64) -> DeliveryCounts {
    DeliveryCounts { sent, failed, suppressed }
}

fn fired() -> [Notice; 1] {
    [notice(Event::Fired, "error-rate-critical")]
}

#[tokio::test]
async fn both_receivers_get_what_each_understands() {
    let (slack, webhook) = (Receiver::start([]).await, Receiver::start([]).await);
    let config = AlertConfig {
        slack: Secret::new(slack.url()),
        authorization: Secret::new("Bearer s3cr3t"),
        ..to_webhook(webhook.url())
    };
    let came = deliver(&config, FOREVER, &fired()).await;
    assert_eq!(came, [(Channel::Slack, counts(1, 0, 0)), (Channel::Webhook, counts(1, 0, 0))]);
    let to_slack = slack.seen().remove(0);
    assert_eq!(to_slack.json()["attachments"][0]["color"], "#d50200");
    assert_eq!(to_slack.header("authorization"), None, "the credential is for the other");
    let to_webhook = webhook.seen().remove(0);
    assert_eq!((to_webhook.method.as_str(), to_webhook.path.as_str()), ("POST", "/hook/s3cr3t"));
    assert_eq!(to_webhook.header("authorization"), Some("Bearer s3cr3t"));
    assert_eq!(to_webhook.header("content-type"), Some("application/json"));
    assert_eq!(
        (&to_webhook.json()["event"], &to_webhook.json()["node"]),
        (&Value::from("fired"), &Value::from("edge-1"))
    );
}

#[tokio::test]
async fn what_fails_for_now_is_tried_again() {
    let receiver = Receiver::start([Answer::status(503), Answer::status(500)]).await;
    let came = deliver(&to_webhook(receiver.url()), Duration::from_millis(1), &fired()).await;
    assert_eq!((came[0].1, receiver.seen().len()), (counts(1, 0, 0), 3));
    let bodies = receiver.seen().into_iter().map(|seen| seen.body);
    assert!(bodies.clone().all(|body| Some(body) == bodies.clone().next()), "the same each time");
}

#[tokio::test]
async fn a_receiver_that_says_when_is_asked_then() {
    // Of itself it would wait in vain.
    let again = || Answer { retry_after: Some("0"), ..Answer::status(429) };
    let receiver = Receiver::start([again(), again()]).await;
    let came = deliver(&to_webhook(receiver.url()), FOREVER, &fired()).await;
    assert_eq!((came[0].1, receiver.seen().len()), (counts(1, 0, 0), 3));
}

#[tokio::test]
async fn what_would_be_too_old_at_the_next_attempt_is_given_up_and_the_next_is_sent() {
    let receiver = Receiver::start([Answer::status(503)]).await;
    let notices = [notice(Event::Fired, "first"), notice(Event::Fired, "second")];
    let config = AlertConfig { keep: LONG, ..to_webhook(receiver.url()) };
    let came = deliver(&config, FOREVER, &notices).await;
    assert_eq!((came[0].1, receiver.seen().len()), (counts(1, 1, 0), 2));
    assert_eq!(receiver.seen()[1].json()["rule"], "second");
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    for status in [400, 401, 404, 410] {
        let receiver = Receiver::start([Answer::status(status)]).await;
        let came = deliver(&to_webhook(receiver.url()), FOREVER, &fired()).await;
        assert_eq!((came[0].1, receiver.seen().len()), (counts(0, 1, 0), 1), "{status}");
    }
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let elsewhere = Receiver::start([]).await;
    let location = Some(elsewhere.url());
    let receiver = Receiver::start([Answer { location, ..Answer::status(307) }]).await;
    let came = deliver(&to_webhook(receiver.url()), FOREVER, &fired()).await;
    assert_eq!((came[0].1, receiver.seen().len(), elsewhere.seen().len()), (counts(0, 1, 0), 1, 0));
}

#[tokio::test]
async fn who_cannot_be_reached_is_tried_again_and_holds_nobody_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let receiver = Receiver::start([]).await;
    let config = AlertConfig { slack: Secret::new(gone), ..to_webhook(receiver.url()) };
    let (courier, delivery) = courier(&config, FOREVER);
    let work = tokio::spawn(delivery.run());
    courier.send(&fired()[0]);
    receiver.has_seen(1).await;
    assert_eq!(courier.counts().next(), Some((Channel::Slack, counts(0, 0, 0))), "it waits");
    work.abort();
}

/// An address where nobody listens, until `listen` has somebody do so.
struct Down(tokio::net::TcpSocket);

impl Down {
    fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }

    fn listen(self) -> Receiver {
        Receiver::start_at(self.0.listen(16).unwrap(), [])
    }
}

/// Attempts, each of which asks for a number: whoever waits for one hears of it.
fn counted_backoff() -> (Backoff, tokio::sync::watch::Receiver<u32>) {
    let (count, counted) = tokio::sync::watch::channel(0);
    let unit = move || {
        count.send_modify(|count| *count += 1);
        0.99
    };
    (Backoff::new(Duration::from_millis(1), unit), counted)
}

async fn has_failed(counted: &mut tokio::sync::watch::Receiver<u32>, times: u32) {
    timeout(LONG, counted.wait_for(|count| *count >= times)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_receiver_that_comes_up_later_hears_each_message_once_and_in_order() {
    let down = Down::new();
    let (backoff, mut failed) = counted_backoff();
    let (courier, delivery) =
        Courier::build(&to_webhook(down.url()), Sender::default(), backoff, post::connector()).unwrap();
    let work = tokio::spawn(delivery.run());
    let told = ["a", "b", "c", "d"];
    told.iter().for_each(|rule| courier.send(&notice(Event::Fired, rule)));
    // More than once was all there was.
    has_failed(&mut failed, 7).await;
    let receiver = down.listen();
    receiver.has_seen(told.len()).await;
    courier.send(&notice(Event::Recovered, "a"));
    let lane = Arc::clone(&courier.lanes[0]);
    drop(courier);
    timeout(LONG, work).await.unwrap().unwrap();
    let heard: Vec<_> = receiver.seen().iter().map(|seen| seen.json()["rule"].clone()).collect();
    assert_eq!(heard, ["a", "b", "c", "d", "a"]);
    assert_eq!(lane.counts(), counts(5, 0, 0));
}

#[tokio::test]
async fn what_comes_and_goes_while_the_receiver_is_down_is_dropped_and_counted() {
    let down = Down::new();
    let (backoff, mut failed) = counted_backoff();
    let (courier, delivery) =
        Courier::build(&to_webhook(down.url()), Sender::default(), backoff, post::connector()).unwrap();
    let work = tokio::spawn(delivery.run());
    courier.send(&notice(Event::Fired, "tried"));
    courier.send(&notice(Event::Fired, "lasting"));
    courier.send(&notice(Event::Fired, "untried"));
    has_failed(&mut failed, 2).await;
    courier.send(&notice(Event::Recovered, "untried"));
    courier.send(&notice(Event::Recovered, "tried"));
    let lane = Arc::clone(&courier.lanes[0]);
    let until = *failed.borrow() + 3;
    has_failed(&mut failed, until).await;
    let receiver = down.listen();
    receiver.has_seen(1).await;
    drop(courier);
    timeout(LONG, work).await.unwrap().unwrap();
    let seen = receiver.seen();
    assert_eq!((seen.len(), &seen[0].json()["rule"]), (1, &Value::from("lasting")));
    assert_eq!(seen[0].json()["suppressed"], 2, "alerts");
    assert_eq!(lane.counts(), counts(1, 0, 4), "messages");
}

#[tokio::test]
async fn an_end_is_told_where_the_beginning_may_have_been_heard() {
    let receiver = Receiver::start([Answer { silent: true, ..Answer::status(200) }]).await;
    let config = AlertConfig { timeout: Duration::from_millis(100), ..to_webhook(receiver.url()) };
    let (courier, delivery) = courier(&config, Duration::from_millis(1));
    let work = tokio::spawn(delivery.run());
    courier.send(&notice(Event::Fired, "a"));
    receiver.has_seen(1).await;
    courier.send(&notice(Event::Recovered, "a"));
    let lane = Arc::clone(&courier.lanes[0]);
    drop(courier);
    timeout(LONG, work).await.unwrap().unwrap();
    assert_eq!(receiver.seen().last().unwrap().json()["event"], "recovered");
    assert_eq!(lane.counts(), counts(2, 0, 0));
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_tried_again() {
    let receiver = Receiver::start([Answer { silent: true, ..Answer::status(200) }]).await;
    let config = AlertConfig { timeout: Duration::from_millis(100), ..to_webhook(receiver.url()) };
    let came = deliver(&config, Duration::from_millis(1), &fired()).await;
    assert!(came[0].1 == counts(1, 0, 0) && receiver.seen().len() >= 2);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let receiver = Receiver::start([Answer { endless: true, ..Answer::status(200) }]).await;
    let came = deliver(&to_webhook(receiver.url()), FOREVER, &fired()).await;
    assert_eq!(came[0].1, counts(1, 0, 0));
}

#[tokio::test]
async fn what_is_too_much_is_dropped_counted_and_told() {
    let receiver = Receiver::start([]).await;
    let mut notices = vec![notice(Event::Fired, "dropped"); 3];
    notices.extend(vec![notice(Event::Recovered, "kept"); WAITING_MAX]);
    let came = deliver(&to_webhook(receiver.url()), FOREVER, &notices).await;
    let sent = u64::try_from(WAITING_MAX).unwrap();
    assert_eq!(came[0].1, counts(sent, 0, 3));
    let told: Vec<_> = receiver.seen().iter().map(|seen| seen.json()["suppressed"].as_u64().unwrap()).collect();
    assert_eq!((told[0], told.iter().sum::<u64>()), (3, 3));
}

#[tokio::test]
async fn without_a_receiver_the_work_lasts_as_long_as_the_courier() {
    let (courier, delivery) = courier(&AlertConfig::default(), FOREVER);
    let work = tokio::spawn(delivery.run());
    courier.send(&fired()[0]);
    tokio::task::yield_now().await;
    assert!(!work.is_finished() && courier.counts().next().is_none());
    drop(courier);
    timeout(LONG, work).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let config = AlertConfig {
        slack: Secret::new("https://hooks.slack.com/s3cr3t"),
        authorization: Secret::new("s3cr3t"),
        ..to_webhook("http://h/s3cr3t".to_owned())
    };
    let (courier, delivery) = courier(&config, FOREVER);
    let shown = format!("{courier:?} {delivery:#?} {config:?}");
    assert!(shown.contains("Webhook") && !shown.contains("s3cr3t"), "{shown}");
    let wrong = AlertConfig { authorization: Secret::new("s3cr3t\n"), ..config };
    let error = Courier::new(&wrong, Sender::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
}
