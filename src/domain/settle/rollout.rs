//! A k3s rollout, node by node (system-upgrade-controller `pkg/upgrade`): the controller's own word is only that its Jobs succeeded.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::kind::Kind;
use super::line::{Merged, Moment};
use super::memory::{Baseline, Remembered};
use super::object::{Condition, Detail, Job, Node, Object, Plan};
use super::radius::{Radius, same_version};
use super::readiness::{Failure, State, Then, bounded, reason, unseen};
use super::stop;
use super::verdict::Reason;
use super::world::World;

/// Kinds without which nothing can be said of a rollout.
pub(super) const KINDS: [Kind; 3] = [Kind::Plan, Kind::Node, Kind::Job];

/// Deadline of a Job where neither it nor its Plan says one, in seconds: what the shipped configuration has.
const DEADLINE: i64 = 900;

pub(super) const PLAN_LABEL: &str = "plan.upgrade.cattle.io/";
pub(super) const JOB_PLAN: &str = "upgrade.cattle.io/plan";
pub(super) const JOB_NODE: &str = "upgrade.cattle.io/node";
pub(super) const JOB_VERSION: &str = "upgrade.cattle.io/version";

/// Since when something of a rollout lasts, by what it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Clocks {
    since: BTreeMap<String, Moment>,
    /// Longest absence of a node that came back on the version.
    longest: Duration,
}

impl Clocks {
    /// What the cluster itself says of when something began, where this is the first that is seen of it.
    fn began(&mut self, what: &str, so: bool, said: Option<Moment>, now: Moment) {
        if let Some(said) = said.filter(|_| so) {
            self.since.entry(what.to_owned()).or_insert(said.min(now));
        }
    }

    /// How long something lasts, in sight, when it is so now.
    fn lasts(&mut self, what: &str, so: bool, now: Moment, sighted: Moment) -> Duration {
        if !so {
            self.since.remove(what);
            return Duration::ZERO;
        }
        let since = *self.since.entry(what.to_owned()).or_insert(now);
        now.since(since.max(sighted))
    }
}

/// Records what cannot be reverted: that a node was touched, and which have moved.
pub(super) fn note(world: &World, update: &Merged, radius: &Radius, remembered: &mut Remembered) {
    // The same Jobs and versions may have been there before.
    let before = |node: &str| {
        remembered.baseline.as_ref().and_then(|baseline| baseline.kubelets.get(node)).map(String::as_str)
    };
    let mut moved = Vec::new();
    for (name, node) in nodes(world) {
        let is_new = same_version(&node.kubelet_version, &update.to);
        if is_new && !before(name).is_some_and(|before| same_version(before, &update.to)) {
            moved.push(name.to_owned());
        }
    }
    let started = plans(world, radius)
        .any(|(_, plan)| same_version(&plan.latest_version, &update.to) && !plan.applying.is_empty())
        || plans(world, radius).any(|(object, plan)| {
            let label = format!("{PLAN_LABEL}{}", object.meta.name);
            same_version(&plan.latest_version, &update.to)
                && !plan.latest_hash.is_empty()
                && world.of(Kind::Node).any(|node| node.meta.labels.get(&label) == Some(&plan.latest_hash))
        })
        || jobs(world, radius, &update.to).any(|(object, _)| {
            // A Job from before the merge is of an earlier run.
            object.meta.creation_timestamp.is_none_or(|made| {
                remembered.merged_at.is_none_or(|merged| {
                    made.saturating_add(jiff::SignedDuration::from_secs(2)).is_ok_and(|made| made >= merged)
                })
            })
        });
    let blind = KINDS.iter().any(|kind| unseen(world, *kind).is_some());
    remembered.node_touched |= started || !moved.is_empty() || blind;
    remembered.nodes_moved.extend(moved);
}

/// How far the rollout to a version is. What failed before `taken_up` was known to the person who took it up again, and
/// is told until the controller goes on.
pub(super) fn progress(
    world: &World,
    radius: &Radius,
    version: &str,
    remembered: &Remembered,
    clocks: &mut Clocks,
    patience: Duration,
) -> State {
    let (baseline, taken_up) = (remembered.baseline.as_ref(), remembered.taken_up_at);
    if let Some(unseen) = KINDS.iter().find_map(|kind| unseen(world, *kind)) {
        return State::Unseen(unseen);
    }
    let mut pending = None;
    let mut failing = None;
    let mut stopped = None;
    let mut wait = |reason: Reason| {
        pending.get_or_insert(reason);
    };
    let mut fail = |reason: Reason| {
        failing.get_or_insert(Failure { reason, then: Then::GivesUp, at: None });
    };
    let now = world.now();
    let sighted = world.blind_until(&KINDS, Moment(i64::MIN)).unwrap_or(Moment(i64::MIN));
    let mut any = false;
    for (object, plan) in plans(world, radius) {
        any = true;
        let title = || Some(object.title());
        if !same_version(&plan.version, version) {
            wait(reason("not_applied", title(), format!("does not ask for {version} yet")));
            continue;
        }
        for condition in ["Validated", "LatestResolved"] {
            if let Some(condition) = object.condition(condition).filter(|condition| condition.is_false()) {
                fail(reason(
                    "plan_invalid",
                    title(),
                    format!("{}: {}", condition.type_, bounded(&condition.message)),
                ));
            }
        }
        // A Plan has no observedGeneration: until its status has the version, it speaks of the old one.
        if !same_version(&plan.latest_version, version) {
            wait(reason("not_applied", title(), "its version is not resolved yet"));
            continue;
        }
        let rolling = stop::rolling(world, object, plan, version);
        if rolling.concurrency <= 0 && !rolling.to_go.is_empty() {
            // It says `Complete` all the same.
            let nodes = rolling.to_go.join(", ");
            let text = format!("its concurrency is 0: {nodes} will not follow");
            stopped.get_or_insert(reason("rollout_stopped", title(), text));
        }
        match object.condition("Complete") {
            Some(complete)
                if complete.is_false()
                    && complete.reason == "JobFailed"
                    && is_before(taken_up, complete)
                    && clocks.lasts(&format!("taken up {}", object.title()), true, now, sighted)
                        <= patience =>
            {
                let text =
                    "its Job had failed before it was taken up again; waits for the controller to go on";
                stopped.get_or_insert(reason("taken_up", title(), text));
            }
            Some(complete) if complete.is_false() && complete.reason == "JobFailed" => {
                fail(reason("job_failed", title(), format!("a Job failed: {}", bounded(&complete.message))));
            }
            Some(complete) if complete.is_true() && plan.applying.is_empty() => {}
            _ => wait(reason("rolling_out", title(), format!("is on its way: {}", plan.applying.join(", ")))),
        }
        nodes_of(
            world,
            &mut Nodes { object, plan, version, baseline, clocks, patience, now, sighted },
            &mut wait,
            &mut fail,
        );
    }
    for (object, _) in jobs(world, radius, version) {
        let failed = object.condition("Failed").filter(|failed| failed.is_true());
        if let Some(failed) = failed.filter(|failed| !is_before(taken_up, failed)) {
            fail(reason(
                "job_failed",
                Some(object.title()),
                format!("{}: {}", failed.reason, bounded(&failed.message)),
            ));
        }
    }
    // Waiting for anything else is in vain then.
    match (failing, stopped.or(pending)) {
        (Some(failure), _) => State::Failing(failure),
        (None, Some(reason)) => State::Pending(reason),
        (None, None) if any => State::Applied,
        (None, None) => State::Pending(reason("not_found", None, "no Plan has the version")),
    }
}

/// Whether a condition is from before a person took the update up again.
fn is_before(taken_up: Option<Timestamp>, condition: &Condition) -> bool {
    let at = condition.last_update_time.or(condition.last_transition_time);
    taken_up.zip(at).is_some_and(|(taken_up, at)| at <= taken_up)
}

struct Nodes<'a> {
    object: &'a Object,
    plan: &'a Plan,
    version: &'a str,
    baseline: Option<&'a Baseline>,
    clocks: &'a mut Clocks,
    patience: Duration,
    now: Moment,
    sighted: Moment,
}

fn nodes_of(world: &World, of: &mut Nodes<'_>, wait: &mut impl FnMut(Reason), fail: &mut impl FnMut(Reason)) {
    let label = format!("{PLAN_LABEL}{}", of.object.meta.name);
    let mut any = false;
    for object in world.of(Kind::Node) {
        let Detail::Node(node) = &object.detail else { continue };
        let hash = object.meta.labels.get(&label).map(String::as_str);
        if !of.plan.selector.fits(&object.meta.labels) || hash == Some("disabled") {
            continue;
        }
        any = true;
        let name = object.meta.name.as_str();
        let ready = object.is("Ready");
        let moved = same_version(&node.kubelet_version, of.version);
        let done = hash == Some(of.plan.latest_hash.as_str());
        let title = || Some(object.title());
        let said = object.condition("Ready").and_then(|ready| ready.last_transition_time);
        of.clocks.began(
            &format!("away {} {name}", of.object.title()),
            !ready,
            said.map(|at| world.moment_of(at)),
            of.now,
        );
        let away = of.lasts("away", name, !ready);
        if ready && moved {
            of.clocks.longest = of.clocks.longest.max(away);
        }
        // What other nodes of the same rollout needed says more than a setting.
        let patience = of.patience.max(of.clocks.longest * 3);
        let old = of.lasts("old", name, done && ready && !moved);
        let cordoned =
            node.unschedulable && !of.baseline.is_some_and(|baseline| baseline.cordoned.contains(name));
        let left = of.lasts("cordoned", name, cordoned && ready && moved);
        let running = of.lasts("applying", name, of.plan.applying.iter().any(|applying| applying == name));
        if !ready {
            if away > patience {
                fail(reason("node_away", title(), format!("has been away for {} s", away.as_secs())));
            }
            wait(reason("node_away", title(), "is not Ready"));
        } else if !moved || !done {
            if old > patience {
                fail(reason(
                    "node_not_moved",
                    title(),
                    format!("its Job succeeded, and it still runs {}", node.kubelet_version),
                ));
            }
            if running > of.deadline(world, name) + patience {
                fail(reason("job_stuck", title(), format!("is being changed for {} s", running.as_secs())));
            }
            wait(reason("node_waits", title(), format!("runs {}", node.kubelet_version)));
        } else if cordoned {
            if left > patience {
                fail(reason("node_cordoned", title(), "was left cordoned"));
            }
            wait(reason("node_cordoned", title(), "is cordoned"));
        }
    }
    if !any {
        wait(reason("no_node", Some(of.object.title()), "selects no node"));
    }
}

impl Nodes<'_> {
    fn lasts(&mut self, what: &str, node: &str, so: bool) -> Duration {
        let key = format!("{what} {} {node}", self.object.title());
        // How long it was away is known only before the clock is stopped.
        let before = self.clocks.since.get(&key).copied();
        let lasts = self.clocks.lasts(&key, so, self.now, self.sighted);
        match before {
            Some(since) if !so && what == "away" => self.now.since(since.max(self.sighted)),
            _ => lasts,
        }
    }

    /// How long the Job on a node may take.
    fn deadline(&self, world: &World, node: &str) -> Duration {
        let of_node = world.of_namespace(Kind::Job, &self.object.meta.namespace).find_map(|object| {
            match &object.detail {
                Detail::Job(job)
                    if is(object, JOB_PLAN, &self.object.meta.name) && is(object, JOB_NODE, node) =>
                {
                    job.deadline_seconds
                }
                _ => None,
            }
        });
        let seconds = of_node.or(self.plan.deadline_seconds).unwrap_or(DEADLINE);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

/// A Plan that says it is complete, though a node that it selects runs another version: it was reverted.
pub(super) fn contradiction(world: &World, radius: &Radius) -> Option<Reason> {
    let mut all_complete = None;
    let mut other = None;
    for (object, plan) in plans(world, radius) {
        let complete = object.is("Complete")
            && plan.applying.is_empty()
            && same_version(&plan.version, &plan.latest_version);
        all_complete = Some(all_complete.unwrap_or(true) && complete);
        for node in world.of(Kind::Node).filter(|node| plan.selector.fits(&node.meta.labels)) {
            if let Detail::Node(detail) = &node.detail
                && !same_version(&detail.kubelet_version, &plan.version)
            {
                let text = format!(
                    "runs {}, and its Plan says that it is complete at {}",
                    detail.kubelet_version, plan.version
                );
                other.get_or_insert(reason("node_differs", Some(node.title()), text));
            }
        }
    }
    other.filter(|_| all_complete == Some(true))
}

fn plans<'w>(world: &'w World, radius: &'w Radius) -> impl Iterator<Item = (&'w Object, &'w Plan)> {
    radius.plans.iter().filter_map(|(namespace, name)| {
        let object = world.get(Kind::Plan, namespace, name)?;
        match &object.detail {
            Detail::Plan(plan) => Some((object, plan.as_ref())),
            _ => None,
        }
    })
}

/// Jobs of the Plans for a version.
fn jobs<'w>(
    world: &'w World,
    radius: &'w Radius,
    version: &'w str,
) -> impl Iterator<Item = (&'w Object, &'w Job)> {
    plans(world, radius).flat_map(move |(plan, _)| {
        world.of_namespace(Kind::Job, &plan.meta.namespace).filter_map(move |object| match &object.detail {
            Detail::Job(job)
                if is(object, JOB_PLAN, &plan.meta.name)
                    && object.meta.labels.get(JOB_VERSION).is_some_and(|of| same_version(of, version)) =>
            {
                Some((object, job.as_ref()))
            }
            _ => None,
        })
    })
}

pub(super) fn nodes(world: &World) -> impl Iterator<Item = (&str, &Node)> {
    world.of(Kind::Node).filter_map(|object| match &object.detail {
        Detail::Node(node) => Some((object.meta.name.as_str(), node.as_ref())),
        _ => None,
    })
}

fn is(object: &Object, label: &str, value: &str) -> bool {
    object.meta.labels.get(label).is_some_and(|is| is == value)
}
