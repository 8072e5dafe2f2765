//! A plan: URLs, and templates of URLs with the values that they are filled with, as TOML.
//!
//! ```
//! use edge_cache_warmer::plan;
//!
//! let text = r#"
//! [[url]]
//! path = "/api/stats"
//!
//! [[template]]
//! path = "/api/pitches/browse?tab={tab}&offset={offset}"
//! [template.values]
//! tab = ["trending", "new"]
//! offset = { from = 0, to = 48, step = 24 }
//! "#;
//! let wanted = plan::parse("warm.toml", text)?;
//! assert_eq!(wanted.len(), 1 + 2 * 3);
//! assert_eq!(wanted[3].path_and_query, "/api/pitches/browse?tab=trending&offset=48");
//! # Ok::<(), plan::PlanError>(())
//! ```

mod error;
mod file;
mod template;
#[cfg(test)]
mod tests;
mod values;

pub use self::error::{PlanError, PlanProblem};

use self::{error::Place, file::File};
use crate::{Wanted, replay::ReplayError};

/// Most URLs of one plan.
pub const URLS_MAX: usize = 100_000;

/// The URLs that `text` names, in its order: first the single ones, then each template's. In a template the last placeholder of the path changes
/// fastest. `file` is what errors call it.
///
/// # Errors
/// What is wrong, where, and what would be right.
pub fn parse(file: &str, text: &str) -> Result<Vec<Wanted>, PlanError> {
    let place = Place { file, text };
    let File { url, template } = File::parse(&place)?;
    let mut all = Vec::new();
    for entry in url {
        let path = entry.path.get_ref();
        let wanted = file::wanted(&place, &entry.path, path.clone(), entry.authority.as_ref(), &entry.headers)?;
        checked(&place, &entry.path, &wanted)?;
        all.push(wanted);
    }
    for entry in template {
        let paths = template::expand(&place, &entry.path, &entry.values, URLS_MAX.saturating_sub(all.len()))?;
        for path in paths {
            let wanted = file::wanted(&place, &entry.path, path, entry.authority.as_ref(), &entry.headers)?;
            checked(&place, &entry.path, &wanted)?;
            all.push(wanted);
        }
    }
    if all.len() > URLS_MAX {
        return Err(place.anywhere(PlanProblem::TooManyUrls { count: all.len(), max: URLS_MAX }));
    }
    Ok(all)
}

/// Whether it can be asked for, whatever the run's authority is.
fn checked(place: &Place<'_>, at: &toml::Spanned<String>, wanted: &Wanted) -> Result<(), PlanError> {
    let refused = |error: ReplayError| place.at(at.span(), PlanProblem::Url(error));
    wanted.at("http", "some.example").map(drop).map_err(refused)
}
