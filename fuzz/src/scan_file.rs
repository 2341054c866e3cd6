use gitops_updater::domain::scan::{self, FileScan, Site};

use crate::{EMBEDDED, Places};

/// Names that make a scan treat the same bytes differently; the first byte of the input chooses.
pub(crate) const NAMES: &[&str] = &[
    "apps/app.yaml",
    "apps/kustomization.yaml",
    "flux-system/gotk-components.yaml",
    "roles/k3s/defaults/main.yml",
    "templates/app.yaml.j2",
    "charts/demo/Chart.yaml",
    "apps/app.json",
    "group_vars/all.yml",
];

/// Whatever a scan finds stands in the file where it says, byte for byte.
pub fn scan_file(bytes: &[u8]) {
    let Some((selector, body)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*selector) % NAMES.len()];
    let scan = scan::scan_file(name, body, EMBEDDED.rules());
    assert_eq!(scan.path, name);
    match std::str::from_utf8(body) {
        Ok(text) => scan_holds(text, &scan),
        Err(_) => assert!(scan.found.is_empty() && scan.problems.len() == 1, "{scan:?}"),
    }
}

/// Every place in a scan is that of its text.
pub(crate) fn scan_holds(text: &str, scan: &FileScan) {
    let places = Places::of(text);
    let found = scan.found.iter().filter_map(|found| found.site.as_ref());
    let annotated = scan.annotations.iter().flat_map(|annotation| &annotation.values);
    let marked = scan.markers.iter().filter_map(|marker| marker.value.as_ref());
    let variables = scan.variables.iter().flat_map(|set| set.values.values());
    let patched = scan.patches.iter().flat_map(|patch| patch.values.iter().map(|(_, site)| site));
    for site in found.chain(annotated).chain(marked).chain(variables).chain(patched) {
        site_holds(text, &places, site);
    }
    for found in &scan.found {
        assert!(found.object.is_none_or(|object| object < scan.objects.len()), "{found:?}");
    }
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for problem in &scan.problems {
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
        assert!(!problem.message.is_empty());
    }
}

fn site_holds(text: &str, places: &Places<'_>, site: &Site) {
    assert_eq!(text.get(site.span.clone()), Some(site.text.as_str()), "{site:?}");
    assert_eq!((site.line, site.column), places.place(site.span.start), "{site:?}");
    assert!(site.route.is_empty() || site.route.starts_with('/'), "{site:?}");
}
