use edge_cache_core::Timestamp;
use edge_cache_origin::database::{Database, DbError, Value};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The cookie that carries a session's token.
pub const SESSION_COOKIE: &str = "pitchey-session";
/// Longest token looked up, in bytes.
const TOKEN_BYTES_MAX: usize = 200;

/// A signed-in user.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) id: i64,
    pub(crate) user_type: String,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Something that could identify the caller was sent, so no answer to it is for others.
    pub(crate) has_credential: bool,
    pub(crate) viewer: Option<Viewer>,
}

impl Viewer {
    pub(crate) fn is_admin(&self) -> bool {
        self.user_type == "admin"
    }

    pub(crate) fn may_pitch(&self) -> bool {
        matches!(self.user_type.as_str(), "creator" | "production" | "admin")
    }

    /// Whether pitches for investors only are shown to him.
    pub(crate) fn is_investor(&self) -> bool {
        matches!(self.user_type.as_str(), "investor" | "admin")
    }
}

/// What is stored of a token. SHA-256 and not a fast hash: whoever reads the table must not find a token from its hash.
pub(crate) fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

enum Credential<'a> {
    None,
    Unusable,
    Token(&'a str),
}

fn credential(headers: &HeaderMap) -> Credential<'_> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
        return match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Credential::Token(token.trim()),
            _ => Credential::Unusable,
        };
    }
    session_cookie(headers).map_or(Credential::None, Credential::Token)
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value.trim_matches('"')).next()
}

/// Whether the session comes from a cookie, which browsers send along from anywhere.
pub(crate) fn is_from_cookie(headers: &HeaderMap) -> bool {
    !headers.contains_key(AUTHORIZATION) && session_cookie(headers).is_some()
}

/// Looks the session up, if one was sent. A session that is unknown or over is nobody's, but still a credential.
pub(crate) async fn caller(db: &Database, headers: &HeaderMap, now: Timestamp) -> Result<Caller, DbError> {
    let token = match credential(headers) {
        Credential::None => return Ok(Caller { has_credential: false, viewer: None }),
        Credential::Token(token) if !token.is_empty() && token.len() <= TOKEN_BYTES_MAX => token,
        Credential::Token(_) | Credential::Unusable => return Ok(Caller { has_credential: true, viewer: None }),
    };
    let sql = "SELECT u.id, u.user_type FROM sessions s JOIN users u ON u.id = s.user_id \
               WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.is_active";
    let rows = db.query(sql, &[token_hash(token).into(), Value::Time(now)]).await?;
    let viewer = match rows.first() {
        Some(row) => Some(Viewer { id: row.int("id")?, user_type: row.text("user_type")? }),
        None => None,
    };
    Ok(Caller { has_credential: true, viewer })
}

/// The signed-in user, or 401.
pub(crate) async fn viewer(db: &Database, headers: &HeaderMap, now: Timestamp) -> Result<Viewer, ApiError> {
    caller(db, headers, now).await?.viewer.ok_or_else(ApiError::unauthorized)
}
