use super::rng::Rng;

pub(super) const FIRST_NAMES: [&str; 16] = [
    "Ada", "Bruno", "Chiara", "Dmitri", "Esi", "Farah", "Goran", "Hana", "Ines", "Jonas", "Kofi", "Lena", "Mateo",
    "Noor", "Oskar", "Priya",
];
pub(super) const LAST_NAMES: [&str; 16] = [
    "Adeyemi",
    "Bianchi",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fontaine",
    "Grant",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
];
pub(super) const PLACES: [&str; 12] = [
    "Lisbon",
    "Accra",
    "Montreal",
    "Tbilisi",
    "Oslo",
    "Valparaíso",
    "Kyoto",
    "Leipzig",
    "Nairobi",
    "Austin",
    "Cork",
    "Hanoi",
];
/// Spelt as people type them; writing folds them to twelve.
pub(super) const GENRES: [&str; 25] = [
    "drama",
    "Drama",
    "DRAMA",
    "comedy",
    "Comedy",
    "thriller",
    "Thriller",
    "scifi",
    "sci-fi",
    "Sci-Fi",
    "horror",
    "Horror",
    "romance",
    "Romance",
    "action",
    "Action",
    "documentary",
    "Documentary",
    "animation",
    "fantasy",
    "Fantasy",
    "mystery",
    "family",
    "noir",
    "Film Noir",
];
pub(super) const BUDGETS: [&str; 5] = ["micro", "low", "medium", "high", "tentpole"];
pub(super) const STAGES: [&str; 4] = ["idea", "script", "packaged", "pre-production"];
pub(super) const AUDIENCES: [&str; 4] = ["adults", "families", "young adults", "festival audiences"];
pub(super) const ROLES: [&str; 4] = ["lead", "antagonist", "mentor", "supporting"];
const ADJECTIVES: [&str; 32] = [
    "Amber",
    "Broken",
    "Crimson",
    "Distant",
    "Electric",
    "Forgotten",
    "Gilded",
    "Hollow",
    "Invisible",
    "Jagged",
    "Kindred",
    "Last",
    "Midnight",
    "Narrow",
    "Open",
    "Paper",
    "Quiet",
    "Restless",
    "Silver",
    "Tender",
    "Unwritten",
    "Violet",
    "Wandering",
    "Xenial",
    "Yellow",
    "Zealous",
    "Burning",
    "Counterfeit",
    "Drowned",
    "Eleventh",
    "Frozen",
    "Glass",
];
const NOUNS: [&str; 40] = [
    "Archive",
    "Bridge",
    "Cartographer",
    "Daughter",
    "Engine",
    "Forest",
    "Garden",
    "Harbour",
    "Island",
    "Journey",
    "Kingdom",
    "Lighthouse",
    "Mountain",
    "Neighbour",
    "Orchard",
    "Passenger",
    "Quarry",
    "River",
    "Station",
    "Theatre",
    "Umbrella",
    "Voyage",
    "Winter",
    "Xylophone",
    "Year",
    "Zeppelin",
    "Anthem",
    "Border",
    "Chorus",
    "Dynasty",
    "Eclipse",
    "Festival",
    "Ghost",
    "Heist",
    "Inventor",
    "Jury",
    "Keeper",
    "Letter",
    "Machine",
    "Night",
];
const COMMON: [&str; 48] = [
    "a",
    "the",
    "and",
    "of",
    "to",
    "with",
    "her",
    "his",
    "their",
    "when",
    "after",
    "before",
    "town",
    "family",
    "secret",
    "voice",
    "stranger",
    "promise",
    "city",
    "war",
    "brother",
    "sister",
    "letter",
    "house",
    "sea",
    "discovers",
    "returns",
    "must",
    "choose",
    "between",
    "truth",
    "loyalty",
    "while",
    "an",
    "old",
    "debt",
    "comes",
    "due",
    "nobody",
    "believes",
    "until",
    "morning",
    "finds",
    "what",
    "they",
    "lost",
    "long",
    "ago",
];

pub(super) fn title(rng: &mut Rng) -> String {
    let base = format!("The {} {}", rng.pick(&ADJECTIVES), rng.pick(&NOUNS));
    match rng.below(3) {
        0 => format!("{base} of {}", rng.pick(&PLACES)),
        1 => format!("{base} and the {}", rng.pick(&NOUNS)),
        _ => base,
    }
}

/// One sentence of `words` words.
pub(super) fn sentence(rng: &mut Rng, words: u64) -> String {
    let mut text = String::new();
    append_sentence(rng, words, &mut text);
    text
}

fn append_sentence(rng: &mut Rng, words: u64, text: &mut String) {
    let start = text.len();
    for at in 0..words {
        if at > 0 {
            text.push(' ');
        }
        text.push_str(rng.pick(&COMMON));
    }
    if let Some(first) = text.get_mut(start..=start) {
        first.make_ascii_uppercase();
    }
    text.push('.');
}

/// Sentences up to about `bytes` bytes, in paragraphs.
pub(super) fn prose(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 100);
    while text.len() < bytes {
        let words = 8 + rng.below(10);
        append_sentence(rng, words, &mut text);
        text.push(if rng.chance(15) { '\n' } else { ' ' });
    }
    text.truncate(text.trim_end().len());
    text
}
