//! Known vulnerabilities from OSV (osv.dev), for Go modules such as k3s, Flux and Longhorn.
//!
//! OSV can only say what it knows: no advisory is not the same as no vulnerability. A failure means
//! that nobody could say.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use super::context::Context;
use super::exchange::{small, unsent};
use super::failure::{failure, permanent};
use super::http::{Get, Http};
use super::mapping::Resolved;
use super::redact::redact;
use super::retry::{self, Refused};
use crate::domain::advisory::{Affected, Event, affects_revision};
use crate::domain::upstream::{FailureClass, UpstreamFailure};
use crate::domain::version::k3s::K3sVersion;

/// Most bytes of one page of advisories.
const PAGE_LIMIT: usize = 8 << 20;
/// Most pages of one query.
const MOST_PAGES: usize = 10;

/// One known vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advisory {
    /// OSV's own name, such as `GO-2024-2994` or `GHSA-…`.
    pub id: String,
    /// Its other names, CVE first; sorted.
    pub aliases: Vec<String>,
    /// One line, untrusted text.
    pub summary: Option<String>,
    /// Versions of the asked package that it affects.
    pub affected: Vec<Affected>,
}

#[derive(Serialize)]
struct Query<'a> {
    package: Package<'a>,
    /// Without one, every advisory of the package is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<&'a str>,
}

#[derive(Serialize)]
struct Package<'a> {
    ecosystem: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    vulns: Vec<Vulnerability>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    summary: Option<String>,
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<AffectedPackage>,
}

#[derive(Deserialize)]
struct AffectedPackage {
    package: Option<NamedPackage>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct NamedPackage {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
}

impl AffectedPackage {
    /// Its versions, if it is this package. Ranges of commits are left out: a release is asked about by its number.
    fn of(self, ecosystem: &str, package: &str) -> Option<Affected> {
        self.package.filter(|named| named.ecosystem == ecosystem && named.name == package)?;
        let ranges = self.ranges.into_iter().filter(|range| range.kind != "GIT");
        let ranges = ranges.map(|range| range.events.into_iter().flatten().map(event).collect());
        Some(Affected { ranges: ranges.collect(), versions: self.versions })
    }
}

fn event((name, version): (String, String)) -> Event {
    match name.as_str() {
        "introduced" => Event::Introduced(version),
        "fixed" => Event::Fixed(version),
        "last_affected" => Event::LastAffected(version),
        _ => Event::Other,
    }
}

/// The advisories that affect `from` and no longer affect `to`, sorted: what the update repairs.
///
/// `ecosystem` and `package` are OSV's (`Go`, `github.com/k3s-io/k3s`). Versions are given as they are
/// published; a leading `v` and build metadata (`+k3s1`) are removed. OSV's order ignores the latter: asked for
/// `1.33.4` it leaves out what `1.33.4+k3s2` fixed. So for a build of k3s every advisory of the package is asked for, and
/// the ranges that come with them are judged here; only where they cannot be, OSV is asked for the version.
/// Nothing is cached: an advisory may come any day.
///
/// # Errors
///
/// OSV cannot be asked (always with `--offline`), or its answer cannot be read: unknown, not safe.
pub async fn advisories(
    context: &Context,
    ecosystem: &str,
    package: &str,
    from: &str,
    to: &str,
) -> Result<Vec<Advisory>, UpstreamFailure> {
    let mut fixed = match K3sVersion::parse(from) {
        Some(_) => affecting_build(context, ecosystem, package, from).await?,
        None => affecting(context, ecosystem, package, Some(plain(from))).await?,
    };
    if !fixed.is_empty() {
        for (id, found) in affecting(context, ecosystem, package, Some(plain(to))).await? {
            if affects_revision(&found.affected, to) != Some(false) {
                fixed.remove(&id);
            }
        }
        fixed.retain(|_, found| affects_revision(&found.affected, to) != Some(true));
    }
    Ok(fixed.into_values().collect())
}

/// `v1.33.4+k3s1` as OSV wants it: `1.33.4`.
fn plain(version: &str) -> &str {
    let version = version.strip_prefix('v').unwrap_or(version);
    version.split_once('+').map_or(version, |(version, _)| version)
}

/// What affects a build of k3s.
async fn affecting_build(
    context: &Context,
    ecosystem: &str,
    package: &str,
    build: &str,
) -> Result<BTreeMap<String, Advisory>, UpstreamFailure> {
    let mut all = affecting(context, ecosystem, package, None).await?;
    all.retain(|_, found| affects_revision(&found.affected, build) != Some(false));
    if all.values().any(|found| affects_revision(&found.affected, build).is_none()) {
        let told = affecting(context, ecosystem, package, Some(plain(build))).await?;
        all.retain(|id, found| affects_revision(&found.affected, build).is_some() || told.contains_key(id));
    }
    Ok(all)
}

/// What affects a version, or any version.
async fn affecting(
    context: &Context,
    ecosystem: &str,
    package: &str,
    version: Option<&str>,
) -> Result<BTreeMap<String, Advisory>, UpstreamFailure> {
    let url = query_url(context)?;
    let mut advisories = BTreeMap::new();
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let query =
            Query { package: Package { ecosystem, name: package }, version, page_token: token.as_deref() };
        let found: Found =
            serde_json::from_slice(&answer(context, &url, &query).await?).map_err(|error| {
                permanent(format!(
                    "cannot read the advisories for `{package}` from `{}`: {error}",
                    redact(&url)
                ))
            })?;
        let valid = found.vulns.into_iter().filter(|found| found.withdrawn.is_none());
        advisories.extend(valid.map(|found| advisory(found, ecosystem, package)));
        match found.next_page_token {
            Some(next) if !next.is_empty() && token.as_ref() != Some(&next) => token = Some(next),
            _ => return Ok(advisories),
        }
    }
    // An incomplete list of what affects the target would make it look safer than it is.
    Err(permanent(format!("`{}` has too many advisories for `{package}` to read", redact(&url))))
}

fn advisory(found: Vulnerability, ecosystem: &str, package: &str) -> (String, Advisory) {
    let mut aliases = found.aliases;
    aliases.sort_by_key(|alias| (!alias.starts_with("CVE-"), alias.clone()));
    aliases.dedup();
    let summary = found.summary.filter(|summary| !summary.is_empty());
    let affected = found.affected.into_iter().filter_map(|one| one.of(ecosystem, package)).collect();
    (found.id.clone(), Advisory { id: found.id, aliases, summary, affected })
}

fn query_url(context: &Context) -> Result<Url, UpstreamFailure> {
    let base = context.osv.api_url.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/v1/query"))
        .map_err(|error| permanent(format!("cannot ask OSV at `{}`: {error}", redact(&context.osv.api_url))))
}

/// The answer to one query. A folder cannot look anything up: it has one answer for all, which an air-gapped
/// mirror leaves empty to say that there is no database.
async fn answer(context: &Context, url: &Url, query: &Query<'_>) -> Result<Bytes, UpstreamFailure> {
    match context.http.mapping().resolve(url) {
        Resolved::File(path) => {
            let got = context.http.get(Get::new(url, PAGE_LIMIT as u64)).await.map_err(|failed| {
                let told = format!(
                    "`{}` is mapped to a folder, which cannot answer queries; map it to a server, or put an empty \
                     answer (`{{}}`) at `{}`",
                    redact(&context.osv.api_url),
                    path.display()
                );
                if failed.class == FailureClass::NotFound { permanent(told) } else { failed }
            })?;
            let unreadable = |cause| permanent(format!("cannot read `{}`: {cause}", path.display()));
            got.body.bytes(PAGE_LIMIT as u64).map_err(unreadable)
        }
        Resolved::Url(_) if context.http.offline() => {
            Err(failure(FailureClass::Offline, "OSV is not asked with `--offline`"))
        }
        Resolved::Url(target) => ask(context, &target, query).await.map(Bytes::from),
    }
}

/// One query, asked again where that may help. Public data: no credentials are sent.
async fn ask(context: &Context, url: &Url, query: &Query<'_>) -> Result<Vec<u8>, UpstreamFailure> {
    let http = &context.http;
    let limit = context.osv.timeout;
    let attempt = || async move {
        tokio::time::timeout(limit, post_json(http, url, query)).await.unwrap_or_else(|_| {
            Err(Refused::for_now(format!("`{}` gave no answer within {limit:?}", redact(url))))
        })
    };
    retry::run(http, url, http.retry(), attempt).await
}

async fn post_json(http: &Http, url: &Url, query: &Query<'_>) -> Result<Vec<u8>, Refused> {
    let client = http.client().map_err(Refused::for_good)?;
    let response = client.post(url.clone()).json(query).send().await.map_err(|cause| unsent(url, &cause))?;
    let status = response.status().as_u16();
    if let Some(passing) = Refused::passing(url, status, response.headers(), http.now()) {
        return Err(passing);
    }
    if status != 200 {
        return Err(Refused::for_good(permanent(format!("`{}` answered {status}", redact(url)))));
    }
    small(url, response, PAGE_LIMIT, "the answer").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_asked_without_v_and_build() {
        for (given, asked) in
            [("v1.33.4+k3s1", "1.33.4"), ("1.9.0", "1.9.0"), ("v2.0.0-rc.1", "2.0.0-rc.1"), ("", "")]
        {
            assert_eq!(plain(given), asked);
        }
    }

    #[test]
    fn the_cve_comes_first_among_the_names() {
        let found = Vulnerability {
            id: "GO-2024-1".to_owned(),
            aliases: ["GHSA-b", "CVE-2024-2", "BIT-a", "CVE-2024-2"].map(str::to_owned).to_vec(),
            summary: Some(String::new()),
            withdrawn: None,
            affected: Vec::new(),
        };
        let (_, advisory) = advisory(found, "Go", "example.com/app");
        assert_eq!(advisory.aliases, ["CVE-2024-2", "BIT-a", "GHSA-b"]);
        assert_eq!(advisory.summary, None);
    }
}
