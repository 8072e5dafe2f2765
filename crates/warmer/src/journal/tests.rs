use std::sync::Arc;

use edge_cache_core::Clock;

use super::*;

/// A clock that shows what it was made with.
#[derive(Debug)]
struct Still(i64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0)
    }
}

const KEEP: Duration = Duration::from_secs(600);

fn open_at(path: &Path, run: u128, secs: i64) -> Result<Journal, JournalError> {
    Journal::open(path, run, KEEP, Arc::new(Still(secs)))
}

fn open(path: &Path, run: u128) -> Journal {
    open_at(path, run, 1000).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some/where/warm.journal");
    (folder, path)
}

#[test]
fn what_was_done_is_done_after_the_process_is_gone() {
    let (_folder, path) = place();
    let mut journal = open(&path, 7);
    journal.add(1).unwrap();
    journal.add(u128::MAX).unwrap();
    drop(journal);
    let mut journal = open(&path, 7);
    assert_eq!((journal.done(), journal.is_done(1), journal.is_done(u128::MAX)), (2, true, true));
    assert!(!journal.is_done(2));
    journal.add(2).unwrap();
    drop(journal);
    let journal = open(&path, 7);
    assert_eq!(journal.done(), 3);
    journal.remove().unwrap();
    assert!(!path.exists());
    assert_eq!(open(&path, 7).done(), 0);
}

#[test]
fn another_run_s_journal_says_nothing_and_is_begun_anew() {
    let (_folder, path) = place();
    open(&path, 7).add(1).unwrap();
    assert_eq!(open(&path, 8).done(), 0);
    assert_eq!(open(&path, 7).done(), 0, "it was replaced");
    assert_ne!(run_digest(["ab", "c"]), run_digest(["a", "bc"]));
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_its_last_whole_line() {
    let (_folder, path) = place();
    let mut journal = open(&path, 7);
    journal.add(1).unwrap();
    journal.add(2).unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut journal = open(&path, 7);
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.done(), lines.saturating_sub(1), "cut at {cut}");
        journal.add(3).unwrap();
        drop(journal);
        let journal = open(&path, 7);
        assert_eq!((journal.done(), journal.is_done(3)), (lines.saturating_sub(1) + 1, true), "cut at {cut}");
    }
}

#[test]
fn lines_of_something_else_are_passed_over() {
    let (_folder, path) = place();
    open(&path, 7).add(1).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"nonsense\n\xff\xfe\n12 34\n").unwrap();
    let mut journal = open(&path, 7);
    assert_eq!(journal.done(), 1);
    journal.add(2).unwrap();
    drop(journal);
    assert_eq!(open(&path, 7).done(), 2);
}

#[test]
fn what_was_done_too_long_ago_is_to_be_done_again_line_by_line() {
    let (_folder, path) = place();
    open_at(&path, 7, 1000).unwrap().add(1).unwrap();
    open_at(&path, 7, 1500).unwrap().add(2).unwrap();
    let done = |secs| {
        let journal = open_at(&path, 7, secs).unwrap();
        (journal.is_done(1), journal.is_done(2))
    };
    assert_eq!(done(1600), (true, true));
    assert_eq!(done(1601), (false, true));
    assert_eq!(done(2101), (false, false));
    assert_eq!(done(100), (false, false), "a clock that was set back says nothing");
}

#[test]
fn two_processes_do_not_share_it_and_other_files_are_left_alone() {
    let (folder, path) = place();
    let journal = open(&path, 7);
    assert!(matches!(open_at(&path, 7, 0), Err(JournalError::Busy { .. })));
    drop(journal);
    open(&path, 7);
    let other = folder.path().join("letter.txt");
    for text in ["Dear Ada,\nhow are you?\n", "Dear Ada"] {
        std::fs::write(&other, text).unwrap();
        assert!(matches!(open_at(&other, 7, 0), Err(JournalError::Foreign { .. })), "{text}");
        assert_eq!(std::fs::read_to_string(&other).unwrap(), text);
    }
    assert!(matches!(open_at(folder.path(), 7, 0), Err(JournalError::Open { .. })));
}
