//! Tags and manifests of OCI registries.
//!
//! A registry that asks for nobody's name costs one request a page of tags. One that hands out tokens
//! is asked for its challenge once a run and for one token a repository. Knows nothing of version order.

mod auth;
mod challenge;
mod docker;
mod inspect;

use std::collections::HashSet;

use serde::Deserialize;
use url::Url;

pub use self::auth::Tokens;
pub(crate) use self::inspect::is_content_of;
pub use self::inspect::{chart_archive, inspect, pullable};
use super::context::Context;
use super::failure::permanent;
use super::github::next_page;
use super::http::Got;
use super::mapping::Resolved;
use crate::domain::upstream::{Answer, Candidate, UpstreamFailure};

/// Tags asked for at once.
const PAGE_SIZE: usize = 1000;
/// Most tags of one repository; the rest is cut off and noted.
const MOST_TAGS: usize = 20_000;
/// Most pages: registries may give fewer tags than asked for.
const MOST_PAGES: usize = 200;
/// Most bytes of one page. A tag has at most 128 characters (OCI distribution specification).
const PAGE_LIMIT: u64 = 16 << 20;
/// Longest tag (OCI distribution specification, "Pulling manifests").
const TAG_LIMIT: usize = 128;

/// One repository of a registry, and where it is really asked.
struct Repository<'a> {
    context: &'a Context,
    /// As people write it, for messages: `ghcr.io/owner/name`.
    shown: String,
    /// Registry as people write it.
    registry: &'a str,
    /// Path within the registry.
    path: &'a str,
    /// `https://host/v2/<path>/`, before mapping.
    base: Url,
}

impl<'a> Repository<'a> {
    fn new(context: &'a Context, registry: &'a str, path: &'a str) -> Result<Self, UpstreamFailure> {
        let shown = format!("{registry}/{path}");
        let host = match registry {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        if !is_repository(path) || !is_registry(host) {
            return Err(permanent(format!(
                "cannot ask for `{shown}`: no repository of a registry has that name"
            )));
        }
        let scheme = if context.oci.plain_http.contains(registry) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{path}/"))
            .map_err(|error| permanent(format!("cannot ask for `{shown}`: {error}")))?;
        Ok(Self { context, shown, registry, path, base })
    }

    fn url(&self, rest: &str) -> Result<Url, UpstreamFailure> {
        self.base.join(rest).map_err(|error| permanent(format!("cannot ask for `{}`: {error}", self.shown)))
    }

    fn unreadable(&self, what: &str, detail: &dyn std::fmt::Display) -> UpstreamFailure {
        permanent(format!("cannot read {what} of `{}`: {detail}", self.shown))
    }
}

#[derive(Deserialize)]
struct TagList {
    /// `null` for a repository without tags.
    tags: Option<Vec<String>>,
}

/// The tags of a repository. With `chart`, tags are chart versions: `_` stands for `+`
/// (Helm docs, "Use OCI-based registries").
///
/// Pages are followed on the same host only; reading stops when a page brings nothing new (some
/// registries ignore `last`) and at 20,000 tags. What cosign keeps beside images
/// (`sha256-<digest>.sig`, `.att`, `.sbom`, or bare) is left out. Registries give no dates.
///
/// # Errors
///
/// The class tells: denied, not found, rate limited, passing, or lasting.
pub async fn tags(
    context: &Context,
    registry: &str,
    repository: &str,
    chart: bool,
) -> Result<Answer, UpstreamFailure> {
    let repository = Repository::new(context, registry, repository)?;
    let mut answer = Answer::default();
    let mut seen = HashSet::new();
    let mut tags = Vec::new();
    let mut next = Some(first_page(&repository)?);
    let mut pages = 0;
    while let Some(url) = next.take() {
        if pages == MOST_PAGES || seen.len() >= MOST_TAGS {
            answer.notes.push(format!("the list of tags was cut off after {} tags", seen.len()));
            break;
        }
        pages += 1;
        let got = repository.get(&url, None, PAGE_LIMIT).await?;
        answer.stale = answer.stale.or_else(|| got.stale.clone());
        let before = seen.len();
        for tag in read_tags(&repository, &got)? {
            if seen.len() < MOST_TAGS && tag.len() <= TAG_LIMIT && seen.insert(tag.clone()) {
                tags.push(tag);
            }
        }
        if seen.len() == before {
            break;
        }
        next = match next_page(&got.headers, &got.url) {
            Some(linked) if linked.origin() == got.url.origin() || linked.origin() == url.origin() => {
                Some(linked)
            }
            Some(_) => {
                answer.notes.push("the next page of tags is on another host and was not read".to_owned());
                None
            }
            None => None,
        };
    }
    answer.candidates = tags
        .into_iter()
        .filter(|tag| !is_cosign(tag))
        .map(|tag| Candidate {
            version: if chart { tag.replace('_', "+") } else { tag },
            ..Candidate::default()
        })
        .collect();
    Ok(answer)
}

/// A folder has no pages, so only servers are asked for a page size.
fn first_page(repository: &Repository<'_>) -> Result<Url, UpstreamFailure> {
    let mut url = repository.url("tags/list")?;
    if matches!(repository.context.http.mapping().resolve(&url), Resolved::Url(_)) {
        url.query_pairs_mut().append_pair("n", &PAGE_SIZE.to_string());
    }
    Ok(url)
}

fn read_tags(repository: &Repository<'_>, got: &Got) -> Result<Vec<String>, UpstreamFailure> {
    let bytes = got.body.bytes(PAGE_LIMIT).map_err(|error| repository.unreadable("the tags", &error))?;
    let list: TagList =
        serde_json::from_slice(&bytes).map_err(|error| repository.unreadable("the tags", &error))?;
    Ok(list.tags.unwrap_or_default())
}

/// Whether cosign made the tag: `sha256-<64 hex>`, alone or with an ending (cosign, "Tag based discovery").
fn is_cosign(tag: &str) -> bool {
    tag.strip_prefix("sha256-").is_some_and(|rest| {
        let digest = rest.split_once('.').map_or(rest, |(digest, _)| digest);
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_registry(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'))
}

/// Repository names as the OCI distribution specification has them, capitals allowed as some registries do.
fn is_repository(path: &str) -> bool {
    path.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_that_cosign_made_are_left_out() {
        let digest = "0123456789abcdef".repeat(4);
        for tag in ["", ".sig", ".att", ".sbom"].map(|ending| format!("sha256-{digest}{ending}")) {
            assert!(is_cosign(&tag), "{tag}");
        }
        for tag in ["v1.0.0", "sha256-abc.sig", "sha-0123456", &format!("sha256-{}", "g".repeat(64))] {
            assert!(!is_cosign(tag), "{tag}");
        }
    }

    #[test]
    fn names_that_would_leave_their_path_are_refused() {
        for good in ["library/nginx", "fluxcd/flux-manifests", "a/b__c.d/e-f"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in ["", "a//b", "../a", "a/..", "a?b", "a b", "a%2fb", "/a", "a:b", "a@sha256:b"] {
            assert!(!is_repository(bad), "{bad}");
        }
        for good in ["ghcr.io", "localhost:5000", "[::1]:5000"] {
            assert!(is_registry(good), "{good}");
        }
        for bad in ["", "user@ghcr.io", "ghcr.io/x", "ghcr.io?"] {
            assert!(!is_registry(bad), "{bad}");
        }
    }
}
