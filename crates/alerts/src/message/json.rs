use bytes::Bytes;
use serde::Serialize;

use super::Sender;
use crate::{Event, Figure, Notice, Severity};

/// Raised when a field goes or changes its meaning; new fields do not.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Message<'a> {
    version: u8,
    event: Event,
    rule: &'a str,
    severity: Severity,
    figure: Figure,
    value: f64,
    threshold: f64,
    since: f64,
    at: f64,
    node: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    still: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_url: Option<&'a str>,
    suppressed: u64,
}

/// One JSON object; times in seconds since the Unix epoch, values in the figure's unit.
pub(crate) fn json(notice: &Notice, dropped: u64, sender: &Sender) -> Bytes {
    let Notice { event, rule, severity, figure, value, threshold, since, at, text, still, suppressed } = notice;
    let message = Message {
        version: VERSION,
        event: *event,
        rule,
        severity: *severity,
        figure: *figure,
        value: *value,
        threshold: *threshold,
        since: *since,
        at: *at,
        node: &sender.node,
        text,
        still: still.as_deref(),
        page_url: sender.page_url.as_deref(),
        suppressed: suppressed.saturating_add(dropped),
    };
    serde_json::to_vec(&message).expect("a struct of texts and numbers").into()
}
