//! Collects content in memory, and in a temporary file once it is large. Where no file can be written (a
//! container with a read-only root, a full disk) it stays in memory.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;

use super::body::{Body, BodyFile, Check, IN_MEMORY};
use super::cache::{create_new, unique};

/// Content that is being received.
pub(super) struct Spool {
    /// Where a file may be made, in order; none any more once no place took one.
    folders: Vec<PathBuf>,
    memory: Vec<u8>,
    file: Option<Spooled>,
    /// Bytes so far.
    pub(super) length: u64,
    crc: Crc,
}

struct Spooled {
    file: File,
    body: Arc<BodyFile>,
    start: Vec<u8>,
    written: u64,
}

impl Spool {
    /// Starts with nothing; `folder` is where a file is made first, the system's temporary folder comes next.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        let folders = folder.map(Path::to_path_buf).into_iter().chain([std::env::temp_dir()]).collect();
        Self::within(folders)
    }

    fn within(folders: Vec<PathBuf>) -> Self {
        Self { folders, memory: Vec::new(), file: None, length: 0, crc: Crc::new() }
    }

    /// Takes what came next.
    ///
    /// # Errors
    /// What was written to a file that then was full cannot be read back.
    pub(super) fn push(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.length += chunk.len() as u64;
        self.crc.update(chunk);
        self.memory.extend_from_slice(chunk);
        if self.memory.len() as u64 > IN_MEMORY {
            // Written by the thread that received it: chunks are small and the file is not synced.
            if self.file.is_none() {
                self.open();
            }
            self.write()?;
        }
        Ok(())
    }

    /// Makes a file in the first place that takes one.
    fn open(&mut self) {
        for folder in std::mem::take(&mut self.folders) {
            let path = folder.join(format!("{}.tmp", unique()));
            match create_new(&path) {
                Ok(file) => {
                    let body = BodyFile { path, gzip: false, check: None, temporary: true, limit: u64::MAX };
                    let start = self.memory.iter().take(64).copied().collect();
                    self.file = Some(Spooled { file, body: Arc::new(body), start, written: 0 });
                    return;
                }
                Err(cause) => {
                    tracing::debug!(folder = %folder.display(), reason = %cause, "no file for a large answer here");
                }
            }
        }
    }

    /// Moves what is in memory into the file, if there is one.
    fn write(&mut self) -> std::io::Result<()> {
        let Some(spooled) = &mut self.file else { return Ok(()) };
        if spooled.file.write_all(&self.memory).is_ok() {
            spooled.written += self.memory.len() as u64;
            self.memory.clear();
            return Ok(());
        }
        // The disk is full: what it took is read back.
        let mut memory = Vec::new();
        File::open(spooled.body.path())?.take(spooled.written).read_to_end(&mut memory)?;
        if memory.len() as u64 != spooled.written {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        memory.append(&mut self.memory);
        self.memory = memory;
        self.file = None;
        Ok(())
    }

    /// The body, what it must be when read again, and its first bytes.
    ///
    /// # Errors
    /// As [`Spool::push`].
    pub(super) fn finish(mut self) -> std::io::Result<(Body, Check, Vec<u8>)> {
        let check = Check { length: self.length, crc: self.crc.sum() };
        self.write()?;
        Ok(match self.file.take() {
            Some(spooled) => (Body::File(spooled.body), check, spooled.start),
            None => {
                let start = self.memory.iter().take(64).copied().collect();
                (Body::Memory(self.memory.into()), check, start)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where neither the cache nor the temporary folder could be written (a container with a read-only root),
    /// every answer over 1 MiB failed.
    #[test]
    fn large_content_goes_to_the_first_place_that_takes_it_and_else_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let large: Vec<u8> = (0..3 * IN_MEMORY).map(|i| (i % 251) as u8).collect();
        for (folders, in_file) in
            [(vec![none.clone(), folder.path().to_owned()], true), (vec![none.clone(), none.clone()], false)]
        {
            let mut spool = Spool::within(folders);
            for chunk in large.chunks(100_000) {
                spool.push(chunk).unwrap();
            }
            let (body, check, start) = spool.finish().unwrap();
            assert_eq!(matches!(body, Body::File(_)), in_file);
            assert_eq!((check.length, start.as_slice()), (large.len() as u64, &large[..64]));
            assert!(body.bytes(u64::MAX).unwrap() == large);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_gives_back_what_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::within(vec![folder.path().to_owned()]);
        let large: Vec<u8> = (0..2 * IN_MEMORY).map(|i| (i % 251) as u8).collect();
        for chunk in large.chunks(100_000) {
            spool.push(chunk).unwrap();
            if let Some(spooled) = &mut spool.file {
                // From now on the disk takes no byte.
                spooled.file = File::options().write(true).open("/dev/full").unwrap();
            }
        }
        let (body, ..) = spool.finish().unwrap();
        assert!(matches!(body, Body::Memory(_)) && body.bytes(u64::MAX).unwrap() == large);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
