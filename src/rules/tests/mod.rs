//! What the embedded rules find in small repositories: one table row per form that versions take.

mod charts;
mod comments;
mod edits;
mod images;
mod k3s_and_flux;
mod overlays;
mod scale;
mod substitution;

use super::Registry;
use crate::domain::component::{Component, Given};
use crate::domain::resolve::{Options, Resolved, resolve};
use crate::domain::scan::scan_file;

/// The repository of files given as path and text, resolved with the embedded rules.
fn resolved(files: &[(&str, &str)]) -> Resolved {
    let (registry, problems) = Registry::load([]);
    assert!(problems.is_empty(), "{problems:?}");
    let mut files = files.to_vec();
    files.sort_unstable();
    let scans: Vec<_> =
        files.iter().map(|(path, text)| scan_file(path, text.as_bytes(), registry.rules())).collect();
    let resolved = resolve(&scans, registry.rules(), &Options::default());
    for pin in resolved.components.iter().flat_map(|component| &component.pins) {
        let (_, text) = files.iter().find(|(path, _)| *path == pin.file).unwrap();
        let digest =
            pin.digest.iter().map(|digest| (digest.span, &digest.text, (digest.line, digest.column)));
        for (span, bytes, place) in digest.chain([(pin.span, &pin.text, (pin.line, pin.column))]) {
            assert_eq!(text.get(span.0..span.1), Some(bytes.as_str()), "{pin:?}");
            let before = &text[..span.0];
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            assert_eq!(place, (before.matches('\n').count() + 1, column), "{pin:?}");
        }
    }
    resolved
}

/// `id given upstream, file:line text (copy)…` of each component.
fn lines(components: &[Component]) -> Vec<String> {
    components
        .iter()
        .map(|component| {
            let given = match &component.given {
                Given::Exact(text) => format!("={text}"),
                Given::Range(text) => format!("in {text}"),
                Given::Channel(text) => format!("on {text}"),
                Given::Nothing(_) => "?".to_owned(),
            };
            let upstream = match &component.upstream {
                Ok(upstream) => upstream.url(),
                Err(reason) => format!("({reason})"),
            };
            let pins = component.pins.iter().map(|pin| {
                let copy = if pin.applied { "" } else { " copy" };
                format!("; {}:{}{copy}", pin.file, pin.line)
            });
            format!("{} {given} {upstream}{}", component.id, pins.collect::<String>())
        })
        .collect()
}

#[track_caller]
fn finds(files: &[(&str, &str)], expected: &[&str]) {
    let resolved = resolved(files);
    assert!(resolved.problems.is_empty(), "{:?}", resolved.problems);
    assert_eq!(lines(&resolved.components), expected);
}
