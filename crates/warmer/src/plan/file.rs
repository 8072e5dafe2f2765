use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::{PlanError, PlanProblem, error::Place};
use crate::Wanted;

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) url: Vec<Url>,
    pub(super) template: Vec<Template>,
}

/// `[[url]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Url {
    pub(super) path: Spanned<String>,
    pub(super) authority: Option<String>,
    #[serde(default)]
    pub(super) headers: Headers,
}

/// `[[template]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) path: Spanned<String>,
    pub(super) authority: Option<String>,
    #[serde(default)]
    pub(super) headers: Headers,
    #[serde(default)]
    pub(super) values: BTreeMap<String, Spanned<toml::Value>>,
}

pub(super) type Headers = BTreeMap<String, Spanned<String>>;

impl File {
    pub(super) fn parse(place: &Place<'_>) -> Result<Self, PlanError> {
        toml::from_str(place.text).map_err(|error| match error.span() {
            Some(span) => place.at(span, PlanProblem::Toml(error)),
            None => place.anywhere(PlanProblem::Toml(error)),
        })
    }
}

pub(super) fn wanted(
    place: &Place<'_>,
    at: &Spanned<String>,
    path_and_query: String,
    authority: Option<&String>,
    headers: &Headers,
) -> Result<Wanted, PlanError> {
    let one = |(name, value): (&String, &Spanned<String>)| {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.get_ref()).ok());
        header.ok_or_else(|| place.at(value.span(), PlanProblem::Header { name: name.clone() }))
    };
    let headers = headers.iter().map(one).collect::<Result<_, _>>()?;
    let wanted = Wanted { path_and_query, authority: authority.cloned(), headers };
    match wanted.path_and_query.starts_with('/') {
        true => Ok(wanted),
        false => {
            let path = wanted.path_and_query;
            Err(place.at(at.span(), PlanProblem::Url(crate::ReplayError::NoSlash { path })))
        }
    }
}
