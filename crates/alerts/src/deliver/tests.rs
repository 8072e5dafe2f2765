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
    AlertConfig { webhook: Secret::new(url), attempts: 3, ..AlertConfig::default() }
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
async fn it_gives_up_after_the_last_attempt_and_goes_on_with_the_next() {
    let receiver = Receiver::start([503, 503, 429].map(Answer::status)).await;
    let notices = [notice(Event::Fired, "first"), notice(Event::Fired, "second")];
    let came = deliver(&to_webhook(receiver.url()), Duration::from_millis(1), &notices).await;
    assert_eq!((came[0].1, receiver.seen().len()), (counts(1, 1, 0), 4));
    assert_eq!(receiver.seen()[3].json()["rule"], "second");
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
    let came = deliver(&config, Duration::from_millis(1), &fired()).await;
    assert_eq!(came[0].1, counts(0, 1, 0));
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_tried_again() {
    let receiver = Receiver::start([Answer { silent: true, ..Answer::status(200) }]).await;
    let config = AlertConfig { timeout: Duration::from_millis(100), ..to_webhook(receiver.url()) };
    // The second attempt too may take longer than that on a busy machine.
    let config = AlertConfig { attempts: 20, ..config };
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
