//! The `validation` block, validated: what holds for which component, and which key says so.

use std::collections::BTreeSet;
use std::time::Duration;

use super::detection::{Decided, Selector};
use crate::domain::rule::health::HealthRule;
use crate::domain::settle::health::probe::{
    CommandSpec, NetworkSpec, Pods, ProbeSpec, StorageSpec, TestJob, Trials,
};

/// How a merged update is proven healthy.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Time between two looks.
    pub sample: Duration,
    /// Time after the change was applied in which nothing is judged.
    pub settle: Duration,
    /// How long an update is watched, where no key below `components` says; `None` = by kind.
    pub window: Option<Duration>,
    /// Good samples in a row that end the window well.
    pub good_samples: u32,
    /// Bad samples among the last `bad_of` that are a regression.
    pub bad_samples: u32,
    /// Samples that `bad_samples` looks back at.
    pub bad_of: u32,
    /// Share of bad samples in the window above which it did not go well.
    pub failure_rate: f64,
    /// Changes between good and bad from which on nobody can say.
    pub state_changes: u32,
    /// Longest time for one update.
    pub cap: Duration,
    /// Commit statuses count where no cluster can be reached.
    pub statuses: bool,
    /// Flux is asked to fetch a merge, or a revert, at once.
    pub reconcile: bool,
    /// What is tried, once, before a revert.
    pub recovery: BTreeSet<Recovery>,
    /// How a revert is made.
    pub revert_by: RevertBy,
    /// A rollout of k3s that went wrong is stopped in Git.
    pub stop_rollouts: bool,
    /// Addresses that must answer.
    pub probes: Vec<ProbeSpec>,
    /// How the Pods are made by which the cluster is tried from inside.
    pub pods: Pods,
    /// What is tried of the network.
    pub network: Option<NetworkSpec>,
    /// The volume that is written and read back.
    pub storage: Option<StorageSpec>,
    /// The user's Job.
    pub test_job: Option<TestJob>,
    /// The user's program.
    pub command: Option<CommandSpec>,
    /// Path of the key in the file, what it names, and what is set.
    pub(super) components: Vec<(String, Selector, ComponentValidation)>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            sample: Duration::from_secs(10),
            settle: Duration::from_secs(120),
            window: None,
            good_samples: 5,
            bad_samples: 3,
            bad_of: 5,
            failure_rate: 0.1,
            state_changes: 3,
            cap: Duration::from_secs(7200),
            statuses: true,
            reconcile: false,
            recovery: BTreeSet::new(),
            revert_by: RevertBy::Push,
            stop_rollouts: true,
            probes: vec![],
            pods: Pods::default(),
            network: None,
            storage: None,
            test_job: None,
            command: None,
            components: vec![],
        }
    }
}

/// A recovery that is known to be safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recovery {
    /// Ask Flux to reconcile.
    Reconcile,
    /// Reset a HelmRelease whose retries ran out.
    ResetRelease,
    /// Uncordon nodes that the upgrade's own Job left cordoned.
    Uncordon,
}

/// How a revert is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevertBy {
    /// By push; by pull request where the branch is protected.
    Push,
    /// By pull request.
    PullRequest,
}

/// What one key below `validation.components` sets.
#[derive(Debug, Clone, Default)]
pub(super) struct ComponentValidation {
    pub(super) settle: Option<Duration>,
    pub(super) window: Option<Duration>,
    pub(super) cap: Option<Duration>,
    pub(super) recovery: Option<BTreeSet<Recovery>>,
    pub(super) probes: Option<BTreeSet<String>>,
    pub(super) storage: Option<bool>,
    pub(super) network: Option<bool>,
}

/// What holds for one component; of each value, which key decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationFor {
    /// Time after the change was applied in which nothing is judged.
    pub settle: Decided<Duration>,
    /// How long it is watched; `None` = a rule or the kind says.
    pub window: Decided<Option<Duration>>,
    /// Longest time for one update, whatever happens.
    pub cap: Decided<Duration>,
    /// What is tried, once, before a revert.
    pub recovery: Decided<BTreeSet<Recovery>>,
    /// Names of the probes that are asked; `None` = all.
    pub probes: Decided<Option<BTreeSet<String>>>,
    /// Whether the storage is tried; `None` = a rule says.
    pub storage: Decided<Option<bool>>,
    /// Whether the network is tried; `None` = a rule says.
    pub network: Decided<Option<bool>>,
}

impl Validation {
    /// What holds for a component: the block itself, then kind, then patterns, then id.
    pub fn for_component(&self, id: &str, kind: &str) -> ValidationFor {
        fn set<T>(place: &mut Decided<T>, value: Option<T>, key: &str, field: &str) {
            if let Some(value) = value {
                *place = Decided { value, by: Some(format!("{key}.{field}")) };
            }
        }
        let mut held = ValidationFor {
            settle: Decided { value: self.settle, by: None },
            window: Decided::default(),
            cap: Decided { value: self.cap, by: None },
            recovery: Decided { value: self.recovery.clone(), by: None },
            probes: Decided::default(),
            storage: Decided::default(),
            network: Decided::default(),
        };
        let mut matching: Vec<_> = self
            .components
            .iter()
            .filter_map(|(key, selector, sets)| {
                selector.closeness(id, kind).map(|closeness| (closeness, selector.text(), key, sets.clone()))
            })
            .collect();
        matching.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (_, _, key, sets) in matching {
            set(&mut held.settle, sets.settle, key, "settle");
            set(&mut held.window, sets.window.map(Some), key, "window");
            set(&mut held.cap, sets.cap, key, "cap");
            set(&mut held.recovery, sets.recovery, key, "recovery");
            set(&mut held.probes, sets.probes.map(Some), key, "probes");
            set(&mut held.storage, sets.storage.map(Some), key, "storage");
            set(&mut held.network, sets.network.map(Some), key, "network");
        }
        held
    }

    /// What is tried after an update of a component; `rule` is what its rule says.
    pub fn trials_for(&self, id: &str, kind: &str, rule: Option<&HealthRule>) -> Trials {
        let held = self.for_component(id, kind);
        let asked =
            |probe: &&ProbeSpec| held.probes.value.as_ref().is_none_or(|names| names.contains(&probe.name));
        Trials {
            probes: self.probes.iter().filter(asked).cloned().collect(),
            pods: self.pods.clone(),
            network: self
                .network
                .clone()
                .filter(|_| held.network.value.unwrap_or(rule.is_some_and(|rule| rule.network))),
            storage: self
                .storage
                .clone()
                .filter(|_| held.storage.value.unwrap_or(rule.is_some_and(|rule| rule.storage))),
            test_job: self.test_job.clone(),
            command: self.command.clone(),
        }
    }

    /// Everything that can be tried.
    pub fn trials(&self) -> Trials {
        Trials {
            probes: self.probes.clone(),
            pods: self.pods.clone(),
            network: self.network.clone(),
            storage: self.storage.clone(),
            test_job: self.test_job.clone(),
            command: self.command.clone(),
        }
    }
}
