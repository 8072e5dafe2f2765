//! Every target: what is kept in its folders, and what proptest makes up.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::PathBuf};

use edge_cache_fuzz::{TARGETS, Target, home};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{TestError, TestRunner},
};

/// Cases of each kind and target: a few seconds for all of them together.
const CASES: u32 = 2_000;
/// A corpus stays small: it is read by every run of the tests, and by people.
const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 64 << 10;

fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("it is in the list")
}

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    // A new target has no corpus yet.
    let found = fs::read_dir(home().join(folder).join(target));
    let mut files: Vec<_> = found.into_iter().flatten().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn contents(folder: &str, target: &str) -> Vec<Vec<u8>> {
    files(folder, target).iter().map(|file| fs::read(file).unwrap()).collect()
}

/// The words of a dictionary of AFL's: one a line, in quotes, with `\xNN`.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(home().join("dictionaries").join(format!("{target}.dict"))).unwrap();
    let word = |line: &str| {
        let mut rest = line.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let mut word = Vec::new();
        while let Some((before, escape)) = rest.split_once("\\x") {
            word.extend_from_slice(before.as_bytes());
            word.push(u8::from_str_radix(&escape[..2], 16).unwrap());
            rest = &escape[2..];
        }
        word.extend_from_slice(rest.as_bytes());
        assert!((1..=128).contains(&word.len()), "{line}: as AFL++ takes it");
        word
    };
    text.lines().filter(|line| !line.starts_with('#')).map(word).collect()
}

fn holds(target: &str, inputs: impl Strategy<Value = Vec<u8>>) {
    let Target { check, .. } = self::target(target);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&inputs, |input| {
        check(&input);
        Ok(())
    });
    if let Err(TestError::Fail(why, input)) = &run {
        panic!("{why}\nb\"{}\"", input.escape_ascii());
    }
    run.unwrap();
}

fn what_is_kept(target: &str) {
    let Target { check, .. } = self::target(target);
    assert!(!files("seeds", target).is_empty());
    let corpus = files("corpus", target);
    assert!(corpus.len() <= FILES_MAX, "{} files: `fuzz/run --keep {target}` makes them fewer", corpus.len());
    let bytes: u64 = corpus.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes: `fuzz/run --keep {target}` makes them fewer");
    for file in files("seeds", target).into_iter().chain(corpus) {
        // Shown when the check panics.
        eprintln!("{}", file.display());
        check(&fs::read(&file).unwrap());
    }
}

fn any_bytes(target: &str) {
    holds(target, proptest::collection::vec(any::<u8>(), 0..600));
}

/// Words of the target's language with a little of anything in between.
fn words_of_its_own(target: &str) {
    let piece = prop_oneof![
        6 => proptest::sample::select(words(target)),
        2 => "[0-9]{1,4}".prop_map(String::into_bytes),
        2 => "[ ,;:=\"/&?.\n\\\\-]".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    holds(target, proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat()));
}

/// What is kept, changed in a few places: another byte, a word put in, a piece taken out, the end of another.
fn changed_seeds(target: &str) {
    let kept: Vec<_> = [contents("seeds", target), contents("corpus", target)].concat();
    let (seed, other) = (proptest::sample::select(kept.clone()), proptest::sample::select(kept));
    let change = (0..4_u8, any::<Index>(), any::<u8>(), proptest::sample::select(words(target)));
    let changes = proptest::collection::vec(change, 1..4);
    let changed = (seed, other, changes).prop_map(|(mut seed, other, changes)| {
        for (kind, at, byte, word) in changes {
            let at = at.index(seed.len() + 1);
            match kind {
                0 => seed[at..].iter_mut().take(1).for_each(|place| *place = byte),
                1 => drop(seed.splice(at..at, word)),
                2 => drop(seed.splice(at..seed.len().min(at + usize::from(byte)), [])),
                _ => {
                    seed.truncate(at);
                    seed.extend_from_slice(&other[at.min(other.len())..]);
                }
            }
        }
        seed
    });
    holds(target, changed);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(mod $name {
            const NAME: &str = stringify!($name);

            #[test]
            fn what_is_kept() {
                super::what_is_kept(NAME);
            }

            #[test]
            fn any_bytes() {
                super::any_bytes(NAME);
            }

            #[test]
            fn words_of_its_own() {
                super::words_of_its_own(NAME);
            }

            #[test]
            fn changed_seeds() {
                super::changed_seeds(NAME);
            }
        })*

        #[test]
        fn no_target_is_forgotten() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(tested.to_vec(), TARGETS.map(|target| target.name));
            for name in tested {
                assert!(home().join("afl/src/bin").join(format!("{name}.rs")).exists(), "{name} is a program for AFL++");
            }
        }
    };
}

targets! { access_log cache_control config dates range snapshot structured_fields url vary wire }
