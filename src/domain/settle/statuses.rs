//! What commit statuses say where the cluster itself is not looked at.
//!
//! Flux's notification-controller writes one for each Kustomization on the commit that it applied:
//! `kustomization/<name>/<uid>`. They cover what Flux applied and waited for, and no more: a HelmRelease may fail while
//! they are green. So they never complete an update. Nor do they revert one: nobody saw the cluster before, and no
//! failure can be called new.

use std::collections::BTreeMap;

use super::kind::Kind;
use super::line::Merged;
use super::verdict::{Action, Reason, Verdict};
use super::world::{Sight, World};

/// Contexts that Flux writes begin with this.
const KUSTOMIZATION: &str = "kustomization/";

/// What the statuses of a merge, and of what came after it, say; `None` where the cluster itself is looked at.
pub(super) fn opinion(
    world: &World,
    update: &Merged,
    commit: &str,
) -> Option<(Verdict, Action, Vec<Reason>)> {
    if Kind::ALL.iter().any(|kind| world.sees(*kind) != Sight::NotWatched) {
        return None;
    }
    // A commit that was skipped has no status; those after it speak for it. Of each Kustomization the newest counts.
    let later = world.commits().since(commit).map(|later| later.id.as_str());
    let mut newest: BTreeMap<&str, (&str, &str, bool)> = BTreeMap::new();
    for id in std::iter::once(commit).chain(later) {
        for status in world.statuses(id).filter(|status| status.context.starts_with(KUSTOMIZATION)) {
            if status.state != "pending" {
                newest.insert(&status.context, (id, &status.description, status.state == "success"));
            }
        }
    }
    let before: BTreeMap<&str, bool> = world
        .statuses(&update.base)
        .map(|status| (status.context.as_str(), status.state == "success"))
        .collect();
    let name = |context: &str| {
        let name = context.trim_start_matches(KUSTOMIZATION).split('/').next().unwrap_or_default();
        Some(format!("Kustomization/{name}"))
    };
    let failing: Vec<Reason> = newest
        .iter()
        .filter(|(context, (_, _, ok))| !ok && before.get(*context) != Some(&false))
        .map(|(context, (id, description, _))| {
            let short = id.get(..7).unwrap_or(id);
            let text = format!("Flux says of `{short}`: {description}");
            Reason { code: "status_failure".to_owned(), object: name(context), text }
        })
        .collect();
    if !failing.is_empty() {
        return Some((Verdict::Inconclusive, Action::Hold, failing));
    }
    let unseen =
        |code: &str, text: &str| Reason { code: code.to_owned(), object: None, text: text.to_owned() };
    let mut missing: Vec<Reason> = before
        .keys()
        .filter(|context| context.starts_with(KUSTOMIZATION) && !newest.contains_key(*context))
        .map(|context| Reason {
            code: "not_applied".to_owned(),
            object: name(context),
            text: "Flux has not said anything of the merge, or of what came after it".to_owned(),
        })
        .collect();
    if newest.is_empty() {
        let text = "neither the cluster nor a commit status of Flux says anything of it";
        missing.push(unseen("not_observed", text));
    }
    if !missing.is_empty() {
        return Some((Verdict::Unknown, Action::Wait, missing));
    }
    let text = "Flux has applied it; what commit statuses do not cover (HelmReleases, pods, storage) is not observed: \
                a person, or `verification: merged`, has to say that it is good";
    Some((Verdict::Unknown, Action::Wait, vec![unseen("flux_applied", text)]))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;

    use super::*;
    use crate::domain::settle::line::{Commit, CommitStatus, Line, Moment, Seen};

    const APPS: &str = "kustomization/apps/0a1b2c3d";
    const INFRA: &str = "kustomization/infra/0a1b2c3d";

    /// The base, the merge, and a commit after it, with these statuses.
    fn said(statuses: &[(&str, &str, &str)]) -> (Verdict, Action, String) {
        let mut world = World::new(Timestamp::UNIX_EPOCH);
        let mut take = |seen| world.take(Line { t: Moment(0), seen });
        for (id, parent) in [("base", "root"), ("merge", "base"), ("later", "merge")] {
            let (id, parents) = (id.to_owned(), vec![parent.to_owned()]);
            take(Seen::Commit(Commit { id, parents, ..Commit::default() }));
        }
        for (sha, context, state) in statuses {
            take(Seen::Status(CommitStatus {
                sha: (*sha).to_owned(),
                context: (*context).to_owned(),
                state: (*state).to_owned(),
                description: "health check failed".to_owned(),
            }));
        }
        let update = Merged { base: "base".to_owned(), commit: "merge".to_owned(), ..Merged::default() };
        let (verdict, action, reasons) = opinion(&world, &update, "merge").unwrap();
        (verdict, action, reasons[0].code.clone())
    }

    #[rstest]
    #[case::nothing_is_known(&[], Verdict::Unknown, Action::Wait, "not_observed")]
    #[case::applied_is_not_healthy(&[("merge", APPS, "success")], Verdict::Unknown, Action::Wait, "flux_applied")]
    #[case::skipped_commit_has_a_successor(&[("later", APPS, "success")], Verdict::Unknown, Action::Wait, "flux_applied")]
    #[case::failure_is_held(&[("base", APPS, "success"), ("merge", APPS, "failure")], Verdict::Inconclusive, Action::Hold, "status_failure")]
    #[case::failure_with_nothing_before(&[("merge", APPS, "failure")], Verdict::Inconclusive, Action::Hold, "status_failure")]
    #[case::later_success_mends_it(&[("merge", APPS, "failure"), ("later", APPS, "success")], Verdict::Unknown, Action::Wait, "flux_applied")]
    #[case::later_failure_is_held(&[("merge", APPS, "success"), ("later", APPS, "failure")], Verdict::Inconclusive, Action::Hold, "status_failure")]
    #[case::failed_before(&[("base", APPS, "failure"), ("merge", APPS, "failure")], Verdict::Unknown, Action::Wait, "flux_applied")]
    #[case::another_one_is_silent(&[("base", INFRA, "success"), ("merge", APPS, "success")], Verdict::Unknown, Action::Wait, "not_applied")]
    #[case::pending_says_nothing(&[("merge", APPS, "pending")], Verdict::Unknown, Action::Wait, "not_observed")]
    #[case::checks_of_others_say_nothing(&[("merge", "ci/lint", "failure")], Verdict::Unknown, Action::Wait, "not_observed")]
    fn statuses_count_for_what_they_cover(
        #[case] statuses: &[(&str, &str, &str)],
        #[case] verdict: Verdict,
        #[case] action: Action,
        #[case] code: &str,
    ) {
        assert_eq!(said(statuses), (verdict, action, code.to_owned()));
    }

    #[test]
    fn nothing_is_said_where_the_cluster_is_looked_at_even_when_it_is_not_seen() {
        use crate::domain::settle::line::Header;
        let mut world = World::new(Timestamp::UNIX_EPOCH);
        let header = Header { watching: vec!["Kustomization".to_owned()], ..Header::default() };
        world.take(Line { t: Moment(0), seen: Seen::Header(header) });
        world.take(Line { t: Moment(0), seen: Seen::View { back: false, kinds: None } });
        assert_eq!(opinion(&world, &Merged::default(), "merge"), None);
    }
}
