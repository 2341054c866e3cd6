//! Makes a folder a bare clone, for places that have none (a container that was just started).

use std::path::Path;

use git2::{Repository, RepositoryInitOptions};

use super::http::prepare;
use super::store::open_at;
use super::{Error, Id, Remote, WriteRepo};

/// Makes `path` a bare repository with the branch of `remote`, or brings the one that is there up to date. Only a
/// folder that is missing or empty is made one. `origin` is written as the URL of the remote `origin`, so that it must
/// not hold credentials; `branch` is the remote's default branch where it is not given. What the branch held before is
/// still there as an object, and nothing else of the repository changes.
///
/// # Errors
///
/// The folder holds something else, the remote cannot be asked, or it has no such branch.
pub fn clone_bare(path: &Path, origin: &str, remote: Remote, branch: Option<&str>) -> Result<(), Error> {
    prepare()?;
    if !is_repository(path) {
        init(path, origin)?;
    }
    let repo = WriteRepo::open(path, remote)?;
    let default = match branch {
        Some(branch) => branch.to_owned(),
        None => {
            repo.refs()?.default_branch.ok_or_else(|| Error::NoBranch { remote: repo.remote().shown() })?
        }
    };
    let name = format!("refs/heads/{default}");
    let refs = repo.fetch(|candidate| candidate == name)?;
    let tip: Id = refs.branch(&default).ok_or_else(|| Error::NoBranch { remote: repo.remote().shown() })?;
    let repository = repo.lock();
    let failed = |attempt: String| {
        let folder = repo.git_dir().to_owned();
        move |source| Error::Refs { attempt, folder, source }
    };
    repository
        .reference(&name, tip.oid(), true, "gitops-updater: follow the remote")
        .map_err(failed(format!("write `{name}`")))?;
    repository.set_head(&name).map_err(failed("write `HEAD`".to_owned()))
}

fn is_repository(path: &Path) -> bool {
    path.exists() && open_at(path).is_ok()
}

fn init(path: &Path, origin: &str) -> Result<(), Error> {
    let failed = |source: git2::Error| Error::Open { path: path.to_owned(), source };
    let is_empty = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_empty {
        return Err(Error::NotEmpty { path: path.to_owned() });
    }
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).mkpath(true);
    let repository = Repository::init_opts(path, &options).map_err(failed)?;
    repository.remote("origin", origin).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_holds_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.txt"), "x").unwrap();
        let error = clone_bare(folder.path(), "https://example.com/a.git", Remote::own(), None).unwrap_err();
        assert!(error.to_string().contains("neither a repository nor empty"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
