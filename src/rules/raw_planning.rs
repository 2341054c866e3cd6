//! The file form of what a rule says about moving a component.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::backup::Restorable;
use crate::domain::component::UpdateType;
use crate::domain::plan::RevertSafety;

/// Charts and images that the rule speaks of, whatever rule found them.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAbout {
    /// Names of Helm charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) charts: Vec<String>,
    /// Last parts of image repositories, such as `postgres` or `bitnami/postgresql`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLadder {
    /// Which versions are not passed over; default `any`.
    #[serde(default, skip_serializing_if = "super::raw::is_default")]
    pub(super) by: RawRungs,
    /// No step goes to a version that was released in an earlier month; default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) build_months: bool,
    /// Versions that are never stepped on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) avoid: Vec<RawMarked>,
    /// Versions of which one must be stepped on before going beyond.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stops: Vec<RawMarked>,
    /// Conditions for entering versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gates: Vec<RawGate>,
}

/// `any`, `minor` (one minor at a time) or `major` (one major at a time).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRungs {
    #[default]
    Any,
    Minor,
    Major,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMarked {
    /// Which, as a range.
    pub(super) versions: String,
    /// Why, for people.
    pub(super) why: String,
}

/// A condition for a step from outside `to` into it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGate {
    /// The versions that are entered, as a range.
    pub(super) to: String,
    /// Only from these, as a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// API versions that it no longer serves, as `group/version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) removes: Vec<String>,
    /// Why, for people.
    pub(super) why: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompatibility {
    /// The component's versions that this is about, as a range.
    pub(super) versions: String,
    /// `kubernetes` or a component id → range without which it does not work.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) needs: BTreeMap<String, String>,
    /// `kubernetes` or a component id → range with which it was tested.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tested: BTreeMap<String, String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

/// What must be so in the cluster before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPrecondition {
    /// Every node is Ready and schedulable.
    NodesReady,
    /// No Longhorn volume is degraded or faulted.
    VolumesHealthy,
    /// Every Longhorn volume runs the engine of the installed version.
    EnginesCurrent,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRevert {
    /// Kinds of steps; default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) updates: Vec<UpdateType>,
    /// Ids of pins of which one must hold the version; default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pins: Vec<String>,
    /// Whether a revert of the commit is enough.
    pub(super) safety: RevertSafety,
    /// Why, for the reviewer.
    pub(super) why: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRestore {
    /// What it is restored from.
    pub(super) data: Restorable,
    /// How, as the middle of a sentence: `restore …`.
    pub(super) how: String,
}
