//! `rollback`: back to an older version, because a person says so.

mod emergency;
mod harm;
mod report;
mod targets;

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

pub(super) use self::harm::{judged, refuse};
use self::targets::{to_backup, to_version};
pub(super) use self::targets::{update_to, version};
use super::GlobalArgs;
use super::backup::found_at;
use super::error::{CommandError, Outcome};
use super::form;
use super::opened::runtime;
use super::plan::FactsArgs;
use super::run::{DryRun, record_merged};
use super::switch;
use super::workplace::{PlaceArgs, Workplace};
use crate::app::detect::Found;
use crate::app::effects::{Acting, Witness};
use crate::app::rollback::{self, Back, Edited, Left, Plan, Rollback};
use crate::app::settle::Recorded;
use crate::config::Selector;
use crate::domain::backup::{DataBackup, Saved};
use crate::domain::component::Component;
use crate::domain::facts::Facts;
use crate::domain::message::{GoingBack, branch_name};
use crate::domain::rollback::{Answer, HARMS};
use crate::domain::state::{State, Update};
use crate::repo::write::{Id, Merged, RemoteRefs, Standing};

/// Go back to an older version, by a pull request or by a push
#[derive(Debug, Args)]
#[command(after_help = "\
Without --to, the update that brought the present version in is reverted. What
does harm is refused with what to do instead")]
pub(super) struct RollbackArgs {
    /// Id of the component, such as `helm/apps/podinfo`
    #[arg(value_name = "COMPONENT", value_parser = Selector::read, required_unless_present_any = ["backup", "emergency"])]
    component: Option<Selector>,

    /// Version to go back to, as Git had it [default: the one before the latest update]
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["backup", "emergency"])]
    to: Option<String>,

    /// Go back to the versions of this backup point, of the component or of all
    #[arg(long, value_name = "ID", conflicts_with = "emergency")]
    backup: Option<String>,

    /// Revert the newest update in this clone, with neither forge nor cluster; makes a branch and says what to push
    #[arg(long)]
    emergency: bool,

    /// With --emergency: revert this commit
    #[arg(long, value_name = "COMMIT", requires = "emergency")]
    commit: Option<String>,

    /// Push to the base branch instead of opening a pull request
    #[arg(long)]
    push: bool,

    /// Why, for everybody who wonders
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Go on although this harm is done; the refusal names the word (repeatable)
    #[arg(
        long = "accept-harm",
        value_name = "HARM",
        value_parser = PossibleValuesParser::new(HARMS),
        hide_possible_values = true
    )]
    accept_harm: Vec<String>,

    /// Say what would be done and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    facts: FactsArgs,

    /// Repository
    #[arg(short = 'C', long = "repository", value_name = "PATH", default_value = ".")]
    path: PathBuf,

    /// Remote by name, URL or path instead of the configured one; `.` is the repository itself
    #[arg(long, value_name = "REMOTE", env = "GITOPS_UPDATER_REMOTE", hide_env = true)]
    remote: Option<String>,

    /// Take TIME for now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    now: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot tell which branch to take")]
    NoBranch,
    #[error("there is no branch `{0}` at the remote")]
    Branch(String),
    #[error("there is no component `{0}`")]
    NoComponent(String),
    #[error("`{selector}` names several components: {}", ids.join(", "))]
    Several { selector: String, ids: Vec<String> },
    #[error("cannot tell which version `{0}` has: Git does not say one")]
    NoVersion(String),
    #[error("cannot roll `{component}` back: no update is known that brought {version} in")]
    NoUpdate { component: String, version: String },
    #[error("every component has the version of backup point `{0}`")]
    NothingToDo(String),
    #[error("cannot roll `{component}` back to {to}: it is newer than {from}, which Git has")]
    Newer { component: String, from: String, to: String },
    #[error("cannot roll `{component}` back to {to}: Git never had it at that version")]
    NeverThere { component: String, to: String },
    #[error("`{component}` has version {version} already")]
    AlreadyThere { component: String, version: String },
    #[error("not rolled back: it would do harm")]
    Harm,
    #[error("cannot revert `{commit}`: it conflicts with what came later in {}", paths.join(", "))]
    Conflict { commit: String, paths: Vec<String> },
}

/// A component that goes back, with all that is known of it.
pub(super) struct Return<'a> {
    pub(super) component: &'a Component,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) update: Option<&'a Update>,
    pub(super) then: Option<(Component, Id)>,
}

/// How a command was asked for, besides what is rolled back.
struct Going<'a> {
    place: &'a Workplace,
    args: &'a RollbackArgs,
    runtime: &'a tokio::runtime::Runtime,
    facts: Option<Facts>,
    state: &'a State,
}

pub(super) fn run(args: &RollbackArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    if args.emergency {
        return emergency::run(args, global);
    }
    let runtime = runtime()?;
    let place = runtime.block_on(args.place(args.remote.clone()).open(global))?;
    // What was merged just now, and no pass has seen yet, is gone back from like anything else.
    let may_go_on = |base| refuse_when_stopped(&place, base, args, Some(&runtime));
    let Recorded { base_branch, base, state, effects: mut recorded } =
        record_merged(&place, &runtime, witness(args), may_go_on)?;
    let facts = args.facts.load(place.now())?.map(|known| known.facts);
    let found = found_at(&place, base)?;
    let going = Going { place: &place, args, runtime: &runtime, facts, state: &state };
    let (returns, backup_id) = match &args.backup {
        Some(id) => (to_backup(&place, args, id, &found, &state)?, Some(id.clone())),
        None => (vec![to_version(&place, args, &found, &state, base)?], None),
    };
    let notes = going.refuse_harm(&returns, &found)?;
    let witness = witness(args);
    let rollback = going.rollback(witness.as_ref());
    let (mut done, edited) = match make(&place, args, base, &returns)? {
        // An earlier run, or a person, has reverted it already; what may be missing is the record.
        Made::Reverted => {
            let tree = place.repo.commit_info(base)?.tree;
            let plan = going.plan(&returns, backup_id, &base_branch, base, tree, None);
            (rollback.record_pushed(&plan)?, Edited::default())
        }
        Made::Tree { tree, edited, commit } => {
            let mut plan = going.plan(&returns, backup_id, &base_branch, base, tree, commit);
            plan.body = report::body(&plan, &returns, &notes, &edited, rollback.now);
            (if args.push { rollback.push(&plan) } else { rollback.propose(&plan) }?, edited)
        }
    };
    recorded.append(&mut done.effects);
    done.effects = recorded;
    report::write(global, args, &returns, &notes, &edited, &done)
}

impl RollbackArgs {
    fn place(&self, remote: Option<String>) -> PlaceArgs {
        PlaceArgs { path: self.path.clone(), remote, now: self.now, is_quiet: false }
    }
}

fn witness(args: &RollbackArgs) -> Box<dyn Witness> {
    if args.dry_run { Box::new(DryRun) } else { Box::new(Acting) }
}

/// The base branch as it is at the remote, with its objects here.
fn base(place: &Workplace) -> Result<(String, Id), CommandError> {
    let refs: RemoteRefs = place.repo.refs()?;
    let branch = place.base_branch(&refs).ok_or_else(|| {
        CommandError::failed(Error::NoBranch).hint("set `forge: {base_branch: …}` in the configuration")
    })?;
    let name = format!("refs/heads/{branch}");
    // Updates and backup points speak of commits that may be on no branch any more.
    let refs = place.repo.fetch(|known| known == name || known.starts_with(crate::backup::PREFIX))?;
    let tip = refs.branch(&branch).ok_or_else(|| no_branch(branch.clone()))?;
    Ok((branch, tip))
}

fn no_branch(branch: String) -> CommandError {
    CommandError::failed(Error::Branch(branch))
        .hint("push it, or name another as `forge: {base_branch: …}` in the configuration")
}

/// The kill switch is for a person at the keyboard, too: who wants to go on takes it off.
fn refuse_when_stopped(
    place: &Workplace,
    base: Id,
    args: &RollbackArgs,
    runtime: Option<&tokio::runtime::Runtime>,
) -> Result<(), CommandError> {
    if args.dry_run {
        return Ok(());
    }
    let switch = match runtime {
        Some(runtime) => runtime.block_on(switch::by_anything(place, base))?,
        None => switch::by_configuration(place, base)?,
    };
    switch.map_or(Ok(()), |switch| Err(switch::refused("roll back", switch)))
}

/// What the base branch becomes.
enum Made {
    Reverted,
    Tree { tree: Id, edited: Edited, commit: Option<Id> },
}

fn make(
    place: &Workplace,
    args: &RollbackArgs,
    base: Id,
    returns: &[Return<'_>],
) -> Result<Made, CommandError> {
    // A real revert where a whole update is meant; else, or where that does not work, the versions alone.
    if let [one] = returns
        && args.to.is_none()
        && args.backup.is_none()
        && let Some(update) = one.update
        && let Some(merge) = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok())
        && place.repo.has(merge)
    {
        let id = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Id>().ok());
        let pull = id(&update.base).zip(id(&update.head));
        if let Some(landed) = place.repo.landed(merge, pull)? {
            let standing = place.repo.standing(landed, base)?;
            if standing == Standing::Reverted {
                return Ok(Made::Reverted);
            }
            if let Merged::Tree(tree) = place.repo.without(landed, base)? {
                return Ok(Made::Tree { tree, edited: Edited::default(), commit: Some(landed.after) });
            }
        }
        if version(one.component).is_ok_and(|version| version == one.to) {
            return Ok(Made::Reverted);
        }
    }
    let backs: Vec<Back<'_>> = returns
        .iter()
        .map(|one| Back {
            component: one.component,
            to: &one.to,
            then: one.then.as_ref().map(|(then, commit)| (then, *commit)),
        })
        .collect();
    let edited = rollback::edit_back(&place.repo, base, &backs)?;
    let tree = place.repo.tree_with(base, &edited.changes)?;
    Ok(Made::Tree { tree, edited, commit: None })
}

impl Going<'_> {
    /// What a reviewer should know; refuses what does harm that was not taken on.
    fn refuse_harm(&self, returns: &[Return<'_>], found: &Found) -> Result<Vec<String>, CommandError> {
        let answers = returns.iter().map(|one| {
            let id = one.update.and_then(|update| update.backup_id.as_deref());
            let judge = |data: Option<&[DataBackup]>| {
                judged(one, found, self.facts.as_ref(), Saved { id, data }, self.place.now())
            };
            let answer = match judge(None) {
                // What was backed up is looked at where it is wanted.
                Answer::Harm(_) => {
                    let point = id.and_then(|id| self.place.backups().read_back(id, None).ok());
                    judge(point.as_ref().map(|point| point.data.as_slice()))
                }
                harmless => harmless,
            };
            (one.component.id.as_str(), answer)
        });
        refuse(answers.collect(), &self.args.accept_harm)
    }

    fn plan(
        &self,
        returns: &[Return<'_>],
        backup_id: Option<String>,
        base_branch: &str,
        base: Id,
        tree: Id,
        commit: Option<Id>,
    ) -> Plan {
        let back = GoingBack {
            components: returns
                .iter()
                .map(|one| (one.component.id.clone(), one.from.clone(), one.to.clone()))
                .collect(),
            by: self.place.person().name,
            reason: self.args.reason.clone(),
            commit: commit.map(|commit| commit.to_string()),
            backup_id: backup_id.clone(),
            updates: returns
                .iter()
                .filter_map(|one| one.update.map(|update| update.update_id.clone()))
                .collect(),
        };
        let what = match (returns, &backup_id) {
            (_, Some(id)) => id.clone(),
            ([one], None) => format!("{}-{}", one.from, one.to),
            _ => String::new(),
        };
        let ids: Vec<&str> = returns.iter().map(|one| one.component.id.as_str()).collect();
        Plan {
            title: back.title(),
            body: String::new(),
            message: back.message(),
            branch: branch_name(&format!("rollback-{}", ids.join("-")), &what),
            base_branch: base_branch.to_owned(),
            base,
            tree,
            left: returns
                .iter()
                .map(|one| Left {
                    component: one.component.id.clone(),
                    version: one.from.clone(),
                    update_id: one.update.map(|update| update.update_id.clone()),
                })
                .collect(),
        }
    }

    fn rollback<'s>(&'s self, witness: &'s dyn Witness) -> Rollback<'s, crate::forge::AnyForge> {
        Rollback {
            forge: &self.place.forge,
            git: self.place.repo.clone(),
            store: self.place.state(),
            seen: self.state,
            pull_requests: &self.place.config.pull_requests,
            author: self.place.author.clone(),
            by: self.place.person().name,
            reason: self.args.reason.clone(),
            witness,
            runtime: self.runtime,
            now: self.place.now(),
        }
    }
}

impl From<rollback::Error> for CommandError {
    fn from(error: rollback::Error) -> Self {
        let hint = error.hint();
        let error = Self::failed(error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
