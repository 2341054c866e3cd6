//! The state between passes, kept in `refs/gitops-updater/state` of the remote.
//!
//! The ref is a chain of commits, one for each transition, so that `git log -p refs/gitops-updater/state` is the audit
//! trail. The tree of each:
//!
//! | path | content |
//! |---|---|
//! | `schema` | version of this layout |
//! | `updates/<id>.yaml` | one update (a step in life) |
//! | `campaigns/<id>.yaml` | one campaign |
//! | `quarantine.yaml` | versions that are not proposed again |
//! | `maintenance.yaml` | there while proposing and merging are stopped |
//! | anything else (`baseline/…`) | left as it is |
//!
//! The ref moves only forward and only by compare-and-swap at the remote: who loses reads again and decides anew
//! ([`StateStore::change`]). A file that cannot be read is named, kept as it is, and stops every transition: nothing is
//! built on what is not understood.
//!
//! **A ref that somebody rewrote** is noticed by two witnesses, each of which must be an ancestor of the ref or the ref
//! itself: `refs/gitops-updater/state-seen` at the remote, which follows the ref one transition behind (and to its tip
//! with [`StateStore::confirm`]), and a ref of this clone, `refs/remotes/gitops-updater/state-…`, where the clone
//! outlives the run. A person says that the rewriting is right with [`StateStore::accept`], which is a commit, too.

mod files;
mod store;
mod transition;

pub use files::{Broken, SCHEMA};
pub use store::{Changed, Error, History, Loaded, SEEN_REF, STATE_REF, StateStore};
pub use transition::Transition;
