//! What is known of the cluster and the branch at one moment: everything that was seen, and what is not seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::commits::Commits;
use super::kind::Kind;
use super::line::{Change, Commit, CommitStatus, Header, Line, Moment, Probe, Seen};
use super::object::{Detail, Object};

/// Outages that are remembered; older ones run together with the next.
const OUTAGES: usize = 64;

/// Commit statuses that are remembered.
const STATUSES: usize = 4096;

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct World {
    now: Moment,
    started_at: Timestamp,
    objects: BTreeMap<Kind, BTreeMap<String, BTreeMap<String, Object>>>,
    watching: BTreeSet<Kind>,
    absent: BTreeSet<Kind>,
    unseen: BTreeMap<Kind, String>,
    namespaces: Option<BTreeSet<String>>,
    outages: Vec<Outage>,
    commits: Commits,
    statuses: BTreeMap<(String, String), CommitStatus>,
    /// The last result of each, when it came, and how many were bad since the last good one.
    probes: BTreeMap<String, (Moment, Probe, u32)>,
    disturbed: Option<Moment>,
    /// What was said of objects at this very moment, by the number of its version.
    at_once: BTreeMap<(Kind, String, String), u64>,
}

/// A time in which something was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When sight was lost.
    pub from: Moment,
    /// When it was back; `None` while it is lost.
    pub to: Option<Moment>,
    /// Which kinds; `None` for all.
    pub kinds: Option<BTreeSet<Kind>>,
}

impl Outage {
    fn is_of(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

/// Whether objects of a kind are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<'a> {
    /// They are.
    Seen,
    /// The cluster does not have the kind: checks of it do not apply.
    Absent,
    /// They may not be read.
    Unseen {
        /// For people, with the RBAC rule that is missing.
        reason: &'a str,
    },
    /// Sight was lost; what is known is old.
    Lost {
        /// Since when.
        since: Moment,
    },
    /// Nobody looks at them.
    NotWatched,
}

impl World {
    /// A world of which nothing is known yet.
    pub fn new(started_at: Timestamp) -> Self {
        Self { started_at, ..Self::default() }
    }

    /// Takes in what was seen. A line that says an earlier time than the last counts as of the last.
    pub fn take(&mut self, line: Line<Object>) {
        self.advance(line.t);
        match line.seen {
            Seen::Header(header) => self.begin(header),
            Seen::Event { change, object, initial: _ } => self.event(change, object),
            Seen::Commit(commit) => self.commits.add(commit),
            Seen::View { back, kinds } => self.view(back, kinds.as_deref()),
            Seen::Probe(probe) => {
                let before = self.probes.get(&probe.name).map_or(0, |(_, _, bad)| *bad);
                let bad = match probe.ok {
                    Some(true) => 0,
                    Some(false) => before.saturating_add(1),
                    None => before,
                };
                self.probes.insert(probe.name.clone(), (self.now, probe, bad));
            }
            Seen::Status(status) => {
                if self.statuses.len() < STATUSES {
                    self.statuses.insert((status.sha.clone(), status.context.clone()), status);
                }
            }
            Seen::Update(_) | Seen::Config(_) | Seen::Over(_) | Seen::Note(_) | Seen::Unknown => {}
        }
    }

    /// Lets time go on; it never goes back.
    pub fn advance(&mut self, to: Moment) {
        if to > self.now {
            self.now = to;
            self.at_once.clear();
        }
    }

    /// The moment.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The time on the clock at a moment.
    pub fn wall_at(&self, moment: Moment) -> Timestamp {
        self.started_at.saturating_add(SignedDuration::from_millis(moment.0)).unwrap_or(self.started_at)
    }

    /// The moment of a time on the clock.
    pub fn moment_of(&self, time: Timestamp) -> Moment {
        Moment(i64::try_from(time.duration_since(self.started_at).as_millis()).unwrap_or(i64::MAX))
    }

    /// The time on the clock.
    pub fn wall(&self) -> Timestamp {
        self.wall_at(self.now)
    }

    /// An object; `namespace` is empty where the kind has none.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.objects.get(&kind)?.get(namespace)?.get(name)
    }

    /// Every object of a kind, by namespace and name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects
            .get(&kind)
            .into_iter()
            .flat_map(|by_namespace| by_namespace.values())
            .flat_map(BTreeMap::values)
    }

    /// Every object of a kind in a namespace, by name.
    pub fn of_namespace(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Object> {
        self.objects
            .get(&kind)
            .and_then(|by_namespace| by_namespace.get(namespace))
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Whether objects of a kind are seen.
    pub fn sees(&self, kind: Kind) -> Sight<'_> {
        if self.absent.contains(&kind) {
            return Sight::Absent;
        }
        if let Some(reason) = self.unseen.get(&kind) {
            return Sight::Unseen { reason };
        }
        if !self.watching.contains(&kind) {
            return Sight::NotWatched;
        }
        let lost = self.outages.iter().filter(|outage| outage.to.is_none() && outage.is_of(kind));
        match lost.map(|outage| outage.from).min() {
            Some(since) => Sight::Lost { since },
            None => Sight::Seen,
        }
    }

    /// Whether a namespace is watched; the empty one always is.
    pub fn sees_namespace(&self, namespace: &str) -> bool {
        namespace.is_empty() || self.namespaces.as_ref().is_none_or(|watched| watched.contains(namespace))
    }

    /// Times in which something was not seen, the oldest first.
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// When sight of any of these kinds was lost last or came back last, at or after a moment; `None` where all of them
    /// were seen all the time. While it is lost, that is now.
    pub fn blind_until(&self, kinds: &[Kind], from: Moment) -> Option<Moment> {
        self.outages
            .iter()
            .filter(|outage| kinds.iter().any(|kind| outage.is_of(*kind)))
            .map(|outage| outage.to.unwrap_or(self.now))
            .filter(|until| *until >= from)
            .max()
    }

    /// A commit that was seen.
    pub fn commit(&self, id: &str) -> Option<&Commit> {
        self.commits.get(id)
    }

    /// Commits.
    pub(super) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// The last result of every probe.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.probes.values().map(|(_, probe, _)| probe)
    }

    /// How often a probe went badly since it last went well.
    pub fn failed_in_a_row(&self, name: &str) -> u32 {
        self.probes.get(name).map_or(0, |(_, _, bad)| *bad)
    }

    /// The last result of a probe, and when it came.
    pub fn probe(&self, name: &str) -> Option<(Moment, &Probe)> {
        self.probes.get(name).map(|(at, probe, _)| (*at, probe))
    }

    /// Commit statuses of a commit.
    pub fn statuses<'a>(&'a self, sha: &'a str) -> impl Iterator<Item = &'a CommitStatus> {
        self.statuses
            .range((sha.to_owned(), String::new())..)
            .take_while(move |((of, _), _)| of == sha)
            .map(|(_, status)| status)
    }

    /// When a node or a controller of Flux restarted, went away or came back last.
    pub fn disturbed(&self) -> Option<Moment> {
        self.disturbed
    }

    fn begin(&mut self, header: Header) {
        let kinds = |labels: &[String]| labels.iter().filter_map(|label| Kind::of_label(label)).collect();
        if let Ok(started_at) = header.started_at.parse() {
            self.started_at = started_at;
        }
        self.watching = kinds(&header.watching);
        self.absent = kinds(&header.absent);
        self.unseen = header
            .unseen
            .into_iter()
            .filter_map(|(label, reason)| Some((Kind::of_label(&label)?, reason)))
            .collect();
        self.namespaces = header.namespaces.map(|namespaces| namespaces.into_iter().collect());
    }

    fn event(&mut self, change: Change, object: Object) {
        // Of two things said of an object at one moment the newer one holds, in whatever order they come. Between
        // moments nothing is concluded from numbers: a restored datastore counts from an earlier one again.
        if let Some(version) =
            object.meta.resource_version.as_deref().and_then(|version| version.parse().ok())
        {
            let key = (object.kind, object.meta.namespace.clone(), object.meta.name.clone());
            let newest = self.at_once.entry(key).or_insert(version);
            if version < *newest {
                return;
            }
            *newest = version;
        }
        if self
            .get(object.kind, &object.meta.namespace, &object.meta.name)
            .is_some_and(|old| disturbs(old, &object))
        {
            self.disturbed = Some(self.now);
        }
        let of_kind = self.objects.entry(object.kind).or_default();
        match change {
            Change::Added | Change::Modified => {
                let of_namespace = of_kind.entry(object.meta.namespace.clone()).or_default();
                of_namespace.insert(object.meta.name.clone(), object);
            }
            Change::Deleted => {
                let Some(of_namespace) = of_kind.get_mut(&object.meta.namespace) else { return };
                // A new one of the same name may have been told already.
                if of_namespace.get(&object.meta.name).is_some_and(|known| known.meta.uid == object.meta.uid)
                {
                    of_namespace.remove(&object.meta.name);
                }
                if of_namespace.is_empty() {
                    of_kind.remove(&object.meta.namespace);
                }
            }
        }
    }

    fn view(&mut self, back: bool, kinds: Option<&[String]>) {
        let kinds: Option<BTreeSet<Kind>> =
            kinds.map(|labels| labels.iter().filter_map(|label| Kind::of_label(label)).collect());
        let now = self.now;
        if !back {
            if self.outages.len() == OUTAGES {
                let second = self.outages.remove(1);
                if let Some(first) = self.outages.first_mut() {
                    *first = Outage { from: first.from, to: second.to, kinds: None };
                }
            }
            self.outages.push(Outage { from: now, to: None, kinds });
            return;
        }
        let mut rest = Vec::new();
        for outage in self.outages.iter_mut().filter(|outage| outage.to.is_none()) {
            if let Some(back) = &kinds {
                // Only a part is seen again.
                let lost = outage.kinds.clone().unwrap_or_else(|| Kind::ALL.iter().copied().collect());
                let still: BTreeSet<Kind> = lost.difference(back).copied().collect();
                if still.len() == lost.len() {
                    continue;
                }
                if !still.is_empty() {
                    rest.push(Outage { from: outage.from, to: None, kinds: Some(still) });
                }
                outage.kinds = Some(lost.intersection(back).copied().collect());
            }
            outage.to = Some(now);
        }
        self.outages.extend(rest);
    }
}

/// Whether a change of an object unsettles what depends on it: a node or a controller of Flux.
fn disturbs(old: &Object, new: &Object) -> bool {
    match (&old.detail, &new.detail) {
        (Detail::Node(was), Detail::Node(is)) => {
            old.is("Ready") != new.is("Ready")
                || was.boot.boot_id != is.boot.boot_id
                || was.kubelet_version != is.kubelet_version
        }
        (Detail::Workload(was), Detail::Workload(is)) => {
            new.kind == Kind::Deployment
                && new.meta.labels.get("app.kubernetes.io/part-of").is_some_and(|of| of == "flux")
                && (was.ready != is.ready || was.updated != is.updated)
        }
        _ => false,
    }
}
