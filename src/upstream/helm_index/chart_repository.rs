//! Asks a chart repository for some of its charts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use url::Url;

use super::{Error, Index, LARGEST_INDEX, extract, read};
use crate::domain::near::near;
use crate::domain::upstream::{Answer, UpstreamFailure};
use crate::upstream::body::{Body, IN_MEMORY};
use crate::upstream::failure::{internal, not_found, permanent, transient};
use crate::upstream::http::{Get, Got, Http};
use crate::upstream::redact::{redact, redact_text};

/// What is asked for; some servers choose by it between an index and a page for people.
pub(super) const ACCEPT: &str =
    "application/yaml, application/x-yaml, text/yaml, text/plain, application/json;q=0.9, */*;q=0.8";

/// Asks `repository` once for all of `charts` and answers for each.
///
/// `repository` is the URL of a Helm repository without `index.yaml`; a user in it is sent to it.
pub async fn charts(
    http: &Http,
    repository: &str,
    charts: BTreeSet<String>,
) -> Vec<(String, Result<Answer, UpstreamFailure>)> {
    let same = |failure: &UpstreamFailure, charts: BTreeSet<String>| {
        charts.into_iter().map(|chart| (chart, Err(failure.clone()))).collect()
    };
    let url = match index_url(repository) {
        Ok(url) => url,
        Err(failure) => return same(&failure, charts),
    };
    match index(http, &url, &charts).await {
        Ok((mut index, stale)) => charts
            .into_iter()
            .map(|chart| {
                let answer = match index.charts.remove(&chart) {
                    Some(found) if !found.entries.is_empty() => {
                        Ok(Answer { stale: stale.clone(), ..found.into_answer() })
                    }
                    Some(_) => {
                        Err(not_found(format!("`{}` lists no version of chart `{chart}`", redact(&url))))
                    }
                    None => Err(missing(&url, &chart, &index)),
                };
                (chart, answer)
            })
            .collect(),
        Err(failure) => same(&failure, charts),
    }
}

pub(super) fn index_url(repository: &str) -> Result<Url, UpstreamFailure> {
    let refused = || permanent(format!("`{}` is not the URL of a chart repository", redact_text(repository)));
    let mut url = Url::parse(repository.trim()).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused());
    }
    let path = format!("{}/index.yaml", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn missing(url: &Url, chart: &str, index: &Index) -> UpstreamFailure {
    let near = near(chart, index.names.iter().map(String::as_str));
    let hint = match near.as_slice() {
        [] => format!("; it has {} charts", index.names.len()),
        names => format!(
            "; did you mean {}?",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
        ),
    };
    not_found(format!("`{}` has no chart `{chart}`{hint}", redact(url)))
}

/// The index, as far as it is wanted, and why it could not be checked.
async fn index(
    http: &Http,
    url: &Url,
    charts: &BTreeSet<String>,
) -> Result<(Index, Option<String>), UpstreamFailure> {
    let get = Get { accept: Some(ACCEPT), ..Get::new(url, LARGEST_INDEX) };
    let got = http.get_unread(get).await?;
    let stale = got.stale.clone();
    match extracted(got, charts.clone()).await? {
        Ok(index) => Ok((index, stale)),
        Err(Error::Read(cause))
            if cause.kind() == io::ErrorKind::InvalidData || cause.kind() == io::ErrorKind::NotFound =>
        {
            // The stored index is damaged, or another process replaced it: this time it is verified.
            let got = http.get(get).await?;
            let stale = got.stale.clone();
            let index = extracted(got, charts.clone()).await?.map_err(|cause| unreadable(url, cause))?;
            Ok((index, stale))
        }
        Err(cause) => Err(unreadable(url, cause)),
    }
}

fn unreadable(url: &Url, cause: Error) -> UpstreamFailure {
    let shown = redact(url);
    match cause {
        Error::Read(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
            permanent(format!("`{shown}` is larger than {LARGEST_INDEX} bytes"))
        }
        Error::Read(cause) => transient(format!("cannot read `{shown}`: {cause}")),
        cause => permanent(format!("cannot read `{shown}`: {cause}")),
    }
}

/// Reads the index on this thread if that is quick, else on one that may block.
async fn extracted(got: Got, charts: BTreeSet<String>) -> Result<Result<Index, Error>, UpstreamFailure> {
    let quick = match &got.body {
        Body::Memory(_) => true,
        Body::File(file) => {
            extract::path(&file.path).exists()
                || std::fs::metadata(&file.path).is_ok_and(|metadata| metadata.len() <= IN_MEMORY)
        }
    };
    if quick {
        return Ok(extracted_here(&got, &charts));
    }
    tokio::task::spawn_blocking(move || extracted_here(&got, &charts))
        .await
        .map_err(|_| internal("reading a chart index ended early"))
}

/// Reads what the extract beside the stored index does not have, and stores the extract anew.
fn extracted_here(got: &Got, charts: &BTreeSet<String>) -> Result<Index, Error> {
    let wanted: BTreeSet<&str> = charts.iter().map(String::as_str).collect();
    let known = got.stored.as_deref().filter(|_| got.from_cache).and_then(extract::load);
    let missing = match &known {
        Some(known) => extract::missing(known, &wanted),
        None => wanted,
    };
    let known = match known {
        Some(known) if missing.is_empty() => return Ok(known),
        Some(known) => known.charts,
        None => BTreeMap::new(),
    };
    let mut index = read(|| got.body.reader(), &missing)?;
    index.charts.extend(known);
    if let Some(stored) = &got.stored
        && let Err(cause) = extract::save(stored, &mut index)
    {
        tracing::debug!(reason = %cause, "extract of a chart index not stored");
    }
    Ok(index)
}
