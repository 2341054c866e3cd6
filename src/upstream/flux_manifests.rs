//! The manifests of a release of Flux, from which `gotk-components.yaml` is made.
//!
//! Each release of fluxcd/flux2 has the asset `manifests.tar.gz`, a flat archive of one YAML file a component, and a
//! file of SHA-256 sums beside it (goreleaser's `flux_<version>_checksums.txt`). Releases do not change, so the
//! answers are kept for long.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use semver::Version;
use sha2::{Digest, Sha256};
use url::Url;

use super::body::Bounded;
use super::failure::permanent;
use super::http::{Get, Http};
use super::redact::redact;
use crate::domain::gotk::{Manifests, steps};
use crate::domain::upstream::{FailureClass, UpstreamFailure};

const RELEASES: &str = "https://github.com/fluxcd/flux2/releases/download";
const SOURCES: &str = "https://raw.githubusercontent.com/fluxcd/flux2";
const ARCHIVE: &str = "manifests.tar.gz";
/// The archives of real releases have 0.1 MB.
const ARCHIVE_LIMIT: u64 = 4 << 20;
/// They unpack to 0.4 to 0.8 MB.
const UNPACKED_LIMIT: u64 = 16 << 20;
/// They hold eight or nine files.
const MOST_ENTRIES: usize = 64;
/// Lists of checksums have 2 kB.
const CHECKSUMS_LIMIT: u64 = 256 << 10;
/// The sources have 10 kB at most.
const SOURCE_LIMIT: u64 = 256 << 10;
/// What was released is not released again.
const FRESH_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, or broken, or unpacks to more than any release.
    #[error("cannot unpack the archive")]
    Unreadable(#[source] std::io::Error),
    /// More entries than any release has.
    #[error("the archive has more than {MOST_ENTRIES} entries")]
    TooManyEntries,
    /// A link, a device, or a name that is not that of a file in a flat folder.
    #[error("the archive has the entry `{name}`, which is no plain file of its own folder")]
    Entry {
        /// As the archive has it, cut and escaped.
        name: String,
    },
    /// Two entries of one name: readers do not agree which one counts.
    #[error("the archive has `{name}` twice")]
    Twice {
        /// Name of the file.
        name: String,
    },
    /// A file that is no UTF-8.
    #[error("the archive has `{name}`, which is no text")]
    NoText {
        /// Name of the file.
        name: String,
    },
}

/// The manifests of a release, its version with the leading `v`.
///
/// The archive must have the SHA-256 sum that the release states; a release or mirror without such a list, or with a
/// list that lacks the archive, is taken as it is.
///
/// # Errors
///
/// There is no such release, it cannot be asked, or its archive is not what it should be.
pub async fn manifests(http: &Http, release: &str) -> Result<Manifests, UpstreamFailure> {
    let version = release
        .strip_prefix('v')
        .and_then(|version| Version::parse(version).ok())
        .ok_or_else(|| permanent(format!("`{}` is no release of Flux", release.escape_default())))?;
    let (archive_url, archive) = asset(http, release, ARCHIVE, ARCHIVE_LIMIT).await?;
    let sums = match asset(http, release, &format!("flux_{version}_checksums.txt"), CHECKSUMS_LIMIT).await {
        Ok((_, sums)) => stated_sum(&sums),
        Err(failure) if failure.class == FailureClass::NotFound => None,
        // An archive whose sum is kept back is not trusted for that.
        Err(failure) => return Err(failure),
    };
    // A mapped file comes unpacked, and has no sum then; it is the user's own.
    let packed = is_gzip(&archive);
    match sums {
        Some(stated) if packed => {
            let found = hex(&Sha256::digest(&archive));
            if found != stated {
                return Err(permanent(format!(
                    "`{}` has the SHA-256 sum {found}, and the release states {stated}; it was changed on its way, \
                     or the mirror is broken",
                    redact(&archive_url)
                )));
            }
        }
        _ => tracing::debug!(url = %redact(&archive_url), "manifests without a stated checksum"),
    }
    let manifests = unpack(release, &archive).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        permanent(format!("cannot use `{}`: {error}{cause}", redact(&archive_url)))
    })?;
    Ok(Manifests { sources: sources(http, release).await, ..manifests })
}

/// Sums of the sources of the steps of a release that is newer than all that were compared; none where they cannot be
/// had, so that a mirror need not have them.
async fn sources(http: &Http, release: &str) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    if !steps::are_in_sources(release) {
        return sums;
    }
    for (path, _) in steps::SOURCES {
        match fetched(http, &format!("{SOURCES}/{release}/{path}"), SOURCE_LIMIT).await {
            Ok((_, source)) => sums.insert(path.to_owned(), hex(&Sha256::digest(&source))),
            Err(failure) => {
                tracing::warn!(release, reason = %failure, "how this release of Flux generates its file is not known");
                return BTreeMap::new();
            }
        };
    }
    sums
}

async fn asset(
    http: &Http,
    release: &str,
    name: &str,
    limit: u64,
) -> Result<(Url, Vec<u8>), UpstreamFailure> {
    fetched(http, &format!("{RELEASES}/{release}/{name}"), limit).await
}

async fn fetched(http: &Http, url: &str, limit: u64) -> Result<(Url, Vec<u8>), UpstreamFailure> {
    let url = Url::parse(url).map_err(|error| permanent(format!("cannot ask `{url}`: {error}")))?;
    let get = Get { fresh_for: Some(FRESH_FOR), ..Get::new(&url, limit) };
    let got = http.get(get).await?;
    let bytes = got
        .body
        .bytes(limit.max(UNPACKED_LIMIT))
        .map_err(|cause| permanent(format!("cannot read `{}`: {cause}", redact(&url))))?;
    Ok((url, bytes.to_vec()))
}

/// The sum that a list of `<sum>  <file>` lines states for the archive, in lower case.
fn stated_sum(list: &[u8]) -> Option<String> {
    std::str::from_utf8(list).ok()?.lines().find_map(|line| {
        let (sum, name) = line.split_once([' ', '\t'])?;
        let name = name.trim_start_matches([' ', '\t', '*']).trim_end();
        let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        (name == ARCHIVE && is_sum).then(|| sum.to_ascii_lowercase())
    })
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the archive of a release, gzipped or not.
///
/// # Errors
///
/// What no release has: other than plain files in a flat folder, one twice, too much of anything.
pub fn unpack(release: &str, archive: &[u8]) -> Result<Manifests, ArchiveError> {
    let reader: Box<dyn Read + '_> =
        if is_gzip(archive) { Box::new(MultiGzDecoder::new(archive)) } else { Box::new(archive) };
    let mut archive = tar::Archive::new(Bounded { inner: reader, left: UNPACKED_LIMIT });
    let mut files = BTreeMap::new();
    for (number, entry) in archive.entries().map_err(ArchiveError::Unreadable)?.enumerate() {
        let mut entry = entry.map_err(ArchiveError::Unreadable)?;
        if number >= MOST_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() && matches!(name.as_str(), "." | "./") {
            continue;
        }
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let is_plain = name.ends_with(".yaml")
            && !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if !kind.is_file() || !is_plain {
            let shown: String = name.chars().take(80).collect();
            return Err(ArchiveError::Entry { name: shown.escape_default().to_string() });
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(ArchiveError::Unreadable)?;
        let text = String::from_utf8(content).map_err(|_| ArchiveError::NoText { name: name.clone() })?;
        if files.insert(name.clone(), text).is_some() {
            return Err(ArchiveError::Twice { name });
        }
    }
    Ok(Manifests { version: release.to_owned(), files, ..Manifests::default() })
}
