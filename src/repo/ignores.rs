//! Which untracked paths Git is told to ignore: `.gitignore` files and `info/exclude`.
//!
//! The grammar is Git's (gitignore(5)), as gix reads it; the files are read here, bounded and without
//! following links (Git does not follow a link named `.gitignore` either).

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use gix::bstr::ByteSlice as _;
use gix::glob::pattern::Case;
use gix::ignore::Search;

use super::beneath::Root;

/// Bytes of a `.gitignore` beyond which it is not used: 1 MiB.
const MAX_IGNORE_SIZE: u64 = 1024 * 1024;

/// The patterns of one directory, and of those above it.
#[derive(Debug)]
pub(super) struct Ignores {
    above: Option<Rc<Self>>,
    patterns: Search,
    case: Case,
}

impl Ignores {
    /// The patterns of `info/exclude` in the repository's common directory.
    pub(super) fn of_repository(common_dir: &Path, ignore_case: bool) -> Rc<Self> {
        let case = if ignore_case { Case::Fold } else { Case::Sensitive };
        let mut patterns = Search::default();
        let source = common_dir.join("info/exclude");
        // A missing or unreadable file has no patterns, as for Git.
        if let Some(text) = std::fs::File::open(&source).ok().and_then(bounded) {
            patterns
                .add_patterns_buffer(&text, source, None, Default::default())
                .expect("invariant: only a base path can be refused, and there is none");
        }
        Rc::new(Self { above: None, patterns, case })
    }

    /// These patterns and those of the `.gitignore` in `directory` (within the tree, empty for its root).
    ///
    /// `Err` holds the reason where there is a `.gitignore` that cannot be used.
    pub(super) fn below(self: &Rc<Self>, root: &Root, directory: &[u8]) -> Result<Rc<Self>, String> {
        let mut path = directory.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(b".gitignore");
        let (file, _) = match root.file(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Rc::clone(self)),
            Err(error) => return Err(format!("its patterns are not used: {error}")),
        };
        let Some(text) = bounded(file) else {
            return Err(format!("its patterns are not used: it has more than {MAX_IGNORE_SIZE} bytes"));
        };
        let mut patterns = Search::default();
        let source = PathBuf::from(OsStr::from_bytes(&path));
        patterns
            .add_patterns_buffer(&text, source, Some(Path::new("")), Default::default())
            .map_err(|error| format!("its patterns are not used: {error}"))?;
        Ok(Rc::new(Self { above: Some(Rc::clone(self)), patterns, case: self.case }))
    }

    /// Whether a pattern names `path` itself. That a directory above it is ignored is for the caller
    /// to know: nothing below such a directory can be reverted in.
    pub(super) fn is_ignored(&self, path: &[u8], is_directory: bool) -> bool {
        let mut level = Some(self);
        while let Some(ignores) = level {
            let found = ignores.patterns.pattern_matching_relative_path(
                path.as_bstr(),
                Some(is_directory),
                ignores.case,
            );
            if let Some(found) = found {
                return !found.pattern.is_negative();
            }
            level = ignores.above.as_deref();
        }
        false
    }
}

/// The content of `file`, `None` when it cannot be read or is too large.
fn bounded(file: std::fs::File) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = file.take(MAX_IGNORE_SIZE + 1).read_to_end(&mut text).ok()?;
    (read as u64 <= MAX_IGNORE_SIZE).then_some(text)
}
