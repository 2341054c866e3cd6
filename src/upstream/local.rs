//! Answers of mapped files.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::header::HeaderMap;

use super::body::{Body, BodyFile};
use super::failure::{not_found, permanent};
use super::http::{Get, Got, in_memory};
use super::redact::redact;
use crate::domain::upstream::UpstreamFailure;

/// The answer of a mapped file.
pub(crate) fn local(get: &Get<'_>, path: PathBuf) -> Result<Got, UpstreamFailure> {
    let shown = redact(get.url);
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => metadata,
        _ => {
            return Err(not_found(format!(
                "`{shown}` is mapped to `{}`, and there is no such file; add it or change `upstreams.map`",
                path.display()
            )));
        }
    };
    let gzip = path.extension().is_some_and(|extension| extension == "gz");
    if !gzip && metadata.len() > get.limit {
        return Err(permanent(format!("`{shown}` is larger than {} bytes", get.limit)));
    }
    let file = BodyFile { path, gzip, check: None, temporary: false, limit: get.limit };
    Ok(in_memory(Got {
        status: 200,
        headers: HeaderMap::new(),
        url: get.url.clone(),
        body: Body::File(Arc::new(file)),
        from_cache: false,
        stale: None,
        stored: None,
    }))
}
