//! Answers of this run, so that GitHub need not send again what has not changed: a 304 costs nothing of the limit.
//!
//! In memory only, and always checked with GitHub before it is used.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// Most bytes of bodies that are kept.
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) etag: HeaderValue,
    /// Those that a 304 leaves out.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By URL, the latest last.
    answers: Mutex<VecDeque<(String, Answer)>>,
}

impl Kept {
    pub(super) fn get(&self, url: &str) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|(known, _)| known == url).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer that has an ETag; the oldest ones make room.
    pub(super) fn put(&self, url: String, headers: &HeaderMap, body: &Bytes) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|(known, _)| *known != url);
        let Some(etag) = headers.get(header::ETAG).filter(|_| body.len() <= MOST_BYTES) else { return };
        let kept = headers.get(header::LINK).map(|link| (header::LINK, link.clone()));
        let answer = Answer { etag: etag.clone(), headers: kept.into_iter().collect(), body: body.clone() };
        answers.push_back((url, answer));
        let mut total: usize = answers.iter().map(|(_, answer)| answer.body.len()).sum();
        while total > MOST_BYTES {
            total -= answers.pop_front().map_or(total, |(_, oldest)| oldest.body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_answers_make_room_and_one_without_etag_is_not_kept() {
        let kept = Kept::default();
        let headers: HeaderMap = [(header::ETAG, HeaderValue::from_static("\"1\""))].into_iter().collect();
        let body = Bytes::from(vec![b' '; MOST_BYTES / 2]);
        for url in ["a", "b", "c"] {
            kept.put(url.to_owned(), &headers, &body);
        }
        assert!(kept.get("a").is_none() && kept.get("b").is_some() && kept.get("c").is_some());
        kept.put("c".to_owned(), &HeaderMap::new(), &body);
        assert!(kept.get("c").is_none(), "what it was kept for is no longer the answer");
    }
}
