//! Versions: grammar, order and ranges, per scheme.

pub mod range;

/// Grammar and order of a component's versions.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// SemVer, leading `v` and missing parts tolerated.
    Semver,
    /// `vX.Y.Z[-rcN]+k3sN`, `-k3sN` in tags.
    K3s,
    /// Image tags: only tags of the same suffix and shape compare.
    ImageTag,
    /// Any dotted numbers (four parts, dates).
    Loose,
}
