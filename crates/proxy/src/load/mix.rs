//! The mix of reads: nineteen shapes with their shares and variants.

use rand::{Rng, RngExt};

use super::catalogue::{CONTENT_PAGES, Catalogue, FORMATS};
use super::read::{List, Order, Read, Spelling};
use super::zipf::{Weighted, page};

/// Shapes of a read, in the order of the load model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    HomeTrending,
    HomeNew,
    HomeFeatured,
    Trending,
    New,
    BrowseViews,
    BrowseDate,
    BrowseTab,
    BrowseGenre,
    Public,
    Search,
    Autocomplete,
    Detail,
    DetailSignedIn,
    TopByGenre,
    Categories,
    Config,
    Stats,
    Creator,
}

/// Shares in per cent; they add up to 100.
const SHARES: [(Shape, f64); 19] = [
    (Shape::HomeTrending, 13.0),
    (Shape::HomeNew, 11.0),
    (Shape::HomeFeatured, 6.0),
    (Shape::Trending, 5.0),
    (Shape::New, 4.0),
    (Shape::BrowseViews, 7.0),
    (Shape::BrowseDate, 5.0),
    (Shape::BrowseTab, 6.0),
    (Shape::BrowseGenre, 7.0),
    (Shape::Public, 3.0),
    (Shape::Search, 8.0),
    (Shape::Autocomplete, 4.0),
    (Shape::Detail, 14.0),
    (Shape::DetailSignedIn, 2.0),
    (Shape::TopByGenre, 1.5),
    (Shape::Categories, 1.5),
    (Shape::Config, 1.0),
    (Shape::Stats, 0.5),
    (Shape::Creator, 0.5),
];

/// Details are this skewed: between 1.0 and 1.1 in the load model.
pub(crate) const DETAIL_EXPONENT: f64 = 1.05;
const TERM_EXPONENT: f64 = 0.9;
const GENRE_EXPONENT: f64 = 1.0;
const CREATOR_EXPONENT: f64 = 1.0;
const PAGE_RATIO: f64 = 0.45;
/// No client pages further than this; the ratio makes it one in 10^13.
const PAGE_MAX: u32 = 40;
/// "Mostly page 1" of the public list: one in five goes on to the next page.
const PUBLIC_RATIO: f64 = 0.2;
const NEVER_REPEATED: f64 = 0.15;
const UNKNOWN_SHARE: f64 = 0.03;
const UNKNOWN_IDS: u32 = 10_000;
/// Variants of "top list by genre".
const TOP_GENRES: usize = 12;

/// Draws reads by the mix.
#[derive(Debug)]
pub(crate) struct Mix {
    shapes: Weighted,
    details: Weighted,
    terms: Weighted,
    genres: Weighted,
    genre_count: usize,
    creators: Weighted,
    nonce: u32,
}

impl Mix {
    /// The mix over what the catalogue holds; every one of its lists must hold something.
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        Self {
            shapes: Weighted::new(SHARES.map(|(_, share)| share)),
            details: Weighted::zipf(catalogue.pitches.len(), DETAIL_EXPONENT),
            terms: Weighted::zipf(catalogue.terms.len(), TERM_EXPONENT),
            genres: Weighted::zipf(catalogue.genres.len(), GENRE_EXPONENT),
            genre_count: catalogue.genres.len(),
            creators: Weighted::zipf(catalogue.creators.len(), CREATOR_EXPONENT),
            nonce: 0,
        }
    }

    /// The next read.
    pub(crate) fn draw(&mut self, rng: &mut impl Rng) -> Read {
        let (shape, _) = SHARES[self.shapes.draw(rng)];
        match shape {
            Shape::HomeTrending => top(Order::Trending, 4),
            Shape::HomeNew => top(Order::New, 4),
            Shape::HomeFeatured => top(Order::Featured, 4),
            Shape::Trending => top(Order::Trending, ten_or_twenty(rng)),
            Shape::New => top(Order::New, ten_or_twenty(rng)),
            Shape::BrowseViews => paged(Order::BrowseViews, 24, page(rng, PAGE_RATIO, PAGE_MAX)),
            Shape::BrowseDate => paged(Order::BrowseDate, 24, page(rng, PAGE_RATIO, PAGE_MAX)),
            Shape::BrowseTab => top(tab(rng), 100),
            Shape::BrowseGenre => self.by_genre(rng),
            Shape::Public => paged(Order::Public, 20, page(rng, PUBLIC_RATIO, PAGE_MAX)),
            Shape::Search => self.search(rng),
            Shape::Autocomplete => Read::Autocomplete { term: self.term(rng), letters: rng.random_range(2..=6) },
            Shape::Detail if rng.random_bool(UNKNOWN_SHARE) => {
                Read::Unknown { number: rng.random_range(0..UNKNOWN_IDS) }
            }
            Shape::Detail => self.detail(rng, false),
            Shape::DetailSignedIn => self.detail(rng, true),
            Shape::TopByGenre => self.top_by_genre(rng),
            Shape::Categories if rng.random_bool(0.5) => Read::Categories,
            Shape::Categories => Read::Facets,
            Shape::Config if rng.random_bool(0.5) => Read::Config,
            Shape::Config => Read::Content { page: rng.random_range(0..CONTENT_PAGES.len() as u8) },
            Shape::Stats => Read::Stats,
            Shape::Creator => Read::Creator { rank: self.creators.draw(rng) as u32 },
        }
    }

    fn detail(&self, rng: &mut impl Rng, signed_in: bool) -> Read {
        Read::Detail { rank: self.details.draw(rng) as u32, signed_in }
    }

    fn term(&self, rng: &mut impl Rng) -> u16 {
        self.terms.draw(rng) as u16
    }

    fn search(&mut self, rng: &mut impl Rng) -> Read {
        let term = self.term(rng);
        if rng.random_bool(NEVER_REPEATED) {
            self.nonce += 1;
            return Read::SearchOnce { term, nonce: self.nonce };
        }
        Read::Search { term, spelling: spelling(rng) }
    }

    fn by_genre(&self, rng: &mut impl Rng) -> Read {
        let format = rng.random_bool(0.2).then(|| rng.random_range(0..FORMATS.len() as u8));
        let list = List { genre: Some(self.genres.draw(rng) as u8), format, ..List::top(Order::BrowseGenre, 24) };
        Read::List { list, spelling: genre_spelling(rng) }
    }

    fn top_by_genre(&self, rng: &mut impl Rng) -> Read {
        let genre = rng.random_range(0..TOP_GENRES.min(self.genre_count)) as u8;
        let list = List { genre: Some(genre), ..List::top(Order::BrowseViews, 10) };
        Read::List { list, spelling: genre_spelling(rng) }
    }
}

fn top(order: Order, limit: u8) -> Read {
    paged(order, limit, 0)
}

fn paged(order: Order, limit: u8, page: u32) -> Read {
    let list = List { offset: page * u32::from(limit), ..List::top(order, limit) };
    Read::List { list, spelling: Spelling::AsIs }
}

fn ten_or_twenty(rng: &mut impl Rng) -> u8 {
    if rng.random_bool(0.5) { 10 } else { 20 }
}

fn tab(rng: &mut impl Rng) -> Order {
    match rng.random_range(0..100) {
        0..60 => Order::TabTrending,
        60..85 => Order::TabNew,
        _ => Order::TabPopular,
    }
}

fn spelling(rng: &mut impl Rng) -> Spelling {
    match rng.random_range(0..10) {
        0..6 => Spelling::AsIs,
        6..8 => Spelling::Upper,
        _ => Spelling::Spaced,
    }
}

fn genre_spelling(rng: &mut impl Rng) -> Spelling {
    match rng.random_range(0..10) {
        0..6 => Spelling::AsIs,
        6..9 => Spelling::Lower,
        _ => Spelling::Upper,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::super::read::Group;
    use super::*;

    fn drawn(count: usize, seed: u64) -> Vec<Read> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut mix = Mix::new(&Catalogue::made_up(10_000));
        (0..count).map(|_| mix.draw(&mut rng)).collect()
    }

    #[test]
    fn the_shares_are_a_whole() {
        let sum: f64 = SHARES.iter().map(|(_, share)| share).sum();
        assert!((sum - 100.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn a_fixed_seed_draws_the_shares_within_tolerance() {
        let reads = drawn(200_000, 11);
        let share = |is: &dyn Fn(&Read) -> bool| reads.iter().filter(|read| is(read)).count() as f64 / 2_000.0;
        for (name, expected, got) in [
            ("trending", 18.0, share(&|read| read.group() == Group::Trending)),
            ("new", 15.0, share(&|read| read.group() == Group::New)),
            ("search", 8.0, share(&|read| read.group() == Group::Search)),
            ("detail", 14.0, share(&|read| read.group() == Group::Detail)),
            ("signed in", 2.0, share(&|read| read.group() == Group::DetailSignedIn)),
            ("never repeated", 1.2, share(&|read| matches!(read, Read::SearchOnce { .. }))),
            ("unknown", 0.42, share(&|read| matches!(read, Read::Unknown { .. }))),
        ] {
            assert!((got - expected).abs() < 0.3, "{name}: {got} % drawn, {expected} % expected");
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        assert_eq!(drawn(5_000, 2), drawn(5_000, 2));
        assert_ne!(drawn(5_000, 2), drawn(5_000, 3));
    }
}
