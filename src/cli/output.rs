//! Where reports go: stdout, or a file that appears whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CommandError;
use super::github_actions::harmless;

/// Destination of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    File(PathBuf),
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    #[error("cannot write `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl Output {
    pub(super) fn to(path: Option<&Path>) -> Self {
        match path {
            Some(path) if path != Path::new("-") => Self::File(path.to_path_buf()),
            _ => Self::Stdout,
        }
    }

    /// Whether colours and widths of a terminal are wanted.
    pub(super) fn wants_color(&self) -> bool {
        *self == Self::Stdout && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path),
        }
    }

    /// Writes a report. A reader who left (`| head`) is no error. On the stdout of a workflow's step no line of it is
    /// a command to the runner.
    pub(super) fn write(&self, text: &str) -> Result<(), CommandError> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                match stdout.write_all(harmless(text).as_bytes()).and_then(|()| stdout.flush()) {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                        Err(CommandError::failed(Error::Stdout(error)))
                    }
                    _ => Ok(()),
                }
            }
            Self::File(path) => replace(path, text.as_bytes())
                .map_err(|source| CommandError::failed(Error::File { path: path.clone(), source })),
        }
    }
}

/// Puts `bytes` in the place of a file, so that nobody ever sees a part of them.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Links are followed, so that the link stays; devices and pipes cannot be replaced.
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let existing = fs::metadata(&path).ok();
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new().write(true).open(&path)?.write_all(bytes);
    }
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(part);
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&part).and_then(|mut file| {
        if let Some(metadata) = &existing {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&part, &path));
    if renamed.is_err() {
        // The first error is the one to tell.
        let _nothing_to_remove = fs::remove_file(&part).is_err();
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        for text in ["a long first report", "second"] {
            Output::to(Some(&path)).write(text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn device_is_written_to() {
        replace(Path::new("/dev/null"), b"text").unwrap();
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::to(Some(&folder.path().join("none/report"))).write("x").unwrap_err();
        let text = error.render(false);
        assert!(text.starts_with("error: cannot write `") && text.contains("caused by: "), "{text}");
    }
}
