//! Reads what was listed, on several threads, each file once.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::buffer::spare_capacity;

use super::disk::Disk;
use super::links::Target;
use super::listing::{DEFAULT_MAX_SIZE, FileEntry, Listing, ReadOptions};
use super::objects::causes;
use super::open::{Location, Repo, Source, again};
use super::text::{over_total, too_large};
use super::{Error, dirty};
use crate::domain::problem::Problem;

/// Files that a thread takes at a time: few enough that both cores end together.
const BATCH: usize = 8;

/// What came of reading a [`Listing`].
#[derive(Debug)]
pub struct Reading<T> {
    /// Every file that was read, in the order of the listing, with what was made of it.
    pub files: Vec<(FileEntry, T)>,
    /// Files that turned out not to be readable, and files whose content is not here.
    pub problems: Vec<Problem>,
}

impl Repo {
    /// Lists the files to read.
    ///
    /// # Errors
    ///
    /// None of what is found makes listing fail: it is under `problems`. An error means that there is
    /// nothing to list from.
    pub fn files(&self, options: &ReadOptions) -> Result<Listing, Error> {
        Ok(match &self.source {
            Source::Disk(disk) => disk.list(self.prefix(), options),
            Source::Objects(objects) => objects.list(self.prefix(), options),
        })
    }

    /// Lists the files below one folder of the tree, whether or not it is in the part that is read; nothing
    /// where there is no such folder.
    pub fn files_below(&self, folder: &str, options: &ReadOptions) -> Listing {
        match &self.source {
            Source::Disk(disk) => match disk.find(folder) {
                Err(Target::Directory(folder)) => disk.list(&folder, options),
                _ => Listing::default(),
            },
            Source::Objects(objects) => match objects.find(folder) {
                Err(Target::Directory(folder)) => objects.list(&folder, options),
                _ => Listing::default(),
            },
        }
    }

    /// The commit that is read; with `-dirty` when a file of `listing` differs from it, is missing, or is
    /// not tracked. `None` for a plain folder and before the first commit.
    ///
    /// Files whose size and times prove nothing are read once more for this, so ask once.
    pub fn revision(&self, listing: &Listing) -> Option<String> {
        match (&self.source, &self.location) {
            (Source::Objects(objects), _) => Some(objects.commit.to_string()),
            (Source::Disk(disk), Location::WorkTree { .. }) => {
                let head = disk.git.as_ref()?.head?;
                let mut buffer = Vec::new();
                let differs = listing.differs
                    || listing.unsure.iter().any(|(path, id)| {
                        load(disk, path, listing.max_size, &mut buffer).is_err()
                            || !dirty::is_blob(&buffer, *id)
                    });
                Some(format!("{head}{}", if differs { "-dirty" } else { "" }))
            }
            (Source::Disk(_), _) => None,
        }
    }

    /// Calls `make` with the bytes of every listed file, on up to `threads` threads, and returns the
    /// results in the order of the listing. The bytes are not kept.
    ///
    /// Files that hold a Git LFS pointer or are locked by git-crypt are listed as problems.
    pub fn read_each<T: Send>(
        &self,
        listing: &Listing,
        threads: usize,
        make: impl Fn(&FileEntry, &[u8]) -> T + Sync,
    ) -> Reading<T> {
        let entries = &listing.entries;
        let threads = threads.clamp(1, entries.len().div_ceil(BATCH).max(1));
        let next = AtomicUsize::new(0);
        let total = AtomicU64::new(0);
        let bounded = match &self.source {
            Source::Objects(objects) => again(objects.repository.git_dir(), listing.max_size),
            Source::Disk(_) => None,
        };
        let work = || {
            let mut reader = Reader::new(&self.source, bounded.as_ref(), listing, &total);
            let mut made = Vec::with_capacity(entries.len() / threads + BATCH);
            loop {
                let start = next.fetch_add(BATCH, Ordering::Relaxed);
                if start >= entries.len() {
                    return made;
                }
                for (offset, entry) in entries[start..].iter().take(BATCH).enumerate() {
                    made.push((start + offset, reader.with(entry, |bytes| make(entry, bytes))));
                }
            }
        };
        let mut made = if threads == 1 {
            work()
        } else {
            std::thread::scope(|scope| {
                let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
                let mut made = work();
                for other in others {
                    made.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                }
                made
            })
        };
        made.sort_unstable_by_key(|(position, _)| *position);
        let mut reading = Reading { files: Vec::with_capacity(made.len()), problems: Vec::new() };
        for ((_, result), entry) in made.into_iter().zip(entries) {
            match result {
                Ok(value) => reading.files.push((entry.clone(), value)),
                Err(unread) => reading.problems.push(Problem::in_file(
                    &*entry.path,
                    None,
                    unread.message(listing.max_size, listing.max_total),
                )),
            }
        }
        reading
    }

    /// Reads one file of the tree, whether or not it was listed; links within the tree are followed.
    ///
    /// # Errors
    ///
    /// The path leads out of the tree or to nothing, is not a file, has more than
    /// [`DEFAULT_MAX_SIZE`] bytes, or cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let named = |target| match target {
            Target::Outside => Error::Outside { path: path.to_owned() },
            Target::Directory(_) | Target::Special => Error::NotAFile { path: path.to_owned() },
            _ => Error::Missing { path: path.to_owned() },
        };
        let mut bytes = Vec::new();
        let unread = match &self.source {
            Source::Disk(disk) => {
                let file = disk.find(path).map_err(named)?;
                load(disk, &file, DEFAULT_MAX_SIZE, &mut bytes)
            }
            Source::Objects(objects) => {
                let (_, object) = objects.find(path).map_err(named)?;
                let repository = objects.repository.to_thread_local();
                unpack(&repository, object, DEFAULT_MAX_SIZE).map(|mut blob| bytes = blob.take_data())
            }
        };
        let path = path.to_owned();
        match unread {
            Ok(()) => Ok(bytes),
            Err(Unread::TooLarge(_)) => Err(Error::TooLarge { path, limit: DEFAULT_MAX_SIZE }),
            Err(Unread::Io(source)) if source.kind() == io::ErrorKind::InvalidInput => {
                Err(Error::NotAFile { path })
            }
            Err(Unread::Io(source)) => Err(Error::Read { path, source }),
            Err(Unread::Object(source)) => Err(Error::Object { path, source }),
            Err(Unread::OverTotal | Unread::Elsewhere(_)) => Err(Error::Missing { path }),
        }
    }
}

/// Why a listed file was not read.
#[derive(Debug)]
enum Unread {
    /// With its size, unless it grew.
    TooLarge(Option<u64>),
    OverTotal,
    /// What stands in the file's place.
    Elsewhere(&'static str),
    Io(io::Error),
    Object(Box<gix::Error>),
}

impl Unread {
    fn message(&self, limit: u64, total: u64) -> String {
        match self {
            Self::TooLarge(size) => too_large(*size, limit),
            Self::OverTotal => over_total(total),
            Self::Elsewhere(what) => (*what).to_owned(),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "cannot read: permission denied; allow this user to read it".to_owned()
                }
                io::ErrorKind::NotFound => {
                    "cannot read: it was deleted while the repository was read".to_owned()
                }
                _ => format!("cannot read: {error}"),
            },
            Self::Object(error) => format!("cannot read the git object: {}", causes(error.as_ref())),
        }
    }
}

/// One thread's means of reading.
struct Reader<'a> {
    source: ReaderSource<'a>,
    buffer: Vec<u8>,
    max_size: u64,
    max_total: u64,
    total: &'a AtomicU64,
}

enum ReaderSource<'a> {
    Disk(&'a Disk),
    Objects {
        repository: Box<gix::Repository>,
        /// The same, refusing what is too large by itself.
        bounded: Option<Box<gix::Repository>>,
    },
}

impl<'a> Reader<'a> {
    fn new(
        source: &'a Source,
        bounded: Option<&gix::ThreadSafeRepository>,
        listing: &Listing,
        total: &'a AtomicU64,
    ) -> Self {
        let source = match source {
            Source::Disk(disk) => ReaderSource::Disk(disk),
            Source::Objects(objects) => ReaderSource::Objects {
                repository: Box::new(objects.repository.to_thread_local()),
                bounded: bounded.map(|repository| Box::new(repository.to_thread_local())),
            },
        };
        let (max_size, max_total) = (listing.max_size, listing.max_total);
        Self { source, buffer: Vec::new(), max_size, max_total, total }
    }

    fn with<T>(&mut self, entry: &FileEntry, make: impl FnOnce(&[u8]) -> T) -> Result<T, Unread> {
        match (&self.source, entry.object) {
            (ReaderSource::Objects { repository, bounded }, Some(object)) => {
                let blob = bounded
                    .as_ref()
                    .and_then(|repository| repository.find_blob(object).ok())
                    .filter(|blob| blob.data.len() as u64 <= self.max_size)
                    // Too large, or a small change of something too large, or broken.
                    .map_or_else(|| unpack(repository, object, self.max_size), Ok)?;
                let size = blob.data.len() as u64;
                if self.total.fetch_add(size, Ordering::Relaxed).saturating_add(size) > self.max_total {
                    return Err(Unread::OverTotal);
                }
                stand_in(&blob.data).map_or_else(|| Ok(make(&blob.data)), |what| Err(Unread::Elsewhere(what)))
            }
            (ReaderSource::Disk(disk), _) => {
                load(disk, &entry.path, self.max_size, &mut self.buffer)?;
                stand_in(&self.buffer)
                    .map_or_else(|| Ok(make(&self.buffer)), |what| Err(Unread::Elsewhere(what)))
            }
            (ReaderSource::Objects { .. }, None) => {
                Err(Unread::Elsewhere("cannot read: listed from another source"))
            }
        }
    }
}

/// Reads a file into `buffer`, at most `limit` bytes, whatever its size was said to be.
fn load(disk: &Disk, path: &str, limit: u64, buffer: &mut Vec<u8>) -> Result<(), Unread> {
    buffer.clear();
    let (file, stat) = disk.root.file(path.as_bytes()).map_err(Unread::Io)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > limit {
        return Err(Unread::TooLarge(Some(size)));
    }
    let size = usize::try_from(size).unwrap_or(0);
    // One byte more than the file has, so that its end is seen without growing the buffer.
    buffer.reserve(size.saturating_add(1));
    loop {
        let room = buffer.capacity() - buffer.len();
        let read = match rustix::io::read(&file, spare_capacity(buffer)) {
            Err(rustix::io::Errno::INTR) => continue,
            read => read.map_err(|error| Unread::Io(error.into()))?,
        };
        if buffer.len() as u64 > limit {
            return Err(Unread::TooLarge(None));
        }
        // All that was there, and room for more: nobody has to be asked again for nothing.
        if read == 0 || (read < room && buffer.len() == size) {
            return Ok(());
        }
        buffer.reserve(1);
    }
}

/// Reads a blob, after a look at its size.
fn unpack(repository: &gix::Repository, object: gix::ObjectId, limit: u64) -> Result<gix::Blob<'_>, Unread> {
    let broken = |error| Unread::Object(Box::new(error));
    let size = repository.find_header(object).map_err(broken)?.size();
    if size > limit {
        return Err(Unread::TooLarge(Some(size)));
    }
    repository.find_blob(object).map_err(broken)
}

/// What stands in the place of a file whose content is elsewhere or locked.
fn stand_in(bytes: &[u8]) -> Option<&'static str> {
    /// The specification's first line, and its bound on the size of a pointer
    /// (git-lfs/docs/spec.md).
    const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
    const LFS_SIZE: usize = 1024;
    if bytes.len() < LFS_SIZE && bytes.starts_with(LFS) {
        return Some("not read: a Git LFS pointer, its content is not in the repository; run `git lfs pull`");
    }
    bytes.starts_with(b"\0GITCRYPT\0").then_some("not read: locked by git-crypt; unlock the repository")
}
