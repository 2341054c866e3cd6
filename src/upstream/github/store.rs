//! Pages kept on disk between runs, for octocrab's conditional requests.
//!
//! One file a page, named by the hash of its URL and of who asked: a line of JSON (what to compare with, and the `Link`
//! header), then the body. Files are replaced whole; one that cannot be read counts as absent. The
//! folder may hold lists of private repositories, so its files are readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use octocrab::service::middleware::cache::{CacheKey, CacheStorage, CacheWriter, CachedResponse};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PAGE_LIMIT;
use crate::upstream::credentials::identity;
use crate::upstream::http::Http;

/// Shape of the files; others are ignored.
const FORMAT: u32 = 1;
/// Most bytes of the first line.
const HEAD_LIMIT: usize = 16 << 10;
/// The folder is kept under this many bytes.
const LARGEST_FOLDER: u64 = 128 << 20;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    uri: String,
    etag: Option<String>,
    last_modified: Option<String>,
    link: Option<String>,
}

/// The pages of one folder as one account sees them. Clones share what they hold.
#[derive(Clone)]
pub(super) struct Store {
    folder: PathBuf,
    /// Tells apart what different tokens were shown; empty for nobody.
    account: String,
    http: Http,
    /// The page that a request now compares with. octocrab asks for it a second time on a 304 and
    /// must then get it, whatever another process did to the folder in between.
    compared: Arc<Mutex<Option<(Uri, CachedResponse)>>>,
}

impl Store {
    pub(super) fn new(folder: &Path, token: Option<&SecretString>, http: &Http) -> Self {
        Self {
            folder: folder.to_owned(),
            account: token.map(identity).unwrap_or_default(),
            http: http.clone(),
            compared: Arc::default(),
        }
    }

    fn file(&self, uri: &Uri) -> PathBuf {
        let digest = Sha256::digest(format!("{}\n{uri}", self.account).as_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.page"))
    }

    /// How long ago GitHub said that the stored page is its answer. A time in the future is no proof of that.
    pub(super) fn age(&self, uri: &Uri) -> Option<Duration> {
        let checked_at = Timestamp::try_from(fs::metadata(self.file(uri)).ok()?.modified().ok()?).ok()?;
        Duration::try_from(self.http.now().duration_since(checked_at)).ok()
    }

    /// Notes that GitHub confirmed the stored page just now.
    fn confirm(&self, uri: &Uri) {
        let now = SystemTime::from(self.http.now());
        let confirmed =
            File::options().write(true).open(self.file(uri)).and_then(|file| file.set_modified(now));
        if let Err(cause) = confirmed {
            tracing::debug!(reason = %cause, "page of a list not confirmed");
        }
    }

    /// The stored page, where there is a whole one.
    pub(super) fn page(&self, uri: &Uri) -> Option<CachedResponse> {
        self.read(uri).map(|(_, response)| response)
    }

    fn read(&self, uri: &Uri) -> Option<(CacheKey, CachedResponse)> {
        let mut bytes = Vec::new();
        let limit = (PAGE_LIMIT + HEAD_LIMIT) as u64;
        File::open(self.file(uri)).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        let line = bytes.iter().take(HEAD_LIMIT).position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(bytes.get(..line)?).ok()?;
        let body = bytes.split_off(line + 1);
        if head.format != FORMAT || head.uri != uri.to_string() || !is_whole_list(&body) {
            return None;
        }
        // octocrab puts this into a header and panics where it does not fit into one.
        let sendable = |text: &String| HeaderValue::from_str(text).is_ok();
        let key = match (head.etag.filter(sendable), head.last_modified.filter(sendable)) {
            (Some(etag), _) => CacheKey::ETag(etag),
            (None, Some(date)) => CacheKey::LastModified(date),
            (None, None) => return None,
        };
        let mut headers = HeaderMap::new();
        if let Some(link) = head.link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            headers.insert(header::LINK, link);
        }
        Some((key, CachedResponse { body, headers }))
    }

    fn write(&self, uri: &Uri, key: &CacheKey, headers: &HeaderMap, body: &[u8]) -> std::io::Result<()> {
        let text =
            |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let head = Head {
            format: FORMAT,
            uri: uri.to_string(),
            etag: if let CacheKey::ETag(etag) = key { Some(etag.clone()) } else { None },
            last_modified: text(header::LAST_MODIFIED),
            link: text(header::LINK),
        };
        let target = self.file(uri);
        let temporary = target.with_extension(format!("{}-{}", std::process::id(), serial()));
        make_private(&self.folder)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = (|| {
            let mut file = options.open(&temporary)?;
            serde_json::to_writer(&mut file, &head)?;
            file.write_all(b"\n")?;
            file.write_all(body)?;
            file.set_modified(SystemTime::from(self.http.now()))?;
            drop(file);
            fs::rename(&temporary, &target)
        })();
        if written.is_ok() {
            prune(&self.folder, LARGEST_FOLDER);
        } else {
            // The first error is the one to report; a file that was never made cannot be removed.
            fs::remove_file(&temporary).ok();
        }
        written
    }
}

/// Makes the folder, for its owner only; one that an earlier version made for everybody is closed.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// Removes the pages that were confirmed the longest time ago until `largest` bytes are left. What killed
/// writers left behind is old and so goes first.
fn prune(folder: &Path, largest: u64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    files.sort();
    for (_, size, path) in files {
        if total <= largest {
            break;
        }
        // Another process may have removed it.
        fs::remove_file(&path).ok();
        total -= size;
    }
}

/// Distinguishes temporary files of one process.
fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether `body` is a complete JSON list: errors and broken-off answers are not worth keeping.
fn is_whole_list(body: &[u8]) -> bool {
    body.len() <= PAGE_LIMIT && serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(body).is_ok()
}

impl CacheStorage for Store {
    fn try_hit(&self, uri: &Uri) -> Option<CacheKey> {
        let (key, response) = self.read(uri)?;
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((uri.clone(), response));
        Some(key)
    }

    fn load(&self, uri: &Uri) -> Option<CachedResponse> {
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner).take();
        match compared {
            Some((known, response)) if known == *uri => {
                self.confirm(uri);
                Some(response)
            }
            // A 304 that nobody asked for. octocrab panics on `None`; an empty body is an error that
            // is reported.
            _ => Some(self.page(uri).unwrap_or_default()),
        }
    }

    fn writer(&self, uri: &Uri, key: CacheKey, headers: HeaderMap) -> Box<dyn CacheWriter> {
        Box::new(Writer { store: self.clone(), uri: uri.clone(), key, headers, body: Vec::new() })
    }
}

/// Collects one body and stores it once it is known to be whole.
struct Writer {
    store: Store,
    uri: Uri,
    key: CacheKey,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl CacheWriter for Writer {
    fn write_body(&mut self, data: &[u8]) {
        // One byte over the limit is enough to know that it is too large to keep.
        let room = (PAGE_LIMIT + 1).saturating_sub(self.body.len());
        self.body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !is_whole_list(&self.body) {
            return;
        }
        if let Err(error) = self.store.write(&self.uri, &self.key, &self.headers, &self.body) {
            self.store.http.unkept(&self.store.folder, &error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri() -> Uri {
        Uri::from_static("https://api.github.com/repos/k3s-io/k3s/releases?per_page=100")
    }

    fn http(now: &str) -> Http {
        let clock = crate::clock::AnyClock::Fixed(now.parse().unwrap());
        Http::with_clock(crate::upstream::http::HttpOptions::default(), Arc::new(clock)).unwrap()
    }

    fn store_with(body: &[u8], etag: &str) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("github"), None, &http("2026-11-21T10:00:00Z"));
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, HeaderValue::from_static("<https://api.github.com/x>; rel=\"next\""));
        let mut writer = store.writer(&uri(), CacheKey::ETag(etag.to_owned()), headers);
        for part in body.chunks(3) {
            writer.write_body(part);
        }
        drop(writer);
        (folder, store)
    }

    #[test]
    fn a_page_comes_back_with_its_link() {
        let (_folder, store) = store_with(b"[{\"tag_name\":\"v1\"}]", "\"a\"");
        assert_eq!(store.try_hit(&uri()), Some(CacheKey::ETag("\"a\"".to_owned())));
        let page = store.load(&uri()).unwrap();
        assert_eq!(page.body, b"[{\"tag_name\":\"v1\"}]");
        assert!(page.headers.contains_key(header::LINK));
    }

    #[test]
    fn a_page_that_vanishes_after_the_question_is_still_there_for_the_answer() {
        let (folder, store) = store_with(b"[1]", "\"a\"");
        store.try_hit(&uri()).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(store.load(&uri()).unwrap().body, b"[1]");
        assert_eq!(
            store.load(&uri()).unwrap().body,
            b"",
            "and an answer to no question is empty, not a panic"
        );
    }

    #[test]
    fn what_is_not_a_whole_list_is_not_kept() {
        for body in [&b"{\"message\":\"Not Found\"}"[..], b"[1, 2", b"", b"<html>"] {
            let (_folder, store) = store_with(body, "\"a\"");
            assert_eq!(store.try_hit(&uri()), None);
        }
    }

    #[test]
    fn an_error_does_not_replace_a_stored_page() {
        let (_folder, store) = store_with(b"[1]", "\"a\"");
        for body in [&b"{\"message\":\"Server Error\"}"[..], b"[1, 2"] {
            let mut writer = store.writer(&uri(), CacheKey::ETag("\"b\"".to_owned()), HeaderMap::new());
            writer.write_body(body);
            drop(writer);
            assert_eq!(store.try_hit(&uri()), Some(CacheKey::ETag("\"a\"".to_owned())));
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_what_is_stored() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, store) = store_with(b"[1]", "\"a\"");
        let mode = fs::metadata(store.file(&uri())).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        let folder = fs::metadata(&store.folder).unwrap().permissions().mode();
        assert_eq!(folder & 0o077, 0, "not even the names");
    }

    /// octocrab writes nothing on a 304: a page that GitHub confirmed in every run grew older all the same, and
    /// was asked for again within `check_interval`. And a page of the future was fresh until then.
    #[test]
    fn a_confirmed_page_is_young_again_and_one_of_the_future_never() {
        let (folder, store) = store_with(b"[1]", "\"a\"");
        assert_eq!(store.age(&uri()), Some(Duration::ZERO));
        let at = |now| Store::new(&folder.path().join("github"), None, &http(now));
        let later = at("2026-11-22T10:00:00Z");
        assert_eq!(later.age(&uri()), Some(Duration::from_secs(86_400)));
        later.try_hit(&uri()).unwrap();
        later.load(&uri()).unwrap();
        assert_eq!(later.age(&uri()), Some(Duration::ZERO));
        assert_eq!(store.age(&uri()), None, "confirmed a day from now");
    }

    /// What one token was shown served everybody who had the folder.
    #[test]
    fn another_token_does_not_find_the_page() {
        let (folder, store) = store_with(b"[1]", "\"a\"");
        let token = SecretString::from("secret".to_owned());
        let other = Store::new(&folder.path().join("github"), Some(&token), &http("2026-11-21T10:00:00Z"));
        assert!(store.page(&uri()).is_some());
        assert!(other.page(&uri()).is_none());
        assert!(!other.file(&uri()).to_string_lossy().contains("secret"));
    }

    /// Nothing was ever removed.
    #[test]
    fn the_longest_unconfirmed_pages_go_first() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in [("new", 1), ("old", 3), ("older", 5)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(10 - age)).unwrap();
        }
        prune(folder.path(), 250);
        assert!(!folder.path().join("older").exists() && folder.path().join("old").exists());
        prune(folder.path(), 100);
        assert!(!folder.path().join("old").exists() && folder.path().join("new").exists());
    }

    #[test]
    fn a_damaged_file_counts_as_absent() {
        let (_folder, store) = store_with(b"[1]", "\"a\"");
        let whole = fs::read(store.file(&uri())).unwrap();
        for damaged in [&whole[..whole.len() - 1], b"", b"\n[]", b"{}\n[]", &[0xff; 40_000][..]] {
            fs::write(store.file(&uri()), damaged).unwrap();
            assert_eq!(store.try_hit(&uri()), None, "{}", String::from_utf8_lossy(damaged));
        }
        fs::write(store.file(&uri()), &whole).unwrap();
        assert!(store.try_hit(&uri()).is_some());
    }

    #[test]
    fn an_etag_that_no_header_can_hold_is_not_sent() {
        let (_folder, store) = store_with(b"[1]", "\"a\"");
        let text = fs::read_to_string(store.file(&uri())).unwrap().replace("\\\"a\\\"", "a\\nb");
        fs::write(store.file(&uri()), text).unwrap();
        assert_eq!(store.try_hit(&uri()), None);
    }

    #[test]
    fn no_temporary_file_is_left() {
        let (folder, _store) = store_with(b"[1]", "\"a\"");
        assert_eq!(fs::read_dir(folder.path().join("github")).unwrap().count(), 1);
    }
}
