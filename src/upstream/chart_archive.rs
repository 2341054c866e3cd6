//! Archives of charts: fetched as the versions are, checked against what was promised, unpacked within bounds.
//!
//! Nothing is written to disk, and no name in an archive is followed anywhere.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::body::Bounded;
use super::context::Context;
use super::failure::{internal, not_found, permanent};
use super::http::Get;
use super::redact::redact;
use super::{helm_index, oci};
use crate::domain::chart_diff::Chart;
use crate::domain::upstream::{UpstreamFailure, UpstreamRef};

/// Largest archive; Helm itself refuses more than 20 MiB unpacked.
const ARCHIVE_LIMIT: u64 = 20 << 20;
/// Most bytes of an unpacked archive.
const UNPACKED_LIMIT: u64 = 64 << 20;
/// Most bytes of one file (Helm, `MaxDecompressedFileSize`).
const FILE_LIMIT: u64 = 5 << 20;
/// Most entries of an archive.
const MOST_ENTRIES: usize = 10_000;
/// Deepest folder of an archive.
const MAX_DEPTH: usize = 16;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, is broken, or unpacks to more than any chart.
    #[error("cannot unpack the archive")]
    Unreadable(#[source] std::io::Error),
    /// More entries than any chart has.
    #[error("the archive has more than {MOST_ENTRIES} entries")]
    TooManyEntries,
    /// A link, a device, or a name that leads out of the chart.
    #[error("the archive has the entry `{name}`, which is no plain file of one folder")]
    Entry {
        /// As the archive has it, cut and escaped.
        name: String,
    },
    /// A file that is larger than Helm takes.
    #[error("the archive has `{name}` of more than {FILE_LIMIT} bytes")]
    TooLarge {
        /// Name of the file.
        name: String,
    },
    /// Two entries of one name: readers do not agree which one counts.
    #[error("the archive has `{name}` twice")]
    Twice {
        /// Name of the file.
        name: String,
    },
}

/// One version of a chart.
///
/// # Errors
///
/// The upstream has no charts or not this version, cannot be asked, or its archive is not what it should be.
pub async fn chart(
    context: &Context,
    upstream: &UpstreamRef,
    version: &str,
) -> Result<Chart, UpstreamFailure> {
    let shown = format!("{} {version}", upstream.name());
    let bytes = match upstream {
        UpstreamRef::HelmChart { repository, chart } => {
            let located = helm_index::locate(&context.http, repository, chart, version).await?;
            let url =
                located.url.ok_or_else(|| not_found(format!("the index names no archive of {shown}")))?;
            let got = context.http.get(Get::new(&url, ARCHIVE_LIMIT)).await?;
            let bytes = got
                .body
                .bytes(UNPACKED_LIMIT)
                .map_err(|cause| permanent(format!("cannot read `{}`: {cause}", redact(&url))))?;
            // A mapped file may come unpacked, and has another sum then; it is the user's own.
            if let Some(digest) = located.digest.filter(|_| is_gzip(&bytes))
                && !oci::is_content_of(&digest, &bytes)
            {
                return Err(permanent(format!(
                    "`{}` is not what the index promises ({digest}); it was changed on its way, or the mirror is \
                     broken",
                    redact(&url)
                )));
            }
            bytes
        }
        UpstreamRef::Oci { registry, repository, chart: true } => {
            let tag = version.replace('+', "_");
            oci::chart_archive(context, registry, repository, &tag, ARCHIVE_LIMIT).await?
        }
        _ => return Err(permanent(format!("{shown} is no chart with an archive of its own"))),
    };
    tokio::task::spawn_blocking(move || {
        let refused = |error: &dyn std::error::Error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            permanent(format!("cannot use the archive of {shown}: {error}{cause}"))
        };
        let files = unpack(&bytes).map_err(|error| refused(&error))?;
        Chart::new(files).map_err(|error| refused(&error))
    })
    .await
    .map_err(|_| internal("unpacking a chart ended early"))?
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The text files of a chart by their path within it. What is no text, and charts packed within it, are left out.
///
/// # Errors
///
/// Links, names that lead elsewhere, one name twice, too much of anything.
pub fn unpack(archive: &[u8]) -> Result<BTreeMap<String, String>, ArchiveError> {
    let reader: Box<dyn Read + '_> =
        if is_gzip(archive) { Box::new(MultiGzDecoder::new(archive)) } else { Box::new(archive) };
    let mut archive = tar::Archive::new(Bounded { inner: reader, left: UNPACKED_LIMIT });
    let mut files = BTreeMap::new();
    for (number, entry) in archive.entries().map_err(ArchiveError::Unreadable)?.enumerate() {
        if number >= MOST_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        let entry = entry.map_err(ArchiveError::Unreadable)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let inner = inner_path(&name);
        let (true, Some(inner)) = (kind.is_file(), inner) else {
            let shown: String = name.chars().take(80).collect();
            return Err(ArchiveError::Entry { name: shown.escape_default().to_string() });
        };
        let mut content = Vec::new();
        entry.take(FILE_LIMIT + 1).read_to_end(&mut content).map_err(ArchiveError::Unreadable)?;
        if content.len() as u64 > FILE_LIMIT {
            return Err(ArchiveError::TooLarge { name: inner });
        }
        let Ok(text) = String::from_utf8(content) else { continue };
        if files.insert(inner.clone(), text).is_some() {
            return Err(ArchiveError::Twice { name: inner });
        }
    }
    Ok(files)
}

/// The path within the chart's own folder, which has the chart's name.
fn inner_path(name: &str) -> Option<String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let parts: Vec<&str> = name.split('/').collect();
    let plain =
        |part: &&str| !part.is_empty() && !matches!(*part, "." | "..") && !part.contains(['\\', ':', '\0']);
    (parts.len() >= 2 && parts.len() <= MAX_DEPTH && parts.iter().all(plain)).then(|| parts[1..].join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive of entries given by name, type and content.
    fn packed(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            // The safe setter refuses what hostile archives have.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn text_files_of_a_chart_are_found_by_their_path_within_it() {
        let archive = packed(&[
            ("app/", tar::EntryType::Directory, b""),
            ("app/Chart.yaml", FILE, b"name: app\nversion: 1.0.0\n"),
            ("app/templates/a.yaml", FILE, b"kind: {{ .Values.kind }}\n"),
            ("app/charts/sub.tgz", FILE, b"\x1f\x8b\xff"),
        ]);
        let files = unpack(&archive).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["Chart.yaml", "templates/a.yaml"]);
        let mut plain = Vec::new();
        MultiGzDecoder::new(&archive[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(unpack(&plain).unwrap(), files);
    }

    #[test]
    fn entries_that_lead_elsewhere_are_refused() {
        for name in ["../a.yaml", "app/../../a", "/etc/passwd", "app//a", "a.yaml", "app/C:\\x", "app/./a"] {
            let refused = unpack(&packed(&[(name, FILE, b"x")])).unwrap_err();
            assert!(matches!(refused, ArchiveError::Entry { .. }), "{name}: {refused}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo] {
            let refused = unpack(&packed(&[("app/a", kind, b"")])).unwrap_err();
            assert!(matches!(refused, ArchiveError::Entry { .. }), "{refused}");
        }
        let twice = packed(&[("app/a", FILE, b"1"), ("app/a", FILE, b"2")]);
        assert!(matches!(unpack(&twice), Err(ArchiveError::Twice { .. })));
    }

    #[test]
    fn archives_that_unpack_to_too_much_are_refused() {
        let large = vec![b'a'; FILE_LIMIT as usize + 1];
        let refused = unpack(&packed(&[("app/a", FILE, &large)])).unwrap_err();
        assert!(matches!(refused, ArchiveError::TooLarge { .. }), "{refused}");
        let file = vec![b'a'; FILE_LIMIT as usize];
        let names: Vec<String> = (0..14).map(|number| format!("app/{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), FILE, file.as_slice())).collect();
        assert!(matches!(unpack(&packed(&entries)), Err(ArchiveError::Unreadable(_))));
        let names: Vec<String> = (0..=MOST_ENTRIES).map(|number| format!("app/{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), FILE, &b""[..])).collect();
        assert!(matches!(unpack(&packed(&entries)), Err(ArchiveError::TooManyEntries)));
        let mut cut = packed(&[("app/a", FILE, b"text")]);
        cut.truncate(cut.len() / 2);
        assert!(unpack(&cut).is_err());
        let mut noise = GzEncoder::new(Vec::new(), Compression::fast());
        noise.write_all(&[7; 2048]).unwrap();
        assert!(unpack(&noise.finish().unwrap()).is_err());
    }
}
