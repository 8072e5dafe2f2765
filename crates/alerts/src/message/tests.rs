use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{Event, Figure, Notice, Severity};

fn notice() -> Notice {
    Notice {
        event: Event::Fired,
        rule: "error-rate-critical".to_owned(),
        severity: Severity::Critical,
        figure: Figure::ErrorRate,
        value: 0.07,
        threshold: 0.05,
        since: 1_000.0,
        at: 1_040.5,
        text: "error rate 7.0 % is above 5.0 %".to_owned(),
        still: None,
        suppressed: 0,
    }
}

fn sender() -> Sender {
    Sender { node: "edge-1".to_owned(), page_url: Some("https://edge-1.example/admin/performance".to_owned()) }
}

fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn the_json_is_as_documented() {
    let body = json(&Notice { suppressed: 2, ..notice() }, 1, &Sender { page_url: None, ..sender() });
    let expected = json!({
        "version": 1,
        "event": "fired",
        "rule": "error-rate-critical",
        "severity": "critical",
        "figure": "error-rate",
        "value": 0.07,
        "threshold": 0.05,
        "since": 1000.0,
        "at": 1040.5,
        "node": "edge-1",
        "text": "error rate 7.0 % is above 5.0 %",
        "suppressed": 3,
    });
    assert_eq!(read(&body), expected);
    let still = Notice { event: Event::Recovered, still: Some("error-rate-warning".to_owned()), ..notice() };
    let body = read(&json(&still, 0, &sender()));
    assert_eq!((&body["event"], &body["still"]), (&json!("recovered"), &json!("error-rate-warning")));
    assert_eq!(body["page_url"], "https://edge-1.example/admin/performance");
}

#[test]
fn the_message_to_slack() {
    let expected = json!({
        "text": "[critical] edge-1: error rate 7.0 % is above 5.0 %",
        "attachments": [{
            "fallback": "[critical] edge-1: error rate 7.0 % is above 5.0 %",
            "color": "#d50200",
            "text": "error rate 7.0 % is above 5.0 %\n<https://edge-1.example/admin/performance|performance>\n1 alert before this one was not told",
            "fields": [
                { "title": "Node", "value": "edge-1", "short": true },
                { "title": "Rule", "value": "error-rate-critical", "short": true },
            ],
            "ts": 1040,
        }],
    });
    assert_eq!(read(&slack(&notice(), 1, &sender())), expected);
    let plain = read(&slack(&notice(), 0, &Sender { page_url: None, ..sender() }));
    assert_eq!(plain["attachments"][0]["text"], "error rate 7.0 % is above 5.0 %", "never empty");
    assert!(plain["attachments"][0]["ts"].is_i64());
}

#[test]
fn the_colour_tells_how_much_it_matters() {
    let color = |notice: Notice| read(&slack(&notice, 0, &sender()))["attachments"][0]["color"].clone();
    assert_eq!(color(Notice { severity: Severity::Warning, ..notice() }), "#de9e31");
    let recovered = Notice { event: Event::Recovered, ..notice() };
    assert_eq!(color(recovered.clone()), "#2eb886");
    assert_eq!(color(Notice { still: Some("error-rate-warning".to_owned()), ..recovered }), "#de9e31");
}

#[test]
fn a_name_means_nothing_to_slack() {
    let sender = Sender { node: "<!channel> & co".to_owned(), page_url: Some("https://h/a|b>".to_owned()) };
    let body = String::from_utf8(slack(&notice(), 0, &sender).to_vec()).unwrap();
    assert!(!body.contains("<!channel>") && body.contains("&lt;!channel&gt; &amp; co"), "{body}");
    assert!(body.contains("<https://h/a%7Cb&gt;|performance>"), "{body}");
}
