use axum::response::{IntoResponse, Response};
use edge_cache_core::headers::{CACHE_TAG, CDN_CACHE_CONTROL};
use edge_cache_core::query::QueryError;
use edge_cache_origin::{
    Work,
    database::{ConstraintKind, DbError, Unavailable},
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::tags::Tags;

/// Seconds for which "there is no such thing" may be kept.
const NOT_FOUND_TTL: &str = "max-age=5";

/// An answer that is not the one hoped for.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    /// The tags that the missing row would have; the answer may then be kept for a moment.
    tags: Option<Tags>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, tags: None }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// A 404 that shared caches may keep until a row with `tags` appears.
    pub(crate) fn with_tags(mut self, tags: Tags) -> Self {
        self.tags = Some(tags);
        self
    }

    pub(crate) fn no_pitch() -> Self {
        Self::not_found("pitch_not_found", "there is no such pitch")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// A field of the body that breaks its rule.
    pub(crate) fn field(name: impl Into<String>, rule: impl std::fmt::Display) -> Self {
        let name = name.into();
        let message = format!("{name}: {rule}");
        let field = Some(name);
        Self { field, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", message) }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let field = Some(error.param.to_string());
        Self { field, ..Self::bad_request("invalid_parameter", error.to_string()) }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let request = Work::request().map(tracing::field::display);
        match &error {
            DbError::Constraint { kind: ConstraintKind::Unique, .. } => {
                Self::conflict("already_exists", "there is one already")
            }
            DbError::Unavailable { .. } | DbError::Timeout { .. } | DbError::Contention { .. } => {
                let cause = &error as &dyn std::error::Error;
                // What is refused before it is asked is many, and has been said by whoever refuses.
                match error.unavailability() {
                    Some(Unavailable::BreakerOpen | Unavailable::Overloaded) => {
                        tracing::debug!(error = cause, "the database was not asked");
                    }
                    _ => tracing::warn!(request, error = cause, "no answer from the database"),
                }
                let message = "the database does not answer, try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
            }
            _ => {
                tracing::error!(request, error = &error as &dyn std::error::Error, "a statement failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "this should not have happened")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        let body = json!({"success": false, "error": error}).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.tags.as_ref().map(Tags::header) {
            Some(tags) => {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
                headers.insert(CDN_CACHE_CONTROL, HeaderValue::from_static(NOT_FOUND_TTL));
                if let Some(tags) = tags {
                    headers.insert(CACHE_TAG, tags);
                }
            }
            None => {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
        }
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
