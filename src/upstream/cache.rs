//! Answers kept on disk between runs.
//!
//! An entry is a small description (`<key>.json`) that names a body (`<key>-<unique>.body`). Both
//! appear by renaming, and a description names one body by its unique name, so that processes that
//! share the folder never see halves or mixtures. The time of the last check is the description's
//! modification time. Nothing here can make a request fail: a cache that cannot be read is empty,
//! and one that cannot be written stays as it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::body::{Body, Check};

/// Shape of the descriptions; others are ignored and replaced.
const FORMAT: u32 = 1;
/// The folder is kept under this many bytes; the longest unchecked entries go first.
const LARGEST_FOLDER: u64 = 512 * 1024 * 1024;
/// Bytes stored by one process between two looks at the folder's size.
const BETWEEN_PRUNES: u64 = 32 * 1024 * 1024;
/// A file that nothing names may belong to a process that is about to name it: left for this long.
const GRACE: Duration = Duration::from_secs(3600);
/// A description is a few hundred bytes.
const LARGEST_DESCRIPTION: u64 = 64 * 1024;
/// No `max-age` counts for longer: a wrong header of a server must not hide releases.
const LONGEST_FRESHNESS: u64 = 3600;
/// The headers that callers need again when an answer comes from the cache.
const KEPT_HEADERS: [&str; 4] = ["content-type", "link", "docker-content-digest", "content-disposition"];

/// Names one answer: what was asked, how, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(url: &Url, accept: Option<&str>, identity: Option<&str>) -> Self {
        let mut digest = Sha256::new();
        for part in [url.as_str(), accept.unwrap_or(""), identity.unwrap_or("")] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        Self(digest.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What is known of a stored answer without reading its body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Description {
    format: u32,
    body: String,
    pub(crate) check: Check,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// Seconds for which the server called the answer fresh, capped.
    pub(crate) max_age: u64,
    /// Where redirects led, without query; `None` where nothing redirected.
    pub(crate) url: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// A stored answer.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) description: Description,
    pub(crate) body: PathBuf,
    /// How long ago the upstream said that this is its answer.
    pub(crate) age: Duration,
}

/// What a response says about keeping it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeping {
    pub(crate) forbidden: bool,
    pub(crate) max_age: u64,
}

impl Keeping {
    /// Reads `Cache-Control` and `Age` (RFC 9111); unknown directives are ignored.
    pub(crate) fn from_headers(headers: &reqwest::header::HeaderMap) -> Self {
        let mut keeping = Self::default();
        let mut revalidate = false;
        for value in headers.get_all(reqwest::header::CACHE_CONTROL) {
            for directive in value.to_str().unwrap_or("").split(',') {
                let directive = directive.trim().to_ascii_lowercase();
                if directive == "no-store" {
                    keeping.forbidden = true;
                } else if directive == "no-cache" {
                    revalidate = true;
                } else if let Some(seconds) = directive.strip_prefix("max-age=") {
                    keeping.max_age = seconds.trim_matches('"').parse().unwrap_or(0);
                }
            }
        }
        let age = headers
            .get(reqwest::header::AGE)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
            .unwrap_or(0);
        keeping.max_age =
            if revalidate { 0 } else { keeping.max_age.saturating_sub(age).min(LONGEST_FRESHNESS) };
        keeping
    }
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    largest: u64,
    stored_since_prune: AtomicU64,
}

impl Cache {
    /// Makes the folder, readable by its owner only, where it is missing.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            largest: LARGEST_FOLDER,
            // The first body that is stored looks at what earlier runs left.
            stored_since_prune: AtomicU64::new(BETWEEN_PRUNES),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The stored answer, if there is one whose body is there in full length.
    pub(crate) fn lookup(&self, key: &Key, now: Timestamp) -> Option<Stored> {
        let path = self.description_path(key);
        let file = File::open(&path).ok()?;
        let checked = file.metadata().ok().filter(|metadata| metadata.len() <= LARGEST_DESCRIPTION)?;
        let text = io::read_to_string(file).ok()?;
        let description: Description = serde_json::from_str(&text).ok()?;
        let plain_name = description.body.starts_with(key.0.as_str())
            && description
                .body
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if description.format != FORMAT || !plain_name {
            return None;
        }
        let body = self.folder.join(&description.body);
        let length = std::fs::metadata(&body).ok()?.len();
        if length != description.check.length {
            return None;
        }
        let checked_at = Timestamp::try_from(checked.modified().ok()?).ok()?;
        // A time in the future is no proof of freshness: such an entry is as old as can be.
        let age = Duration::try_from(now.duration_since(checked_at)).unwrap_or(Duration::MAX);
        Some(Stored { description, body, age })
    }

    /// Keeps a body, which is in memory or in a temporary file of this folder, and describes it.
    ///
    /// Gives the file that holds the body from now on.
    pub(crate) fn store(
        &self,
        key: &Key,
        body: &Body,
        about: About<'_>,
        now: Timestamp,
    ) -> io::Result<PathBuf> {
        let name = format!("{}-{}.body", key.0, unique());
        let path = self.folder.join(&name);
        match body {
            // Nobody looks for the new name before the description, which is written last, tells it.
            Body::Memory(bytes) => {
                if let Err(cause) = create_new(&path).and_then(|mut file| file.write_all(bytes)) {
                    remove(&path);
                    return Err(cause);
                }
            }
            // A second name for the temporary file, which loses the first one with its last handle.
            Body::File(file) => std::fs::hard_link(&file.path, &path)?,
        }
        let kept = KEPT_HEADERS.iter().filter_map(|name| {
            Some(((*name).to_owned(), about.headers.get(*name)?.to_str().ok()?.to_owned()))
        });
        let text = |name: reqwest::header::HeaderName| {
            about.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let description = Description {
            format: FORMAT,
            body: name,
            check: about.check,
            etag: text(reqwest::header::ETAG),
            last_modified: text(reqwest::header::LAST_MODIFIED),
            max_age: about.max_age,
            url: about.redirected_to,
            headers: kept.collect(),
        };
        let described = self.describe(key, &description, now);
        if described.is_err() {
            remove(&path);
        }
        described?;
        self.prune_sometimes(about.check.length, now);
        Ok(path)
    }

    /// Notes that the upstream confirmed the stored answer just now.
    pub(crate) fn confirm(&self, key: &Key, stored: &Stored, max_age: u64, now: Timestamp) {
        let done = if max_age == stored.description.max_age {
            File::options()
                .write(true)
                .open(self.description_path(key))
                .and_then(|file| file.set_modified(SystemTime::from(now)))
        } else {
            self.describe(key, &Description { max_age, ..stored.description.clone() }, now)
        };
        if let Err(cause) = done {
            tracing::debug!(reason = %cause, "cache entry not confirmed");
        }
    }

    /// Forgets an answer; its body goes when nothing was stored in its place for a while.
    pub(crate) fn forget(&self, key: &Key) {
        remove(&self.description_path(key));
    }

    fn describe(&self, key: &Key, description: &Description, now: Timestamp) -> io::Result<()> {
        let temporary = self.folder.join(format!("{}.tmp", unique()));
        let write = || {
            let mut file = create_new(&temporary)?;
            file.write_all(&serde_json::to_vec(description)?)?;
            file.set_modified(SystemTime::from(now))?;
            std::fs::rename(&temporary, self.description_path(key))
        };
        let written = write();
        if written.is_err() {
            remove(&temporary);
        }
        written
    }

    fn description_path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.json", key.0))
    }

    fn prune_sometimes(&self, stored: u64, now: Timestamp) {
        let since = self.stored_since_prune.fetch_add(stored, Ordering::Relaxed).saturating_add(stored);
        if since >= BETWEEN_PRUNES {
            self.stored_since_prune.store(0, Ordering::Relaxed);
            if let Err(cause) = self.prune(now) {
                tracing::debug!(reason = %cause, "cache not pruned");
            }
        }
    }

    /// Removes bodies that nothing names, and the longest unchecked entries over the size bound.
    fn prune(&self, now: Timestamp) -> io::Result<()> {
        // Files of one key, with the time of the key's last check.
        let mut keys: BTreeMap<String, (SystemTime, u64, Vec<PathBuf>)> = BTreeMap::new();
        let mut total = 0_u64;
        let now = SystemTime::from(now);
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let old = now.duration_since(modified).is_ok_and(|age| age > GRACE);
            let key = name.split(['-', '.']).next().unwrap_or_default().to_owned();
            let orphan = name.ends_with(".tmp") || (name.contains(".body") && !self.names(&key, &name));
            if orphan && old {
                remove(&entry.path());
                continue;
            }
            if orphan {
                continue;
            }
            total = total.saturating_add(metadata.len());
            let files = keys.entry(key).or_insert_with(|| (SystemTime::UNIX_EPOCH, 0, Vec::new()));
            if name.ends_with(".json") {
                files.0 = modified;
            }
            files.1 = files.1.saturating_add(metadata.len());
            files.2.push(entry.path());
        }
        let mut oldest_first: Vec<_> = keys.into_values().collect();
        oldest_first.sort_by_key(|(checked, ..)| *checked);
        for (_, size, files) in oldest_first {
            if total <= self.largest {
                break;
            }
            files.iter().for_each(|file| remove(file));
            total = total.saturating_sub(size);
        }
        Ok(())
    }

    /// Whether the description of `key` names the body that `name` belongs to.
    fn names(&self, key: &str, name: &str) -> bool {
        std::fs::read_to_string(self.folder.join(format!("{key}.json")))
            .ok()
            .and_then(|text| serde_json::from_str::<Description>(&text).ok())
            .is_some_and(|description| name.starts_with(&description.body))
    }
}

/// What to remember of an answer beside its body.
pub(crate) struct About<'a> {
    pub(crate) check: Check,
    pub(crate) headers: &'a reqwest::header::HeaderMap,
    pub(crate) max_age: u64,
    pub(crate) redirected_to: Option<String>,
}

/// A file that did not exist, readable by its owner only.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes a whole file under a name that appears only when all is written.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_file_name(format!("{}.tmp", unique()));
    let written = create_new(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        remove(&temporary);
    }
    written
}

/// A name that no other process and no other call has.
pub(crate) fn unique() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
    format!("{:08x}{:016x}", std::process::id(), hasher.finish())
}

fn remove(path: &Path) {
    if let Err(cause) = std::fs::remove_file(path)
        && cause.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), reason = %cause, "cache file not removed");
    }
}

#[cfg(test)]
mod tests;
