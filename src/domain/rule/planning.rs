//! What a rule says about moving a component: by which steps, after what, together with what, and whether back.

use std::collections::BTreeMap;

use super::health::HealthRule;
use crate::domain::backup::{Restorable, Saved};
use crate::domain::component::{Component, UpdateType};
use crate::domain::plan::RevertSafety;
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::range::Range;

/// What planning takes from a rule. Everything is optional: a rule without it leaves the component to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planning {
    /// Charts and images that the rule speaks of, whatever rule found them.
    pub about: About,
    /// Under which name others need this component's version (`kubernetes`).
    pub provides: Option<String>,
    /// Ids or kinds of components, or ids of rules, whose components go first.
    pub after: Vec<String>,
    /// By which steps a version is reached.
    pub ladder: Option<Ladder>,
    /// What versions of other components its versions go with.
    pub compatibility: Vec<Compatibility>,
    /// What must be so in the cluster before a step.
    pub preconditions: Vec<Precondition>,
    /// Whether a step can be reverted; the first entry that matches holds.
    pub revert: Vec<RevertRule>,
    /// What is looked at after a step.
    pub health: Option<HealthRule>,
    /// What a person does where a step is held.
    pub runbook: Vec<String>,
    /// What a person restores as the last way.
    pub restore: Option<RestoreRule>,
}

/// What a person restores where the version before needs its data from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRule {
    /// What it is restored from.
    pub data: Restorable,
    /// How, as the middle of a sentence.
    pub how: String,
}

impl RestoreRule {
    /// The last way back, in Markdown: how, and from where, by what was backed up before the step.
    pub fn words(&self, saved: &Saved<'_>) -> String {
        let how = self.how.trim().trim_end_matches('.');
        format!("As the last way, {how}. The data for it: {}.", saved.restore(self.data))
    }
}

/// Charts and images by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Names of Helm charts.
    pub charts: Vec<String>,
    /// Last parts of image repositories: `postgres`, or more of it, such as `bitnami/postgresql`.
    pub images: Vec<String>,
}

/// By which steps a version is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Which versions may not be passed over.
    pub by: Rungs,
    /// A step never goes to a version that was released in an earlier month than the one before.
    pub build_months: bool,
    /// Versions that are never stepped on.
    pub avoid: Vec<Marked>,
    /// Ranges of which one version must be stepped on before going beyond.
    pub stops: Vec<Marked>,
    /// Conditions for entering versions.
    pub gates: Vec<Gate>,
}

/// Which versions a ladder does not pass over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rungs {
    /// None: any newer version is one step away.
    #[default]
    Any,
    /// One minor at a time; the next major is entered from the last minor, at its first.
    Minor,
    /// One major at a time.
    Major,
}

/// Versions and why they are special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Which.
    pub versions: Range,
    /// Why.
    pub why: String,
}

/// A condition for a step from outside `to` into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The versions that are entered.
    pub to: Range,
    /// Only from these.
    pub from: Option<Range>,
    /// API versions (`group/version`) that it no longer serves: neither may manifests use them nor objects be
    /// stored in them.
    pub removes: Vec<String>,
    /// Why, for people.
    pub why: String,
}

/// What some versions of a component need of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// The component's versions that this is about.
    pub versions: Range,
    /// `kubernetes` or a component id → the versions without which it does not work.
    pub needs: BTreeMap<String, Range>,
    /// `kubernetes` or a component id → the versions with which it was tested; others are avoided where they can be.
    pub tested: BTreeMap<String, Range>,
    /// Why, where it needs saying.
    pub why: Option<String>,
}

/// What must be so in the cluster before a step; what is not known is said, not assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precondition {
    /// Every node is Ready and schedulable.
    NodesReady,
    /// No Longhorn volume is degraded or faulted.
    VolumesHealthy,
    /// Every Longhorn volume runs the engine of the installed version.
    EnginesCurrent,
}

/// Whether some steps can be reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertRule {
    /// Kinds of steps; empty = all.
    pub updates: Vec<UpdateType>,
    /// Pins (by the id in their rule) of which one must hold the version; empty = any.
    pub pins: Vec<String>,
    /// The class.
    pub safety: RevertSafety,
    /// The reason, for the reviewer.
    pub why: String,
}

impl About {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.charts.is_empty() && self.images.is_empty()
    }

    /// Whether the component is one of the charts or images.
    pub fn names(&self, component: &Component) -> bool {
        if let Some(chart) = component.chart() {
            return self.charts.contains(&chart);
        }
        match &component.upstream {
            Ok(UpstreamRef::Oci { registry, repository, chart: false }) => {
                let whole = format!("/{registry}/{repository}");
                self.images.iter().any(|image| whole.ends_with(&format!("/{image}")))
            }
            _ => false,
        }
    }
}

impl RevertRule {
    /// Whether the rule is about this kind of step of this component.
    pub fn matches(&self, component: &Component, update: UpdateType) -> bool {
        let holds = |id: &String| component.pins.iter().any(|pin| pin.applied && pin.rule == *id);
        (self.updates.is_empty() || self.updates.contains(&update))
            && (self.pins.is_empty() || self.pins.iter().any(holds))
    }
}

impl Precondition {
    /// The word in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodesReady => "nodes_ready",
            Self::VolumesHealthy => "volumes_healthy",
            Self::EnginesCurrent => "engines_current",
        }
    }
}
