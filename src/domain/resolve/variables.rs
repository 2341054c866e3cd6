//! Flux's variable substitution: the real home of a version behind `${VAR}`.

use std::collections::BTreeMap;

use super::graph::{Graph, KustomizationId};
use crate::domain::scan::{FileScan, Site};

/// How a text names a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Name of the variable.
    pub(super) name: &'a str,
    /// `${VAR:=x}` and `${VAR:-x}`: byte range of `x` in the text.
    pub(super) default: Option<std::ops::Range<usize>>,
}

/// Reads a text that is one variable and nothing else; `v${VAR}` is allowed, since versions are
/// often written so.
pub(super) fn reference(text: &str) -> Option<Reference<'_>> {
    let offset = if text.starts_with("v${") { 1 } else { 0 };
    let body = text.get(offset..)?.strip_prefix("${")?.strip_suffix('}')?;
    let start = offset + 2;
    let (name, default) = match body.find(":=").or_else(|| body.find(":-")) {
        Some(at) => (&body[..at], Some(start + at + 2..start + body.len())),
        None => match body.find(['=', '-']) {
            Some(at) => (&body[..at], Some(start + at + 1..start + body.len())),
            None => (body, None),
        },
    };
    let valid = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    valid.then_some(Reference { name, default })
}

/// Where variables have their values.
pub(super) struct Variables<'a> {
    scans: &'a [FileScan],
    graph: &'a Graph,
    /// By name of the ConfigMap: file and place in [`FileScan::variables`].
    config_maps: BTreeMap<&'a str, Vec<(usize, usize)>>,
    /// By name of the variable: its first definition, or `None` where others differ.
    only: BTreeMap<&'a str, Option<(usize, &'a Site)>>,
}

/// What became of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Home {
    /// The value stands in this file at this place.
    At(usize, Site),
    /// Only the default of the reference itself gives a value.
    Default(std::ops::Range<usize>),
    /// Nothing in the repository gives a value; the reason for people.
    Unknown(String),
}

impl<'a> Variables<'a> {
    pub(super) fn new(scans: &'a [FileScan], graph: &'a Graph) -> Self {
        let mut config_maps: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut only: BTreeMap<&str, Option<(usize, &Site)>> = BTreeMap::new();
        for (file, scan) in scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            for (place, set) in scan.variables.iter().enumerate() {
                let object = &scan.objects[set.object];
                if object.kind == "ConfigMap" {
                    config_maps.entry(object.name.as_str()).or_default().push((file, place));
                }
                for (name, site) in &set.values {
                    let first = only.entry(name).or_insert(Some((file, site)));
                    first.take_if(|(_, known)| known.text != site.text);
                }
            }
        }
        Self { scans, graph, config_maps, only }
    }

    /// Finds the value of a variable that is used in `file`.
    ///
    /// In a Kustomization, `substitute` wins over `substituteFrom`, and of that list the last one
    /// (Flux kustomize-controller, `postBuild`). Patches may add lists that cannot be seen here, so a
    /// name that exactly one text in the repository defines is taken as a last resort.
    pub(super) fn home(&self, file: usize, wanted: &Reference<'_>) -> Home {
        let mut secret = None;
        for reach in self.graph.of(file) {
            let Some(id) = reach.kustomization else { continue };
            if let Some(home) = self.in_kustomization(id, wanted.name, &mut secret) {
                return home;
            }
        }
        if let Some(home) = self.only_definition(wanted.name) {
            return home;
        }
        if let Some(range) = &wanted.default {
            return Home::Default(range.clone());
        }
        let name = wanted.name;
        Home::Unknown(match secret {
            Some(secret) => {
                format!("the variable `{name}` may come from the Secret `{secret}`, which is not read")
            }
            None => format!(
                "nothing in the repository gives the variable `{name}` a value; set it in `postBuild.substitute` or a ConfigMap of `substituteFrom`"
            ),
        })
    }

    fn in_kustomization(
        &self,
        (file, place): KustomizationId,
        name: &str,
        secret: &mut Option<String>,
    ) -> Option<Home> {
        let found = &self.scans[file].kustomizations[place];
        if let Some(site) = found.substitute.and_then(|set| self.scans[file].variables[set].values.get(name))
        {
            return Some(Home::At(file, site.clone()));
        }
        for (config_map, from) in found.substitute_from.iter().rev() {
            if !config_map {
                secret.get_or_insert_with(|| from.clone());
                continue;
            }
            for (file, place) in self.config_maps.get(from.as_str()).into_iter().flatten() {
                if let Some(site) = self.scans[*file].variables[*place].values.get(name) {
                    return Some(Home::At(*file, site.clone()));
                }
            }
        }
        None
    }

    fn only_definition(&self, name: &str) -> Option<Home> {
        let (file, site) = (*self.only.get(name)?)?;
        Some(Home::At(file, site.clone()))
    }

    /// Fills the variables of a text that is no version, such as a URL; unknown ones stay.
    pub(super) fn fill(&self, file: usize, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find("${") {
            let Some(close) = rest[open..].find('}').map(|at| open + at + 1) else { break };
            filled.push_str(&rest[..open]);
            let variable = &rest[open..close];
            let value = reference(variable).map(|wanted| self.home(file, &wanted));
            match value {
                Some(Home::At(_, site)) => filled.push_str(&site.text),
                Some(Home::Default(range)) => filled.push_str(variable.get(range).unwrap_or_default()),
                Some(Home::Unknown(_)) | None => filled.push_str(variable),
            }
            rest = &rest[close..];
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_with_their_defaults() {
        for (text, name, default) in [
            ("${A}", "A", None),
            ("v${A}", "A", None),
            ("${A:=1.2}", "A", Some("1.2")),
            ("${A:-1.2}", "A", Some("1.2")),
            ("${A=1.2}", "A", Some("1.2")),
        ] {
            let found = reference(text).unwrap();
            assert_eq!((found.name, found.default.map(|range| &text[range])), (name, default), "{text}");
        }
        for text in ["A", "${A", "${}", "${1A}", "x-${A}", "${A}-y", "${A B}"] {
            assert_eq!(reference(text), None, "{text}");
        }
    }
}
