//! Helm chart repositories: reads the wanted charts of an `index.yaml`, and only these.
//!
//! An index may have 60 MB and a run may need 200 of them, so the usual layout is scanned rather
//! than parsed ([`scan`], [`block`]); [`whole`] parses every other one. What was read is stored
//! beside the cached index ([`extract`]), so that an unchanged index is not read again.

pub(crate) mod block;
mod chart_repository;
pub(crate) mod entry;
pub(crate) mod extract;
mod inspect;
pub(crate) mod scan;
pub(crate) mod whole;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read};

use flate2::read::MultiGzDecoder;

use self::entry::{Chart, Entry};
use self::scan::Scan;
use super::body::Bounded;

pub use self::chart_repository::charts;
pub use self::inspect::inspect;
pub(crate) use self::inspect::locate;

/// The largest index that is read, in bytes, unpacked. The largest public ones have 30 to 60 MB.
const LARGEST_INDEX: u64 = 96 * 1024 * 1024;
/// The largest index that is parsed as a whole; a parser needs a second for this.
const LARGEST_PARSED: u64 = 64 * 1024 * 1024;
/// Charts in one index.
pub(crate) const MOST_CHARTS: usize = 50_000;
/// Bytes of the names of all charts in one index.
const MOST_NAME_BYTES: usize = 4 * 1024 * 1024;

pub(crate) fn names_bytes_exceeded(bytes: usize) -> bool {
    bytes > MOST_NAME_BYTES
}

/// An index that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed; the content is cut, damaged, or too large.
    #[error("cannot read the index")]
    Read(#[from] io::Error),
    /// Neither a parser for YAML nor one for JSON understands it.
    #[error("not a Helm repository index: {detail}")]
    Syntax {
        /// What the parser said, on one line.
        detail: String,
    },
    /// Too large for the parser that its layout needs.
    #[error("its layout needs a full parser, which reads at most {limit} bytes")]
    Unusual {
        /// The limit.
        limit: u64,
    },
}

impl Error {
    fn json(cause: serde_json::Error) -> Self {
        if cause.is_io() { Self::Read(cause.into()) } else { Self::syntax(&cause) }
    }

    fn yaml(cause: serde_saphyr::Error) -> Self {
        Self::syntax(&cause)
    }

    fn syntax(cause: &dyn std::error::Error) -> Self {
        let text = cause.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::Syntax { detail: line.chars().take(200).collect() }
    }
}

/// What was read of an index: all names, and the entries of the wanted charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The wanted charts that are there.
    pub(crate) charts: BTreeMap<String, Chart>,
    /// Names of all charts.
    pub(crate) names: BTreeSet<String>,
}

impl Index {
    /// As both readers agree on it: what differs only by how it was read is made equal.
    pub fn comparable(mut self) -> Self {
        for chart in self.charts.values_mut() {
            chart.entries = std::mem::take(&mut chart.entries).into_iter().map(Entry::comparable).collect();
        }
        self
    }
}

/// Reads the wanted charts; `open` opens the content anew for each pass.
pub(crate) fn read<'a>(
    open: impl Fn() -> io::Result<Box<dyn Read + Send + 'a>>,
    wanted: &BTreeSet<&str>,
) -> Result<Index, Error> {
    let open = || unpacked(open()?);
    let mut start = [0_u8; 64];
    let length = fill(&mut open()?, &mut start)?;
    if is_json(&start[..length])
        && let Ok(index) = whole::json(open()?, wanted)
    {
        return Ok(index);
    }
    if let Some(index) = read_fast(open()?, wanted)? {
        return Ok(index);
    }
    match read_parsed(open()?, wanted) {
        Err(_) if io::copy(&mut open()?, &mut io::sink())? > LARGEST_PARSED => {
            Err(Error::Unusual { limit: LARGEST_PARSED })
        }
        read => read,
    }
}

/// Reads the wanted charts without a parser; `None` for a layout that this reader does not vouch for.
///
/// Public, as [`read_parsed`] is, so that the two can be held against each other from outside.
///
/// # Errors
///
/// Reading failed; bytes in memory cannot fail.
pub fn read_fast(index: impl Read, wanted: &BTreeSet<&str>) -> io::Result<Option<Index>> {
    let mut charts = BTreeMap::new();
    let scanned = scan::scan(index, wanted, |name, text| match block::read(text) {
        Some(chart) => {
            charts.insert(name.to_owned(), chart);
            true
        }
        None => false,
    })?;
    let Scan::Canonical(names) = scanned else { return Ok(None) };
    for name in wanted.iter().filter(|name| names.contains(**name)) {
        charts.entry((*name).to_owned()).or_default();
    }
    Ok(Some(Index { charts, names }))
}

/// Reads the wanted charts with a parser for YAML: slow, and right by definition.
///
/// # Errors
///
/// What is no index, or larger than a parser is given.
pub fn read_parsed(index: impl Read, wanted: &BTreeSet<&str>) -> Result<Index, Error> {
    let bounded = Bounded { inner: index, left: LARGEST_PARSED };
    whole::yaml(bounded, LARGEST_PARSED, wanted)
}

/// Unpacks content that is gzipped as such, whatever its name says.
fn unpacked<'a>(reader: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut reader = BufReader::new(reader);
    if reader.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(Bounded { inner: MultiGzDecoder::new(reader), left: LARGEST_INDEX }));
    }
    Ok(Box::new(reader))
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(length)
}

fn is_json(start: &[u8]) -> bool {
    start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().first() == Some(&b'{')
}
