//! Lists, page by page: items are read while they come, so that no page is ever in memory as a whole.

use serde::Deserialize;

use super::ask::{Asker, Failure, Question};
use super::path::Path;
use super::split::Splitter;
use crate::domain::settle::kind::Kind;

/// Objects a page. With the managed fields a pod has about 12 kB, so a page is a few megabytes.
const PAGE: u32 = 500;
/// Definitions hold the schema of every version: up to a megabyte each.
const PAGE_OF_DEFINITIONS: u32 = 50;

/// Objects of a kind that are asked for at once.
pub(super) fn size(kind: Kind) -> u32 {
    match kind {
        Kind::CustomResourceDefinition => PAGE_OF_DEFINITIONS,
        _ => PAGE,
    }
}

/// What stands beside the items.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    metadata: ListMeta,
}

/// How a list goes on.
#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ListMeta {
    /// Where a watch begins.
    pub(super) resource_version: String,
    /// For the next page; empty after the last.
    pub(super) r#continue: String,
}

/// Asks for one page, and calls `each` with every item's JSON.
pub(super) async fn page(
    asker: &Asker,
    path: &Path,
    labels: &str,
    size: u32,
    token: &str,
    mut each: impl FnMut(&[u8]) + Send,
) -> Result<ListMeta, Failure> {
    let path =
        path.clone().with("labelSelector", labels).with("limit", &size.to_string()).with("continue", token);
    let mut splitter = Splitter::default();
    asker
        .stream(&Question::get(path), |bytes| {
            splitter.feed(&bytes, &mut each).map_err(|error| Failure::strange(error.to_string()))
        })
        .await?;
    let envelope = splitter.finish().map_err(|error| Failure::away(error.to_string()))?;
    let envelope: Envelope = serde_json::from_slice(&envelope)
        .map_err(|error| Failure::strange(format!("the answer is no list: {error}")))?;
    Ok(envelope.metadata)
}
