//! The writes of the load: which, how often, and on what.

use std::collections::VecDeque;

use rand::{Rng, RngExt};

use super::catalogue::Catalogue;
use super::mix::DETAIL_EXPONENT;
use super::zipf::Weighted;

/// Writes for every 1 000 reads, by kind.
const SHARES: [(Kind, f64); 10] = [
    (Kind::View, 120.0),
    (Kind::Like, 8.0),
    (Kind::Save, 5.0),
    (Kind::Follow, 2.0),
    (Kind::Nda, 1.0),
    (Kind::Edit, 1.0),
    (Kind::Create, 0.3),
    (Kind::Publish, 0.15),
    (Kind::Archive, 0.1),
    (Kind::Profile, 0.3),
];

/// A created pitch is not published sooner than this after its creation was due, in µs: its id has to be known by then.
const SETTLE_US: u64 = 2_000_000;

#[derive(Clone, Copy, Debug)]
enum Kind {
    View,
    Like,
    Save,
    Follow,
    Nda,
    Edit,
    Create,
    Publish,
    Archive,
    Profile,
}

/// One unsafe request. Ranks and indexes point into the [`Catalogue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// An anonymous view, each from a session of its own.
    View { rank: u32, session: u32 },
    /// Like, or take it back.
    Like { rank: u32, on: bool },
    /// Save, or take it back.
    Save { rank: u32, on: bool },
    /// Follow, or take it back.
    Follow { rank: u32, on: bool },
    /// Ask for an NDA; repeated ones are refused as a conflict, which is right.
    Nda { rank: u32, investor: bool },
    /// Change the logline.
    Edit { pitch: Pitch, nth: u32 },
    /// A new draft; `nth` counts them.
    Create { nth: u32 },
    /// A draft goes public.
    Publish { pitch: Pitch },
    /// A public pitch goes away.
    Archive { pitch: Pitch },
    /// The creator rewrites the profile.
    Profile { nth: u32 },
}

/// A pitch that the signed-in creator owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pitch {
    /// Index into [`Catalogue::owned`].
    Owned(u16),
    /// The n-th that this run created; its id is known once it has been.
    Created(u32),
}

/// Draws writes, and keeps the book of what may be edited, published or archived next.
#[derive(Debug)]
pub(crate) struct Writes {
    kinds: Weighted,
    details: Weighted,
    creators: Weighted,
    drafts: VecDeque<(u64, Pitch)>,
    public: Vec<Pitch>,
    created: u32,
    nth: u32,
}

impl Writes {
    /// Writes for every read that is sent.
    pub(crate) fn per_read() -> f64 {
        SHARES.iter().map(|(_, share)| share).sum::<f64>() / 1_000.0
    }

    /// Starts from the drafts and public pitches that the creator has.
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        let owned = || catalogue.owned.iter().enumerate().map(|(at, pitch)| (pitch, Pitch::Owned(at as u16)));
        Self {
            kinds: Weighted::new(SHARES.map(|(_, share)| share)),
            details: Weighted::zipf(catalogue.pitches.len(), DETAIL_EXPONENT),
            creators: Weighted::zipf(catalogue.creators.len(), 1.0),
            drafts: owned().filter(|(pitch, _)| pitch.draft).map(|(_, at)| (0, at)).collect(),
            public: owned().filter(|(pitch, _)| pitch.public).map(|(_, at)| at).collect(),
            created: 0,
            nth: 0,
        }
    }

    /// The next write, due at `at_us`. Where nothing can be published, edited or archived, a draft is created instead.
    pub(crate) fn draw(&mut self, rng: &mut impl Rng, at_us: u64) -> Write {
        self.nth += 1;
        let (kind, _) = SHARES[self.kinds.draw(rng)];
        match kind {
            Kind::View => Write::View { rank: self.rank(rng), session: self.nth },
            Kind::Like => Write::Like { rank: self.rank(rng), on: rng.random_bool(0.5) },
            Kind::Save => Write::Save { rank: self.rank(rng), on: rng.random_bool(0.5) },
            Kind::Follow => Write::Follow { rank: self.creators.draw(rng) as u32, on: rng.random_bool(0.5) },
            Kind::Nda => Write::Nda { rank: self.rank(rng), investor: rng.random_bool(0.5) },
            Kind::Edit if self.public.is_empty() => self.create(at_us),
            Kind::Edit => Write::Edit { pitch: self.public[rng.random_range(0..self.public.len())], nth: self.nth },
            Kind::Create => self.create(at_us),
            Kind::Publish => self.publish(at_us),
            Kind::Archive if self.public.is_empty() => self.create(at_us),
            Kind::Archive => Write::Archive { pitch: self.public.swap_remove(rng.random_range(0..self.public.len())) },
            Kind::Profile => Write::Profile { nth: self.nth },
        }
    }

    /// In turn: a new draft, and one that goes public.
    pub(crate) fn draw_published(&mut self, at_us: u64) -> Write {
        self.nth += 1;
        if self.nth.is_multiple_of(2) { self.publish(at_us) } else { self.create(at_us) }
    }

    fn rank(&self, rng: &mut impl Rng) -> u32 {
        self.details.draw(rng) as u32
    }

    fn create(&mut self, at_us: u64) -> Write {
        let nth = self.created;
        self.created += 1;
        self.drafts.push_back((at_us + SETTLE_US, Pitch::Created(nth)));
        Write::Create { nth }
    }

    fn publish(&mut self, at_us: u64) -> Write {
        match self.drafts.front() {
            Some(&(ready_us, pitch)) if ready_us <= at_us => {
                self.drafts.pop_front();
                self.public.push(pitch);
                Write::Publish { pitch }
            }
            _ => self.create(at_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn only_drafts_are_published_and_only_public_pitches_archived() {
        let catalogue = Catalogue::made_up(1_000);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
        let mut writes = Writes::new(&catalogue);
        let mut public: HashSet<Pitch> = HashSet::new();
        let mut created_at = Vec::new();
        for at in 0..400_000_u64 {
            let at_us = at * 4_000;
            match writes.draw(&mut rng, at_us) {
                Write::Create { nth } => {
                    assert_eq!(nth as usize, created_at.len());
                    created_at.push(at_us);
                }
                Write::Publish { pitch } => {
                    assert!(public.insert(pitch), "{pitch:?} was public already");
                    if let Pitch::Created(nth) = pitch {
                        assert!(created_at[nth as usize] + SETTLE_US <= at_us);
                    }
                }
                Write::Archive { pitch } => {
                    let was_public = public.remove(&pitch)
                        || matches!(pitch, Pitch::Owned(n) if catalogue.owned[usize::from(n)].public);
                    assert!(was_public, "{pitch:?} was not public");
                }
                _ => {}
            }
        }
        assert!(created_at.len() > 500 && !public.is_empty());
    }

    #[test]
    fn views_are_most_of_the_writes() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut writes = Writes::new(&Catalogue::made_up(1_000));
        let views = (0..50_000).filter(|&at| matches!(writes.draw(&mut rng, at), Write::View { .. })).count();
        let share = views as f64 / 50_000.0;
        assert!((share - 120.0 / 137.85).abs() < 0.01, "{share}");
    }
}
