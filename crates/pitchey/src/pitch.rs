//! What lists, details and writes share about a pitch.

use edge_cache_core::Timestamp;
use edge_cache_origin::database::{DbError, Rfc3339, Row, Transaction, Value};
use serde::Serialize;

use crate::dialect;
use crate::error::ApiError;
use crate::session::Viewer;

/// What everyone may see. The partial indexes of the migrations have these very words.
pub(crate) const PUBLIC: &str = "p.status = 'published' AND p.visibility = 'public'";
/// The columns of a [`Card`].
pub(crate) const CARD: &str = "p.id, p.title, p.slug, p.tagline, p.genre, p.format, p.poster_url, p.view_count, \
     p.like_count, p.comment_count, p.published_at, p.created_at, u.id AS creator_id, u.username AS creator_username, \
     u.company_name AS creator_company";
/// The tables that [`CARD`] reads.
pub(crate) const CARD_FROM: &str = "pitches p JOIN users u ON u.id = p.user_id";

/// A pitch in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) id: i64,
    title: String,
    slug: String,
    tagline: Option<String>,
    genre: String,
    format: String,
    poster_url: Option<String>,
    view_count: i64,
    like_count: i64,
    comment_count: i64,
    published_at: Option<Rfc3339>,
    created_at: Rfc3339,
    creator: CardCreator,
    /// Only in the lists of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<String>,
}

#[derive(Debug, Serialize)]
struct CardCreator {
    id: i64,
    username: String,
    company_name: Option<String>,
}

/// What the largest of comes first in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Views, likes and comments, weighed.
    Score,
    Views,
    Likes,
}

impl Card {
    /// Whether a pitch without views, likes and comments comes behind this one.
    pub(crate) fn is_ranked(&self, by: Rank) -> bool {
        match by {
            Rank::Score => self.view_count + self.like_count + self.comment_count > 0,
            Rank::Views => self.view_count > 0,
            Rank::Likes => self.like_count > 0,
        }
    }

    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        let has_status = row.value("status").is_some();
        Ok(Self {
            id: row.int("id")?,
            title: row.text("title")?,
            slug: row.text("slug")?,
            tagline: row.opt_text("tagline")?,
            genre: row.text("genre")?,
            format: row.text("format")?,
            poster_url: row.opt_text("poster_url")?,
            view_count: row.int("view_count")?,
            like_count: row.int("like_count")?,
            comment_count: row.int("comment_count")?,
            published_at: row.opt_time("published_at")?.map(Rfc3339),
            created_at: Rfc3339(row.time("created_at")?),
            creator: CardCreator {
                id: row.int("creator_id")?,
                username: row.text("creator_username")?,
                company_name: row.opt_text("creator_company")?,
            },
            status: if has_status { Some(row.text("status")?) } else { None },
            visibility: if has_status { Some(row.text("visibility")?) } else { None },
        })
    }
}

/// What a write needs to know of the pitch it changes.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) id: i64,
    pub(crate) owner: i64,
    pub(crate) slug: String,
    pub(crate) genre: String,
    pub(crate) format: String,
    pub(crate) status: String,
    pub(crate) visibility: String,
    pub(crate) require_nda: bool,
}

impl State {
    pub(crate) fn is_public(&self) -> bool {
        self.status == "published" && self.visibility == "public"
    }

    pub(crate) fn is_visible_to(&self, viewer: Option<&Viewer>) -> bool {
        if self.is_public() {
            return true;
        }
        viewer.is_some_and(|viewer| {
            viewer.id == self.owner
                || viewer.is_admin()
                || (viewer.is_investor() && self.status == "published" && self.visibility == "investors_only")
        })
    }

    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.int("id")?,
            owner: row.int("user_id")?,
            slug: row.text("slug")?,
            genre: row.text("genre")?,
            format: row.text("format")?,
            status: row.text("status")?,
            visibility: row.text("visibility")?,
            require_nda: row.bool("require_nda")?,
        })
    }

    /// Reads the pitch and keeps others from changing it until `tx` ends.
    ///
    /// # Errors
    /// 404 where it does not exist or `viewer` must not know that it does.
    pub(crate) async fn lock(tx: &mut Transaction, id: i64, viewer: Option<&Viewer>) -> Result<Self, ApiError> {
        let sql = format!(
            "SELECT id, user_id, slug, genre, format, status, visibility, require_nda FROM pitches WHERE id = $1{}",
            dialect::for_update(tx.dialect())
        );
        let rows = tx.query(&sql, &[Value::Int(id)]).await?;
        let state = rows.first().map(Self::read).transpose()?;
        state.filter(|state| state.is_visible_to(viewer)).ok_or_else(ApiError::no_pitch)
    }

    /// Like [`lock`](Self::lock), for writes that only the owner and admins may do.
    ///
    /// # Errors
    /// 404 as there, 403 where the pitch is visible but not the viewer's.
    pub(crate) async fn lock_own(tx: &mut Transaction, id: i64, viewer: &Viewer) -> Result<Self, ApiError> {
        let state = Self::lock(tx, id, Some(viewer)).await?;
        match viewer.id == state.owner || viewer.is_admin() {
            true => Ok(state),
            false => Err(ApiError::forbidden("this pitch belongs to somebody else")),
        }
    }
}

/// Reads the id in a path. What is no id names no row; other spellings of one are refused, or one row would have many keys.
pub(crate) fn parse_id(segment: &str) -> Option<i64> {
    let is_plain = !segment.starts_with('0') && segment.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { segment.parse().ok() } else { None }
}

/// The start of a window of `days` before `now`.
pub(crate) fn days_before(now: Timestamp, days: u64) -> Timestamp {
    now - std::time::Duration::from_secs(days * 24 * 60 * 60)
}
