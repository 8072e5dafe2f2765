use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use edge_cache_core::{SharedClock, Timestamp};
use edge_cache_origin::Work;
use edge_cache_origin::database::{Database, DbError, Transaction};
use http::StatusCode;

use crate::error::ApiError;
use crate::{cors, outbox, reads, writes};

/// What the handlers need to know beside the database.
#[derive(Clone, Debug)]
pub struct PitcheyOptions {
    /// Origins whose pages may call this API with credentials, as `https://app.pitchey.example`. Default: none.
    pub cors_origins: Vec<String>,
    /// The time that sessions end by and rows are stamped with.
    pub clock: SharedClock,
    /// Whether writes are named, because triggers leave in the outbox what they make stale. Default: false.
    pub outbox: bool,
}

impl PitcheyOptions {
    /// No foreign origins, and `clock`.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { cors_origins: Vec::new(), clock, outbox: false }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) db: Database,
    pub(crate) options: Arc<PitcheyOptions>,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// Begins a transaction of a write.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbError> {
        self.db.begin_with(&outbox::settings()).await
    }
}

/// All endpoints over `db`.
pub fn router(db: Database, options: PitcheyOptions) -> Router {
    let app = App { db, options: Arc::new(options) };
    let pitches = Router::new()
        .route("/", post(writes::pitches::create))
        .route("/trending", get(reads::lists::trending))
        .route("/new", get(reads::lists::newest))
        .route("/featured", get(reads::lists::featured))
        .route("/public", get(reads::lists::public))
        .route("/browse", get(reads::browse::browse))
        .route("/search", get(reads::search::search))
        .route("/following", get(reads::personal::following))
        .route("/mine", get(reads::personal::mine))
        .route("/{id}", get(reads::detail::detail).patch(writes::pitches::update).delete(writes::pitches::delete))
        .route("/{id}/publish", post(writes::publish::publish))
        .route("/{id}/archive", post(writes::publish::archive))
        .route("/{id}/like", put(writes::reactions::like).delete(writes::reactions::unlike))
        .route("/{id}/save", put(writes::reactions::save).delete(writes::reactions::unsave))
        .route("/{id}/nda", post(writes::ndas::request))
        .route("/{id}/nda/{nda}/approve", post(writes::ndas::approve))
        .route("/{id}/nda/{nda}/reject", post(writes::ndas::reject))
        .route("/{id}/nda/{nda}/revoke", post(writes::ndas::revoke))
        .route("/{id}/nda/{nda}/sign", post(writes::ndas::sign));
    let api = Router::new()
        .nest("/pitches", pitches)
        .route("/search/autocomplete", get(reads::search::autocomplete))
        .route("/search/facets", get(reads::aggregates::facets))
        .route("/categories", get(reads::aggregates::categories))
        .route("/creators/{id}", get(reads::creator::creator))
        .route("/creators/{id}/follow", put(writes::reactions::follow).delete(writes::reactions::unfollow))
        .route("/stats", get(reads::aggregates::stats))
        .route("/config", get(reads::content::config))
        .route("/content/{page}", get(reads::content::content))
        .route("/saved-pitches", get(reads::personal::saved))
        .route("/db-test", get(reads::health::db_test))
        .route("/health", get(reads::health::live))
        .route("/health/ready", get(reads::health::ready))
        .route("/views", post(writes::views::track))
        .route("/profile", patch(writes::profile::update));
    Router::new()
        .nest("/api", api)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), outbox::name))
        .layer(from_fn_with_state(app.clone(), cors::apply))
        .layer(from_fn(as_work))
        .with_state(app)
}

/// What the request is worth reaches the database with its statements.
async fn as_work(request: Request, next: Next) -> Response {
    let work = Work::of(request.extensions());
    work.run(next.run(request)).await
}

async fn no_such_path() -> Response {
    ApiError::not_found("not_found", "there is nothing at this path").into_response()
}

async fn no_such_method() -> Response {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "see Allow for what this path takes")
        .into_response()
}
