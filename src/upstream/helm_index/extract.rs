//! What was read of an index, stored beside it.
//!
//! The name of the stored index names its content, so an extract that lies beside it is of it.
//! Anything unexpected in an extract means that there is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flate2::Crc;
use jiff::Timestamp;

use super::Index;
use super::entry::{Chart, Entry, MOST_ENTRIES, Tidy};
use crate::upstream::cache::write_new;

/// Changes with what is stored or how it is read from an index.
const MARK: &[u8; 8] = b"charts\x00\x03";
/// The bits that say whether an entry is deprecated.
const DEPRECATED: u8 = 3;
/// The bit of an entry that names an archive.
const ARCHIVE: u8 = 4;
/// The bit of an entry that has a date.
const CREATED: u8 = 8;
/// Larger extracts are not stored: reading them would cost as much as reading the index.
const LARGEST: usize = 32 * 1024 * 1024;

pub(crate) fn path(stored: &Path) -> PathBuf {
    let mut name = stored.as_os_str().to_owned();
    name.push(".charts");
    PathBuf::from(name)
}

/// The extract beside the stored index.
pub(crate) fn load(stored: &Path) -> Option<Index> {
    let path = path(stored);
    let size = std::fs::metadata(&path).ok()?.len();
    if size > LARGEST as u64 {
        return None;
    }
    decode(&std::fs::read(path).ok()?)
}

/// Stores the extract beside the stored index, if it is worth it. Its charts are tidied.
pub(crate) fn save(stored: &Path, index: &mut Index) -> std::io::Result<()> {
    let bytes = encode(index);
    if bytes.len() > LARGEST {
        return Ok(());
    }
    write_new(&path(stored), &bytes)
}

fn encode(index: &mut Index) -> Vec<u8> {
    let mut out = MARK.to_vec();
    number(&mut out, index.names.len());
    for name in &index.names {
        text(&mut out, Some(name));
    }
    number(&mut out, index.charts.len());
    for (name, chart) in &mut index.charts {
        let Tidy { nameless, knows_archives } = chart.tidy();
        text(&mut out, Some(name));
        text(&mut out, chart.link.as_deref());
        out.push(u8::from(chart.cut));
        out.push(u8::from(knows_archives));
        number(&mut out, nameless);
        number(&mut out, chart.entries.len());
        for entry in &chart.entries {
            for field in [&entry.version, &entry.app_version, &entry.kube_version, &entry.digest] {
                text(&mut out, field.as_deref());
            }
            let deprecated = match entry.deprecated {
                None => 0,
                Some(false) => 1,
                Some(true) => 2,
            };
            let archive = if entry.has_archive() { ARCHIVE } else { 0 };
            let created = if entry.created.is_some() { CREATED } else { 0 };
            out.push(deprecated | archive | created);
            if let Some(created) = entry.created {
                out.extend_from_slice(&created.as_second().to_le_bytes());
                out.extend_from_slice(&created.subsec_nanosecond().to_le_bytes());
            }
        }
    }
    let mut crc = Crc::new();
    crc.update(&out);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out
}

/// Seven bits a byte, lowest first, the eighth bit says that more follow.
fn number(out: &mut Vec<u8>, number: usize) {
    let mut rest = number;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Length plus one and the bytes; zero is no text.
fn text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            number(out, text.len() + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn decode(bytes: &[u8]) -> Option<Index> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    let mut crc = Crc::new();
    crc.update(content);
    if crc.sum() != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut input = Input { rest: content.strip_prefix(MARK)? };
    let mut index = Index::default();
    for _ in 0..input.number()? {
        index.names.insert(input.text()??);
    }
    for _ in 0..input.number()? {
        let name = input.text()??;
        let link = input.text()?;
        let cut = input.byte()? != 0;
        let knows_archives = input.byte()? != 0;
        let tidy = Some(Tidy { nameless: input.number()?, knows_archives });
        let count = input.number()?;
        let mut entries = Vec::with_capacity(count.min(MOST_ENTRIES));
        for _ in 0..count {
            let mut entry = Entry {
                version: input.text()?,
                app_version: input.text()?,
                kube_version: input.text()?,
                digest: input.text()?,
                ..Entry::default()
            };
            let flags = input.byte()?;
            entry.deprecated = match flags & DEPRECATED {
                0 => None,
                1 => Some(false),
                _ => Some(true),
            };
            entry.names_archive = flags & ARCHIVE != 0;
            if flags & CREATED != 0 {
                let second = i64::from_le_bytes(input.bytes()?);
                let nanosecond = i32::from_le_bytes(input.bytes()?);
                entry.created = Some(Timestamp::new(second, nanosecond).ok()?);
            }
            entries.push(entry);
        }
        index.charts.insert(name, Chart { entries, link, cut, tidy });
    }
    input.rest.is_empty().then_some(index)
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn bytes<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Option<String>> {
        let Some(length) = self.number()?.checked_sub(1) else { return Some(None) };
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
    }
}

/// Charts of `wanted` that the extract cannot answer for.
pub(crate) fn missing<'a>(index: &Index, wanted: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    wanted
        .iter()
        .copied()
        .filter(|name| index.names.contains(*name) && !index.charts.contains_key(*name))
        .collect()
}
