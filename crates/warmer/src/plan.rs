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

use self::{
    error::Place,
    file::{Entry, File},
};
use crate::{Wanted, replay::ReplayError};

/// Most URLs of one plan.
pub const URLS_MAX: usize = 100_000;

/// The URLs that `text` names, in its order; of a template's, the last placeholder of the path changes fastest. `file` is what errors call it.
///
/// # Errors
/// What is wrong, where, and what would be right.
pub fn parse(file: &str, text: &str) -> Result<Vec<Wanted>, PlanError> {
    let place = Place { file, text };
    let mut all = Vec::new();
    for Entry { path, authority, headers, values } in File::parse(&place)?.in_order() {
        let room = URLS_MAX.saturating_sub(all.len());
        let paths = match &values {
            Some(values) => template::expand(&place, &path, values, room)?,
            None if room == 0 => return Err(place.at(path.span(), PlanProblem::TooManyUrls { max: URLS_MAX })),
            None => vec![path.get_ref().clone()],
        };
        for one in paths {
            let wanted = file::wanted(&place, &path, one, authority.as_ref(), &headers)?;
            checked(&place, &path, &wanted)?;
            all.push(wanted);
        }
    }
    Ok(all)
}

/// Whether it can be asked for, whatever the run's authority is.
fn checked(place: &Place<'_>, at: &toml::Spanned<String>, wanted: &Wanted) -> Result<(), PlanError> {
    let refused = |error: ReplayError| place.at(at.span(), PlanProblem::Url(error));
    wanted.at("http", "some.example").map(drop).map_err(refused)
}
