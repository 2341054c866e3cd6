//! Reads an index with a real parser: slow, but for every layout. JSON, and whatever YAML the fast
//! reader does not vouch for.
//!
//! Both parsers stream, and only what is wanted is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::entry::{Chart, Entry, MOST_ENTRIES};
use super::{Error, Index, MOST_CHARTS};

/// Reads JSON.
pub(crate) fn json(reader: impl Read, wanted: &BTreeSet<&str>) -> Result<Index, Error> {
    // serde_json reads byte by byte and would ask the file for each.
    let mut reader =
        serde_json::Deserializer::from_reader(std::io::BufReader::with_capacity(64 * 1024, reader));
    let index = IndexSeed { wanted }.deserialize(&mut reader).map_err(Error::json)?;
    reader.end().map_err(Error::json)?;
    Ok(index)
}

/// Reads YAML of at most `limit` bytes.
pub(crate) fn yaml(reader: impl Read, limit: u64, wanted: &BTreeSet<&str>) -> Result<Index, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    serde_saphyr::with_deserializer_from_reader_with_options(reader, options(limit), |deserializer| {
        IndexSeed { wanted }.deserialize(deserializer)
    })
    .map_err(Error::yaml)
}

/// Reads a list of entries cut out of an index; fails where it needs the rest of the index (aliases).
pub(crate) fn entries(text: &str) -> Option<Vec<Entry>> {
    serde_saphyr::from_str_with_options(text, options(text.len())).ok()
}

/// Budgets that grow with the size: every node takes two bytes at least.
fn options(bytes: usize) -> serde_saphyr::Options {
    let nodes = bytes / 2 + 1_000;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(bytes.saturating_add(1)),
            max_events: nodes.saturating_mul(2),
            max_nodes: nodes,
            max_depth: 64,
            max_total_scalar_bytes: bytes.saturating_add(1_000),
            max_documents: 1,
        },
        // As the fast reader has it, and the only choice that need not buffer.
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::FirstWins,
        with_snippet: false,
    }
}

struct IndexSeed<'a> {
    wanted: &'a BTreeSet<&'a str>,
}

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = Index;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a Helm repository index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Index, A::Error> {
        let mut index = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" && index.is_none() {
                index = Some(map.next_value_seed(EntriesSeed { wanted: self.wanted })?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        index.ok_or_else(|| serde::de::Error::missing_field("entries"))
    }
}

struct EntriesSeed<'a> {
    wanted: &'a BTreeSet<&'a str>,
}

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Index;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("charts by name")
    }

    fn visit_none<E>(self) -> Result<Index, E> {
        Ok(Index::default())
    }

    fn visit_unit<E>(self) -> Result<Index, E> {
        Ok(Index::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        while let Some(name) = map.next_key::<String>()? {
            if index.names.len() >= MOST_CHARTS {
                return Err(serde::de::Error::custom(format!("more than {MOST_CHARTS} charts")));
            }
            if self.wanted.contains(name.as_str()) && !index.charts.contains_key(&name) {
                let chart = map.next_value_seed(ChartSeed)?;
                index.charts.insert(name.clone(), chart);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            index.names.insert(name);
        }
        Ok(index)
    }
}

struct ChartSeed;

impl<'de> DeserializeSeed<'de> for ChartSeed {
    type Value = Chart;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Chart, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ChartSeed {
    type Value = Chart;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of chart versions")
    }

    fn visit_none<E>(self) -> Result<Chart, E> {
        Ok(Chart::default())
    }

    fn visit_unit<E>(self) -> Result<Chart, E> {
        Ok(Chart::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Chart, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Chart, A::Error> {
        let mut chart = Chart::default();
        while chart.entries.len() < MOST_ENTRIES {
            let Some(entry) = list.next_element::<Entry>()? else { break };
            chart.entries.push(entry);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            chart.cut = true;
        }
        chart.link = chart.newest().and_then(|newest| chart.entries.get(newest)?.link());
        Ok(chart)
    }
}
