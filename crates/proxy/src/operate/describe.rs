//! Answers of the admin listener, in words.

use std::fmt::Write;

use serde_json::Value;

const FITS: &str = "writing to a String cannot fail";

pub(super) fn purge(answer: &Value) -> String {
    let kind = answer["kind"].as_str().unwrap_or_default();
    let directories: Vec<String> = answer["directories"].as_array().into_iter().flatten().map(plain).collect();
    let below =
        if directories.is_empty() { String::new() } else { format!(", all below {}", directories.join(" and ")) };
    if answer["dry_run"] == true {
        let would = &answer["would_purge"];
        let redis = would["redis"].as_str().unwrap_or_default();
        return format!("would purge {kind}{below}: {} entries in memory; redis: {redis}", would["memory"]);
    }
    match (&answer["seq"], answer["acknowledged"].as_bool()) {
        (Value::Null, _) => format!("purged {kind}{below} on this node, and queued for the others: redis is away"),
        (seq, Some(true)) => format!("purged {kind}{below}, number {seq}: acknowledged"),
        (seq, _) => format!("purged {kind}{below}, number {seq}: not yet known to be everywhere"),
    }
}

pub(super) fn explanation(answer: &Value) -> String {
    let mut text = String::new();
    writeln!(text, "{}", plain(&answer["url"])).expect(FITS);
    if answer["key"].is_null() {
        write!(text, "  no key: goes past the cache ({})", plain(&answer["bypass"])).expect(FITS);
        return text;
    }
    let key = &answer["key"];
    writeln!(text, "  key      {}", plain(&key["digest"])).expect(FITS);
    let query = plain(&key["query"]);
    let question = if query.is_empty() { "" } else { "?" };
    let (scheme, authority, path) = (plain(&key["scheme"]), plain(&key["authority"]), plain(&key["path"]));
    writeln!(text, "           {scheme}://{authority}{path}{question}{query}").expect(FITS);
    writeln!(text, "  route    {}, policy {}", plain(&key["route"]), plain(&key["policy"])).expect(FITS);
    if let Some(reason) = answer["goes_past"]["reason"].as_str() {
        writeln!(text, "  this request {reason}").expect(FITS);
    }
    for tier in answer["tiers"].as_array().into_iter().flatten() {
        describe_tier(&mut text, tier);
    }
    text.trim_end().to_owned()
}

fn describe_tier(text: &mut String, tier: &Value) {
    writeln!(text).expect(FITS);
    let mut line = |name: &str, what: &str| writeln!(text, "    {name:<9} {what}").expect(FITS);
    line(&plain(&tier["tier"]), &plain(&tier["outcome"]));
    if let Some(why) = tier["unused"].as_str() {
        line("unused", why);
    }
    if let Some(names) = tier["varies_by"].as_array() {
        let names: Vec<String> = names.iter().map(plain).collect();
        line("varies", &format!("by {}; {} variants kept", names.join(", "), tier["variants"]));
    }
    if let Some(why) = tier["not_stored_because"].as_str() {
        line("unstored", &format!("the last answer was not kept: {why}"));
    }
    if tier["origin_failed_of_late"] == true {
        line("origin", "failed for it a moment ago");
    }
    let held = &tier["held"];
    if held.is_null() {
        return;
    }
    line("held", &format!("{}, status {}, {} bytes", plain(&held["kind"]), held["status"], held["body_bytes"]));
    let seconds = |name: &str| held[name].as_f64().unwrap_or(0.0);
    let left = |name: &str| match seconds(name) {
        left @ 0.0.. => format!("for {left:.1} s"),
        ended => format!("until {:.1} s ago", -ended),
    };
    line(
        "time",
        &format!(
            "age {:.1} of {:.1} s; fresh {}, stale while revalidated {}, stale if the origin fails {}, or cannot be reached {}",
            seconds("age_seconds"),
            seconds("lifetime_seconds"),
            left("fresh_for_seconds"),
            left("stale_while_revalidate_for_seconds"),
            left("stale_if_error_for_seconds"),
            left("stale_if_disconnected_for_seconds")
        ),
    );
    for (name, value) in held["headers"].as_object().into_iter().flatten() {
        line("header", &format!("{name}: {}", plain(value)));
    }
    line("purges", &format!("{}; read at number {}", plain(&held["purges"]), held["fence"]["seq"]));
    for tag in held["tags"].as_array().into_iter().flatten() {
        line("tag", &plain(tag));
    }
}

/// One request, decision by decision.
pub(super) fn request(answer: &Value) -> String {
    let mut text = String::new();
    writeln!(text, "{} {}", plain(&answer["method"]), shown(&answer["url"])).expect(FITS);
    let mut line = |name: &str, what: String| writeln!(text, "  {name:<9} {what}").expect(FITS);
    line("answered", format!("{} in {} ms, {} bytes", answer["status"], answer["millis"], answer["bytes"]));
    let age = answer["age_seconds"].as_u64().map_or_else(String::new, |age| format!(", {age} s old"));
    line(
        "result",
        format!("{} from {}{age}, route {}", plain(&answer["result"]), plain(&answer["tier"]), shown(&answer["route"])),
    );
    line("said", shown(&answer["cache_status"]));
    line("trace", plain(&answer["trace_id"]));
    if let Some(client) = answer["client"].as_str() {
        line("client", client.to_owned());
    }
    let steps = answer["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    for step in steps {
        let at = step["at_ms"].as_f64().unwrap_or_default();
        writeln!(text, "  {at:>9.3} ms  {:<9} {}", plain(&step["who"]), shown(&step["what"])).expect(FITS);
    }
    if steps.is_empty() {
        text.push_str("  it was answered at once: there was nothing to decide");
    }
    text.trim_end().to_owned()
}

/// The last requests, a line each.
pub(super) fn requests(answer: &Value) -> String {
    let all = answer["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = all.iter().map(|request| {
        let (result, tier) = (plain(&request["result"]), plain(&request["tier"]));
        let millis = request["millis"].as_f64().unwrap_or_default();
        format!(
            "{}  {} {result:<9} {tier:<6} {millis:>9.3} ms  {} {}",
            plain(&request["id"]),
            request["status"],
            plain(&request["method"]),
            shown(&request["url"])
        )
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { "no request was answered yet".to_owned() } else { lines.join("\n") }
}

/// What clients chose must not steer the terminal.
fn shown(value: &Value) -> String {
    plain(value).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
