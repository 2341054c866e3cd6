//! What must hold for any bytes from outside: one function a fuzz target.
//!
//! The properties are plain functions, so that the same code runs under the fuzz engine
//! (`fuzz_targets/`), over the seeds in a test (`tests/seeds.rs`), and under a debugger. A property
//! that does not hold panics.

mod config;
mod edit;
mod helm_index;
mod message;
mod notes;
mod resolve;
mod rule_file;
mod scan_file;
mod versions;
mod yaml_locator;

pub use config::config;
pub use edit::edit;
pub use helm_index::helm_index;
pub use message::message;
pub use notes::notes;
pub use resolve::resolve;
pub use rule_file::rule_file;
pub use scan_file::scan_file;
pub use versions::{ranges, versions};
pub use yaml_locator::yaml_locator;

use std::sync::LazyLock;

use gitops_updater::rules::Registry;

/// The embedded rules; read once, as they are the same for every input.
static EMBEDDED: LazyLock<Registry> = LazyLock::new(|| {
    let (registry, problems) = Registry::load([]);
    assert!(problems.is_empty(), "{problems:?}");
    registry
});

/// A target: its name and what it asserts.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its binary and its folder of seeds.
pub const TARGETS: &[Target] = &[
    ("config", config),
    ("edit", edit),
    ("helm_index", helm_index),
    ("message", message),
    ("notes", notes),
    ("ranges", ranges),
    ("resolve", resolve),
    ("rule_file", rule_file),
    ("scan_file", scan_file),
    ("versions", versions),
    ("yaml_locator", yaml_locator),
];

/// Lines and columns as people count them, found in another way than the program finds them.
struct Places<'text> {
    lines: Vec<(usize, &'text str)>,
}

impl<'text> Places<'text> {
    fn of(text: &'text str) -> Self {
        let mut lines = Vec::new();
        let mut start = 0;
        for line in text.split('\n') {
            lines.push((start, line));
            start += line.len() + 1;
        }
        Self { lines }
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let number = self.lines.partition_point(|(start, _)| *start <= offset) - 1;
        let (start, line) = self.lines[number];
        let before = line.get(..offset - start).expect("a place is between characters of a line");
        (number + 1, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }
}
