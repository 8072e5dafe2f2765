use std::ops::Range;

use crate::ReplayError;

/// What is wrong with a plan, and where: `FILE:LINE: …`.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {problem}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct PlanError {
    /// As the caller named it.
    pub file: String,
    /// Counted from 1; `None` where it is no single line's fault.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: Box<PlanProblem>,
}

/// See [`PlanError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum PlanProblem {
    #[error("{}", .0.message())]
    Toml(toml::de::Error),
    #[error("{0}")]
    Url(ReplayError),
    #[error("header `{name}`: must be a header name with visible text")]
    Header { name: String },
    #[error("template `{path}`: a `{{` needs a name and a `}}` behind it, as {{limit}}")]
    Brace { path: String },
    #[error("template `{path}`: must have at least one placeholder, as {{limit}}; without one it is a [[url]]")]
    NoPlaceholder { path: String },
    #[error("template `{path}`: `{{{name}}}` has no values: must be one of {known}")]
    NoValues { path: String, name: String, known: String },
    #[error("template `{path}`: the values of `{name}` are not used: the path must contain `{{{name}}}`")]
    Unused { path: String, name: String },
    #[error("values of `{name}`: {rule}")]
    Values { name: String, rule: &'static str },
    #[error("template `{path}`: makes {count} URLs, at most {max} fit into the plan")]
    TooManyFromTemplate { path: String, count: u128, max: usize },
    #[error("more than {max} URLs")]
    TooManyUrls { max: usize },
}

/// A plan's text and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Place<'_> {
    pub(super) fn at(&self, span: Range<usize>, problem: PlanProblem) -> PlanError {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        PlanError { file: self.file.to_owned(), line: Some(line), problem: Box::new(problem) }
    }

    pub(super) fn anywhere(&self, problem: PlanProblem) -> PlanError {
        PlanError { file: self.file.to_owned(), line: None, problem: Box::new(problem) }
    }
}
