//! Writes to a repository: commits into its object database, refs at its remote.
//!
//! libgit2 does what gix cannot: push. Everything that goes out of this process by Git goes through
//! [`WriteRepo::push`], which moves a ref only from where it was expected and tells what the server answered for each.
//!
//! No work tree, no index and no program takes part; see [`WriteRepo`]. What is read back from commits is untrusted and
//! bounded.

mod clone;
mod commit;
mod error;
mod http;
mod id;
mod local;
mod push;
mod remote;
mod revert;
mod store;
mod tree;

pub use clone::clone_bare;
pub use commit::{Change, Merged, Words};
pub use error::Error;
pub use http::{HttpLimits, SuppliesToken};
pub use id::{Id, NotAnId};
pub use push::{Pushed, RefUpdate};
pub use remote::{Remote, RemoteRefs, configured_url, https_form};
pub use revert::{Landed, Standing};
pub use store::{CommitInfo, Person, TagInfo, WriteRepo};
pub use tree::{EntryKind, TreeEntry};
