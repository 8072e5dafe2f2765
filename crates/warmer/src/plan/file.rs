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
    url: Vec<Url>,
    template: Vec<Template>,
}

/// `[[url]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Url {
    path: Spanned<String>,
    authority: Option<String>,
    #[serde(default)]
    headers: Headers,
}

/// `[[template]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    path: Spanned<String>,
    authority: Option<String>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    values: Values,
}

/// Either of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Spanned<String>,
    pub(super) authority: Option<String>,
    pub(super) headers: Headers,
    /// A template's.
    pub(super) values: Option<Values>,
}

pub(super) type Values = BTreeMap<String, Spanned<toml::Value>>;
pub(super) type Headers = BTreeMap<String, Spanned<String>>;

impl File {
    pub(super) fn parse(place: &Place<'_>) -> Result<Self, PlanError> {
        toml::from_str(place.text).map_err(|error| match error.span() {
            Some(span) => place.at(span, PlanProblem::Toml(error)),
            None => place.anywhere(PlanProblem::Toml(error)),
        })
    }

    /// What it names, as it stands in the file.
    pub(super) fn in_order(self) -> Vec<Entry> {
        let urls = self.url.into_iter().map(|Url { path, authority, headers }| {
            let values = None;
            Entry { path, authority, headers, values }
        });
        let templates = self.template.into_iter().map(|Template { path, authority, headers, values }| {
            let values = Some(values);
            Entry { path, authority, headers, values }
        });
        let mut all: Vec<Entry> = urls.chain(templates).collect();
        all.sort_by_key(|entry| entry.path.span().start);
        all
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
