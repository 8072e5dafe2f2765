//! Finds installed server programs.

use crate::Error;
use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What to find: every program must be in one folder, since `initdb` and `postgres` of different
/// versions do not fit together.
pub(crate) struct Wanted {
    pub(crate) programs: &'static [&'static str],
    pub(crate) package: &'static str,
}

/// The first of `folders` that holds all of `wanted`.
pub(crate) fn find(wanted: &Wanted, folders: Vec<PathBuf>) -> Result<PathBuf, Error> {
    let missing_in = |folder: &Path| wanted.programs.iter().copied().find(|program| !is_program(&folder.join(program)));
    if let Some(found) = folders.iter().find(|folder| missing_in(folder).is_none()) {
        return Ok(found.clone());
    }
    // Where some folder holds a part, name what is missing beside it rather than the first program.
    let binary = folders
        .iter()
        .filter_map(|folder| missing_in(folder))
        .find(|program| Some(program) != wanted.programs.first())
        .unwrap_or(wanted.programs[0]);
    Err(Error::MissingBinary { binary, package: wanted.package, searched: folders })
}

/// The folders of `$PATH`, in order.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// The `bin` folders below `root` (`/usr/lib/postgresql`), the newest version first.
pub(crate) fn versioned(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn version(name: &str) -> Option<Vec<u32>> {
    name.split('.').map(|part| part.parse().ok()).collect()
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { programs: &["one", "two"], package: "both" };

    fn program(folder: &Path, name: &str, mode: u32) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), "").unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn takes_the_first_folder_that_holds_every_program() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["none", "half", "full", "later"].map(|name| root.path().join(name));
        program(&folders[1], "one", 0o755);
        for folder in &folders[2..] {
            program(folder, "one", 0o755);
            program(folder, "two", 0o755);
        }
        assert_eq!(find(&WANTED, folders.to_vec()).unwrap(), folders[2]);
    }

    #[test]
    fn a_file_that_cannot_be_run_is_no_program() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), "one", 0o755);
        program(root.path(), "two", 0o644);
        let error = find(&WANTED, vec![root.path().to_owned()]).unwrap_err();
        assert!(matches!(error, Error::MissingBinary { binary: "two", package: "both", .. }));
    }

    #[test]
    fn the_message_names_program_folders_and_package() {
        let error = find(&WANTED, vec!["/a".into(), "/b".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no `one` in /a, /b: install it with `apt-get install both`");
    }

    #[test]
    fn versions_sort_as_numbers_newest_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "9.10", "102", "doc"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = versioned(root.path());
        let expected = ["102", "15", "9.10", "9.6"].map(|v| root.path().join(v).join("bin"));
        assert_eq!(found, expected);
        assert!(versioned(&root.path().join("absent")).is_empty());
    }
}
