//! Releases and tags of repositories on GitHub and GitHub Enterprise, through octocrab.
//!
//! Lists are read page by page by `Link`, bounded, and each page is a conditional request, so that a
//! second run costs one `304` a page. Works without a token. Knows nothing of version order.

mod client;
mod entries;
mod store;

use std::collections::HashSet;

use http::HeaderMap;
use url::Url;

use self::client::Client;
use self::entries::Listing;
use super::context::Context;
use super::failure::permanent;
use super::http::Get;
use super::mapping::Resolved;
use crate::domain::upstream::{Answer, UpstreamFailure};

/// Entries asked for at once; GitHub's maximum.
const PER_PAGE: usize = 100;
/// Most bytes of one page; a page of 100 k3s releases is about 4 MB.
const PAGE_LIMIT: usize = 32 << 20;
/// Most bytes of a mapped file, which holds a whole list.
const FILE_LIMIT: u64 = 128 << 20;

/// Which list of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Releases,
    Tags,
}

impl List {
    fn word(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Tags => "tags",
        }
    }
}

/// The releases of a repository, drafts left out.
///
/// At most [`pages`](super::context::GithubOptions::pages) pages of 100 are read (newest first); a list
/// that was cut off says so in [`Answer::notes`]. With `until`, reading stops one page after the page
/// that has this tag: a backport may have been released after a higher version, hence the one more.
///
/// # Errors
///
/// [`Denied`](crate::domain::upstream::FailureClass::Denied) for a refused token, `NotFound` for a repository that is
/// missing or private, `RateLimited` with the time of the reset, and the other classes
/// as they are described there.
pub async fn releases(
    context: &Context,
    host: &str,
    owner: &str,
    name: &str,
    until: Option<&str>,
) -> Result<Answer, UpstreamFailure> {
    list(context, List::Releases, host, owner, name, until).await
}

/// The tags of a repository. GitHub gives no dates with them.
///
/// Bounds and errors are those of [`releases`]. There is no `until`: GitHub lists tags in the reverse order of
/// their letters, in which `v1.10.0` comes long after `v1.9.0`.
///
/// # Errors
///
/// See [`releases`].
pub async fn tags(context: &Context, host: &str, owner: &str, name: &str) -> Result<Answer, UpstreamFailure> {
    list(context, List::Tags, host, owner, name, None).await
}

async fn list(
    context: &Context,
    list: List,
    host: &str,
    owner: &str,
    name: &str,
    until: Option<&str>,
) -> Result<Answer, UpstreamFailure> {
    let what = format!("{} of `{owner}/{name}` on {host}", list.word());
    if !is_plain(owner) || !is_plain(name) {
        return Err(permanent(format!("cannot list {what}: `{owner}/{name}` is no repository name")));
    }
    let base = context
        .github
        .api_url(host)
        .ok_or_else(|| permanent(format!("cannot list {what}: `{host}` is no host name")))?;
    let canonical =
        Url::parse(&format!("{}/repos/{owner}/{name}/{}", base.as_str().trim_end_matches('/'), list.word()))
            .map_err(|error| permanent(format!("cannot list {what}: {error}")))?;

    let mut listing = Listing::new(list, host, owner, name);
    let first = match context.http.mapping().resolve(&canonical) {
        Resolved::File(_) => {
            let got = context.http.get(Get::new(&canonical, FILE_LIMIT)).await?;
            let bytes = got.body.bytes(FILE_LIMIT).map_err(|error| unreadable(&what, &error))?;
            listing.add_page(&bytes).map_err(|error| unreadable(&what, &error))?;
            return Ok(listing.finish());
        }
        Resolved::Url(url) => url,
    };
    read_pages(context, host, &what, first, until, &mut listing).await?;
    Ok(listing.finish())
}

async fn read_pages(
    context: &Context,
    host: &str,
    what: &str,
    first: Url,
    until: Option<&str>,
    listing: &mut Listing,
) -> Result<(), UpstreamFailure> {
    let client = Client::new(context, host, &first)?;
    let origin = first.origin();
    let mut next = Some(with_page_size(first));
    let mut asked = HashSet::new();
    let mut seen_until = false;
    while let Some(url) = next.take() {
        if asked.len() == context.github.pages {
            listing.cut_off(asked.len() * PER_PAGE);
            break;
        }
        if !asked.insert(url.clone()) {
            listing.note("the pages name each other in a circle; reading stopped there");
            break;
        }
        let page = client.page(&url, what).await?;
        if let Some(why) = page.stale {
            listing.stale(why);
        }
        let count = listing.add_page(&page.body).map_err(|error| unreadable(what, &error))?;
        if count == 0 || seen_until {
            break;
        }
        seen_until = until.is_some_and(|tag| listing.contains(tag));
        next = match next_page(&page.headers, &url) {
            Some(linked) => match context.http.mapping().resolve(&linked) {
                Resolved::Url(target) if target.origin() == origin => Some(target),
                _ => {
                    listing.note("the next page is on another host and was not read");
                    None
                }
            },
            None => None,
        };
    }
    Ok(())
}

/// The target of `rel="next"` in the `Link` header (RFC 8288), made absolute.
pub(super) fn next_page(headers: &HeaderMap, base: &Url) -> Option<Url> {
    headers.get_all(http::header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        // A comma may stand inside `<…>`, so links are cut at their brackets.
        let mut rest = value;
        while let Some((_, after)) = rest.split_once('<') {
            let (target, after) = after.split_once('>')?;
            let parameters = after.split_once('<').map_or(after, |(parameters, _)| parameters);
            if parameters.split([';', ',']).any(|parameter| {
                parameter.trim().split_once('=').is_some_and(|(key, relation)| {
                    key.trim().eq_ignore_ascii_case("rel")
                        && relation
                            .trim()
                            .trim_matches('"')
                            .split(' ')
                            .any(|word| word.eq_ignore_ascii_case("next"))
                })
            }) {
                return base.join(target).ok();
            }
            rest = after;
        }
        None
    })
}

fn with_page_size(mut url: Url) -> Url {
    url.query_pairs_mut().append_pair("per_page", &PER_PAGE.to_string());
    url
}

/// Whether `part` can stand in a GitHub path as it is.
fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> UpstreamFailure {
    permanent(format!("cannot read the answer to {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let base = Url::parse("https://api.github.com/repositories/1/releases?page=2").unwrap();
        let table = [
            (r#"<https://api.github.com/x?page=3>; rel="next""#, Some("https://api.github.com/x?page=3")),
            (
                r#"<https://api.github.com/x?page=1>; rel="prev", <https://api.github.com/x?page=3>; rel="next""#,
                Some("https://api.github.com/x?page=3"),
            ),
            (
                r#"</v2/a/tags/list?last=b,c>; rel=next"#,
                Some("https://api.github.com/v2/a/tags/list?last=b,c"),
            ),
            (
                r#"<x?page=3>; title="a"; rel="last next""#,
                Some("https://api.github.com/repositories/1/x?page=3"),
            ),
            (r#"<https://api.github.com/x?page=1>; rel="prev""#, None),
            (r#"<https://api.github.com/x"#, None),
            ("rel=next", None),
        ];
        for (header, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::LINK, header.parse().unwrap());
            assert_eq!(
                next_page(&headers, &base).map(|url| url.to_string()).as_deref(),
                expected,
                "{header}"
            );
        }
    }

    #[test]
    fn names_that_would_leave_their_path_are_refused() {
        for bad in ["", ".", "..", "a/b", "a?b", "a b", "ä", "a%2f"] {
            assert!(!is_plain(bad), "{bad}");
        }
        for good in ["k3s-io", "k3s", ".github", "a_b.c"] {
            assert!(is_plain(good), "{good}");
        }
    }
}
