//! What an upstream sent: small bodies in memory, large ones in a file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Crc;
use flate2::read::MultiGzDecoder;

/// Bodies up to this many bytes stay in memory.
pub const IN_MEMORY: u64 = 1024 * 1024;

/// The decoded content of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// The whole content.
    Memory(Bytes),
    /// Content in a file.
    File(Arc<BodyFile>),
}

/// A body in a file: a cached one, a local one, or a temporary one that goes with the last handle.
#[derive(Debug)]
pub struct BodyFile {
    pub(crate) path: PathBuf,
    pub(crate) gzip: bool,
    pub(crate) check: Option<Check>,
    pub(crate) temporary: bool,
    pub(crate) limit: u64,
}

/// What a cached body must be to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Check {
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

impl BodyFile {
    /// Where the content is; for a gzipped local file this is the gzipped content.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if self.temporary
            && let Err(cause) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), reason = %cause, "temporary file not removed");
        }
    }
}

impl Body {
    /// Reads the content from its beginning, decoded and bounded: an error of kind `FileTooLarge`
    /// marks content over the limit of the request, `InvalidData` a damaged cache entry.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(bytes.as_ref()),
            Self::File(file) => {
                let opened = File::open(&file.path)?;
                let reader: Box<dyn Read + Send> = match (file.gzip, file.check) {
                    (true, _) => Box::new(MultiGzDecoder::new(BufReader::new(opened))),
                    (false, Some(check)) => Box::new(Checked::new(opened, check)),
                    (false, None) => Box::new(opened),
                };
                Box::new(Bounded { inner: reader, left: file.limit })
            }
        })
    }

    /// The whole content in memory.
    ///
    /// # Errors
    /// As [`Body::reader`], and `FileTooLarge` where the content is larger than `limit` bytes.
    pub fn bytes(&self, limit: u64) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) => {
                Ok(bytes.clone())
            }
            Self::Memory(_) => Err(too_large()),
            Self::File(_) => {
                let mut content = Vec::new();
                Bounded { inner: self.reader()?, left: limit }.read_to_end(&mut content)?;
                Ok(content.into())
            }
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "larger than the limit")
}

/// Gives at most `left` bytes and then fails, so that a cut is never taken for the end.
pub(crate) struct Bounded<R> {
    pub(crate) inner: R,
    pub(crate) left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(too_large()),
        }
        Ok(read)
    }
}

/// Fails at the end if what was read is not what was written.
struct Checked {
    inner: File,
    crc: Crc,
    length: u64,
    expected: Check,
}

impl Checked {
    fn new(inner: File, expected: Check) -> Self {
        Self { inner, crc: Crc::new(), length: 0, expected }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        self.length += read as u64;
        let found = Check { length: self.length, crc: self.crc.sum() };
        if read == 0 && found != self.expected || self.length > self.expected.length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "damaged cache entry"));
        }
        Ok(read)
    }
}
