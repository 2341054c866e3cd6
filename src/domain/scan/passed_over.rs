//! Objects that are counted without being parsed, because nothing in them can be of use.
//!
//! A dashboard or a set of alerts has a hundred kilobytes and no version. What tells is the text: an
//! object is passed over only where its kind is of no use to later links, and every rule that looks
//! at such a kind needs a key that does not occur in it. Whatever is not plain to see is parsed.

use crate::domain::manifest::route::{Pattern, Segment};
use crate::domain::rule::{PinRule, Rule, Scope};

/// Kinds that link files or carry values: their content is read whatever the rules say.
const LINKING: [&str; 4] = ["ConfigMap", "Kustomization", "Component", "ArtifactGenerator"];
/// Groups of Flux and its kin, whose kinds name sources, paths and inputs.
const FLUX: [&str; 3] = ["fluxcd.io", "controlplane.io", "kustomize.config.k8s.io"];

/// The kind of the object in `body`, if it can be passed over.
pub(super) fn kind<'a>(path: &str, body: &'a str, rules: &[Rule]) -> Option<&'a str> {
    let kind = only(body, "kind:")?;
    let version = only(body, "apiVersion:")?;
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let links =
        LINKING.contains(&kind) || kind.ends_with("List") || FLUX.iter().any(|of| group.ends_with(of));
    let names_nodes = memchr::memmem::find(body.as_bytes(), b"kubernetes.io/arch").is_some();
    if links || names_nodes || has_escapes(body) {
        return None;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let concerns = |pin: &PinRule| match &pin.scope {
        Scope::Object { .. } => pin.scope.holds(group, kind) && has_keys(body, pin),
        Scope::FileName(wanted) => wanted == name,
        // Kustomize files are known by their group, values are no objects, and lines are read whatever
        // the file's form.
        Scope::KustomizeFile | Scope::Values | Scope::Lines { .. } => false,
    };
    (!rules.iter().flat_map(|rule| &rule.pins).any(concerns)).then_some(kind)
}

/// The plain word behind a key that stands once, and at the left margin.
fn only<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let at_margin = |at: &usize| *at == 0 || body.as_bytes()[at - 1] == b'\n';
    let mut places = memchr::memmem::find_iter(body.as_bytes(), key).filter(at_margin);
    let at = places.next()?;
    if places.next().is_some() {
        return None;
    }
    let value = body[at + key.len()..].lines().next()?;
    let word = value.strip_prefix(' ')?.trim();
    let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-');
    (!word.is_empty() && word.bytes().all(plain)).then_some(word)
}

/// Whether a key could be spelt in other letters than its own (`"im\x61ge"`, or over two lines).
fn has_escapes(body: &str) -> bool {
    let bytes = body.as_bytes();
    memchr::memchr_iter(b'\\', bytes)
        .any(|at| matches!(bytes.get(at + 1), Some(b'x' | b'u' | b'U' | b'\n' | b'\r')))
}

/// Whether every key that the rule cannot do without occurs somewhere.
fn has_keys(body: &str, pin: &PinRule) -> bool {
    let version = (pin.absent.is_none()).then_some(&pin.version);
    std::iter::once(&pin.at)
        .chain(&pin.when)
        .chain(version)
        .flat_map(|pattern: &Pattern| &pattern.segments)
        .all(|segment| match segment {
            Segment::Key(key) if is_spelt_out(key) => {
                memchr::memmem::find(body.as_bytes(), key.as_bytes()).is_some()
            }
            Segment::Key(_) | Segment::Any | Segment::Deep => true,
        })
}

/// Whether the key can only be written as it is: an index of a list is not written at all, and other
/// characters than these may need quotes.
fn is_spelt_out(key: &str) -> bool {
    key.parse::<usize>().is_err()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/'))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::{FileScan, WORTH_PASSING_OVER, read_file, scan_file};
    use crate::rules::Registry;

    fn passed_over(text: &str) -> bool {
        super::kind("apps/file.yaml", text, RULES.rules()).is_some()
    }

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";

    #[test]
    fn large_objects_without_a_key_that_a_rule_needs_are_counted_and_not_parsed() {
        // What is no YAML at the end shows whether somebody parsed it.
        let broken = |padding: usize| format!("{SERVICE}#{}\nspec: {{ports: [\n", "-".repeat(padding));
        let large = scan_file("a.yaml", broken(WORTH_PASSING_OVER).as_bytes(), RULES.rules());
        assert_eq!(large.inventory.get("Service"), Some(&1));
        assert_eq!(large.problems, []);
        let small = scan_file("a.yaml", broken(10).as_bytes(), RULES.rules());
        assert_eq!(small.problems.len(), 1);
    }

    #[test]
    fn what_may_hold_a_version_or_a_link_is_parsed() {
        for (text, why) in [
            ("spec: {image: x}\n", "has a key that rules look for"),
            ("spec: {\"im\\x61ge\": x}\n", "may spell that key with an escape"),
            ("kind: Pod\n", "names a second kind"),
        ] {
            assert!(!passed_over(&format!("{SERVICE}{text}")), "{why}");
        }
        for (kind, version) in [
            ("ConfigMap", "v1"),
            ("PodList", "v1"),
            ("Kustomization", "kustomize.toolkit.fluxcd.io/v1"),
            ("HelmRepository", "source.toolkit.fluxcd.io/v1"),
            ("ResourceSet", "fluxcd.controlplane.io/v1"),
            ("Plan", "upgrade.cattle.io/v1"),
            ("HelmChart", "helm.cattle.io/v1"),
        ] {
            let keys = "spec: {chart: a, version: b, values: {}, channel: c}\n";
            assert!(!passed_over(&format!("apiVersion: {version}\nkind: {kind}\n{keys}")), "{kind}");
        }
        assert!(passed_over(SERVICE));
    }

    /// Everything that later steps read of a scan.
    fn of_use(scan: &FileScan) -> String {
        // Objects are asked for by what refers to them; those that nothing refers to may be missing.
        let named = |object: usize| {
            let object = &scan.objects[object];
            (object.kind.clone(), object.name.clone(), object.namespace.clone(), object.patch.clone())
        };
        let found: Vec<_> = scan
            .found
            .iter()
            .map(|found| (found.rule, found.pin, found.object.map(named), &found.site, &found.captures))
            .collect();
        let sources: Vec<_> = scan.sources.iter().map(|source| (named(source.object), &source.url)).collect();
        let variables: Vec<_> = scan.variables.iter().map(|set| (named(set.object), &set.values)).collect();
        let kustomizations: Vec<_> = scan
            .kustomizations
            .iter()
            .map(|own| (named(own.object), &own.path, &own.substitute_from))
            .collect();
        format!(
            "{found:#?}{sources:#?}{variables:#?}{kustomizations:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}",
            scan.kustomize,
            scan.syncs,
            scan.artifacts,
            scan.patches,
            scan.annotations,
            scan.markers,
            scan.problems,
            scan.inventory,
            scan.architectures
        )
    }

    /// Compiled once: the patterns take longer than the cases.
    static RULES: LazyLock<Registry> = LazyLock::new(|| Registry::load([]).0);

    fn agrees(path: &str, text: &str) {
        let quick = read_file(path, text.as_bytes(), RULES.rules(), 0);
        let whole = read_file(path, text.as_bytes(), RULES.rules(), usize::MAX);
        compare(&of_use(&quick), &of_use(&whole), text);
    }

    fn compare(quick: &str, whole: &str, text: &str) {
        assert!(quick == whole, "passed over something of use in:\n{text}\nquick: {quick}\nwhole: {whole}");
    }

    proptest! {
        #[test]
        fn passing_over_changes_nothing_that_is_read(
            documents in proptest::collection::vec(document(), 1..5),
            comment in prop_oneof![
                8 => Just(""),
                1 => Just("# renovate: datasource=docker depName=a/b\n"),
            ],
        ) {
            agrees("apps/file.yaml", &format!("{comment}{}", documents.join("---\n")));
            agrees("apps/Chart.yaml", &documents.join("---\n"));
        }
    }

    /// An object of some kind, with keys that rules look for in some of the ways to write them.
    fn document() -> impl Strategy<Value = String> {
        let head = prop_oneof![
            Just("apiVersion: v1\nkind: Service\n"),
            Just("kind: \"Pod\"\napiVersion: v1\n"),
            Just("apiVersion: apps/v1\nkind: Deployment # web\n"),
            Just("apiVersion: v1\nkind: ConfigMap\n"),
            Just("apiVersion: v1\nkind: List\n"),
            Just("apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"),
            Just("apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n"),
            Just("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"),
            Just("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"),
            Just("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"),
            Just("apiVersion: upgrade.cattle.io/v1\nkind: Plan\n"),
            Just("apiVersion: helm.cattle.io/v1\nkind: HelmChart\n"),
            Just("apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\n"),
            Just("apiVersion: example.org/v1\nkind: Anything\n"),
            Just("kind: Anything\n"),
        ];
        let part = prop_oneof![
            Just("metadata: {name: a, namespace: b}\n"),
            Just("data: {VERSION: 1.2.3}\n"),
            Just(
                "items: [{apiVersion: v1, kind: Pod, metadata: {name: i}, spec: {containers: [{image: a:1}]}}]\n"
            ),
            Just("spec: {containers: [{image: a/b:1.2}]}\n"),
            Just("deep:\n  er:\n    \"image\": a/b:1.3\n"),
            Just("escaped: {\"im\\x61ge\": \"a/b:1.4\"}\n"),
            Just("? image\n: a/b:1.5\n"),
            Just("template: &a {imageName: a/b:1.6}\ncopy: {<<: *a}\n"),
            Just("name: &key image\nother: {*key : a/b:1.7}\n"),
            Just("chart: {spec: {chart: c, version: 1.0.0, sourceRef: {kind: HelmRepository, name: r}}}\n"),
            Just("version: 1.2.3\nchart: c\nrepo: https://example.org\n"),
            Just("images: [{name: a, newTag: 1.2.3}]\n"),
            Just("nodes: {nodeSelector: {kubernetes.io/arch: arm64}}\n"),
            Just("text: |\n  kind: Pod\n  image: a/b:1.8\n"),
            Just("values: {image: {repository: a/b, tag: 1.9}}\n"),
            Just("dependencies: [{name: a, version: 1.0.0, repository: \"https://example.org\"}]\n"),
        ];
        (head, proptest::collection::vec(part, 0..4)).prop_map(|(head, parts)| {
            let mut seen = std::collections::BTreeSet::new();
            let parts: Vec<_> = parts.into_iter().filter(|part| seen.insert(*part)).collect();
            format!("{head}{}", parts.concat())
        })
    }
}
