use std::borrow::Cow;

use super::Fold;

/// One declared parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name in the query string, compared as it is.
    pub name: Cow<'static, str>,
    /// What its value may be.
    pub kind: ParamKind,
}

/// What a parameter's value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// A whole number. Above `max` it counts as `max`; below `min`, empty or not a number it is refused.
    Int {
        /// Its value when the parameter is left out.
        default: Option<i64>,
        /// The smallest value taken.
        min: i64,
        /// The largest value; what is above is clamped to it.
        max: i64,
    },
    /// A text, folded, then cut.
    Text {
        /// How spellings are made one.
        fold: Fold,
        /// Fewest characters after folding; fewer are refused.
        chars_min: usize,
        /// Most characters after folding; the rest is cut off.
        chars_max: usize,
        /// Its value when the parameter is left out.
        default: Option<Cow<'static, str>>,
        /// Leaving it out is refused.
        required: bool,
    },
    /// One of a list of words, compared as [`Fold::Slug`] does.
    Choice {
        /// The words, as handlers and keys see them.
        values: Vec<Cow<'static, str>>,
        /// The word meant when the parameter is left out.
        default: Option<Cow<'static, str>>,
    },
}

impl Param {
    /// A whole number from `min` to `max`.
    #[must_use]
    pub const fn int(name: &'static str, default: Option<i64>, min: i64, max: i64) -> Self {
        let kind = ParamKind::Int { default, min, max };
        Self { name: Cow::Borrowed(name), kind }
    }

    /// A text that may be left out, of `chars_min` to `chars_max` characters after folding.
    #[must_use]
    pub const fn text(name: &'static str, fold: Fold, chars_min: usize, chars_max: usize) -> Self {
        let kind = ParamKind::Text { fold, chars_min, chars_max, default: None, required: false };
        Self { name: Cow::Borrowed(name), kind }
    }

    /// One of `values`; without a `default` it may be left out.
    #[must_use]
    pub fn choice(name: &'static str, values: &[&'static str], default: Option<&'static str>) -> Self {
        let kind = ParamKind::Choice {
            values: values.iter().copied().map(Cow::Borrowed).collect(),
            default: default.map(Cow::Borrowed),
        };
        Self { name: Cow::Borrowed(name), kind }
    }

    /// The same text parameter, no longer to be left out. Changes nothing on the other kinds, which have defaults.
    #[must_use]
    pub fn required(mut self) -> Self {
        if let ParamKind::Text { required, .. } = &mut self.kind {
            *required = true;
        }
        self
    }

    /// The rule that a refused value broke, in words for the caller.
    pub(super) fn rule(&self) -> String {
        match &self.kind {
            ParamKind::Int { min, max, .. } => {
                format!("must be a whole number from {min} to {max}")
            }
            ParamKind::Text { chars_min, chars_max, .. } => {
                format!("must be text of {chars_min} to {chars_max} characters")
            }
            ParamKind::Choice { values, .. } => format!("must be one of {}", values.join(", ")),
        }
    }
}
