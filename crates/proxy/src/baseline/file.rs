//! Baselines on the disk.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Context;
use edge_cache_probe::baseline::Recording;

use crate::exit::UsageError;

/// Above what 100 000 answers can take.
const BYTES_MAX: u64 = 16 << 20;

/// # Errors
/// What is wrong with the file.
pub(super) fn read(file: &Path) -> Result<Recording, UsageError> {
    let wrong = |rule: String| UsageError(format!("{}: {rule}", file.display()));
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    opened.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(wrong(format!("is no baseline: must be at most {BYTES_MAX} bytes")));
    }
    Recording::from_json(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        wrong(format!("{error}{cause}"))
    })
}

/// Proves that the file can be written, and leaves what it holds.
///
/// # Errors
/// Why not.
pub(super) fn writable(file: &Path) -> Result<(), UsageError> {
    let wrong = |error: &dyn std::fmt::Display| UsageError(format!("{}: cannot be written: {error}", file.display()));
    if file.is_dir() {
        return Err(wrong(&"it is a folder"));
    }
    let part = part(file);
    File::create(&part).and_then(|_| std::fs::remove_file(&part)).map_err(|error| wrong(&error))
}

/// Writes it whole, or not at all.
///
/// # Errors
/// Why not.
pub(super) fn write(file: &Path, recording: &Recording) -> anyhow::Result<()> {
    let part = part(file);
    std::fs::write(&part, recording.to_json())
        .and_then(|()| std::fs::rename(&part, file))
        .with_context(|| format!("{}: cannot be written", file.display()))
}

fn part(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
