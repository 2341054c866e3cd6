//! Looks at one version of a chart: whether its archive is there.

use std::collections::BTreeSet;
use std::time::Duration;

use super::chart_repository::{ACCEPT, index_url};
use super::{LARGEST_INDEX, LARGEST_PARSED, is_json, scan, unpacked, whole};
use crate::domain::report::DeepChecks;
use crate::domain::upstream::{FailureClass, UpstreamFailure};
use crate::upstream::body::{Body, Bounded};
use crate::upstream::failure::{internal, not_found, permanent};
use crate::upstream::http::{Get, Http};
use crate::upstream::redact::redact;
use url::Url;

/// Largest archive that is asked for; Helm itself refuses more than 20 MiB unpacked.
const LARGEST_ARCHIVE: u64 = 20 << 20;
/// The index was read a moment ago in the same run.
const JUST_READ: Duration = Duration::from_secs(3600);

/// Where an index says that the archive of a version is.
pub(crate) struct Located {
    /// `None` where the archive is not to be had over HTTP, or nothing says where it is.
    pub(crate) url: Option<Url>,
    /// SHA-256 of the archive, `sha256:…`.
    pub(crate) digest: Option<String>,
}

/// Asks for the archive that the index names for a version.
///
/// # Errors
///
/// The index cannot be read, or the archive's host could not be asked. An archive that is not there is no error
/// but an answer.
pub async fn inspect(
    http: &Http,
    repository: &str,
    chart: &str,
    version: &str,
) -> Result<DeepChecks, UpstreamFailure> {
    let located = locate(http, repository, chart, version).await?;
    let mut checks = DeepChecks { digest: located.digest, ..DeepChecks::default() };
    let Some(archive) = located.url else { return Ok(checks) };
    match http.get(Get::new(&archive, LARGEST_ARCHIVE)).await {
        Ok(_) => checks.archive_available = Some(true),
        Err(failure) if failure.class == FailureClass::NotFound => checks.archive_available = Some(false),
        Err(failure) => return Err(failure),
    }
    Ok(checks)
}

/// Looks up where the archive of a version is.
///
/// # Errors
///
/// The index cannot be read, or does not have the version.
pub(crate) async fn locate(
    http: &Http,
    repository: &str,
    chart: &str,
    version: &str,
) -> Result<Located, UpstreamFailure> {
    let index = index_url(repository)?;
    // Asked as the index was asked for a moment ago, so that the kept answer serves.
    let get = Get { accept: Some(ACCEPT), fresh_for: Some(JUST_READ), ..Get::new(&index, LARGEST_INDEX) };
    let got = http.get(get).await?;
    let found_at = got.url.clone();
    let (name, wanted) = (chart.to_owned(), version.to_owned());
    let found = tokio::task::spawn_blocking(move || archive(&got.body, &name, &wanted))
        .await
        .map_err(|_| internal("reading a chart index ended early"))?;
    let Some((urls, digest)) = found else {
        return Err(not_found(format!("`{}` has no version {version} of chart `{chart}`", redact(&index))));
    };
    let digest = digest.map(|hex| if hex.contains(':') { hex } else { format!("sha256:{hex}") });
    // A relative URL is seen from where the index was found (Helm docs, "The Chart Repository Guide").
    let url = match urls.first() {
        Some(first) => Some(
            found_at
                .join(first)
                .map_err(|_| permanent(format!("the index names no usable URL for {chart} {version}")))?,
        ),
        None => None,
    };
    Ok(Located { url: url.filter(|url| matches!(url.scheme(), "http" | "https")), digest })
}

/// URLs and digest of a version.
fn archive(body: &Body, chart: &str, version: &str) -> Option<(Vec<String>, Option<String>)> {
    let wanted = BTreeSet::from([chart]);
    let open = || unpacked(Box::new(body.reader().ok()?)).ok();
    let mut entries = Vec::new();
    let mut start = [0; 64];
    let length = super::fill(&mut open()?, &mut start).ok()?;
    if is_json(&start[..length]) {
        entries = whole::json(open()?, &wanted).ok()?.charts.remove(chart)?.entries;
    } else {
        let canonical = scan::scan(open()?, &wanted, |_, block| {
            let read = std::str::from_utf8(block).ok().and_then(whole::entries);
            let understood = read.is_some();
            entries.extend(read.into_iter().flatten());
            understood
        });
        if !matches!(canonical, Ok(scan::Scan::Canonical(_))) {
            let bounded = Bounded { inner: open()?, left: LARGEST_PARSED };
            entries = whole::yaml(bounded, LARGEST_PARSED, &wanted).ok()?.charts.remove(chart)?.entries;
        }
    }
    let same = |text: &str| text.trim().trim_start_matches('v') == version.trim_start_matches('v');
    let entry = entries.into_iter().find(|entry| entry.version.as_deref().is_some_and(same))?;
    Some((entry.urls.into_iter().flatten().flatten().collect(), entry.digest))
}
