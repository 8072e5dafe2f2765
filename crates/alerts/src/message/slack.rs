use bytes::Bytes;
use serde_json::{Value, json};

use super::Sender;
use crate::{Event, Notice, Severity};

const RED: &str = "#d50200";
const AMBER: &str = "#de9e31";
const GREEN: &str = "#2eb886";

/// The body that an incoming webhook of Slack takes: a line for notifications, and what stands beside a bar of colour.
pub(crate) fn slack(notice: &Notice, dropped: u64, sender: &Sender) -> Bytes {
    let (word, color) = match (notice.event, notice.severity) {
        // The figure is still bad enough for a warning.
        (Event::Recovered, _) if notice.still.is_some() => ("recovered", AMBER),
        (Event::Recovered, _) => ("recovered", GREEN),
        (Event::Fired, Severity::Critical) => ("critical", RED),
        (Event::Fired, Severity::Warning) => ("warning", AMBER),
    };
    let line = format!("[{word}] {}: {}", escaped(&sender.node), escaped(&notice.text));
    // Slack refuses an attachment that says nothing.
    let mut lines = vec![escaped(&notice.text)];
    if let Some(url) = &sender.page_url {
        // A bar would begin the link's text.
        lines.push(format!("<{}|performance>", escaped(url).replace('|', "%7C")));
    }
    match notice.suppressed.saturating_add(dropped) {
        0 => {}
        1 => lines.push("1 alert before this one was not told".to_owned()),
        many => lines.push(format!("{many} alerts before this one were not told")),
    }
    let body = json!({
        "text": line,
        "attachments": [{
            // Where attachments are not shown, as in notifications.
            "fallback": line,
            "color": color,
            "text": lines.join("\n"),
            "fields": [field("Node", &sender.node), field("Rule", &notice.rule)],
            // Whole seconds: a float is told as no time by some clients.
            "ts": notice.at as i64,
        }],
    });
    body.to_string().into()
}

fn field(title: &str, value: &str) -> Value {
    json!({ "title": title, "value": escaped(value), "short": true })
}

/// What Slack's markup gives a meaning to, without it: a name must not mention a channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
