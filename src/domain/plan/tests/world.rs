//! Small worlds to plan in.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use crate::domain::component::{Component, Given, Pin, UpdateType};
use crate::domain::facts::Facts;
use crate::domain::plan::input::{ApiUse, Dependency, Input, Observed, Situation};
use crate::domain::plan::subject::Subject;
use crate::domain::plan::{Approval, Plan, plan};
use crate::domain::policy::{Admission, Applied, Considered, Hold, RangeEdits};
use crate::domain::report::{Entry, Status};
use crate::domain::rule::Rule;
use crate::domain::state::Update;
use crate::domain::upstream::{Candidate, UpstreamRef};
use crate::domain::version::Scheme;
use crate::rules::Registry;

/// A world with the embedded rules, in which policy wants a review of everything.
pub(crate) struct Small {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Minor of Kubernetes that removes it → use.
    pub(crate) removed: Vec<(u64, ApiUse)>,
    pub(crate) uses: Vec<ApiUse>,
    pub(crate) facts: Option<Facts>,
    pub(crate) updates: Vec<Update>,
    pub(crate) asked: BTreeSet<String>,
    /// Ids of updates that were merged and not recorded since.
    pub(crate) unrecorded: BTreeSet<String>,
    pub(crate) groundless: BTreeSet<String>,
    pub(crate) concurrency: usize,
    /// Component and version → gate that holds it, or approval.
    pub(crate) policy: Vec<(String, String, Result<Approval, &'static str>)>,
    /// By kind of step.
    pub(crate) gates: Vec<(UpdateType, Approval)>,
    /// Steps that are stopped at this hour.
    pub(crate) stopped: BTreeSet<String>,
    /// Until when.
    pub(crate) opens: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

pub(crate) fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

impl Small {
    pub(crate) fn new() -> Self {
        Self::with_rules(&[])
    }

    /// With rules of a repository beside the embedded ones.
    pub(crate) fn with_rules(own: &[&str]) -> Self {
        // Reading the rules takes longer than planning.
        static EMBEDDED: OnceLock<Arc<Registry>> = OnceLock::new();
        let files: Vec<(String, &str)> =
            own.iter().enumerate().map(|(at, text)| (format!("{at}.yaml"), *text)).collect();
        let load = || {
            let (registry, problems) =
                Registry::load(files.iter().map(|(file, text)| (file.as_str(), *text)));
            assert_eq!(problems, []);
            Arc::new(registry)
        };
        let registry = if own.is_empty() { EMBEDDED.get_or_init(load).clone() } else { load() };
        Self {
            subjects: Vec::new(),
            registry,
            dependencies: Vec::new(),
            removed: Vec::new(),
            uses: Vec::new(),
            facts: None,
            updates: Vec::new(),
            asked: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            groundless: BTreeSet::new(),
            concurrency: 5,
            policy: Vec::new(),
            gates: Vec::new(),
            stopped: BTreeSet::new(),
            opens: None,
            now: day("2026-11-21"),
        }
    }

    /// k3s by a Plan: version, and day of its release after a blank where it matters.
    pub(crate) fn k3s(self, current: &str, newer: &[&str]) -> Self {
        let upstream = UpstreamRef::K3s { channel: None };
        self.component("k3s", "k3s", Scheme::K3s, upstream, "k3s-plan-version", current, newer)
    }

    /// Flux by its `gotk-components.yaml`.
    pub(crate) fn flux(self, current: &str, newer: &[&str]) -> Self {
        let upstream = UpstreamRef::GithubReleases {
            host: "github.com".to_owned(),
            owner: "fluxcd".to_owned(),
            name: "flux2".to_owned(),
        };
        self.component("flux", "flux", Scheme::Semver, upstream, "flux-gotk-components", current, newer)
    }

    pub(crate) fn longhorn(self, current: &str, newer: &[&str]) -> Self {
        let upstream = UpstreamRef::HelmChart {
            repository: "https://charts.longhorn.io".to_owned(),
            chart: "longhorn".to_owned(),
        };
        self.component("longhorn", "longhorn", Scheme::Semver, upstream, "helm-release-chart", current, newer)
    }

    /// A HelmRelease `apps/<chart>`; a `kubeVersion` stands behind a version in brackets: `2.0.0 [>=1.25]`.
    pub(crate) fn chart(self, chart: &str, current: &str, newer: &[&str]) -> Self {
        let upstream = UpstreamRef::HelmChart {
            repository: "https://charts.example.org".to_owned(),
            chart: chart.to_owned(),
        };
        let id = format!("helm/apps/{chart}");
        self.component(&id, "helm", Scheme::Semver, upstream, "helm-release-chart", current, newer)
    }

    pub(crate) fn image(self, repository: &str, current: &str, newer: &[&str]) -> Self {
        let upstream = UpstreamRef::Oci {
            registry: "ghcr.io".to_owned(),
            repository: repository.to_owned(),
            chart: false,
        };
        let id = format!("image/ghcr.io/{repository}");
        self.component(&id, "image", Scheme::ImageTag, upstream, "workload-image", current, newer)
    }

    #[expect(clippy::too_many_arguments, reason = "what makes a component")]
    pub(crate) fn component(
        mut self,
        id: &str,
        kind: &str,
        scheme: Scheme,
        upstream: UpstreamRef,
        rule: &str,
        current: &str,
        newer: &[&str],
    ) -> Self {
        let current = candidate(current);
        let text = current.version.clone();
        let pin = Pin {
            file: format!("{id}.yaml"),
            line: 1,
            column: 1,
            document: 0,
            route: "/version".to_owned(),
            span: (0, text.len()),
            text: text.clone(),
            rule: rule.to_owned(),
            applied: true,
            ..Pin::default()
        };
        let name = id.rsplit('/').next().unwrap().to_owned();
        let component = Component {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name,
            namespace: None,
            cluster: None,
            given: Given::Exact(text.clone()),
            scheme,
            upstream: Ok(upstream),
            digest: None,
            managed_elsewhere: None,
            tag_prefix: None,
            images: Default::default(),
            warnings: Vec::new(),
            pins: vec![pin],
        };
        let candidates: Vec<Candidate> = newer.iter().map(|text| candidate(text)).collect();
        let newest = candidates.last().map(|newest| newest.version.clone());
        let update_type =
            newest.as_ref().map_or(UpdateType::None, |newest| scheme.update_type(&text, newest));
        let status = if newest.is_some() { Status::UpdateAvailable } else { Status::UpToDate };
        let entry = Entry {
            kind: kind.to_owned(),
            name: component.name.clone(),
            namespace: None,
            cluster: None,
            status,
            reason: None,
            current_version: Some(text),
            available_version: newest,
            resolves_to: None,
            update_type,
            security_update: None,
            security_advisories: Vec::new(),
            breaking_changes: Vec::new(),
            changelog_url: None,
            released_at: None,
            warnings: Vec::new(),
            deep: None,
            upstream: None,
            pins: Vec::new(),
        };
        self.subjects.push(Subject {
            component,
            entry,
            current: Some(current),
            candidates,
            advisories: Vec::new(),
        });
        self
    }

    /// One goes after the other.
    pub(crate) fn depends(mut self, from: &str, to: &str) -> Self {
        let why = format!("{from} depends on {to}");
        self.dependencies.push(Dependency { from: from.to_owned(), to: to.to_owned(), why });
        self
    }

    /// A gate (`Err`) or an approval for one version of a component.
    pub(crate) fn policy(mut self, id: &str, version: &str, says: Result<Approval, &'static str>) -> Self {
        self.policy.push((id.to_owned(), version.to_owned(), says));
        self
    }

    pub(crate) fn gate(mut self, kind: UpdateType, approval: Approval) -> Self {
        self.gates.push((kind, approval));
        self
    }

    pub(crate) fn facts(mut self, facts: Facts) -> Self {
        self.facts = Some(facts);
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan_asking(&RefCell::default())
    }

    /// Plans, and remembers how often policy was asked.
    pub(crate) fn plan_asking(&self, asked: &RefCell<usize>) -> Plan {
        let policy = |considered: &Considered<'_>| {
            *asked.borrow_mut() += 1;
            self.admit(considered)
        };
        let rules: &[Rule] = self.registry.rules();
        plan(&Input {
            subjects: &self.subjects,
            rules,
            policy: &policy,
            ranges: &|_| Applied { value: RangeEdits::Keep, by: "policy.ranges".to_owned() },
            ignored_by: &|_| "detection.ignore".to_owned(),
            dependencies: &self.dependencies,
            removed_apis: &|after, up_to| {
                let uses = self.removed.iter().filter(|(minor, _)| (after + 1..=up_to).contains(minor));
                uses.map(|(_, found)| found.clone()).collect()
            },
            uses_of: &|api| self.uses.iter().filter(|found| found.api_version == api).cloned().collect(),
            observed: self.facts.as_ref().map(|facts| Observed { facts, source: "file" }),
            situation: Situation {
                updates: &self.updates,
                unrecorded: &self.unrecorded,
                groundless: &self.groundless,
                holds: &|step| {
                    let hold = Hold {
                        gate: "window",
                        reason: "no window is open".to_owned(),
                        policy_applied: "windows".to_owned(),
                        until: self.opens,
                        is_asked_again: false,
                    };
                    if self.stopped.contains(&step.id) { vec![hold] } else { Vec::new() }
                },
                asked: &self.asked,
            },
            concurrency: self.concurrency,
            now: self.now,
        })
    }

    fn admit(&self, considered: &Considered<'_>) -> Admission {
        let version = considered.candidate.version.as_str();
        let own = self.policy.iter().find(|(id, of, _)| id == considered.component && of == version);
        let by_kind = self.gates.iter().find(|(kind, _)| *kind == considered.update_type);
        let says = own.map(|(.., says)| *says).or(by_kind.map(|(_, approval)| Ok(*approval)));
        match says.unwrap_or(Ok(Approval::Review)) {
            Ok(Approval::Skip) => Admission::Hold(Hold {
                gate: "skip",
                reason: format!("{} is skipped", considered.update_type.as_str()),
                policy_applied: "policy.semver_gates".to_owned(),
                until: None,
                is_asked_again: false,
            }),
            Ok(approval) => Admission::Allow {
                approval,
                policy_applied: "policy.semver_gates".to_owned(),
                reasons: Vec::new(),
            },
            Err(gate) => Admission::Hold(Hold {
                gate,
                reason: format!("{version} is held"),
                policy_applied: format!("policy.{gate}"),
                until: None,
                is_asked_again: false,
            }),
        }
    }
}

/// `version`, `version day`, `version [kubeVersion]`.
fn candidate(text: &str) -> Candidate {
    let (text, kube_version) = match text.split_once(" [") {
        Some((text, range)) => (text, Some(range.trim_end_matches(']').to_owned())),
        None => (text, None),
    };
    let (version, released_at) = match text.split_once(' ') {
        Some((version, date)) => (version, day(date)),
        None => (text, day("2026-01-01")),
    };
    Candidate {
        version: version.to_owned(),
        released_at: Some(released_at),
        kube_version,
        ..Candidate::default()
    }
}
