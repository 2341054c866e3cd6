//! Whether the files that are read differ from the commit.
//!
//! As Git does it: by what the index remembers of each file (size, times, inode), and by content only
//! where that is no proof. A file's executable bit does not count, its content does.

use std::collections::HashMap;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::index::entry::{Mode, stat};
use rustix::fs::Stat;

use super::git::Git;
use super::listing::{Listing, ReadOptions};
use super::objects;

/// What a stat says about a file and its entry in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sameness {
    Same,
    Different,
    /// Only the content can say.
    Unsure,
}

pub(super) fn compare(index: &gix::index::State, entry: &gix::index::Entry, found: &Stat) -> Sameness {
    if !matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE) {
        return Sameness::Different;
    }
    let options = stat::Options { use_nsec: true, ..stat::Options::default() };
    let racy = entry.stat.is_racy(index.timestamp(), options);
    if !racy && entry.stat.matches(&remembered(found), options) { Sameness::Same } else { Sameness::Unsure }
}

/// A stat as an index keeps it: the low 32 bits of everything.
#[expect(clippy::unnecessary_cast, reason = "the fields have other types on other systems")]
fn remembered(found: &Stat) -> gix::index::entry::Stat {
    gix::index::entry::Stat {
        mtime: stat::Time { secs: found.st_mtime as u32, nsecs: found.st_mtime_nsec as u32 },
        ctime: stat::Time { secs: found.st_ctime as u32, nsecs: found.st_ctime_nsec as u32 },
        dev: found.st_dev as u32,
        ino: found.st_ino as u32,
        uid: found.st_uid as u32,
        gid: found.st_gid as u32,
        size: found.st_size as u32,
    }
}

/// Whether `bytes` from the disk are the blob `id`, as they are or with the line ends of the repository
/// (a checkout may have turned LF into CRLF).
pub(super) fn is_blob(bytes: &[u8], id: ObjectId) -> bool {
    let hash = |bytes: &[u8]| gix::objs::compute_hash(id.kind(), gix::objs::Kind::Blob, bytes).ok();
    hash(bytes) == Some(id)
        || (bytes.find(b"\r\n").is_some() && hash(&bytes.replace(b"\r\n", b"\n")) == Some(id))
}

/// Whether the index holds other wanted files than the commit: something is staged.
pub(super) fn staged(git: &Git, index: &gix::index::State, prefix: &str, options: &ReadOptions) -> bool {
    let repository = git.repository.to_thread_local();
    let Some(head) = git.head else { return false };
    let Ok(tree) = repository.find_commit(head).and_then(|commit| Ok(commit.tree_id()?.detach())) else {
        return true;
    };
    // The index remembers the tree that it was written from until something is staged.
    if index.tree().is_some_and(|cached| cached.num_entries.is_some() && cached.id == tree) {
        return false;
    }
    let mut scratch = Listing::new(options);
    let mut committed = HashMap::new();
    objects::walk(&repository, tree, prefix, options, &mut scratch, |path, _, object| {
        committed.insert(path, object);
    });
    for entry in index.entries() {
        let path = entry.path(index);
        let Ok(path) = std::str::from_utf8(path) else { continue };
        if committed.get(path).is_some_and(|object| *object == entry.id) {
            committed.remove(path);
        } else if Mode::SYMLINK != entry.mode
            && within(path, prefix)
            && options.is_wanted(path)
            && !options.is_excluded_anywhere(path)
            && matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE)
        {
            return true;
        }
    }
    // A directory that a sparse index keeps as one entry stands for all below it.
    let sparse: Vec<_> = index
        .entries()
        .iter()
        .filter(|entry| entry.mode.is_sparse())
        .map(|entry| entry.path(index))
        .collect();
    committed.keys().any(|path| !sparse.iter().any(|folder| path.as_bytes().starts_with(folder)))
}

/// Whether `path` is `prefix` or below it.
pub(super) fn within(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_at_a_component() {
        for (path, prefix, inside) in [
            ("apps/x.yaml", "", true),
            ("apps/x.yaml", "apps", true),
            ("apps", "apps", true),
            ("apps2/x.yaml", "apps", false),
            ("x", "apps", false),
        ] {
            assert_eq!(within(path, prefix), inside, "{path} in {prefix}");
        }
    }

    #[test]
    fn blob_with_turned_line_ends_is_the_same_file() {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, b"a: 1\n").unwrap();
        assert!(is_blob(b"a: 1\n", id));
        assert!(is_blob(b"a: 1\r\n", id));
        assert!(!is_blob(b"a: 2\n", id));
    }
}
