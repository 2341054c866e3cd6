use std::sync::LazyLock;

use gitops_updater::domain::resolve::{self, Options};
use gitops_updater::domain::scan;
use gitops_updater::rules;

use crate::{EMBEDDED, scan_file::scan_holds};

/// A repository's rule file is read or refused, and what a rule finds in the manifests of the
/// embedded rules' examples stands where it says, whatever the rule asks for.
pub fn rule_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let own = match rules::parse(text) {
        Ok(rule) => [rule],
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let scans: Vec<_> = EXAMPLES
        .iter()
        .map(|(path, text)| {
            let scan = scan::scan_file(path, text.as_bytes(), &own);
            scan_holds(text, &scan);
            scan
        })
        .collect();
    let resolved = resolve::resolve(&scans, &own, &Options::default());
    for pair in resolved.components.windows(2) {
        assert!(pair[0].id < pair[1].id, "`{}` before `{}`", pair[0].id, pair[1].id);
    }
}

/// Path and text of every example, in order.
static EXAMPLES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut files: Vec<_> = EMBEDDED
        .rules()
        .iter()
        .flat_map(|rule| &rule.examples)
        .enumerate()
        .map(|(number, example)| (format!("{number:03}/{}", example.file), example.text.clone()))
        .collect();
    files.sort();
    files
});
