//! What a failure weighs: this update's fault, another's, or too early to say.

use super::super::finding::Subject;
use super::super::kind::Kind;
use super::super::memory::Baseline;
use super::super::radius::is_below;
use super::super::readiness::{Failure, Then, get_kustomization, reason};
use super::super::rollout;
use super::super::settings::Settings;
use super::super::symptoms::evidence;
use super::super::verdict::Reason;
use super::super::world::World;
use super::{Case, KINDS, ROLLOUT, short};

/// What a failure weighs.
pub(super) enum Weight {
    /// It is this update's fault.
    Ours(Reason),
    /// It may be another's.
    Doubtful(Reason),
    /// It may mend itself.
    TooEarly(Reason),
}

impl Case {
    /// What a failure weighs.
    pub(super) fn weigh(
        &self,
        world: &World,
        settings: &Settings,
        title: &str,
        failure: &Failure,
        all: &[(String, Failure)],
        commit: &str,
    ) -> Weight {
        let mut why = failure.reason.clone();
        let Some(baseline) = &self.remembered.baseline else {
            return Weight::Doubtful(reason(
                "no_baseline",
                why.object,
                "it fails, and nobody knows how it was before",
            ));
        };
        if self.update.kind == "k3s" && title == ROLLOUT {
            // A node may still come back; until one has moved, that settles it.
            return if why.code == "node_away" && self.remembered.nodes_moved.is_empty() {
                Weight::Doubtful(why)
            } else {
                Weight::Ours(why)
            };
        }
        let proof = evidence(world, &self.radius, baseline);
        if let Some(doubt) = self.doubt(world, title, failure, baseline, commit) {
            let Some((subject, reason)) = &proof else { return Weight::Doubtful(doubt) };
            // What was seen of its pods stands beside what the controller may say for another reason.
            let Subject { kind, namespace, name } = subject;
            why.text = format!("{}; a pod of {kind}/{namespace}/{name}: {reason}", why.text);
        }
        let first = self.tries.get(title).and_then(|of| of.failed_first).unwrap_or(world.now());
        let sighted = world.blind_until(&KINDS, first).unwrap_or(first);
        let lasts = world.now().since(first.max(sighted));
        let patience = settings.window(&self.update.component, &self.update.kind);
        let another_ends =
            all.iter().any(|(_, other)| matches!(other.then, Then::TriesAgain | Then::Ends { .. }));
        let concluded = match failure.then {
            Then::GivesUp => true,
            Then::TriesAgain => false,
            Then::Ends { within } => lasts >= patience.max(within),
            // What it waits for has its own say, and says it soon.
            Then::ForEver { health: true, .. } if another_ends => false,
            Then::ForEver { health: true, .. } if proof.is_some() => true,
            Then::ForEver { within, .. } => lasts >= patience.max(within),
        };
        if concluded { Weight::Ours(why) } else { Weight::TooEarly(why) }
    }

    /// Why a failure cannot be laid to the update.
    fn doubt(
        &self,
        world: &World,
        title: &str,
        failure: &Failure,
        baseline: &Baseline,
        commit: &str,
    ) -> Option<Reason> {
        let why = &failure.reason;
        let object = why.object.clone();
        let had = [Kind::HelmRelease, Kind::FluxInstance].into_iter().any(|kind| {
            let key = title.strip_prefix(kind.name()).and_then(|rest| rest.strip_prefix('/'));
            key.and_then(|key| key.split_once('/'))
                .is_some_and(|(namespace, name)| self.had(kind, namespace, name))
        });
        if had {
            return Some(reason("failed_before", object, "it failed before the merge already"));
        }
        let began = self.tries.get(title).map_or(self.merged, |of| of.began);
        let blind_before = self.remembered.blind_until.is_some_and(|until| world.moment_of(until) >= began);
        if blind_before || world.blind_until(&KINDS, began).is_some() {
            let text = format!(
                "{}, while the cluster was out of sight: it need not be the update's fault",
                why.text
            );
            return Some(reason("failed_out_of_sight", object, text));
        }
        let lost = rollout::nodes(world).any(|(name, _)| {
            let subject =
                Subject { kind: Kind::Node.label(), namespace: String::new(), name: name.to_owned() };
            !baseline.had(&subject) && !world.get(Kind::Node, "", name).is_some_and(|node| node.is("Ready"))
        });
        if lost {
            let text = format!("{}, while a node is away: it need not be the update's fault", why.text);
            return Some(reason("failed_without_node", object, text));
        }
        // Another commit in the same folder, and it fails at that one.
        let at = failure.at.as_deref().filter(|at| *at != commit)?;
        let (namespace, name) = title.strip_prefix("Kustomization/")?.split_once('/')?;
        let (_, detail) = get_kustomization(world, namespace, name)?;
        let other = world.commits().since(commit).find(|other| {
            world.commits().contains(at, &other.id) == Some(true)
                && other.files.iter().any(|file| is_below(file, &detail.path))
        })?;
        let text = format!("{}, and commit {} changed the same folder", why.text, short(&other.id));
        Some(reason("another_commit", object, text))
    }
}
