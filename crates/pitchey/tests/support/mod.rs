//! A seeded database and a client that speaks to its router in this process.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part of it, and may panic")]

use std::{sync::Arc, time::Duration};

use axum::Router;
use axum::body::{Body, to_bytes};
use edge_cache_core::{Clock, Timestamp};
use edge_cache_origin::database::{Database, DatabaseConfig};
use edge_cache_pitchey::{PitcheyOptions, SeedOptions, Seeded, migrate, router, seed};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

/// The present of every test: 2026-11-22, noon.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

pub fn options() -> PitcheyOptions {
    PitcheyOptions::new(Arc::new(Fixed))
}

/// A router over a seeded database.
pub struct Site {
    pub db: Database,
    pub seeded: Seeded,
    router: Router,
    /// The folder of a SQLite file, which goes with the site.
    _folder: Option<tempfile::TempDir>,
}

/// An answer, its body as JSON; null where there is none.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The ids of the items of a list.
    pub fn ids(&self) -> Vec<i64> {
        self.body["data"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.header("cache-tag").split(',').any(|found| found == tag)
    }
}

impl Site {
    pub async fn sqlite(pitches: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("pitchey.db").display());
        Self::start(&url, pitches, Some(folder)).await
    }

    pub async fn start(url: &str, pitches: u32, folder: Option<tempfile::TempDir>) -> Self {
        // Limits that a busy machine does not come to.
        let patience = Duration::from_secs(30);
        let config = DatabaseConfig {
            url: url.to_owned(),
            acquire_timeout: patience,
            queue_timeout: patience,
            statement_timeout: patience,
            ..DatabaseConfig::default()
        };
        let db = Database::connect(config).await.unwrap();
        migrate(&db, NOW).await.unwrap();
        let seeded = seed(&db, SeedOptions { pitches, seed: 7 }, NOW).await.unwrap();
        let router = router(db.clone(), options());
        Self { db, seeded, router, _folder: folder }
    }

    pub fn with(mut self, options: PitcheyOptions) -> Self {
        self.router = router(self.db.clone(), options);
        self
    }

    pub fn token(&self, user_type: &str) -> &str {
        let found = self.seeded.tokens.iter().find(|(known, _)| known == user_type);
        &found.unwrap().1
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn get_as(&self, who: &str, path: &str) -> Answer {
        self.call(who, "GET", path, "").await
    }

    /// Sends a request as the seeded user of a type; as nobody where that is empty.
    pub async fn call(&self, who: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !who.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token(who)));
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }
}
