//! Finds and reads the configuration file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Config, Finding, MAX_BYTES, Origin, Trust, parse};

/// Name of the configuration in a repository.
pub const FILE_NAME: &str = ".gitops-updater.yaml";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of a repository is a link, a folder or a device.
    #[error("configuration `{}` is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// A link leads to the file of a repository from outside of it.
    #[error("configuration `{}` is behind a link that leads out of the repository", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("configuration `{name}` is larger than 1 MiB")]
    TooLarge {
        /// Name of the file.
        name: String,
    },
    /// The file is not text.
    #[error("configuration `{name}` is not UTF-8 text")]
    NotText {
        /// Name of the file.
        name: String,
    },
    /// The file is wrong in the places named.
    #[error("configuration `{name}` has {}", count(findings.len()))]
    Invalid {
        /// Name of the file.
        name: String,
        /// What is wrong, in the order of the file.
        findings: Vec<Finding>,
    },
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}

/// The configuration file of a repository: the first of `folders` that holds one decides.
pub fn find(folders: &[&Path]) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(FILE_NAME)).find(|path| path.symlink_metadata().is_ok())
}

/// Reads a configuration file.
///
/// `repository` is the folder of the repository that the file lies in; `None` where the user named a file outside.
///
/// # Errors
///
/// See [`Error`].
pub fn load(path: &Path, repository: Option<&Path>) -> Result<Config, Error> {
    let path_of = || path.to_path_buf();
    let trust = if repository.is_some() { Trust::Repository } else { Trust::User };
    if trust == Trust::Repository {
        // A link would make messages quote lines of files outside the repository.
        let metadata = path.symlink_metadata().map_err(|source| Error::Read { path: path_of(), source })?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path: path_of() });
        }
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In one form, so that it can be said whether a folder lies in the repository.
    let absolute =
        |folder: &Path| folder.canonicalize().map_err(|source| Error::Read { path: path_of(), source });
    let inside = match repository {
        Some(repository) => {
            let (folder, repository) = (absolute(folder)?, absolute(repository)?);
            if !folder.starts_with(&repository) {
                return Err(Error::Outside { path: path_of() });
            }
            Some((folder, repository))
        }
        None => None,
    };
    let file = File::open(path).map_err(|source| Error::Read { path: path_of(), source })?;
    let mut bytes = vec![];
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Read { path: path_of(), source })?;
    let name = path.display().to_string();
    let (folder, repository) =
        inside.as_ref().map_or((folder, None), |(folder, repository)| (folder, Some(repository.as_path())));
    from_bytes(bytes, &Origin { name: &name, trust, folder: Some(folder), repository })
}

/// Reads the bytes of a configuration, such as those of a file at a revision.
///
/// # Errors
///
/// See [`Error`].
pub fn from_bytes(bytes: Vec<u8>, origin: &Origin<'_>) -> Result<Config, Error> {
    let name = || origin.name.to_owned();
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::TooLarge { name: name() });
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText { name: name() })?;
    parse(&text, origin).map_err(|findings| Error::Invalid { name: name(), findings })
}
