//! `rollback --emergency`: a revert from a clone alone. It asks neither forge nor cluster nor state; what was merged is
//! read from the history. Without `--push` nothing leaves the machine.

use std::collections::BTreeSet;

use serde::Serialize;

use super::harm::refuse;
use super::{Error, RollbackArgs, no_branch, refuse_when_stopped};
use crate::app::effects::Effect;
use crate::app::rollback::mark_reverted;
use crate::cli::GlobalArgs;
use crate::cli::backup::found_at;
use crate::cli::error::{CommandError, ErrorKind, Outcome};
use crate::cli::form;
use crate::cli::markdown::folded;
use crate::cli::opened::runtime;
use crate::cli::workplace::Workplace;
use crate::domain::backup::Saved;
use crate::domain::component::{Component, UpdateType};
use crate::domain::message::{GoingBack, Trailers, branch_name, reverted_updates};
use crate::domain::notice::kind_of;
use crate::domain::plan::{Revert, RevertSafety};
use crate::domain::rollback::{Sight, Way, answer, revert_of};
use crate::domain::select::step_type;
use crate::domain::state::{Quarantined, State};
use crate::repo::printable;
use crate::repo::write::{CommitInfo, Id, Landed, Merged, RefUpdate, Standing, Words, configured_url};
use crate::state::Transition;
use crate::telemetry::EVEN_QUIET;

/// What a person does where a configuration that cannot be read keeps a push from being made.
const WITHOUT_PUSH: &str =
    "leave `--push` out: the revert is made on a branch of this clone then, with the command that pushes it";
/// Commits of the branch that are looked through.
const MOST_COMMITS: usize = 2_000;

/// What is reverted.
struct Target {
    landed: Landed,
    /// The commit of the branch.
    commit: Id,
    /// What the commit says of the update, where it is one of ours.
    trailers: Option<Trailers>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    schema: &'static str,
    dry_run: bool,
    component: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    reverts: String,
    branch: &'a str,
    commit: Option<String>,
    pushed: bool,
    notes: &'a [String],
    next: Vec<String>,
}

pub(super) fn run(args: &RollbackArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let runtime = runtime()?;
    // Without a push the clone itself is all there is.
    let remote = if args.push { args.remote.clone() } else { Some(".".to_owned()) };
    let place =
        runtime.block_on(args.place(remote).open_without_forge(global)).map_err(|error| {
            match error.kind {
                ErrorKind::Configuration => {
                    error.hint("`--config FILE` names another configuration").hint(WITHOUT_PUSH)
                }
                _ => error,
            }
        })?;
    let (base_branch, base) = base(&place, args)?;
    if args.push {
        // Who cannot be understood may have meant to stop it.
        refuse_when_stopped(&place, base, args, None).map_err(|error| match error.kind {
            ErrorKind::Configuration => error.hint(WITHOUT_PUSH),
            _ => error,
        })?;
    }
    let Some(target) = target(&place, args, base)? else {
        return Err(CommandError::failed(
            "cannot tell what to revert: no update of this program is in the history",
        )
        .hint("name the commit with `--commit`"));
    };
    let notes = notes(&place, &target, base, &args.accept_harm)?;
    let back = going_back(&place, args, &target);
    let what = back.updates.first().cloned().unwrap_or_else(|| target.commit.to_string());
    let branch = branch_name("rollback-emergency", &what);
    let standing = place.repo.standing(target.landed, base)?;
    let made = match standing {
        Standing::Reverted => None,
        _ => match place.repo.without(target.landed, base)? {
            Merged::Tree(tree) => Some(tree),
            Merged::Conflicts(paths) => {
                let commit = target.commit.short().to_string();
                return Err(CommandError::failed(Error::Conflict { commit, paths })
                    .hint("undo the later change first, or edit the version by hand"));
            }
        },
    };
    let author = place.person();
    let message = back.message();
    let words = Words { message: &message, author: &author, time: place.now() };
    let commit = match made {
        Some(tree) if !args.dry_run => {
            let commit = place.repo.commit_tree(tree, &[base], words)?;
            let update = if args.push {
                RefUpdate::replace(format!("refs/heads/{base_branch}"), Some(base), commit)
            } else {
                let name = format!("refs/heads/{branch}");
                let there = place.repo.own_ref(&name)?;
                RefUpdate::replace(name, there, commit)
            };
            place.repo.push(&[update])?;
            Some(commit)
        }
        _ => None,
    };
    if args.push && !args.dry_run {
        record(&place, &target, &back, commit);
    }
    let next = match (commit, args.push) {
        (Some(commit), false) => next(&place, &branch, &base_branch, base, commit)?,
        _ => vec![],
    };
    let told = Told {
        schema: "gitops-updater/rollback-emergency/v1",
        dry_run: args.dry_run,
        component: target.trailers.as_ref().map(|trailers| trailers.component.as_str()),
        from: target.trailers.as_ref().map(|trailers| trailers.to.as_str()),
        to: target.trailers.as_ref().map(|trailers| trailers.from.as_str()),
        reverts: target.commit.to_string(),
        branch: if args.push { &base_branch } else { &branch },
        commit: commit.map(|commit| commit.to_string()),
        pushed: args.push && commit.is_some(),
        notes: &notes,
        next,
    };
    form::write(global, &told, || text(&told, &back.title(), made.is_none()))
}

/// What brings the commit to the base branch: a push where the clone has the remote, else a move within the clone.
fn next(
    place: &Workplace,
    branch: &str,
    base_branch: &str,
    base: Id,
    commit: Id,
) -> Result<Vec<String>, CommandError> {
    let remote = remote_name(place);
    let path = place.repo.work_dir().unwrap_or(place.repo.git_dir());
    Ok(match (configured_url(path, remote)?, place.repo.work_dir()) {
        (Some(_), _) => vec![
            format!("git push {remote} {branch}:{base_branch}"),
            format!(
                "or, where the branch is protected, `git push {remote} {branch}`, and open a pull request"
            ),
        ],
        // Nothing is farther away than this clone.
        (None, Some(_)) => {
            vec![format!("git checkout {base_branch}"), format!("git merge --ff-only {branch}")]
        }
        (None, None) => vec![format!("git update-ref refs/heads/{base_branch} {commit} {base}")],
    })
}

fn text(told: &Told<'_>, title: &str, is_done: bool) -> String {
    let mut lines = vec![folded(title, 0), format!("  reverts {}", told.reverts)];
    lines.extend(told.notes.iter().map(|note| folded(&format!("mind: {note}"), 2)));
    match (&told.commit, told.pushed) {
        _ if is_done => lines.push("Nothing to do: it is reverted already.".to_owned()),
        (None, _) => lines.push(folded(&format!("Would make a commit on {}", told.branch), 0)),
        (Some(commit), true) => lines.push(folded(&format!("Pushed {commit} to {}", told.branch), 0)),
        (Some(commit), false) => {
            lines.push(folded(&format!("Made {commit} on {}; nothing was pushed", told.branch), 0));
            lines.push("Next:".to_owned());
        }
    }
    // What is nothing but a command is copied as it stands.
    let next = |next: &String| match next.contains('`') {
        true => folded(next, 2),
        false => format!("  {next}"),
    };
    lines.extend(told.next.iter().map(next));
    lines.iter().flat_map(|line| line.split('\n')).map(|line| format!("{}\n", printable(line))).collect()
}

/// The branch to be mended, and the newest commit of it that is known.
fn base(place: &Workplace, args: &RollbackArgs) -> Result<(String, Id), CommandError> {
    if args.push {
        return super::base(place);
    }
    let refs = place.repo.refs()?;
    let branch = place.base_branch(&refs).ok_or_else(|| {
        CommandError::failed(Error::NoBranch).hint("set `forge: {base_branch: …}` in the configuration")
    })?;
    let own = refs.branch(&branch);
    // What was fetched last may be ahead of the branch that is checked out.
    let fetched = place.repo.own_ref(&format!("refs/remotes/{}/{branch}", remote_name(place)))?;
    let tip = match (own, fetched) {
        (Some(own), Some(fetched)) if place.repo.is_ancestor(own, fetched)? => fetched,
        (Some(own), _) => own,
        (None, Some(fetched)) => fetched,
        (None, None) => return Err(no_branch(branch)),
    };
    Ok((branch, tip))
}

fn remote_name(place: &Workplace) -> &str {
    &place.config.forge.remote
}

/// The commit that is meant: the one that was named, else the newest of ours that nobody has reverted.
fn target(place: &Workplace, args: &RollbackArgs, base: Id) -> Result<Option<Target>, CommandError> {
    if let Some(text) = &args.commit {
        let commit = place.repo.resolve(text)?;
        return Ok(Some(of_commit(place, &place.repo.commit_info(commit)?)?));
    }
    let mut reverted: BTreeSet<String> = BTreeSet::new();
    let mut at = Some(base);
    for _ in 0..MOST_COMMITS {
        // In a shallow clone the history ends where it was cut off.
        let Some(commit) = at.filter(|commit| place.repo.has(*commit)) else { break };
        let info = place.repo.commit_info(commit)?;
        reverted.extend(reverted_updates(&info.message));
        if let Some(second) = info.parents.get(1).filter(|second| place.repo.has(**second)) {
            reverted.extend(reverted_updates(&place.repo.commit_info(*second)?.message));
        }
        at = info.parents.first().copied();
        // What begins the history is no update.
        if at.is_none() {
            break;
        }
        let target = of_commit(place, &info)?;
        let Some(trailers) = &target.trailers else { continue };
        let is_meant = args.component.as_ref().is_none_or(|selector| {
            selector.text() == trailers.component
                || selector.matches(&trailers.component, kind_of(&trailers.component))
        });
        if is_meant && !reverted.contains(&trailers.update_id) {
            return Ok(Some(target));
        }
    }
    Ok(None)
}

fn of_commit(place: &Workplace, info: &CommitInfo) -> Result<Target, CommandError> {
    let before = info.parents.first().copied().ok_or_else(|| {
        CommandError::failed(format!("cannot revert `{}`: nothing comes before it", info.id.short()))
            .hint("name a later commit with `--commit`; in a shallow clone, fetch more of the history first")
    })?;
    let mut trailers = Trailers::parse(&info.message);
    if let (None, Some(second)) = (&trailers, info.parents.get(1))
        && place.repo.has(*second)
    {
        trailers = Trailers::parse(&place.repo.commit_info(*second)?.message);
    }
    Ok(Target { landed: Landed { before, after: info.id }, commit: info.id, trailers })
}

/// What a person should know; refuses what does harm that was not taken on. The cluster is not asked.
fn notes(
    place: &Workplace,
    target: &Target,
    base: Id,
    accepted: &[String],
) -> Result<Vec<String>, CommandError> {
    let Some(trailers) = &target.trailers else {
        return Ok(vec![
            "the commit is none of this program: whether going back does harm is not known".to_owned(),
        ]);
    };
    let found = found_at(place, base)?;
    let component: Option<&Component> = found.components.iter().find(|known| known.id == trailers.component);
    let update_type = component.map_or(UpdateType::Unknown, |known| {
        step_type(known.scheme, known.tag_prefix.as_deref(), &trailers.from, &trailers.to)
    });
    let revert = component.map_or_else(
        || Revert {
            safety: RevertSafety::Conditional,
            why: "the component is not found any more, so no rule says whether this can be reverted"
                .to_owned(),
        },
        |known| revert_of(found.registry.rules(), known, update_type),
    );
    let way = Way {
        component: &trailers.component,
        kind: component.map_or_else(|| kind_of(&trailers.component), |known| known.kind.as_str()),
        from: &trailers.to,
        to: &trailers.from,
        update_type,
        revert: &revert,
        saved: Saved { id: trailers.backup_id.as_deref(), data: None },
    };
    refuse(vec![(trailers.component.as_str(), answer(&way, Sight::default()))], accepted)
}

fn going_back(place: &Workplace, args: &RollbackArgs, target: &Target) -> GoingBack {
    let trailers = target.trailers.as_ref();
    GoingBack {
        components: trailers
            .map(|known| (known.component.clone(), known.to.clone(), known.from.clone()))
            .or_else(|| Some((target.commit.short().to_string(), "after".to_owned(), "before".to_owned())))
            .into_iter()
            .collect(),
        by: place.person().name,
        reason: args.reason.clone(),
        commit: Some(target.commit.to_string()),
        backup_id: None,
        updates: trailers.map(|known| known.update_id.clone()).into_iter().collect(),
    }
}

/// Records it, as far as that can be: in an emergency the commit is what counts, and the next run knows it by its trailer.
fn record(place: &Workplace, target: &Target, back: &GoingBack, commit: Option<Id>) {
    let Some(trailers) = &target.trailers else { return };
    let (now, said) = (place.now(), format!("rolled back in an emergency by {}", back.by));
    let commit = commit.map(|commit| commit.to_string());
    let effect = Effect::Record { what: format!("Record {} as reverted", trailers.update_id) };
    let changed = place.state().change(now, |state: &mut State| {
        let is_known = state
            .quarantine
            .iter()
            .any(|known| known.component == trailers.component && known.version == trailers.to);
        if !is_known {
            state.quarantine.push(Quarantined {
                component: trailers.component.clone(),
                version: trailers.to.clone(),
                reason: said.clone(),
                since: now,
                update_id: Some(trailers.update_id.clone()),
            });
        }
        let transition = mark_reverted(state, &trailers.update_id, &said, commit.as_deref(), now);
        transition.or_else(|| {
            (!is_known).then(|| {
                Transition::new(format!("Do not propose {} {} again", trailers.component, trailers.to))
                    .because(&said)
            })
        })
    });
    match changed {
        Ok(_) => tracing::info!(effect = %effect, "rollback"),
        Err(error) => {
            tracing::warn!(target: EVEN_QUIET, error = %error, "the rollback is pushed and not recorded; the next run finds it")
        }
    }
}
