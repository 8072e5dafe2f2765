//! Demo data, the same for the same seed on both databases.

mod activity;
mod people;
mod pitches;
mod plan;
mod rng;
mod words;

use std::sync::Arc;

use edge_cache_core::Timestamp;
use edge_cache_origin::database::{Database, DbError, Transaction, Value};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::dialect;
use crate::session::{hex, token_hash};
use plan::Plan;

/// How much to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedOptions {
    /// Pitches; the rest is in proportion. 500 is a small set, 50 000 brings 10 000 users, 2 million views, 200 000 likes,
    /// 100 000 follows, 20 000 agreements and 5 000 investments. At least 20 are made.
    pub pitches: u32,
    /// Where the pseudo-random numbers start.
    pub seed: u64,
}

impl Default for SeedOptions {
    fn default() -> Self {
        Self { pitches: 500, seed: 1 }
    }
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeded {
    /// A session for one user of each type: type, token. Tokens are stored only as hashes; they follow from the seed, for demos.
    pub tokens: Vec<(String, String)>,
    /// Users.
    pub users: u64,
    /// Pitches.
    pub pitches: u64,
    /// Rows of views.
    pub views: u64,
    /// Likes.
    pub likes: u64,
    /// Follows.
    pub follows: u64,
    /// Agreements.
    pub ndas: u64,
    /// Investments.
    pub investments: u64,
}

/// Why [`seed`] gave up. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// There are users or pitches already.
    #[error("the database holds users or pitches already")]
    NotEmpty,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The sessions that [`seed`] makes: type of the user, token. The users' ids are 1 to 5 in this order.
#[must_use]
pub fn tokens(seed: u64) -> Vec<(String, String)> {
    let token = |user_type: &&str| {
        let digest = Sha256::digest(format!("pitchey demo session {seed} {user_type}").as_bytes());
        ((*user_type).to_owned(), hex(&digest[..20]))
    };
    people::USER_TYPES.iter().map(token).collect()
}

/// Whether `db` holds users or pitches.
///
/// # Errors
/// See [`DbError`].
pub async fn is_seeded(db: &Database) -> Result<bool, DbError> {
    let sql = "SELECT id FROM users UNION ALL SELECT id FROM pitches LIMIT 1";
    Ok(!db.query(sql, &[]).await?.is_empty())
}

/// Fills a migrated, empty database in one transaction. All times lie before `now`.
///
/// # Errors
/// See [`SeedError`].
pub async fn seed(db: &Database, options: SeedOptions, now: Timestamp) -> Result<Seeded, SeedError> {
    if is_seeded(db).await? {
        return Err(SeedError::NotEmpty);
    }
    let plan = Arc::new(Plan::new(options, now));
    let mut tx = db.begin_long().await?;
    if let Some(prepare) = dialect::prepare(db.dialect()) {
        tx.batch(prepare).await?;
    }
    let users = people::insert_users(&mut tx, &plan).await?;
    let tokens = tokens(options.seed);
    insert_sessions(&mut tx, &tokens, now).await?;
    let pitches = pitches::insert(&mut tx, &plan).await?;
    let views = activity::insert_views(&mut tx, &plan).await?;
    let likes = activity::insert_likes(&mut tx, &plan).await?;
    activity::insert_saved(&mut tx, &plan).await?;
    let follows = people::insert_follows(&mut tx, &plan).await?;
    let ndas = activity::insert_ndas(&mut tx, &plan).await?;
    let investments = activity::insert_investments(&mut tx, &plan).await?;
    insert_content(&mut tx, now).await?;
    tx.batch(&dialect::continue_ids(db.dialect(), &["users", "pitches"])).await?;
    tx.batch(dialect::settle(db.dialect())).await?;
    tx.commit().await?;
    Ok(Seeded { tokens, users, pitches, views, likes, follows, ndas, investments })
}

async fn insert_sessions(tx: &mut Transaction, tokens: &[(String, String)], now: Timestamp) -> Result<(), DbError> {
    let expires_at = now + std::time::Duration::from_secs(365 * 24 * 60 * 60);
    for ((_, token), user) in tokens.iter().zip(1..) {
        let sql = "INSERT INTO sessions (token_hash, user_id, expires_at) VALUES ($1, $2, $3)";
        tx.execute(sql, &[token_hash(token).into(), Value::Int(user), Value::Time(expires_at)]).await?;
    }
    Ok(())
}

async fn insert_content(tx: &mut Transaction, now: Timestamp) -> Result<(), DbError> {
    let items = [
        (
            "about",
            json!({"title": "About Pitchey", "text": "Where film and television ideas meet those who make them."}),
        ),
        (
            "how-it-works",
            json!({"title": "How it works", "steps": ["Write a pitch", "Publish it", "Meet your producer"]}),
        ),
        ("team", json!({"title": "The team", "members": [{"name": "Ada Reel", "role": "Founder"}]})),
    ];
    for (key, value) in items {
        let sql = "INSERT INTO content_items (key, value, updated_at) VALUES ($1, $2, $3)";
        tx.execute(sql, &[key.into(), Value::Json(value), Value::Time(now)]).await?;
    }
    Ok(())
}
