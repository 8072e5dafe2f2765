//! What a body must be, whoever brings it: nothing here knows of sockets or time.

use std::fmt;

use http::StatusCode;
use serde_json::Value;

use super::world::{OWNERS, Who};

/// What the title, tagline and logline of a pitch of the soak are made of: its id, and the version.
pub(super) fn text(id: i64, version: u64) -> String {
    format!("Soak {id} v{version}")
}

fn parse(text: &str) -> Option<(i64, u64)> {
    let (id, version) = text.strip_prefix("Soak ")?.split_once(" v")?;
    Some((id.parse().ok()?, version.parse().ok()?))
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// No JSON, or not of the shape that was asked for.
    Malformed(String),
    /// Another one's: of another pitch.
    OtherPitch(String),
    /// Fields of several versions in one body.
    Torn(String),
    /// A version that was never sent.
    NeverWritten(String),
    /// A version from before one that was acknowledged.
    Old(String),
    /// Another one's: of another user.
    OtherUser(String),
    /// Not a status for this question.
    Status(String),
}

impl Wrong {
    pub(super) const fn promise(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "every body is whole and of the shape that was asked for",
            Self::OtherPitch(_) => "no body is of another pitch",
            Self::Torn(_) => "no body is torn",
            Self::NeverWritten(_) => "no body has a version that was never written",
            Self::Old(_) => "no body is older than what was acknowledged",
            Self::OtherUser(_) => "no body is of another user",
            Self::Status(_) => "every status is one for its question",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Malformed(what)
        | Self::OtherPitch(what)
        | Self::Torn(what)
        | Self::NeverWritten(what)
        | Self::Old(what)
        | Self::OtherUser(what)
        | Self::Status(what)) = self;
        f.write_str(what)
    }
}

/// A pitch that was shown; the version where it is one of the soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) id: i64,
    pub(super) version: Option<u64>,
}

/// One pitch, of whose texts these are shown.
fn pitch(value: &Value, fields: &[&str]) -> Result<Shown, Wrong> {
    let id = value["id"].as_i64().ok_or_else(|| Wrong::Malformed(format!("a pitch without an id: {value}")))?;
    let mut versions = Vec::new();
    for field in fields {
        let text = value[*field].as_str();
        let text = text.ok_or_else(|| Wrong::Malformed(format!("pitch {id} without {field}: {value}")))?;
        versions.push(parse(text));
    }
    if let Some((of, _)) = versions.iter().flatten().find(|(of, _)| *of != id) {
        return Err(Wrong::OtherPitch(format!("pitch {id} has a text of {of}")));
    }
    let first = versions.first().copied().flatten();
    if versions.iter().any(|version| *version != first) {
        return Err(Wrong::Torn(format!("pitch {id} has texts of versions {versions:?}")));
    }
    Ok(Shown { id, version: first.map(|(_, version)| version) })
}

fn data(body: &[u8]) -> Result<Value, Wrong> {
    let json: Value = serde_json::from_slice(body).map_err(|error| Wrong::Malformed(format!("no JSON: {error}")))?;
    match json["success"] == true && !json["data"].is_null() {
        true => Ok(json["data"].clone()),
        false => Err(Wrong::Malformed(format!("no data: {json}"))),
    }
}

/// The pitches of a list.
pub(super) fn list(body: &[u8]) -> Result<Vec<Shown>, Wrong> {
    let data = data(body)?;
    let items = data.as_array().ok_or_else(|| Wrong::Malformed(format!("no list: {data}")))?;
    let shown = items.iter().map(|item| pitch(item, &["title", "tagline"])).collect::<Result<Vec<_>, _>>()?;
    let mut ids: Vec<_> = shown.iter().map(|pitch| pitch.id).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Wrong::Malformed(format!("pitch {} twice in a list", pair[0]))),
        None => Ok(shown),
    }
}

/// Data, whatever it is.
pub(super) fn any(body: &[u8]) -> Result<Value, Wrong> {
    data(body)
}

/// The profile of a creator.
pub(super) fn creator(body: &[u8], asked: i64) -> Result<(), Wrong> {
    let data = data(body)?;
    match data["id"].as_i64() {
        Some(id) if id == asked => Ok(()),
        Some(id) => Err(Wrong::OtherUser(format!("creator {id}, where {asked} was asked for"))),
        None => Err(Wrong::Malformed(format!("a creator without an id: {data}"))),
    }
}

/// The detail of pitch `asked` as `who` may see it, and the pitches beside it.
pub(super) fn detail(body: &[u8], asked: i64, who: Who) -> Result<Vec<Shown>, Wrong> {
    let data = data(body)?;
    let own = pitch(&data, &["title", "tagline", "logline"])?;
    if own.id != asked {
        return Err(Wrong::OtherPitch(format!("pitch {}, where {asked} was asked for", own.id)));
    }
    let owner = data["creator"]["id"].as_i64();
    if own.version.is_some() && !OWNERS.iter().any(|of| Some(*of) == owner) {
        return Err(Wrong::OtherUser(format!("pitch {asked} of user {owner:?}")));
    }
    let says = data.get("isOwner").and_then(Value::as_bool);
    let is = who.id().map(|user| owner == Some(user));
    if says != is {
        return Err(Wrong::OtherUser(format!("pitch {asked} for {who:?}: isOwner is {says:?} and not {is:?}")));
    }
    if is != Some(true) && data.get("budget_breakdown").is_some() {
        return Err(Wrong::OtherUser(format!("pitch {asked} for {who:?} with what its owner alone may see")));
    }
    let related = data["related"].as_array().ok_or_else(|| Wrong::Malformed(format!("pitch {asked} alone")))?;
    let related = related.iter().map(|pitch_| pitch(pitch_, &["title", "tagline"]));
    std::iter::once(Ok(own)).chain(related).collect()
}

/// What is known of a pitch when an answer about it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The highest version that was ever sent.
    pub(super) sent: u64,
    /// The highest that was acknowledged before the question.
    pub(super) acknowledged: u64,
    /// The highest that was acknowledged a lease before the question.
    pub(super) long_acknowledged: u64,
}

/// How new a right answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// As promised.
    New,
    /// Older, and it says so: the origin failed.
    SaysStale,
    /// Older, while Redis was gone, and no longer than a node that is cut off may lag.
    CutOff,
}

/// Holds a version against what is known.
pub(super) fn version(id: i64, version: u64, known: Known, said: &str, cut_off: bool) -> Result<Age, Wrong> {
    let Known { sent, acknowledged, long_acknowledged } = known;
    if version == 0 || version > sent {
        return Err(Wrong::NeverWritten(format!("pitch {id} in version {version}, where {sent} is the last")));
    }
    if version >= acknowledged {
        return Ok(Age::New);
    }
    if says_stale(said) {
        return Ok(Age::SaysStale);
    }
    if cut_off && version >= long_acknowledged {
        return Ok(Age::CutOff);
    }
    Err(Wrong::Old(format!("pitch {id} in version {version} after {acknowledged} was acknowledged: {said}")))
}

/// Whether an answer says that it is old because the origin failed.
fn says_stale(said: &str) -> bool {
    let failed = |member: &str| member.ends_with("detail=stale-if-error") || member.ends_with("detail=disconnected");
    said.split(", ").any(|member| member.contains("; fwd=stale") && failed(member))
}

/// Whether a status may be given: `expected` always, 503 that says when to come again while the database is down.
pub(super) fn status(
    got: StatusCode,
    expected: &[StatusCode],
    database_down: bool,
    retry_after: bool,
) -> Result<(), Wrong> {
    if expected.contains(&got) {
        return Ok(());
    }
    if got == StatusCode::SERVICE_UNAVAILABLE && database_down {
        return match retry_after {
            true => Ok(()),
            false => Err(Wrong::Status("503 without Retry-After".to_owned())),
        };
    }
    Err(Wrong::Status(format!("{got}, where {expected:?} was due (database down: {database_down})")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: Known = Known { sent: 9, acknowledged: 7, long_acknowledged: 5 };

    fn body(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let text = text(12, 7);
        let mut data = json!({
            "id": 12, "title": text, "tagline": text, "logline": text, "creator": {"id": 1},
            "related": [{"id": 3, "title": "A film", "tagline": "of old"}],
        });
        change(&mut data);
        json!({"success": true, "data": data}).to_string().into_bytes()
    }

    #[test]
    fn a_right_body_is_right() {
        let right = detail(&body(|_| ()), 12, Who::Nobody).unwrap();
        assert_eq!(right, [Shown { id: 12, version: Some(7) }, Shown { id: 3, version: None }]);
        let own = body(|data| {
            data["isOwner"] = true.into();
            data["budget_breakdown"] = json!({});
        });
        assert!(detail(&own, 12, Who::Creator).is_ok());
    }

    #[test]
    fn the_body_of_another_pitch_is_seen() {
        assert!(matches!(detail(&body(|_| ()), 13, Who::Nobody), Err(Wrong::OtherPitch(_))));
        let texts = body(|data| data["title"] = text(13, 7).into());
        assert!(matches!(detail(&texts, 12, Who::Nobody), Err(Wrong::OtherPitch(_))));
        let related = body(|data| data["related"] = json!([{"id": 3, "title": text(4, 1), "tagline": text(4, 1)}]));
        assert!(matches!(detail(&related, 12, Who::Nobody), Err(Wrong::OtherPitch(_))));
    }

    #[test]
    fn a_torn_body_is_seen() {
        for torn in [text(12, 6), "of old".to_owned()] {
            let torn = body(|data| data["logline"] = torn.into());
            assert!(matches!(detail(&torn, 12, Who::Nobody), Err(Wrong::Torn(_))));
        }
    }

    #[test]
    fn the_body_of_another_user_is_seen() {
        let own = body(|data| data["isOwner"] = true.into());
        for (of, who) in [(&own, Who::Nobody), (&own, Who::Production), (&body(|_| ()), Who::Creator)] {
            assert!(matches!(detail(of, 12, who), Err(Wrong::OtherUser(_))), "{who:?}");
        }
        let closed = body(|data| data["budget_breakdown"] = json!({}));
        assert!(matches!(detail(&closed, 12, Who::Nobody), Err(Wrong::OtherUser(_))));
        let foreign = body(|data| data["creator"] = json!({"id": 5}));
        assert!(matches!(detail(&foreign, 12, Who::Nobody), Err(Wrong::OtherUser(_))));
        assert!(matches!(creator(br#"{"success":true,"data":{"id":4}}"#, 5), Err(Wrong::OtherUser(_))));
    }

    #[test]
    fn half_a_body_and_a_list_with_a_pitch_twice_are_seen() {
        let whole = body(|_| ());
        assert!(matches!(detail(&whole[..whole.len() - 1], 12, Who::Nobody), Err(Wrong::Malformed(_))));
        assert!(matches!(any(br#"{"success":false,"error":{}}"#), Err(Wrong::Malformed(_))));
        let item = json!({"id": 12, "title": text(12, 1), "tagline": text(12, 1)});
        let list_of = |items: Value| list(json!({"success": true, "data": items}).to_string().as_bytes());
        assert_eq!(list_of(json!([item])).unwrap(), [Shown { id: 12, version: Some(1) }]);
        assert!(matches!(list_of(json!([item, item])), Err(Wrong::Malformed(_))));
        assert!(matches!(list_of(json!([{"id": 12, "title": "x"}])), Err(Wrong::Malformed(_))));
    }

    #[test]
    fn versions_are_held_against_what_was_sent_and_acknowledged() {
        let plain = "edge-memory; hit; ttl=3";
        for right in 7..=9 {
            assert_eq!(version(12, right, KNOWN, plain, false), Ok(Age::New));
        }
        for never in [0, 10] {
            assert!(matches!(version(12, never, KNOWN, plain, true), Err(Wrong::NeverWritten(_))));
        }
        assert!(matches!(version(12, 6, KNOWN, plain, false), Err(Wrong::Old(_))));
    }

    #[test]
    fn what_is_old_must_say_so_or_come_from_a_node_that_was_cut_off_a_moment_ago() {
        let (plain, says) =
            ("edge-memory; hit", "edge-redis; fwd=uri-miss, edge-memory; fwd=stale; detail=stale-if-error");
        assert_eq!(version(12, 1, KNOWN, says, false), Ok(Age::SaysStale));
        assert!(matches!(version(12, 1, KNOWN, "edge-memory; fwd=stale", false), Err(Wrong::Old(_))));
        assert_eq!(version(12, 5, KNOWN, plain, true), Ok(Age::CutOff));
        assert!(matches!(version(12, 4, KNOWN, plain, true), Err(Wrong::Old(_))));
    }

    #[test]
    fn a_failure_needs_its_window_and_says_when_to_come_again() {
        let (ok, down) = (&[StatusCode::OK][..], StatusCode::SERVICE_UNAVAILABLE);
        assert!(status(StatusCode::OK, ok, false, false).is_ok());
        assert!(status(down, ok, true, true).is_ok());
        for (got, database_down, retry_after) in [
            (down, false, true),
            (down, true, false),
            (StatusCode::BAD_GATEWAY, true, true),
            (StatusCode::NOT_FOUND, true, true),
        ] {
            assert!(matches!(status(got, ok, database_down, retry_after), Err(Wrong::Status(_))));
        }
    }
}
