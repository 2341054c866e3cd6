//! The example of the README: what its mirror holds, and its whole campaign.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod campaign;
mod mirror;
mod told;

use std::path::PathBuf;

use crate::support::sandbox::{Sandbox, copy};

/// Folder of the example.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/example")
}

/// The example as the README has it copied: a new repository, its mirror beside it.
pub(crate) fn begun() -> Sandbox {
    let sandbox = Sandbox::with_empty_repo();
    copy(&folder().join("repo"), sandbox.work());
    copy(&folder().join("upstream"), &sandbox.work().with_file_name("upstream"));
    let mirror = std::fs::read(folder().join("mirror.yaml")).unwrap();
    std::fs::write(sandbox.work().with_file_name("mirror.yaml"), mirror).unwrap();
    sandbox.git().commit_all("Begin");
    sandbox
}
