//! What the index of Git says of the files on disk: which of them are tracked, and what is missing.

use gix::bstr::ByteSlice as _;
use gix::index::entry::{Flags, Mode, Stage};

use super::Walk;
use crate::domain::problem::{Category, Problem};
use crate::repo::dirty::{self, within};
use crate::repo::objects::note_submodule;
use crate::repo::text;

/// Where the index has a file.
#[derive(Clone, Copy)]
pub(super) enum Tracked {
    No,
    At(usize),
    /// In several stages: a merge has not been finished.
    Conflicted,
}

impl Walk<'_> {
    pub(super) fn tracked(&mut self, path: &[u8]) -> Tracked {
        let Some(index) = self.index else { return Tracked::No };
        if let Some(position) = index.entry_index_by_path_and_stage(path.as_bstr(), Stage::Unconflicted) {
            if let Some(met) = self.met.get_mut(position) {
                *met = true;
            }
            return Tracked::At(position);
        }
        match index.entry_range(path.as_bstr()) {
            Some(range) => {
                if let Some(met) = self.met.get_mut(range) {
                    met.fill(true);
                }
                Tracked::Conflicted
            }
            None => Tracked::No,
        }
    }

    /// Says what the index has and the disk has not.
    pub(super) fn account_for_index(&mut self) {
        let Some(index) = self.index else { return };
        for (position, entry) in index.entries().iter().enumerate() {
            let path = entry.path(index);
            let shown = text::lossy(path);
            let path = shown.trim_end_matches('/');
            if !(within(path, self.prefix) || entry.mode.is_sparse() && within(self.prefix, path)) {
                continue;
            }
            if entry.mode.is_submodule() {
                if !self.options.is_excluded_anywhere(path) {
                    note_submodule(&mut self.listing, path);
                }
                continue;
            }
            let is_met = self.met.get(position).copied().unwrap_or(false);
            let is_unlisted = || self.unlisted.iter().any(|folder| is_below(path.as_bytes(), folder));
            if is_met || self.options.is_excluded_anywhere(path) || is_unlisted() {
                continue;
            }
            if entry.mode.is_sparse() {
                self.listing.skipped.outside_sparse_checkout += 1;
            } else if entry.mode == Mode::SYMLINK || self.options.is_wanted(path) {
                if entry.flags.contains(Flags::SKIP_WORKTREE) {
                    self.listing.skipped.outside_sparse_checkout += 1;
                } else {
                    self.listing.skipped.deleted += 1;
                    self.listing.differs = true;
                }
            }
        }
        let outside = self.listing.skipped.outside_sparse_checkout;
        if outside > 0 {
            self.listing.notices.push(Problem {
                category: Category::Repository,
                file: None,
                line: None,
                upstream: None,
                message: format!(
                    "the sparse checkout leaves out {outside} files or directories, which are not read; name a revision to read all"
                ),
            });
        }
        if let Some(git) = &self.disk.git
            && !self.listing.differs
        {
            self.listing.differs = dirty::staged(git, index, self.prefix, self.options);
        }
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}
