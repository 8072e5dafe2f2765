//! A read of the load: what it asks, how it is spelt in a URL, and which question it is whatever the spelling.

use std::fmt::Write;

use super::catalogue::{CONTENT_PAGES, Catalogue, FORMATS};

/// One GET. Indexes point into the [`Catalogue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A list of pitches; `spelling` varies how a genre is written.
    List { list: List, spelling: Spelling },
    /// A search for a known term.
    Search { term: u16, spelling: Spelling },
    /// A search that nobody repeats.
    SearchOnce { term: u16, nonce: u32 },
    /// Completion of the first `letters` of a term.
    Autocomplete { term: u16, letters: u8 },
    /// A public pitch, by its popularity rank.
    Detail { rank: u32, signed_in: bool },
    /// A pitch that does not exist.
    Unknown { number: u32 },
    /// A creator's profile.
    Creator { rank: u32 },
    /// Genres with their counts.
    Categories,
    /// Counts by genre, format and budget band.
    Facets,
    /// The constants.
    Config,
    /// A content page.
    Content { page: u8 },
    /// Whole-table counts.
    Stats,
}

/// Which list, canonical: equal lists are one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct List {
    pub(crate) order: Order,
    pub(crate) limit: u8,
    pub(crate) offset: u32,
    pub(crate) genre: Option<u8>,
    pub(crate) format: Option<u8>,
}

/// The path and order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Trending,
    New,
    Featured,
    Public,
    BrowseViews,
    BrowseDate,
    BrowseGenre,
    TabTrending,
    TabNew,
    TabPopular,
}

/// How a client writes a text that the server folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    AsIs,
    Lower,
    Upper,
    Spaced,
}

/// The report's rows for reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    Trending,
    New,
    Search,
    Detail,
    DetailSignedIn,
    OtherRead,
    Write,
}

impl Group {
    /// Every group, reads first.
    pub(crate) const ALL: [Self; 7] =
        [Self::Trending, Self::New, Self::Search, Self::Detail, Self::DetailSignedIn, Self::OtherRead, Self::Write];
}

/// One question whatever its spelling: what the cache is expected to key on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    List(List),
    Search(u16),
    SearchOnce(u32),
    Autocomplete(String),
    Detail(u64),
    Unknown(u32),
    Creator(u64),
    Categories,
    Facets,
    Config,
    Content(u8),
    Stats,
}

/// Ids above every real one start here.
const UNKNOWN_FROM: u64 = 4_000_000_000;

impl Read {
    /// The row it is reported in.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::List { list, .. } if list.order == Order::Trending => Group::Trending,
            Self::List { list, .. } if list.order == Order::New => Group::New,
            Self::Search { .. } | Self::SearchOnce { .. } => Group::Search,
            Self::Detail { signed_in: true, .. } => Group::DetailSignedIn,
            Self::Detail { .. } | Self::Unknown { .. } => Group::Detail,
            _ => Group::OtherRead,
        }
    }

    /// Whether an answer may be kept for others: the reads that a hit rate is about.
    pub(crate) fn storable(self) -> bool {
        !matches!(self, Self::Detail { signed_in: true, .. })
    }

    /// Whether it is a question about what is there, and one that others ask too.
    pub(crate) fn known(self) -> bool {
        self.storable() && !matches!(self, Self::SearchOnce { .. } | Self::Unknown { .. })
    }

    /// Whether "not found" is a right answer.
    pub(crate) fn may_be_missing(self) -> bool {
        matches!(self, Self::Detail { .. } | Self::Unknown { .. } | Self::Creator { .. })
    }

    /// The question behind the spelling.
    pub(crate) fn key(self, catalogue: &Catalogue) -> Key {
        match self {
            Self::List { list, .. } => Key::List(list),
            Self::Search { term, .. } => Key::Search(term),
            Self::SearchOnce { nonce, .. } => Key::SearchOnce(nonce),
            Self::Autocomplete { term, letters } => {
                Key::Autocomplete(prefix(&catalogue.terms[usize::from(term)], letters).to_owned())
            }
            Self::Detail { rank, .. } => Key::Detail(catalogue.pitches[rank as usize]),
            Self::Unknown { number } => Key::Unknown(number),
            Self::Creator { rank } => Key::Creator(catalogue.creators[rank as usize]),
            Self::Categories => Key::Categories,
            Self::Facets => Key::Facets,
            Self::Config => Key::Config,
            Self::Content { page } => Key::Content(page),
            Self::Stats => Key::Stats,
        }
    }

    /// Appends path and query.
    pub(crate) fn spell(self, catalogue: &Catalogue, out: &mut String) {
        match self {
            Self::List { list, spelling } => list.spell(catalogue, spelling, out),
            Self::Search { term, spelling } => {
                out.push_str("/api/pitches/search?q=");
                encode(&catalogue.terms[usize::from(term)], spelling, out);
                out.push_str("&limit=20");
            }
            Self::SearchOnce { term, nonce } => {
                out.push_str("/api/pitches/search?q=");
                encode(&catalogue.terms[usize::from(term)], Spelling::AsIs, out);
                push(out, format_args!("+{nonce:x}&limit=20"));
            }
            Self::Autocomplete { term, letters } => {
                out.push_str("/api/search/autocomplete?q=");
                encode(prefix(&catalogue.terms[usize::from(term)], letters), Spelling::AsIs, out);
            }
            Self::Detail { rank, .. } => push(out, format_args!("/api/pitches/{}", catalogue.pitches[rank as usize])),
            Self::Unknown { number } => push(out, format_args!("/api/pitches/{}", UNKNOWN_FROM + u64::from(number))),
            Self::Creator { rank } => push(out, format_args!("/api/creators/{}", catalogue.creators[rank as usize])),
            Self::Categories => out.push_str("/api/categories"),
            Self::Facets => out.push_str("/api/search/facets"),
            Self::Config => out.push_str("/api/config"),
            Self::Content { page } => push(out, format_args!("/api/content/{}", CONTENT_PAGES[usize::from(page)])),
            Self::Stats => out.push_str("/api/stats"),
        }
    }
}

impl List {
    /// The first `limit` of an order, unfiltered.
    pub(crate) fn top(order: Order, limit: u8) -> Self {
        Self { order, limit, offset: 0, genre: None, format: None }
    }

    fn spell(self, catalogue: &Catalogue, spelling: Spelling, out: &mut String) {
        out.push_str("/api/pitches/");
        out.push_str(match self.order {
            Order::Trending => "trending?",
            Order::New => "new?",
            Order::Featured => "featured?",
            Order::Public => "public?",
            Order::BrowseViews => "browse?sort=views&",
            Order::BrowseDate => "browse?sort=date&",
            Order::BrowseGenre => "browse?",
            Order::TabTrending => "browse?tab=trending&",
            Order::TabNew => "browse?tab=new&",
            Order::TabPopular => "browse?tab=popular&",
        });
        if let Some(genre) = self.genre {
            out.push_str("genre=");
            encode(&catalogue.genres[usize::from(genre)], spelling, out);
            out.push('&');
        }
        if let Some(format) = self.format {
            push(out, format_args!("format={}&", FORMATS[usize::from(format)]));
        }
        push(out, format_args!("limit={}", self.limit));
        match (self.order, self.offset) {
            (_, 0) => {}
            (Order::Public, offset) => push(out, format_args!("&page={}", offset / u32::from(self.limit) + 1)),
            (_, offset) => push(out, format_args!("&offset={offset}")),
        }
    }
}

/// The first `letters` characters (at least two), less a trailing blank; terms begin with a word of three or more.
fn prefix(term: &str, letters: u8) -> &str {
    let end = |count: usize| term.char_indices().nth(count).map_or(term.len(), |(at, _)| at);
    term[..end(usize::from(letters))].trim_end()
}

fn encode(text: &str, spelling: Spelling, out: &mut String) {
    if spelling == Spelling::Spaced {
        out.push('+');
    }
    for c in text.chars() {
        match spelling {
            Spelling::AsIs | Spelling::Spaced => encode_char(c, out),
            Spelling::Lower => c.to_lowercase().for_each(|c| encode_char(c, out)),
            Spelling::Upper => c.to_uppercase().for_each(|c| encode_char(c, out)),
        }
        if spelling == Spelling::Spaced && c == ' ' {
            out.push('+');
        }
    }
    if spelling == Spelling::Spaced {
        out.push('+');
    }
}

fn encode_char(c: char, out: &mut String) {
    match c {
        ' ' => out.push('+'),
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => out.push(c),
        c => {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                push(out, format_args!("%{byte:02X}"));
            }
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(read: Read) -> String {
        let mut out = String::new();
        read.spell(&Catalogue::made_up(100), &mut out);
        out
    }

    #[test]
    fn lists_are_spelt_with_their_parameters() {
        let list = List { order: Order::BrowseGenre, limit: 24, offset: 0, genre: Some(2), format: Some(3) };
        assert_eq!(
            spelt(Read::List { list, spelling: Spelling::Upper }),
            "/api/pitches/browse?genre=SCI-FI&format=webseries&limit=24"
        );
        let list = List { offset: 48, ..List::top(Order::BrowseViews, 24) };
        assert_eq!(
            spelt(Read::List { list, spelling: Spelling::AsIs }),
            "/api/pitches/browse?sort=views&limit=24&offset=48"
        );
        let list = List { offset: 40, ..List::top(Order::Public, 20) };
        assert_eq!(spelt(Read::List { list, spelling: Spelling::AsIs }), "/api/pitches/public?limit=20&page=3");
    }

    #[test]
    fn spellings_of_one_question_share_a_key() {
        let catalogue = Catalogue::made_up(100);
        let spellings =
            [Spelling::AsIs, Spelling::Upper, Spelling::Spaced].map(|spelling| Read::Search { term: 7, spelling });
        assert_eq!(spelt(spellings[1]), "/api/pitches/search?q=TERM+0007&limit=20");
        assert_eq!(spelt(spellings[2]), "/api/pitches/search?q=+term++0007+&limit=20");
        assert!(spellings.iter().all(|read| read.key(&catalogue) == spellings[0].key(&catalogue)));
    }

    #[test]
    fn a_prefix_does_not_end_in_a_blank() {
        assert_eq!(prefix("sea bird", 4), "sea");
        assert_eq!(prefix("über", 2), "üb");
    }

    #[test]
    fn text_outside_ascii_is_percent_encoded() {
        let mut out = String::new();
        encode("été & co", Spelling::AsIs, &mut out);
        assert_eq!(out, "%C3%A9t%C3%A9+%26+co");
    }
}
