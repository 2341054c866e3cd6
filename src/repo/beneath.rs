//! Opens what lies beneath a directory, and nothing else.
//!
//! Every path is opened from the root's descriptor without following any link, at any component.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

/// An open directory that paths are resolved beneath.
#[derive(Debug)]
pub(super) struct Root {
    descriptor: OwnedFd,
}

impl Root {
    /// Opens the directory at `path`, which comes from the user and is followed where it leads.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { descriptor })
    }

    /// Lists the directory at `path` (empty for the root itself).
    pub(super) fn directory(&self, path: &[u8]) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok(Dir::new(self.open_beneath(path, flags)?)?)
    }

    /// Opens the regular file at `path` and says what it was when it was opened.
    ///
    /// `O_NONBLOCK` keeps a pipe that took the file's place from blocking the run.
    pub(super) fn file(&self, path: &[u8]) -> io::Result<(File, Stat)> {
        let descriptor = self.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = rustix::fs::fstat(&descriptor)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((File::from(descriptor), stat))
    }

    /// What `path` is, itself, not what a link there leads to. The directories above it must have
    /// been looked at before; nothing is opened.
    pub(super) fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.descriptor, OsStr::from_bytes(path), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// The text of the link at `path`.
    pub(super) fn link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.descriptor, OsStr::from_bytes(path), Vec::new())?.into_bytes())
    }

    #[cfg(target_os = "linux")]
    fn open_beneath(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        use rustix::fs::ResolveFlags;
        use rustix::io::Errno;

        let name = if path.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(path) };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat2(&self.descriptor, name, flags, Mode::empty(), resolve) {
            // Kernels before 5.6 do not know the call; sandboxes of that age refuse what they do not know.
            Err(Errno::NOSYS | Errno::PERM) => self.open_stepwise(path, flags),
            other => Ok(other?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_beneath(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        self.open_stepwise(path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW)
    }

    /// One `openat` per component, each refusing links.
    fn open_stepwise(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let above = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).peekable();
        let mut here = rustix::fs::openat(&self.descriptor, ".", above, Mode::empty())?;
        while let Some(part) = parts.next() {
            if matches!(part, b"." | b"..") {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "path leaves the tree"));
            }
            let flags = if parts.peek().is_some() { above } else { flags };
            here = rustix::fs::openat(&here, OsStr::from_bytes(part), flags, Mode::empty())?;
        }
        Ok(here)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("tree");
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        std::fs::write(inside.join("a/b/file.yaml"), "inside").unwrap();
        std::fs::write(folder.path().join("secret.yaml"), "outside").unwrap();
        symlink("../../secret.yaml", inside.join("a/out.yaml")).unwrap();
        symlink("b", inside.join("a/sideways")).unwrap();
        symlink("../..", inside.join("a/up")).unwrap();
        let root = Root::open(&inside).unwrap();
        (folder, root)
    }

    #[test]
    fn file_beneath_the_root_is_read() {
        let (_folder, root) = tree();
        let (mut file, stat) = root.file(b"a/b/file.yaml").unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), stat.st_size), ("inside", 6));
    }

    #[test]
    fn links_and_parents_are_refused_by_both_ways_of_opening() {
        let (_folder, root) = tree();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        assert!(root.open_stepwise(b"a/b/file.yaml", flags).is_ok());
        for path in [
            "a/out.yaml",
            "a/sideways/file.yaml",
            "a/up/secret.yaml",
            "../secret.yaml",
            "a/../../secret.yaml",
        ] {
            assert!(root.file(path.as_bytes()).is_err(), "{path}");
            assert!(root.open_stepwise(path.as_bytes(), flags).is_err(), "{path}");
        }
    }

    #[test]
    fn directory_is_not_a_file() {
        let (_folder, root) = tree();
        assert_eq!(root.file(b"a/b").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
