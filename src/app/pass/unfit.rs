//! What keeps merges back in the cluster itself.

use crate::domain::notice::kind_of;

/// Why nothing may be merged by the state of the cluster (storage, etcd and nodes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfit {
    /// What stops every merge.
    pub anything: Vec<String>,
    /// What stops what restarts nodes.
    pub nodes: Vec<String>,
    /// What stops Longhorn.
    pub longhorn: Vec<String>,
}

impl Unfit {
    /// Why a component may not be merged now; `None` where nothing speaks against it.
    pub fn of(&self, component: &str) -> Option<String> {
        let why = match kind_of(component) {
            "k3s" => &self.nodes,
            "longhorn" => &self.longhorn,
            _ => &self.anything,
        };
        let first = why.first()?;
        let more = why.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("the cluster must be in order before a merge: {first}{more}"))
    }
}
