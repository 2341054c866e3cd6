use std::collections::BTreeSet;

use gitops_updater::upstream::helm_index::{read_fast, read_parsed};

/// Where the parser reads an index, the fast reader reads the same or leaves it to the parser.
pub fn helm_index(bytes: &[u8]) {
    let wanted = BTreeSet::from(["demo", "a", "loki-stack"]);
    let fast = read_fast(bytes, &wanted).expect("bytes in memory can be read");
    let parsed = read_parsed(bytes, &wanted);
    if let (Some(fast), Ok(parsed)) = (fast, parsed) {
        assert_eq!(fast.comparable(), parsed.comparable());
    }
}
