//! Nodes, and the quorum of etcd among them.

use jiff::Timestamp;

use super::look::{Look, Wrong, named, said, subject, word};
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Condition, Detail, Object};

/// Taint of a cordoned node, with the time at which it was cordoned.
const CORDONED: &str = "node.kubernetes.io/unschedulable";
/// Label of nodes that are members of etcd.
const ETCD: &str = "node-role.kubernetes.io/etcd";
/// Condition by which k3s says whether a member votes.
const VOTES: &str = "EtcdIsVoter";

/// Members of etcd.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Quorum {
    pub(super) members: usize,
    pub(super) healthy: usize,
    /// Names of members that are not.
    pub(super) away: Vec<String>,
    /// When the last of them went.
    since: Option<Timestamp>,
}

impl Quorum {
    pub(super) fn of<'o>(nodes: impl Iterator<Item = &'o Object>) -> Self {
        let mut quorum = Self::default();
        for node in nodes.filter(|node| node.meta.labels.contains_key(ETCD)) {
            quorum.members += 1;
            let votes = node.condition(VOTES).is_none_or(|condition| !condition.is_false());
            if node.is("Ready") && votes {
                quorum.healthy += 1;
            } else {
                let of = |type_| {
                    node.condition(type_).filter(|c| !c.is_true()).and_then(|c| c.last_transition_time)
                };
                quorum.since = quorum.since.max(of("Ready").max(of(VOTES)));
                quorum.away.push(node.meta.name.clone());
            }
        }
        quorum
    }

    /// Members without which nothing can be written.
    pub(super) fn required(&self) -> usize {
        self.members / 2 + 1
    }

    /// No further member may go. One member alone is no quorum that could be kept.
    pub(super) fn at_edge(&self) -> bool {
        self.members > 1 && self.healthy <= self.required()
    }
}

pub(super) fn check(look: &mut Look<'_>) {
    for node in look.of(Kind::Node) {
        let Detail::Node(detail) = &node.detail else { continue };
        for (type_, good) in [
            ("Ready", "True"),
            ("MemoryPressure", "False"),
            ("DiskPressure", "False"),
            ("PIDPressure", "False"),
            ("NetworkUnavailable", "False"),
            (VOTES, "True"),
        ] {
            condition(look, node, type_, good);
        }
        if detail.unschedulable {
            let taint = detail.taints.iter().find(|taint| taint.key == CORDONED);
            let since = taint.and_then(|taint| taint.time_added);
            if look.past(since, look.settings.node) {
                look.wrong(
                    subject(node),
                    Wrong {
                        check: "node_schedulable",
                        category: Category::Infrastructure,
                        severity: Severity::Failing,
                        reason: "SchedulingDisabled",
                        message: format!("cordoned{}", look.ago(since)),
                    },
                );
            }
        }
    }
    quorum(look);
}

fn condition(look: &mut Look<'_>, node: &Object, type_: &str, good: &str) {
    let missing = Condition { type_: type_.to_owned(), status: "Unknown".to_owned(), ..Condition::default() };
    let condition = match node.condition(type_) {
        Some(condition) => condition,
        // Only Ready is always there.
        None if type_ == "Ready" => &missing,
        None => return,
    };
    let since = condition.last_transition_time.or(node.meta.creation_timestamp);
    if condition.status == good || !look.past(since, look.settings.node) {
        return;
    }
    // `KubeletHasSufficientMemory` and the like stay as the reason of a condition that nobody refreshes any more.
    let reason = if type_ == "Ready" { word(condition) } else { type_ };
    let check = if type_ == VOTES { "etcd_member" } else { "node_ready" };
    let verb = if type_ == "Ready" { "not Ready" } else { type_ };
    look.wrong(
        subject(node),
        Wrong {
            check,
            category: Category::Infrastructure,
            severity: Severity::Failing,
            reason,
            message: said(&format!("{verb}{}", look.ago(condition.last_transition_time)), &condition.message),
        },
    );
}

fn quorum(look: &mut Look<'_>) {
    let quorum = Quorum::of(look.of(Kind::Node));
    let (members, healthy, required) = (quorum.members, quorum.healthy, quorum.required());
    let etcd = || named("Etcd", "", "etcd");
    if quorum.members < 2 {
        return;
    }
    let numbers = format!("{healthy} of {members} members are healthy, {required} are needed");
    if healthy < required {
        look.wrong(
            etcd(),
            Wrong {
                check: "etcd_quorum",
                category: Category::Infrastructure,
                severity: Severity::Critical,
                reason: "QuorumLost",
                message: format!("{numbers}; away: {}", quorum.away.join(", ")),
            },
        );
    } else if quorum.at_edge() && healthy < members && look.past(quorum.since, look.settings.node) {
        look.wrong(
            etcd(),
            Wrong {
                check: "etcd_quorum",
                category: Category::Infrastructure,
                severity: Severity::Critical,
                reason: "QuorumAtEdge",
                message: format!("{numbers}: no other may go; away: {}", quorum.away.join(", ")),
            },
        );
    }
    if members % 2 == 0 {
        look.wrong(
            etcd(),
            Wrong {
                check: "etcd_members",
                category: Category::Infrastructure,
                severity: Severity::Notice,
                reason: "EvenMembers",
                message: format!("{members} members bear no more losses than {}", members - 1),
            },
        );
    }
}
