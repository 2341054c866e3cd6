//! What a Git repository knows of its work tree: the commit, the index, what to ignore.

use std::rc::Rc;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;

use super::ignores::Ignores;
use super::objects::causes;

/// What a repository says about its work tree.
pub(super) struct Git {
    pub(super) repository: gix::ThreadSafeRepository,
    /// The commit that is checked out; `None` before the first one.
    pub(super) head: Option<ObjectId>,
    pub(super) index: Result<Option<gix::index::File>, String>,
}

impl Git {
    pub(super) fn new(repository: gix::ThreadSafeRepository) -> Self {
        let local = repository.to_thread_local();
        let head = local.head_commit().ok().map(|commit| commit.id);
        let index = if local.index_path().exists() {
            local.open_index().map(Some).map_err(|error| causes(&error))
        } else {
            Ok(None)
        };
        Self { repository, head, index }
    }

    /// Whether `path`, or anything below it, is in the index. An index that cannot be read knows everything.
    pub(super) fn tracks(&self, path: &str) -> bool {
        match &self.index {
            Err(_) => true,
            Ok(None) => false,
            Ok(Some(index)) => {
                index.entry_range(path.into()).is_some()
                    || has_below(index, path.as_bytes())
                    // A directory that a sparse index keeps as one entry.
                    || index.entries().iter().any(|entry| {
                        entry.mode.is_sparse() && path.as_bytes().starts_with(entry.path(index).trim_end_with(|c| c == '/'))
                    })
            }
        }
    }

    /// The index, where there is one that can be read.
    pub(super) fn index(&self) -> Option<&gix::index::State> {
        self.index.as_ref().ok()?.as_deref()
    }

    /// The patterns of `info/exclude`.
    pub(super) fn ignores(&self) -> Rc<Ignores> {
        let repository = self.repository.to_thread_local();
        let fold = repository.config_snapshot().boolean("core.ignoreCase").unwrap_or(false);
        Ignores::of_repository(repository.common_dir(), fold)
    }
}

/// Whether the index has anything below the directory `path`.
pub(super) fn has_below(index: &gix::index::State, path: &[u8]) -> bool {
    let mut below = path.to_vec();
    below.push(b'/');
    index.prefixed_entries_range(below.as_bstr()).is_some()
}
