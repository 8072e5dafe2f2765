use toml::Spanned;

use super::{PlanError, PlanProblem, error::Place, file::Values, values};

/// A piece of a template's path.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// The number of its placeholder.
    Placeholder(usize),
}

/// All paths that the template stands for; the last placeholder changes fastest.
pub(super) fn expand(
    place: &Place<'_>,
    path: &Spanned<String>,
    values: &Values,
    max: usize,
) -> Result<Vec<String>, PlanError> {
    let whole = path.get_ref();
    let wrong = |problem| place.at(path.span(), problem);
    let (pieces, names) = cut(whole).ok_or_else(|| wrong(PlanProblem::Brace { path: whole.clone() }))?;
    if names.is_empty() {
        return Err(wrong(PlanProblem::NoPlaceholder { path: whole.clone() }));
    }
    if let Some((name, value)) = values.iter().find(|(name, _)| !names.contains(&name.as_str())) {
        let problem = PlanProblem::Unused { path: whole.clone(), name: name.clone() };
        return Err(place.at(value.span(), problem));
    }
    let mut lists = Vec::with_capacity(names.len());
    for name in names {
        let Some(list) = values.get(name) else {
            let known = values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "those in [template.values]".to_owned() } else { known };
            return Err(wrong(PlanProblem::NoValues { path: whole.clone(), name: name.to_owned(), known }));
        };
        lists.push(values::listed(place, name, list)?);
    }
    let count = lists.iter().fold(1_u128, |count, list| count.saturating_mul(list.len() as u128));
    if count > max as u128 {
        return Err(wrong(PlanProblem::TooManyFromTemplate { path: whole.clone(), count, max }));
    }
    Ok(combinations(&pieces, &lists))
}

/// The pieces of a path, and the names of its placeholders in the order in which they first appear.
fn cut(path: &str) -> Option<(Vec<Piece<'_>>, Vec<&str>)> {
    let (mut pieces, mut names) = (Vec::new(), Vec::new());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !fits || before.contains('}') {
            return None;
        }
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        pieces.extend([Piece::Text(before), Piece::Placeholder(at)]);
        rest = behind;
    }
    if rest.contains('}') {
        return None;
    }
    pieces.push(Piece::Text(rest));
    Some((pieces, names))
}

fn combinations(pieces: &[Piece<'_>], lists: &[Vec<String>]) -> Vec<String> {
    let mut chosen = vec![0; lists.len()];
    let mut all = Vec::new();
    loop {
        let text = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Placeholder(at) => lists[*at][chosen[*at]].clone(),
        };
        all.push(pieces.iter().map(text).collect());
        // Like the wheels of a counter: the last turns first.
        let Some(wheel) = (0..lists.len()).rev().find(|wheel| chosen[*wheel] + 1 < lists[*wheel].len()) else {
            return all;
        };
        chosen[wheel] += 1;
        chosen[wheel + 1..].fill(0);
    }
}
