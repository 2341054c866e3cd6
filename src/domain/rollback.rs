//! Whether a component may go back to an older version because a person asks for it, and what that would do.
//!
//! A Git revert is no way back for everything (domain of k3s, Longhorn, Flux minors, data that was migrated). What does
//! harm is refused until the person names the harm; what depends on the cluster is allowed only where the cluster was
//! seen. Every refusal comes with the way that there is.

use jiff::{SignedDuration, Timestamp};

use super::backup::{Restorable, Saved};
use super::component::{Component, UpdateType};
use super::facts::Facts;
use super::plan::{Revert, RevertSafety};
use super::rule::Rule;

/// Facts that are older say nothing about whether something has moved by now.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// A component on its way back.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Component id.
    pub component: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Version that Git has now.
    pub from: &'a str,
    /// Version to go back to.
    pub to: &'a str,
    /// What kind of step lies between the two.
    pub update_type: UpdateType,
    /// What the rules say of taking that step back.
    pub revert: &'a Revert,
    /// What was backed up before.
    pub saved: Saved<'a>,
}

/// What the cluster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// Whether a node runs the newer version, or may be on its way to it.
    pub nodes_moved: Option<bool>,
    /// Whether Longhorn has recorded the newer version.
    pub longhorn_recorded: Option<bool>,
}

/// What comes of going back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is right.
    Fine,
    /// It may be done; a reviewer should know this.
    Mind(String),
    /// It does harm.
    Harm(Harm),
}

/// The words by which harms are taken on.
pub const HARMS: [&str; 4] =
    ["nodes-stay-cordoned", "managers-crash-loop", "flux-may-not-return", "data-stays-new"];

/// What would go wrong, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    /// The word by which a person takes it on.
    pub code: &'static str,
    /// What would happen.
    pub text: String,
    /// What to do instead, step by step.
    pub instead: Vec<String>,
}

/// What facts say about going back from `from`; nothing where they are missing or old.
pub fn sight(facts: Option<&Facts>, from: &str, now: Timestamp) -> Sight {
    let Some(facts) =
        facts.filter(|facts| facts.taken_at.is_some_and(|taken| now.duration_since(taken).abs() <= FRESH))
    else {
        return Sight::default();
    };
    // A version is written with `+` or, as a label, with `-`.
    let munged = |text: &str| text.trim_start_matches('v').replace('+', "-");
    let moved = |node: &super::facts::NodeFact| {
        munged(&node.kubelet) == munged(from) || !node.ready || !node.schedulable
    };
    let recorded = facts.longhorn.as_ref().and_then(|longhorn| longhorn.current.as_deref());
    Sight {
        nodes_moved: (!facts.nodes.is_empty()).then(|| facts.nodes.iter().any(moved)),
        longhorn_recorded: recorded.map(|recorded| munged(recorded) == munged(from)),
    }
}

/// The class of a step of a component, as the rules have it; the most special rule that says something decides.
pub fn revert_of(rules: &[Rule], component: &Component, update: UpdateType) -> Revert {
    let mut matching: Vec<&Rule> = rules.iter().filter(|rule| rule.moves(component)).collect();
    if matching.is_empty() {
        matching.extend(rules.iter().find(|rule| rule.component.kind == component.kind));
    }
    matching.sort_by_key(|rule| (!rule.planning.about.names(component), !rule.owns(component)));
    let found = matching
        .iter()
        .find_map(|rule| rule.planning.revert.iter().find(|entry| entry.matches(component, update)));
    match found {
        Some(entry) => Revert { safety: entry.safety, why: entry.why.clone() },
        None => Revert {
            safety: RevertSafety::Conditional,
            why: "no rule says whether this can be reverted".to_owned(),
        },
    }
}

/// What comes of going back.
pub fn answer(way: &Way<'_>, sight: Sight) -> Answer {
    let is_small = matches!(way.update_type, UpdateType::Patch | UpdateType::Build | UpdateType::Digest);
    match way.kind {
        "k3s" => match sight.nodes_moved {
            Some(false) => Answer::Mind(
                "no node has moved yet, as the cluster says; check that no Job of the Plan is running"
                    .to_owned(),
            ),
            seen => Answer::Harm(k3s(way, seen.is_some())),
        },
        "longhorn" => match sight.longhorn_recorded {
            Some(false) => {
                Answer::Mind("Longhorn has not recorded the newer version: it refused the upgrade".to_owned())
            }
            seen => Answer::Harm(longhorn(way, seen.is_some())),
        },
        "flux" if !is_small => Answer::Harm(flux(way)),
        _ => match way.revert.safety {
            RevertSafety::Safe => Answer::Fine,
            RevertSafety::Conditional => Answer::Mind(way.revert.why.clone()),
            RevertSafety::Unsafe => Answer::Harm(data(way)),
        },
    }
}

fn unseen(is_seen: bool) -> &'static str {
    if is_seen { "" } else { " (the cluster was not seen: `--cluster` or `--facts FILE` looks)" }
}

fn k3s(way: &Way<'_>, is_seen: bool) -> Harm {
    Harm {
        code: "nodes-stay-cordoned",
        text: format!(
            "k3s never goes back by Git: k3s-upgrade refuses {} where {} runs, its Jobs fail, and the nodes that moved \
             stay cordoned{}",
            way.to,
            way.from,
            unseen(is_seen)
        ),
        instead: vec![
            "stop the rollout: set `concurrency: 0` in both Plans in Git and leave the version; Jobs that run still \
             finish, and the Plans then say `Complete`, which means nothing"
                .to_owned(),
            format!("look for a newer patch that repairs it, and go forward: `gitops-updater detect --component {}`", way.component),
            format!(
                "where the cluster itself is lost, etcd has to be restored as it was before: {}",
                way.saved.restore(Restorable::EtcdSnapshot)
            ),
            "uncordon only nodes that the rollout cordoned, when they are Ready: `kubectl uncordon NODE`".to_owned(),
        ],
    }
}

fn longhorn(way: &Way<'_>, is_seen: bool) -> Harm {
    Harm {
        code: "managers-crash-loop",
        text: format!(
            "once Longhorn has recorded {}, every manager of {} stops at its start, of an older patch too; volumes that \
             are attached go on, nothing else does{}",
            way.from,
            way.to,
            unseen(is_seen)
        ),
        instead: vec![
            "leave the version in Git; where the HelmRelease flaps, set `spec.suspend: true` in Git".to_owned(),
            format!("look for a newer patch that repairs it, and go forward: `gitops-updater detect --component {}`", way.component),
            format!(
                "bring single volumes back beside the old ones: {}",
                way.saved.restore(Restorable::LonghornBackup)
            ),
            "do not patch the setting `current-longhorn-version` unless Longhorn's own documentation says so for your \
             two versions"
                .to_owned(),
        ],
    }
}

fn flux(way: &Way<'_>) -> Harm {
    let mut instead = vec![
        "compare `status.storedVersions` of Flux's CRDs with the versions that the older CRDs serve: `gitops-updater facts` \
         lists them; all of them must be served"
            .to_owned(),
    ];
    if way.revert.safety == RevertSafety::Unsafe {
        instead
            .insert(0, "the Flux Operator refuses an older minor: Flux has to be installed anew".to_owned());
    }
    instead.push(
        "where source- or kustomize-controller do not run, no revert is applied: `kubectl apply --server-side -f` the \
         older gotk-components.yaml by hand"
            .to_owned(),
    );
    Harm {
        code: "flux-may-not-return",
        text: format!(
            "going back from {} to {} brings back older CRDs: objects that are stored in versions which they do not \
             serve are lost to Flux, and fields that are new are pruned",
            way.from, way.to
        ),
        instead,
    }
}

fn data(way: &Way<'_>) -> Harm {
    Harm {
        code: "data-stays-new",
        text: format!("{} does not bring the data back with it: {}", way.to, way.revert.why),
        instead: vec![
            format!(
                "look for a newer patch that repairs it, and go forward: `gitops-updater detect --component {}`",
                way.component
            ),
            "stop what writes to the data (scale it down in Git)".to_owned(),
            format!(
                "restore the data from before beside the old, and point the workload at it in the same commit as the older \
                 version: {}",
                way.saved.restore(Restorable::LonghornBackup)
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::facts::{LonghornFact, NodeFact};

    fn code(kind: &str, update_type: UpdateType, safety: RevertSafety, sight: Sight) -> String {
        let revert = Revert { safety, why: "the reason".to_owned() };
        let way = Way {
            component: "x",
            kind,
            from: "2",
            to: "1",
            update_type,
            revert: &revert,
            saved: Saved { id: Some("backup-1"), data: None },
        };
        match answer(&way, sight) {
            Answer::Fine => "fine".to_owned(),
            Answer::Mind(_) => "mind".to_owned(),
            Answer::Harm(harm) => harm.code.to_owned(),
        }
    }

    /// Backups were named that nobody had made.
    #[rstest]
    #[case::k3s("k3s", "snapshot of etcd")]
    #[case::longhorn("longhorn", "backup of a volume")]
    #[case::data("image", "backup of a volume")]
    fn refusals_name_backups_only_where_there_are_any(#[case] kind: &str, #[case] what: &str) {
        let revert = Revert { safety: RevertSafety::Unsafe, why: "the reason".to_owned() };
        let way = Way {
            component: "x",
            kind,
            from: "2",
            to: "1",
            update_type: UpdateType::Major,
            revert: &revert,
            saved: Saved { id: Some("backup-1"), data: Some(&[]) },
        };
        let Answer::Harm(harm) = answer(&way, Sight::default()) else { panic!("it does harm") };
        let expected = format!("from a backup of your own, because backup point `backup-1` holds no {what}");
        assert!(harm.instead.iter().any(|step| step.ends_with(&expected)), "{:?}", harm.instead);
    }

    const BLIND: Sight = Sight { nodes_moved: None, longhorn_recorded: None };
    const MOVED: Sight = Sight { nodes_moved: Some(true), longhorn_recorded: Some(true) };
    const STILL: Sight = Sight { nodes_moved: Some(false), longhorn_recorded: Some(false) };

    // Kind of change by kind of change.
    #[rstest]
    #[case::k3s_no_node_started("k3s", UpdateType::Minor, RevertSafety::Conditional, STILL, "mind")]
    #[case::k3s_one_node_done(
        "k3s",
        UpdateType::Patch,
        RevertSafety::Conditional,
        MOVED,
        "nodes-stay-cordoned"
    )]
    #[case::k3s_revision_only(
        "k3s",
        UpdateType::Build,
        RevertSafety::Conditional,
        MOVED,
        "nodes-stay-cordoned"
    )]
    #[case::k3s_not_seen("k3s", UpdateType::Patch, RevertSafety::Conditional, BLIND, "nodes-stay-cordoned")]
    #[case::flux_patch("flux", UpdateType::Patch, RevertSafety::Conditional, BLIND, "mind")]
    #[case::flux_minor("flux", UpdateType::Minor, RevertSafety::Conditional, BLIND, "flux-may-not-return")]
    #[case::flux_instance_minor(
        "flux",
        UpdateType::Minor,
        RevertSafety::Unsafe,
        STILL,
        "flux-may-not-return"
    )]
    #[case::longhorn_refused("longhorn", UpdateType::Minor, RevertSafety::Conditional, STILL, "mind")]
    #[case::longhorn_recorded(
        "longhorn",
        UpdateType::Patch,
        RevertSafety::Conditional,
        MOVED,
        "managers-crash-loop"
    )]
    #[case::longhorn_not_seen(
        "longhorn",
        UpdateType::Patch,
        RevertSafety::Conditional,
        BLIND,
        "managers-crash-loop"
    )]
    #[case::chart_without_state("helm", UpdateType::Patch, RevertSafety::Safe, BLIND, "fine")]
    #[case::chart_with_crds("helm", UpdateType::Major, RevertSafety::Conditional, BLIND, "mind")]
    #[case::chart_that_migrates("helm", UpdateType::Minor, RevertSafety::Unsafe, STILL, "data-stays-new")]
    #[case::image("image", UpdateType::Patch, RevertSafety::Safe, BLIND, "fine")]
    #[case::database_image("image", UpdateType::Major, RevertSafety::Unsafe, BLIND, "data-stays-new")]
    #[case::network("helm", UpdateType::Patch, RevertSafety::Conditional, BLIND, "mind")]
    fn what_comes_of_going_back(
        #[case] kind: &str,
        #[case] update_type: UpdateType,
        #[case] safety: RevertSafety,
        #[case] sight: Sight,
        #[case] expected: &str,
    ) {
        assert_eq!(code(kind, update_type, safety, sight), expected);
    }

    fn node(kubelet: &str, ready: bool) -> NodeFact {
        NodeFact {
            name: kubelet.to_owned(),
            roles: vec![],
            kubelet: kubelet.to_owned(),
            ready,
            schedulable: ready,
        }
    }

    #[rstest]
    #[case::nobody_moved(&[("v1.33.4+k3s1", true), ("v1.33.4+k3s1", true)], 0, Some(false))]
    #[case::one_moved(&[("v1.33.4+k3s1", true), ("v1.34.1+k3s1", true)], 0, Some(true))]
    #[case::one_is_away(&[("v1.33.4+k3s1", true), ("v1.33.4+k3s1", false)], 0, Some(true))]
    #[case::old_facts_say_nothing(&[("v1.33.4+k3s1", true)], 16, None)]
    #[case::no_nodes_seen(&[], 0, None)]
    fn what_facts_say_of_the_nodes(
        #[case] nodes: &[(&str, bool)],
        #[case] minutes: i64,
        #[case] expected: Option<bool>,
    ) {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let facts = Facts {
            taken_at: Some(now - SignedDuration::from_mins(minutes)),
            nodes: nodes.iter().map(|(kubelet, ready)| node(kubelet, *ready)).collect(),
            longhorn: Some(LonghornFact { current: Some("v1.12.1".to_owned()), ..LonghornFact::default() }),
            ..Facts::default()
        };
        assert_eq!(sight(Some(&facts), "v1.34.1-k3s1", now).nodes_moved, expected);
        assert_eq!(sight(None, "v1.34.1+k3s1", now), Sight::default());
        if minutes == 0 {
            assert_eq!(sight(Some(&facts), "1.12.1", now).longhorn_recorded, Some(true));
            assert_eq!(sight(Some(&facts), "1.12.2", now).longhorn_recorded, Some(false));
        }
    }
}
