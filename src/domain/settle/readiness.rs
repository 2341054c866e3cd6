//! Whether objects are where a commit wants them: what their status says, and of what it says it.
//!
//! A condition alone proves nothing: it may speak of an older generation or revision. What names the revision (or the
//! chart's version in the history of a release) must agree with it.

use std::time::Duration;

use super::commits::commit_of;
use super::kind::Kind;
use super::object::{Condition, CrossReference, Detail, HelmRelease, Kustomization, Object, Source, title};
use super::radius::{or, same_version};
use super::redact::redacted;
use super::verdict::Reason;
use super::world::{Sight, World};

/// How an object stands to what is wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It is there, and good when it was looked at last.
    Applied,
    /// On its way, or nothing can be said.
    Pending(Reason),
    /// Nothing is done with it.
    Suspended(Reason),
    /// It failed.
    Failing(Failure),
    /// It cannot be looked at.
    Unseen(Reason),
}

/// A failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// What failed.
    pub reason: Reason,
    /// What the controller does about it.
    pub then: Then,
    /// Commit that it failed at, where it has one.
    pub at: Option<String>,
}

/// What the controller does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It has given up.
    GivesUp,
    /// It tries again, a limited number of times.
    TriesAgain,
    /// It tries no more, and puts things in order before it says so; `within` is how long that may take.
    Ends {
        /// Time that it may take.
        within: Duration,
    },
    /// It tries again for ever; `within` is how long one try may take.
    ForEver {
        /// Time that one try may take.
        within: Duration,
        /// It waited for the health of what it applied: what it waited for can say more.
        health: bool,
    },
}

pub(super) fn reason(code: &str, object: Option<String>, text: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), object, text: text.into() }
}

/// Whether a Kustomization has applied a commit.
pub(super) fn kustomization(world: &World, key: (&str, &str), commit: &str) -> State {
    applies(world, key, |revision| contains(world, revision, commit) == Some(true))
}

/// Whether a Kustomization has applied something of which nobody knows how it stands to a commit.
pub(super) fn is_ahead(world: &World, (namespace, name): (&str, &str), commit: &str) -> bool {
    get_kustomization(world, namespace, name).is_some_and(|(_, detail)| {
        commit_of(&detail.last_applied).is_some() && contains(world, &detail.last_applied, commit).is_none()
    })
}

/// Whether a Kustomization has applied a version of the source that it is built from.
pub(super) fn built(world: &World, key: (&str, &str), version: &str) -> State {
    // Where a digest stands beside the tag it takes its place, and revisions name no tag: it must have what the source has.
    let by_digest = source_of(world, key).filter(|source| is_digest(&source.wants));
    let offered = by_digest.and_then(|source| source.artifact.as_ref()).map(|artifact| &artifact.revision);
    let has = |revision: &str| match (by_digest, offered) {
        (Some(_), offered) => !revision.is_empty() && offered.is_some_and(|offered| offered == revision),
        (None, _) => is_of(revision, version),
    };
    match applies(world, key, has) {
        // Its revisions are no commits of the repository that the update is in.
        State::Failing(failure) => State::Failing(Failure { at: None, ..failure }),
        state => state,
    }
}

fn source_of<'w>(world: &'w World, (namespace, name): (&str, &str)) -> Option<&'w Source> {
    let (object, detail) = get_kustomization(world, namespace, name)?;
    let reference = &detail.source_ref;
    let kind = Kind::ALL.iter().copied().find(|kind| kind.name() == reference.kind)?;
    let source = world.get(kind, or(&reference.namespace, &object.meta.namespace), &reference.name)?;
    match &source.detail {
        Detail::Source(source) => Some(source),
        _ => None,
    }
}

/// `sha256:…`.
fn is_digest(wanted: &str) -> bool {
    wanted.contains(':')
}

/// Whether a release that is made of a chart in a Git repository is as it should be: its version says nothing.
pub(super) fn made(world: &World, (namespace, name): (&str, &str)) -> State {
    let name_of = title(Kind::HelmRelease, namespace, name);
    if let Some(unseen) = unseen(world, Kind::HelmRelease) {
        return State::Unseen(unseen);
    }
    let Some(object) = world.get(Kind::HelmRelease, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    if matches!(&object.detail, Detail::HelmRelease(detail) if detail.suspend) {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    match object.condition("Ready").filter(|ready| speaks_of(ready, object)) {
        Some(ready) if ready.is_true() && object.observed_generation == object.meta.generation => {
            State::Applied
        }
        Some(ready) if ready.is_false() => {
            let text = format!("{}: {}", ready.reason, bounded(&ready.message));
            State::Pending(reason("not_ready", Some(name_of), text))
        }
        _ => State::Pending(reason("in_progress", Some(name_of), "is being reconciled")),
    }
}

/// Whether a revision of a source (`v1.2.3@sha1:…`, `1.2.3@sha256:…`, `sha1:…`) is that of a version, a commit or a
/// digest.
fn is_of(revision: &str, version: &str) -> bool {
    let (name, hash) = revision.split_once('@').unwrap_or(("", revision));
    let bare = |text: &str| text.rsplit_once(':').map_or(text, |(_, hash)| hash).to_owned();
    same_version(name, version) || (!version.is_empty() && bare(hash) == bare(version))
}

/// Whether a Flux source has a version.
pub(super) fn source(world: &World, kind: Kind, (namespace, name): (&str, &str), version: &str) -> State {
    if let Some(unseen) = unseen(world, kind) {
        return State::Unseen(unseen);
    }
    let name_of = title(kind, namespace, name);
    let Some(object) = world.get(kind, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    let Detail::Source(detail) = &object.detail else {
        return State::Pending(reason("not_found", Some(name_of), "cannot be read"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let artifact = detail.artifact.as_ref().map_or("", |artifact| &artifact.revision);
    // The digest beside the tag takes its place, and is the one that Git has where what applies the source is there.
    if is_digest(&detail.wants) && is_of(artifact, &detail.wants) {
        return State::Applied;
    }
    if !is_digest(&detail.wants) && !same_version(&detail.wants, version) {
        let text = format!("does not ask for {version} yet");
        return State::Pending(reason("not_applied", Some(name_of), text));
    }
    if is_of(artifact, version) {
        return State::Applied;
    }
    let failed = object.condition("Ready").filter(|ready| ready.is_false() && speaks_of(ready, object));
    match failed {
        // The host answers for another one: it is this version that cannot be had.
        Some(ready)
            if ready.reason != "Progressing"
                && !others_fail(world, object)
                && another_is_good(world, object) =>
        {
            State::Failing(Failure {
                reason: reason(&snake(&ready.reason), Some(name_of), bounded(&ready.message)),
                then: Then::ForEver { within: Duration::ZERO, health: false },
                at: None,
            })
        }
        _ => State::Pending(reason(
            "in_progress",
            Some(name_of),
            format!("is still at {}", or(artifact, "no revision")),
        )),
    }
}

fn applies(world: &World, (namespace, name): (&str, &str), has: impl Fn(&str) -> bool) -> State {
    let name_of = title(Kind::Kustomization, namespace, name);
    if let Some(unseen) = unseen(world, Kind::Kustomization) {
        return State::Unseen(unseen);
    }
    let Some((object, detail)) = get_kustomization(world, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let ready = object.condition("Ready");
    let current = ready.is_some_and(|ready| speaks_of(ready, object));
    let applied = (has(&detail.last_applied) || has(&detail.last_applied_origin))
        && object.observed_generation == object.meta.generation;
    let attempted = has(&detail.last_attempted);
    if let Some(ready) = ready.filter(|ready| ready.is_false() && current && attempted)
        && let Some(health) = fails_for_good(&ready.reason)
    {
        let failed = reason(&snake(&ready.reason), Some(name_of), bounded(&ready.message));
        return State::Failing(Failure {
            reason: failed,
            then: if health {
                Then::ForEver { within: duration(&detail.timeout, &detail.interval), health }
            } else {
                Then::ForEver { within: Duration::ZERO, health }
            },
            at: commit_of(&detail.last_attempted).map(str::to_owned),
        });
    }
    if applied {
        return State::Applied;
    }
    let text = match ready {
        Some(ready) if ready.is_false() => format!("{}: {}", ready.reason, bounded(&ready.message)),
        _ if attempted => "is being applied".to_owned(),
        _ => format!("is still at {}", or(short(&detail.last_applied), "no revision")),
    };
    let code = match ready {
        Some(ready) if ready.is_false() && ready.reason == "DependencyNotReady" => "dependency_not_ready",
        _ if attempted => "in_progress",
        _ => "not_applied",
    };
    State::Pending(reason(code, Some(name_of), text))
}

/// Whether a reason of a Kustomization's failure is about what it applies, and then whether it is about health.
fn fails_for_good(reason: &str) -> Option<bool> {
    match reason {
        // The source's, another object's, or an interruption: says nothing of this commit.
        "ArtifactFailed" | "DependencyNotReady" | "HealthCheckCanceled" | "Progressing" | "Suspended" => None,
        "HealthCheckFailed" => Some(true),
        _ => Some(false),
    }
}

/// Whether a release runs a chart version.
pub(super) fn release(world: &World, (namespace, name): (&str, &str), version: &str) -> State {
    let name_of = title(Kind::HelmRelease, namespace, name);
    if let Some(unseen) = unseen(world, Kind::HelmRelease) {
        return State::Unseen(unseen);
    }
    let Some(object) = world.get(Kind::HelmRelease, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    let Detail::HelmRelease(detail) = &object.detail else {
        return State::Pending(reason("not_found", Some(name_of), "cannot be read"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let source = ChartSource::of(world, object, detail);
    if !source.wants(version) {
        return State::Pending(reason(
            "not_applied",
            Some(name_of),
            format!("does not ask for {version} yet"),
        ));
    }
    if let Some(failed) = source.failure(version) {
        return State::Failing(failed);
    }
    let current = |condition: &&Condition| speaks_of(condition, object);
    let ready = object.condition("Ready").filter(current);
    let newest = detail.history.first();
    if ready.is_some_and(Condition::is_true)
        && object.observed_generation == object.meta.generation
        && newest
            .is_some_and(|newest| newest.status == "deployed" && source.is_of(&newest.chart_version, version))
    {
        return State::Applied;
    }
    let Some(failed) = ready.filter(|ready| ready.is_false()) else {
        let text = match newest {
            Some(newest) if !source.is_of(&newest.chart_version, version) => {
                format!("still runs chart {}", newest.chart_version)
            }
            _ => "is being reconciled".to_owned(),
        };
        let code = if ready.is_some() { "in_progress" } else { "not_applied" };
        return State::Pending(reason(code, Some(name_of), text));
    };
    // With a chartRef the generation does not move with the version: a failure may be of the old one.
    let tried = source.is_of(&detail.last_attempted_revision, version);
    if matches!(
        failed.reason.as_str(),
        "SourceNotReady" | "DependencyNotReady" | "ArtifactFailed" | "Progressing"
    ) || !tried
    {
        return State::Pending(reason(
            "not_applied",
            Some(name_of),
            format!("{}: {}", failed.reason, bounded(&failed.message)),
        ));
    }
    let stored = detail.history.iter().any(|release| {
        source.is_of(&release.chart_version, version)
            && matches!(release.status.as_str(), "failed" | "uninstalled")
    });
    let within = duration(&detail.timeout, "");
    let then = if object.condition("Stalled").filter(current).is_some_and(Condition::is_true) {
        Then::GivesUp
    } else {
        match detail.retries {
            // What fails before a release is stored is not counted, and tried again for ever.
            Some(retries) if stored && detail.failures <= retries => Then::TriesAgain,
            // It may also have been interrupted and never say so.
            Some(_) if stored => Then::Ends { within },
            _ => Then::ForEver { within: Duration::ZERO, health: false },
        }
    };
    let text = format!("{} at chart {version}: {}", failed.reason, bounded(&failed.message));
    State::Failing(Failure { reason: reason(&snake(&failed.reason), Some(name_of), text), then, at: None })
}

/// Where a release has its chart from.
struct ChartSource<'w> {
    world: &'w World,
    detail: &'w HelmRelease,
    /// The object that holds the chart, where it is seen.
    source: Option<&'w Object>,
}

impl<'w> ChartSource<'w> {
    fn of(world: &'w World, release: &'w Object, detail: &'w HelmRelease) -> Self {
        let referred = |reference: &CrossReference| {
            let kind = Kind::ALL.iter().copied().find(|kind| kind.name() == reference.kind)?;
            world.get(kind, or(&reference.namespace, &release.meta.namespace), &reference.name)
        };
        let source = match &detail.chart_ref {
            Some(reference) => referred(reference),
            None => detail
                .helm_chart
                .split_once('/')
                .and_then(|(namespace, name)| world.get(Kind::HelmChart, namespace, name)),
        };
        Self { world, detail, source }
    }

    fn wanted(&self) -> Option<&str> {
        match self.source.map(|source| &source.detail) {
            Some(Detail::Source(source)) => Some(source.wants.as_str()),
            _ => None,
        }
    }

    /// Whether the version is asked for: what Git says has arrived.
    fn wants(&self, version: &str) -> bool {
        if self.detail.chart_ref.is_none() {
            return same_version(&self.detail.version, version);
        }
        // A digest beside the tag takes its place; the history tells then.
        self.wanted().is_none_or(|wanted| wanted.contains(':') || same_version(wanted, version))
    }

    /// Whether a chart version in the status is the wanted one; from an OCIRepository it carries a digest.
    fn is_of(&self, chart_version: &str, version: &str) -> bool {
        if same_version(chart_version, version) {
            return true;
        }
        if self.detail.chart_ref.is_none() {
            return false;
        }
        chart_version.rsplit_once('+').is_some_and(|(of, digest)| {
            same_version(of, version)
                && digest.len() >= 12
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// The version cannot be had.
    fn failure(&self, version: &str) -> Option<Failure> {
        let source = self.source?;
        self.wanted().filter(|wanted| same_version(wanted, version))?;
        let ready = source.condition("Ready").filter(|ready| ready.is_false() && speaks_of(ready, source))?;
        let stalled = source
            .condition("Stalled")
            .is_some_and(|stalled| stalled.is_true() && speaks_of(stalled, source));
        if !stalled && (ready.reason == "Progressing" || others_fail(self.world, source)) {
            return None;
        }
        Some(Failure {
            reason: reason(
                "chart_not_available",
                Some(source.title()),
                format!("{}: {}", ready.reason, bounded(&ready.message)),
            ),
            then: if stalled {
                Then::GivesUp
            } else {
                Then::ForEver { within: Duration::ZERO, health: false }
            },
            at: None,
        })
    }
}

/// Sources that the update did not change fail as well: the network does, or the registry.
fn others_fail(world: &World, source: &Object) -> bool {
    world.of(source.kind).any(|other| {
        other.key() != source.key()
            && other.condition("Ready").is_some_and(|ready| ready.is_false() && speaks_of(ready, other))
            && host(other) == host(source)
    })
}

/// A source of the same host is as it should be: the host can be reached.
fn another_is_good(world: &World, source: &Object) -> bool {
    world
        .of(source.kind)
        .any(|other| other.key() != source.key() && other.is("Ready") && host(other) == host(source))
}

fn host(source: &Object) -> Option<&str> {
    match &source.detail {
        Detail::Source(source) => source.url.split_once("://")?.1.split('/').next(),
        _ => None,
    }
}

/// Whether a workload has rolled out its newest template.
pub(super) fn workload(world: &World, kind: Kind, (namespace, name): (&str, &str)) -> State {
    if let Some(unseen) = unseen(world, kind) {
        return State::Unseen(unseen);
    }
    let name_of = title(kind, namespace, name);
    let Some(object) = world.get(kind, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    match rollout(object) {
        None => State::Applied,
        Some(text) => State::Pending(reason("rolling_out", Some(name_of), text)),
    }
}

/// What is missing until a workload has rolled out its newest template.
pub(super) fn rollout(object: &Object) -> Option<String> {
    let Detail::Workload(detail) = &object.detail else { return Some("cannot be read".to_owned()) };
    if object.observed_generation != object.meta.generation {
        return Some("its newest template is not seen yet".to_owned());
    }
    if detail.paused {
        return Some("its rollout is paused".to_owned());
    }
    // Nothing is rolled out by itself then.
    if detail.strategy != "OnDelete" && detail.updated < detail.desired {
        return Some(format!("{} of {} pods are of the newest template", detail.updated, detail.desired));
    }
    (detail.available < detail.desired)
        .then(|| format!("{} of {} pods are available", detail.available, detail.desired))
}

/// Why objects of a kind cannot be looked at, where they cannot.
pub(super) fn unseen(world: &World, kind: Kind) -> Option<Reason> {
    match world.sees(kind) {
        Sight::Seen => None,
        Sight::Lost { since } => {
            let seconds = world.now().since(since).as_secs();
            Some(reason("out_of_sight", Some(kind.label()), format!("not seen for {seconds} s")))
        }
        Sight::Unseen { reason: why } => Some(reason("not_observed", Some(kind.label()), bounded(why))),
        Sight::Absent => {
            Some(reason("not_observed", Some(kind.label()), "the cluster does not have the kind"))
        }
        Sight::NotWatched => Some(reason("not_observed", Some(kind.label()), "is not watched")),
    }
}

pub(super) fn get_kustomization<'w>(
    world: &'w World,
    namespace: &str,
    name: &str,
) -> Option<(&'w Object, &'w Kustomization)> {
    let object = world.get(Kind::Kustomization, namespace, name)?;
    match &object.detail {
        Detail::Kustomization(detail) => Some((object, detail)),
        _ => None,
    }
}

/// Whether a revision has a commit; `None` where the way between is not known.
pub(super) fn contains(world: &World, revision: &str, commit: &str) -> Option<bool> {
    world.commits().contains(commit_of(revision)?, commit)
}

/// Whether a condition speaks of the object as it is. The condition's own generation tells; the status' own may follow
/// later, or earlier than anything is done.
pub(super) fn speaks_of(condition: &Condition, object: &Object) -> bool {
    condition.observed_generation.or(object.observed_generation) == object.meta.generation
}

/// `HealthCheckFailed` as `health_check_failed`.
fn snake(word: &str) -> String {
    let mut text = String::new();
    for letter in word.chars().take(64) {
        if letter.is_ascii_uppercase() && !text.is_empty() && !text.ends_with('_') {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// A message of the cluster, cut to what a report can show, without what is likely to be a secret.
pub(super) fn bounded(message: &str) -> String {
    const LONGEST: usize = 300;
    /// Of it, what is kept of the end: there Kubernetes says what is wrong with a value that it quotes whole.
    const END: usize = 90;
    const READ: usize = 20_000;
    let message: String = message.chars().take(READ).collect();
    let message = redacted(&message);
    let line: Vec<char> =
        message.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.len() <= LONGEST {
        return line.into_iter().collect();
    }
    let (head, tail) = (&line[..LONGEST - END], &line[line.len() - END..]);
    let text = |part: &[char]| part.iter().collect::<String>().trim().to_owned();
    format!("{} … {}", text(head), text(tail))
}

fn short(revision: &str) -> &str {
    commit_of(revision).and_then(|commit| commit.get(..12)).unwrap_or(revision)
}

/// How long a try may take: the first of these that is written, five minutes otherwise, as the controllers have it.
fn duration(first: &str, second: &str) -> Duration {
    go_duration(first).or_else(|| go_duration(second)).unwrap_or(Duration::from_secs(300))
}

/// `1h2m3.5s`, as Go writes durations.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, seconds) =
            [("ms", 0.001), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * seconds;
        rest = &rest[unit.len()..];
    }
    (total < 1e9).then(|| Duration::from_secs_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(go_duration("1h0m0s"), Some(Duration::from_secs(3600)));
        assert_eq!(go_duration("soon"), None);
        assert_eq!(go_duration(""), None);
    }

    #[test]
    fn codes_are_the_cluster_s_words_in_small_letters() {
        assert_eq!(snake("HealthCheckFailed"), "health_check_failed");
        assert_eq!(snake("OCIArtifactPullFailed"), "o_c_i_artifact_pull_failed");
    }

    #[test]
    fn messages_are_cut() {
        assert_eq!(bounded("a\nb"), "a b");
        assert_eq!(bounded(&"x".repeat(1000)).chars().count(), 303);
        let long = format!(
            "Job.batch \"x\" is invalid: spec.template: Invalid value: {{{}}}: field is immutable",
            "a: 1, ".repeat(900)
        );
        assert!(bounded(&long).ends_with("field is immutable"), "{}", bounded(&long));
    }
}
