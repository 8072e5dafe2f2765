//! What the load asks for: the ids, words and names that the seeded data really holds.

use http::HeaderValue;

/// A number of search terms: the size of the vocabulary in the load model.
pub(crate) const TERMS: usize = 2_000;
/// Formats as the API spells them.
pub(crate) const FORMATS: [&str; 5] = ["feature", "short", "tv", "webseries", "other"];
/// Names of the content pages.
pub(crate) const CONTENT_PAGES: [&str; 3] = ["about", "how-it-works", "team"];

/// Facts of the seeded data, in the order of their popularity where they have one.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    /// Public pitches, most viewed first.
    pub(crate) pitches: Vec<u64>,
    /// First pages of the rankings at the start, at most 100 ids each.
    pub(crate) tops: Tops,
    /// Search terms, lower-case, most asked first.
    pub(crate) terms: Vec<String>,
    /// Genres as the API names them, largest first.
    pub(crate) genres: Vec<String>,
    /// Creators of public pitches, most visible first.
    pub(crate) creators: Vec<u64>,
    /// Pitches of the signed-in creator, who edits, publishes and archives.
    pub(crate) owned: Vec<Owned>,
    /// The signed-in creator's own id, where it could be learnt.
    pub(crate) owner: Option<u64>,
    /// `Authorization` of each signed-in client.
    pub(crate) tokens: Tokens,
}

/// The head of each ranking before the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tops {
    /// By trending score.
    pub(crate) trending: Vec<u64>,
    /// By publication.
    pub(crate) new: Vec<u64>,
    /// By likes and views, for the featured row.
    pub(crate) featured: Vec<u64>,
    /// By creation, the order of the public list as well.
    pub(crate) date: Vec<u64>,
}

/// One pitch of the signed-in creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    /// Its id.
    pub(crate) id: u64,
    /// Whether anonymous readers see it.
    pub(crate) public: bool,
    /// Whether it is a draft, ready to be published.
    pub(crate) draft: bool,
}

/// `Authorization` values, one for each kind of user who acts.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// Creates, edits, publishes, archives.
    pub(crate) creator: HeaderValue,
    /// Asks for NDAs.
    pub(crate) investor: HeaderValue,
    /// Asks for NDAs too.
    pub(crate) production: HeaderValue,
    /// Reads signed in, likes, saves, follows.
    pub(crate) viewer: HeaderValue,
}

/// Search terms out of titles: words first met first, then pairs of neighbours, at most [`TERMS`].
pub(crate) fn terms(titles: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut words = Vec::new();
    let mut pairs = Vec::new();
    for title in titles {
        let lower = title.to_lowercase();
        let parts: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() >= 3).collect();
        for part in &parts {
            if seen.insert((*part).to_owned()) {
                words.push((*part).to_owned());
            }
        }
        for pair in parts.windows(2) {
            let pair = pair.join(" ");
            if seen.insert(pair.clone()) {
                pairs.push(pair);
            }
        }
    }
    // Words and pairs take turns, so that the popular ranks hold both wide and narrow questions.
    let mut terms = Vec::with_capacity(TERMS);
    let (mut words, mut pairs) = (words.into_iter(), pairs.into_iter());
    while terms.len() < TERMS {
        let (word, pair) = (words.next(), pairs.next());
        if word.is_none() && pair.is_none() {
            break;
        }
        terms.extend(word);
        terms.extend(pair);
    }
    terms.truncate(TERMS);
    terms
}

#[cfg(test)]
impl Catalogue {
    /// A made-up catalogue of `pitches` public pitches with ids from 1.
    pub(crate) fn made_up(pitches: u64) -> Self {
        let token = |name: &'static str| HeaderValue::from_static(name);
        let ids: Vec<u64> = (1..=pitches).collect();
        let head: Vec<u64> = ids.iter().copied().take(100).collect();
        Self {
            tops: Tops {
                trending: head.clone(),
                new: head.iter().rev().copied().collect(),
                featured: head.clone(),
                date: head.iter().rev().copied().collect(),
            },
            pitches: ids,
            terms: (0..TERMS).map(|n| format!("term {n:04}")).collect(),
            genres: [
                "Drama", "Comedy", "Sci-Fi", "Horror", "Thriller", "Family", "Crime", "Action", "War", "Music",
                "Sport", "Western",
            ]
            .map(str::to_owned)
            .to_vec(),
            creators: (1..=200).collect(),
            owned: (1..=20).map(|id| Owned { id, public: id % 2 == 0, draft: id % 2 == 1 }).collect(),
            owner: Some(1),
            tokens: Tokens {
                creator: token("Bearer c"),
                investor: token("Bearer i"),
                production: token("Bearer p"),
                viewer: token("Bearer v"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_words_and_pairs_of_the_titles_without_repeats() {
        let titles = ["The Last Harbour".to_owned(), "Last Light of the Harbour".to_owned()];
        let terms = terms(&titles);
        assert_eq!(&terms[..4], ["the", "the last", "last", "last harbour"]);
        let mut distinct = terms.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), terms.len());
    }
}
