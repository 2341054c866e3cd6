//! Answers that do not come by `GET` and are kept all the same, beside those that do.

use std::time::Duration;

use flate2::Crc;
use reqwest::header::HeaderMap;
use url::Url;

use super::body::{Body, BodyFile, Check};
use super::cache::{About, Key};
use super::http::Http;

/// An answer from an earlier run.
pub(super) struct Kept {
    pub(super) bytes: bytes::Bytes,
    /// How long ago it came.
    pub(super) age: Duration,
}

impl Http {
    /// What [`Http::remember`] kept, if it is whole and has no more than `limit` bytes.
    pub(super) fn kept(&self, url: &Url, what: &str, limit: u64) -> Option<Kept> {
        let stored = self.shared.cache.as_ref()?.lookup(&Key::new(url, Some(what), None), self.now())?;
        let body = Body::File(std::sync::Arc::new(BodyFile {
            path: stored.body,
            gzip: false,
            check: Some(stored.description.check),
            temporary: false,
            limit,
        }));
        Some(Kept { bytes: body.bytes(limit).ok()?, age: stored.age })
    }

    /// Keeps what `url` answered to `what`, where answers are kept.
    pub(super) fn remember(&self, url: &Url, what: &str, bytes: Vec<u8>) {
        let Some(cache) = &self.shared.cache else { return };
        let mut crc = Crc::new();
        crc.update(&bytes);
        let check = Check { length: bytes.len() as u64, crc: crc.sum() };
        let about = About { check, headers: &HeaderMap::new(), max_age: 0, redirected_to: None };
        let key = Key::new(url, Some(what), None);
        if let Err(cause) = cache.store(&key, &Body::Memory(bytes.into()), about, self.now()) {
            self.unkept(cache.folder(), &cause);
        }
    }
}
