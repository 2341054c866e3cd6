//! Nodes.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Condition, Detail, has_conditions, lenient_time, or_default};

/// What a Node has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// It is cordoned.
    pub unschedulable: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// `v1.33.4+k3s1`.
    pub kubelet_version: String,
    /// What changes with a restart of the machine.
    pub boot: Bootable,
}

/// What of a node tells one boot or system from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bootable {
    /// Another one after every boot.
    pub boot_id: String,
    /// Version of the kernel.
    pub kernel_version: String,
    /// Name of the system.
    pub os_image: String,
}

/// A taint of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// `NoSchedule`, …
    pub effect: String,
    /// When it was added, where that is told.
    #[serde(deserialize_with = "lenient_time")]
    pub time_added: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NodeSpec {
    #[serde(deserialize_with = "or_default")]
    unschedulable: bool,
    #[serde(deserialize_with = "or_default")]
    taints: Vec<Taint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    node_info: NodeInfo,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
    #[serde(rename = "bootID")]
    boot_id: String,
    kernel_version: String,
    os_image: String,
}

pub(super) fn node(spec: NodeSpec, status: &mut NodeStatus) -> Detail {
    let info = std::mem::take(&mut status.node_info);
    Detail::Node(Box::new(Node {
        unschedulable: spec.unschedulable,
        taints: spec.taints,
        kubelet_version: info.kubelet_version,
        boot: Bootable {
            boot_id: info.boot_id,
            kernel_version: info.kernel_version,
            os_image: info.os_image,
        },
    }))
}

has_conditions!(NodeStatus);
