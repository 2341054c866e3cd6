//! The table of `census.md`.

use std::collections::BTreeMap;
use std::path::Path;

/// Text of a cell by repository and column.
pub(super) type Census = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn read(corpus: &Path) -> Census {
    let text = std::fs::read_to_string(corpus.join("census.md")).unwrap();
    let rows: Vec<Vec<String>> = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|-"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let (head, rows) = rows.split_first().unwrap();
    assert!(rows.len() >= 10, "the census has {} rows", rows.len());
    rows.iter()
        .map(|row| {
            assert_eq!(row.len(), head.len(), "{row:?}");
            (row[0].clone(), head.iter().cloned().zip(row.iter().cloned()).collect())
        })
        .collect()
}

/// The numbers of a cell such as `59 (28)`, `34/4` or `7`, by names for them.
pub(super) fn numbers(cell: &str) -> Vec<usize> {
    cell.split(['/', '(', ')', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap())
        .collect()
}
