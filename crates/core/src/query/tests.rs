use proptest::prelude::*;

use super::{Fold, Param, QuerySpec};

fn spec() -> QuerySpec {
    QuerySpec::new([
        Param::text("q", Fold::Words, 2, 10),
        Param::int("limit", Some(20), 1, 50),
        Param::int("offset", None, 0, 1000),
        Param::text("genre", Fold::Slug, 1, 8),
        Param::choice("tab", &["trending", "new"], Some("new")),
        Param::text("exact", Fold::Exact, 1, 6),
    ])
}

fn canonical(raw: &str) -> String {
    spec().canonicalize(raw).unwrap().to_string()
}

fn refused(raw: &str) -> String {
    spec().canonicalize(raw).unwrap_err().to_string()
}

#[test]
fn omitted_parameters_take_their_defaults() {
    assert_eq!(canonical(""), "limit=20&tab=new");
    assert_eq!(canonical("&&limit=20&"), "limit=20&tab=new");
}

#[test]
fn every_spelling_of_one_question_is_one_string() {
    let one = canonical("genre=scifi&q=big%20dog&limit=50");
    for other in [
        "limit=50&q=big+dog&genre=Sci-Fi",
        "q=++BIG%09dog+&genre=SCI_FI&limit=99999999999999999999",
        "%71=Big+Dog&genre=sci%20fi&limit=0050&utm_source=a&q=other&limit=1",
        "tab=NEW&genre=sci+fi&limit=51&q=big%0Adog",
    ] {
        assert_eq!(canonical(other), one, "{other}");
    }
}

#[test]
fn numbers_are_clamped_above_and_refused_below() {
    assert_eq!(spec().canonicalize("limit=51").unwrap().int("limit"), Some(50));
    for bad in
        ["limit=0", "limit=-1", "limit=", "limit", "limit=ten", "limit=1.5", "limit=+5", "limit=-99999999999999999999"]
    {
        assert_eq!(refused(bad), "limit: must be a whole number from 1 to 50", "{bad}");
    }
}

#[test]
fn texts_are_cut_and_bounded_below() {
    let query = spec().canonicalize("q=abcdefghi%20jk").unwrap();
    assert_eq!(query.text("q"), Some("abcdefghi"));
    assert_eq!(refused("q=+a+"), "q: must be text of 2 to 10 characters");
    assert_eq!(refused("genre=---"), "genre: must be text of 1 to 8 characters");
    assert_eq!(refused("exact=%00a"), "exact: must be text of 1 to 6 characters");
    assert_eq!(refused("exact=%ff"), "exact: must be text of 1 to 6 characters");
    assert_eq!(refused("tab=old"), "tab: must be one of trending, new");
}

#[test]
fn a_required_text_cannot_be_left_out() {
    let spec = QuerySpec::new([Param::text("q", Fold::Words, 2, 10).required()]);
    let error = spec.canonicalize("limit=1").unwrap_err();
    assert_eq!(error.to_string(), "q: is required and must be text of 2 to 10 characters");
}

#[test]
fn a_stray_percent_sign_stands_for_itself() {
    assert_eq!(canonical("exact=100%"), "exact=100%25&limit=20&tab=new");
    assert_eq!(canonical("exact=%zz%2"), "exact=%25zz%252&limit=20&tab=new");
}

#[test]
fn a_part_of_a_greek_word_is_found_in_the_whole() {
    assert!(Fold::Words.apply("ΟΔΟΣΧΗ").contains(&Fold::Words.apply("ΟΔΟΣ")));
}

proptest! {
    #[test]
    fn the_canonical_string_is_a_fixpoint(raw in "\\PC{0,60}", q in "\\PC{0,14}", n in any::<i64>()) {
        for raw in [raw.clone(), format!("q={q}&limit={n}&exact={q}&genre={raw}")] {
            if let Ok(query) = spec().canonicalize(&raw) {
                let again = spec().canonicalize(query.as_str());
                prop_assert_eq!(again, Ok(query));
            }
        }
    }

    #[test]
    fn folding_twice_changes_nothing(text in any::<String>(), cut in 0_usize..12) {
        for fold in [Fold::Exact, Fold::Words, Fold::Slug] {
            let once = fold.apply_cut(&text, cut);
            prop_assert_eq!(fold.apply_cut(&once, cut), once);
        }
    }
}
