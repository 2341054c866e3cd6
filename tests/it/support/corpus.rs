//! Real repositories and answers of upstreams, which are not part of the project.

use std::path::PathBuf;

/// A folder of the corpus that `GITOPS_UPDATER_CORPUS` names, or the corpus itself (`.`). Where there is none, says so:
/// what is tested on it is not tested then.
#[expect(clippy::print_stderr, reason = "a test that checks nothing must say so")]
pub(crate) fn corpus(below: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("GITOPS_UPDATER_CORPUS").map(PathBuf::from) else {
        eprintln!("note: GITOPS_UPDATER_CORPUS names no corpus: nothing was checked on it");
        return None;
    };
    let folder = folder.join(below);
    // Who names a corpus wants it checked.
    assert!(folder.is_dir(), "there is no corpus at {}", folder.display());
    Some(folder.canonicalize().unwrap())
}
