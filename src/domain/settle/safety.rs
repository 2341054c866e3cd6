//! Whether going back is safe: a Git revert of some changes does more harm than the failure.

use super::radius::same_version;
use super::readiness::reason;
use super::verdict::Reason;

/// What decides about a revert.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    /// Kind of component.
    pub kind: &'a str,
    /// `safe`, `conditional` or `unsafe`, as the rule said when the update was planned.
    pub planned: Option<&'a str>,
    /// Version before.
    pub from: &'a str,
    /// Version after.
    pub to: &'a str,
    /// A node was touched, or may have been while nobody looked.
    pub node_touched: bool,
    /// The version that Longhorn says it has; `None` where it is not seen.
    pub longhorn: Option<&'a str>,
    /// Longhorn has had the new version.
    pub longhorn_recorded: bool,
    /// Flux can apply a revert: source- and kustomize-controller run, as far as they are seen.
    pub flux_runs: bool,
}

/// Whether a revert is safe; otherwise why it is not, with the way out for the runbook.
pub(super) fn may_revert(change: &Change<'_>) -> Result<(), Reason> {
    let hold = |code: &str, text: &str| Err(reason(code, None, text));
    if matches!(change.kind, "node" | "node-os" | "node_os" | "os") {
        return hold(
            "not_in_git",
            "a node's system is not in Git: the queue stops and the node stays cordoned",
        );
    }
    if change.planned == Some("unsafe") {
        return hold("revert_unsafe", "its rule says that a revert does harm");
    }
    match change.kind {
        "k3s" if change.node_touched => hold(
            "node_moved",
            "a node has moved or may have: an older k3s is refused and leaves nodes cordoned; stop the rollout with \
             `concurrency: 0` and restore by hand",
        ),
        "k3s" => Ok(()),
        "longhorn" if change.longhorn_recorded => hold(
            "longhorn_recorded",
            "Longhorn has recorded the new version and refuses the old one: go forward",
        ),
        "longhorn" => match change.longhorn {
            Some(current) if same_version(current, change.from) => Ok(()),
            Some(_) => {
                hold("longhorn_recorded", "Longhorn does not have the old version any more: go forward")
            }
            None => hold("longhorn_not_observed", "nobody can see which version Longhorn has recorded"),
        },
        "flux" if !is_patch(change.from, change.to) => {
            hold("flux_minor", "the older CRDs may not serve what is stored: compare their versions by hand")
        }
        "flux" if !change.flux_runs => hold(
            "flux_down",
            "source- or kustomize-controller does not run: a revert in Git would not be applied",
        ),
        "flux" => Ok(()),
        _ if change.planned == Some("conditional") => {
            hold("revert_conditional", "whether a revert is safe depends on what cannot be seen from here")
        }
        _ if change.planned == Some("safe") => Ok(()),
        "helm" | "oci" | "image" | "git" | "release" | "kustomize" | "config" => Ok(()),
        _ => hold("revert_unknown", "nobody has said whether a revert of this kind is safe"),
    }
}

/// Only the third number of a version differs.
fn is_patch(from: &str, to: &str) -> bool {
    let minor = |version: &str| {
        let mut parts = version.trim_start_matches('v').split('.').map(str::parse::<u64>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    minor(from).is_some() && minor(from) == minor(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOTHING: Change<'_> = Change {
        kind: "helm",
        planned: None,
        from: "1.0.0",
        to: "1.1.0",
        node_touched: false,
        longhorn: None,
        longhorn_recorded: false,
        flux_runs: true,
    };

    /// One row for each kind of change.
    #[rstest]
    #[case::k3s_before_any_node_started(Change { kind: "k3s", planned: Some("conditional"), ..NOTHING }, Ok(()))]
    #[case::k3s_after_a_node(Change { kind: "k3s", planned: Some("conditional"), node_touched: true, ..NOTHING }, Err("node_moved"))]
    #[case::k3s_revision_only(
        Change { kind: "k3s", from: "v1.33.4+k3s1", to: "v1.33.4+k3s2", node_touched: true, ..NOTHING }, Err("node_moved"))]
    #[case::flux_patch(Change { kind: "flux", planned: Some("conditional"), from: "v2.7.1", to: "v2.7.2", ..NOTHING }, Ok(()))]
    #[case::flux_patch_that_took_the_controllers_down(
        Change { kind: "flux", from: "v2.7.1", to: "v2.7.2", flux_runs: false, ..NOTHING }, Err("flux_down"))]
    #[case::flux_minor(Change { kind: "flux", planned: Some("conditional"), from: "v2.7.2", to: "v2.8.0", ..NOTHING }, Err("flux_minor"))]
    #[case::flux_instance_minor(Change { kind: "flux", from: "2.7.x", to: "2.8.x", ..NOTHING }, Err("flux_minor"))]
    #[case::longhorn_refused(
        Change { kind: "longhorn", from: "1.10.1", to: "1.11.0", longhorn: Some("v1.10.1"), ..NOTHING }, Ok(()))]
    #[case::longhorn_recorded(
        Change { kind: "longhorn", from: "1.10.1", to: "1.11.0", longhorn: Some("v1.11.0"), ..NOTHING }, Err("longhorn_recorded"))]
    #[case::longhorn_once_recorded(
        Change { kind: "longhorn", from: "1.10.1", to: "1.11.0", longhorn: Some("v1.10.1"), longhorn_recorded: true, ..NOTHING },
        Err("longhorn_recorded"))]
    #[case::longhorn_out_of_sight(Change { kind: "longhorn", ..NOTHING }, Err("longhorn_not_observed"))]
    #[case::stateless_chart(Change { planned: Some("safe"), ..NOTHING }, Ok(()))]
    #[case::chart_with_crds(Change { planned: Some("conditional"), ..NOTHING }, Err("revert_conditional"))]
    #[case::chart_that_migrates(Change { planned: Some("unsafe"), ..NOTHING }, Err("revert_unsafe"))]
    #[case::operator_managed_data(Change { planned: Some("conditional"), ..NOTHING }, Err("revert_conditional"))]
    #[case::stateless_image(Change { kind: "image", planned: Some("safe"), ..NOTHING }, Ok(()))]
    #[case::values_only(Change { kind: "config", ..NOTHING }, Ok(()))]
    #[case::network_and_storage_drivers(Change { kind: "helm", planned: Some("conditional"), ..NOTHING }, Err("revert_conditional"))]
    #[case::node_system(Change { kind: "node-os", planned: Some("safe"), ..NOTHING }, Err("not_in_git"))]
    #[case::a_kind_that_nobody_knows(Change { kind: "thing", ..NOTHING }, Err("revert_unknown"))]
    fn a_revert_is(#[case] change: Change<'_>, #[case] expected: Result<(), &str>) {
        assert_eq!(may_revert(&change).map_err(|reason| reason.code), expected.map_err(str::to_owned));
    }
}
