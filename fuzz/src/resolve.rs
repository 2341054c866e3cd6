use std::collections::BTreeMap;

use gitops_updater::domain::resolve::{self, Options, Resolved};
use gitops_updater::domain::scan;

use crate::{EMBEDDED, Places};

/// Stands between files; the first line behind it is the path.
const MARKER: &str = "\n====\n";
/// More files in one input only make it slower.
const FILES: usize = 32;

/// A repository of small files becomes components with unique ids in order, whose pins stand where
/// they say; a second look gives the same.
pub fn resolve(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else { return };
    let mut files = BTreeMap::new();
    for part in input.split(MARKER).take(FILES) {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        // The reader of repositories gives paths like these only.
        if !path.is_empty() && path.split('/').all(|name| !matches!(name, "" | "." | "..")) {
            files.insert(path, text);
        }
    }
    let scans: Vec<_> =
        files.iter().map(|(path, text)| scan::scan_file(path, text.as_bytes(), EMBEDDED.rules())).collect();
    let options = Options::default();
    let resolved = resolve::resolve(&scans, EMBEDDED.rules(), &options);
    components_hold(&files, &resolved);
    let again = resolve::resolve(&scans, EMBEDDED.rules(), &options);
    assert_eq!(resolved.components, again.components);
}

fn components_hold(files: &BTreeMap<&str, &str>, resolved: &Resolved) {
    for pair in resolved.components.windows(2) {
        assert!(pair[0].id < pair[1].id, "`{}` before `{}`", pair[0].id, pair[1].id);
    }
    let places: BTreeMap<&str, Places<'_>> =
        files.iter().map(|(path, text)| (*path, Places::of(text))).collect();
    for component in &resolved.components {
        assert!(!component.id.is_empty() && !component.kind.is_empty(), "{component:?}");
        for pin in &component.pins {
            let text = files.get(pin.file.as_str()).unwrap_or_else(|| panic!("no file of {pin:?}"));
            assert_eq!(text.get(pin.span.0..pin.span.1), Some(pin.text.as_str()), "{pin:?}");
            assert_eq!((pin.line, pin.column), places[pin.file.as_str()].place(pin.span.0), "{pin:?}");
        }
        // One name, or several with `+` between.
        let several = !resolved.clusters.is_empty();
        assert!(component.cluster.is_none() || several, "{component:?}");
    }
}
