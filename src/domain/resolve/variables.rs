//! Flux's variable substitution: the real home of a version behind `${VAR}`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::graph::{Graph, KustomizationId};
use super::handed::HandedDown;
use super::sources::namespaces;
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
    /// What patches give to Kustomizations.
    handed: HandedDown<'a>,
    /// By name.
    config_maps: BTreeMap<&'a str, Vec<ConfigMap<'a>>>,
}

/// A ConfigMap that may give values.
struct ConfigMap<'a> {
    file: usize,
    values: &'a BTreeMap<String, Site>,
    namespaces: BTreeSet<String>,
    clusters: BTreeSet<&'a str>,
}

/// What became of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Home {
    /// The value stands in this file at this place.
    At {
        /// The file.
        file: usize,
        /// The place.
        site: Site,
        /// A Secret that is read later and may say something else.
        secret: Option<String>,
    },
    /// Only the default of the reference itself gives a value.
    Default(std::ops::Range<usize>),
    /// Nothing in the repository gives a value; the reason for people.
    Unknown(String),
}

impl<'a> Variables<'a> {
    pub(super) fn new(scans: &'a [FileScan], graph: &'a Graph) -> Self {
        let mut config_maps: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (file, scan) in scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            for set in &scan.variables {
                let object = &scan.objects[set.object];
                if object.kind == "ConfigMap" {
                    config_maps.entry(object.name.as_str()).or_default().push(ConfigMap {
                        file,
                        values: &set.values,
                        namespaces: namespaces(graph, file, object),
                        clusters: clusters(graph, file),
                    });
                }
            }
        }
        Self { scans, graph, handed: HandedDown::new(scans, graph), config_maps }
    }

    /// Finds the value of a variable in what these Kustomizations apply.
    ///
    /// In a Kustomization, `substitute` wins over `substituteFrom`, and of that list the last one
    /// (Flux kustomize-controller, `postBuild`); patches of what applies it come over both. A patch may
    /// stand where it is not seen, so a ConfigMap that is named above counts where the Kustomization
    /// knows nothing better. Where no Kustomization applies the text, a name that exactly one text in the repository
    /// defines is taken.
    pub(super) fn home(&self, applied_by: &[KustomizationId], wanted: &Reference<'_>) -> Home {
        let name = wanted.name;
        let mut secret = None;
        for id in applied_by {
            if let Some(home) =
                self.substituted(*id, name).or_else(|| self.listed(*id, *id, name, &mut secret))
            {
                return home;
            }
        }
        if let Some(range) = &wanted.default {
            return Home::Default(range.clone());
        }
        if let Some(home) = self.handed_down(applied_by, name, &mut secret) {
            return home;
        }
        if applied_by.is_empty()
            && let Some(home) = self.only_definition(name)
        {
            return home;
        }
        Home::Unknown(match secret {
            Some(secret) => {
                format!("the variable `{name}` may come from the Secret `{secret}`, which is not read")
            }
            None => format!(
                "nothing in the repository gives the variable `{name}` a value; set it in `postBuild.substitute` or a ConfigMap of `substituteFrom`"
            ),
        })
    }

    fn substituted(&self, (file, place): KustomizationId, name: &str) -> Option<Home> {
        let handed = self.handed.to((file, place)).iter();
        let own = self.scans[file].kustomizations[place].substitute;
        let own = own.map(|set| (file, &self.scans[file].variables[set].values));
        handed
            .filter_map(|handed| Some((handed.file, handed.substitute?)))
            .chain(own)
            .find_map(|(file, values)| Some((file, values.get(name)?)))
            .map(|(file, site)| Home::At { file, site: site.clone(), secret: None })
    }

    /// A value from the list of one Kustomization, as it would be in another one.
    fn listed(
        &self,
        (file, place): KustomizationId,
        user: KustomizationId,
        name: &str,
        secret: &mut Option<String>,
    ) -> Option<Home> {
        let own = self.scans[file].kustomizations[place].substitute_from.as_slice();
        let list = self.handed.to((file, place)).iter().find_map(|handed| handed.from).unwrap_or(own);
        for (config_map, from) in list.iter().rev() {
            if !config_map {
                secret.get_or_insert_with(|| from.clone());
            } else if let Some((file, site)) = self.in_config_map(from, user, name) {
                return Some(Home::At { file, site: site.clone(), secret: secret.clone() });
            }
        }
        None
    }

    /// The value in the ConfigMap of a Kustomization's own namespace and cluster.
    fn in_config_map(
        &self,
        config_map: &str,
        (file, place): KustomizationId,
        name: &str,
    ) -> Option<(usize, &'a Site)> {
        let scan = &self.scans[file];
        let wanted = namespaces(self.graph, file, &scan.objects[scan.kustomizations[place].object]);
        let near = clusters(self.graph, file);
        let meets = |found: &ConfigMap<'_>| {
            let namespace =
                wanted.is_empty() || found.namespaces.is_empty() || !wanted.is_disjoint(&found.namespaces);
            let cluster = near.is_empty() || found.clusters.is_empty() || !near.is_disjoint(&found.clusters);
            namespace && cluster
        };
        let known = self.config_maps.get(config_map)?.iter().filter(|found| meets(found));
        // One that is applied somewhere says more than one that is not.
        let mut values: Vec<_> = known
            .filter_map(|found| Some((found.clusters.is_empty(), found.file, found.values.get(name)?)))
            .collect();
        values.sort_by_key(|(unknown, file, _)| (*unknown, *file));
        values.first().map(|(_, file, site)| (*file, *site))
    }

    /// A value from a list of what applies these Kustomizations, near to far.
    fn handed_down(
        &self,
        applied_by: &[KustomizationId],
        name: &str,
        secret: &mut Option<String>,
    ) -> Option<Home> {
        for id in applied_by {
            let mut seen = BTreeSet::from([*id]);
            let mut queue = VecDeque::from([*id]);
            while let Some(at) = queue.pop_front() {
                if at != *id
                    && let Some(home) = self.listed(at, *id, name, secret)
                {
                    return Some(home);
                }
                let above = self.graph.of(at.0).iter().flat_map(|reach| reach.kustomizations.iter());
                queue.extend(above.copied().filter(|above| seen.insert(*above)));
            }
        }
        None
    }

    fn only_definition(&self, name: &str) -> Option<Home> {
        let mut sites =
            self.scans.iter().enumerate().filter(|(_, scan)| !scan.template).flat_map(|(file, scan)| {
                let handed = scan.substitutions.iter().map(|patch| &patch.substitute);
                let sets = scan.variables.iter().map(|set| &set.values).chain(handed);
                sets.filter_map(move |values| Some((file, values.get(name)?)))
            });
        let (file, first) = sites.next()?;
        sites.all(|(_, site)| site.text == first.text).then(|| Home::At {
            file,
            site: first.clone(),
            secret: None,
        })
    }

    /// Fills the variables of a text that is no version, such as a URL; unknown ones stay.
    pub(super) fn fill(&self, applied_by: &[KustomizationId], text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find("${") {
            let Some(close) = rest[open..].find('}').map(|at| open + at + 1) else { break };
            filled.push_str(&rest[..open]);
            let variable = &rest[open..close];
            let value = reference(variable).map(|wanted| self.home(applied_by, &wanted));
            match value {
                Some(Home::At { site, .. }) => filled.push_str(&site.text),
                Some(Home::Default(range)) => filled.push_str(variable.get(range).unwrap_or_default()),
                Some(Home::Unknown(_)) | None => filled.push_str(variable),
            }
            rest = &rest[close..];
        }
        filled.push_str(rest);
        filled
    }
}

/// The clusters that a file belongs to.
fn clusters(graph: &Graph, file: usize) -> BTreeSet<&str> {
    graph.of(file).iter().flat_map(|reach| reach.way.clusters.iter().map(String::as_str)).collect()
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
