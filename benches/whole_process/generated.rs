//! The generated repository on disk, committed, and the configuration to read it with.

use std::path::Path;

use super::data;
use super::measure::git;

pub(crate) fn repository(folder: &Path, server: &str, releases: usize, indexes: usize, images: usize) {
    for (path, text) in data::files(server, releases, indexes, images) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(folder, &["init", "-q", "-b", "main"]);
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", "generated"]);
}

/// The configuration of the runs: the registry speaks plain HTTP.
pub(crate) fn configuration(server: &str, interval: &str) -> String {
    format!(
        "detection:\n  check_interval: {interval}\nupstreams:\n  hosts:\n    \"{server}\": {{plain_http: true}}\n"
    )
}
