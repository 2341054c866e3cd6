//! `verify`: watch merged updates until they are good; say so as a person; or make the verdicts of a recording again.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::GlobalArgs;
use super::connection::ClusterArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::lease;
use super::markdown::folded;
use super::notify::{People, of_error, of_failures};
use super::opened::block_on;
use super::replay;
use super::run::{Settling, witness};
use super::settle::{self, Seen, SettleArgs};
use super::stop::Stop;
use super::updates::{next_for_a_person, update};
use super::workplace::{PlaceArgs, blocking};
use crate::app::notify::Gathered;
use crate::app::pass::{close_breaker, delete_branch, mark_verified, may_be_verified, resume};
use crate::app::settle::Settled;
use crate::domain::notice::kind_of;
use crate::domain::settle::record::Said;
use crate::domain::settle::verdict::Verdict;
use crate::domain::state::{Stage, State, Update};
use crate::repo::printable;
use crate::report::clean;

/// Watch merged updates until they are good, revert or hold them; say as a person that they are good; or judge a
/// recording
#[derive(Debug, Args)]
#[group(id = "what", required = false, multiple = true, args = ["accept", "resume", "close_breaker", "replay"])]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(flatten)]
    settle: SettleArgs,

    /// Only this update, as `gitops-updater status` shows it (repeatable)
    #[arg(long = "update", value_name = "ID", conflicts_with = "what")]
    updates: Vec<String>,

    /// Say that a merged or held update is good, so that the sequence moves on (repeatable)
    #[arg(long = "accept", value_name = "ID")]
    accept: Vec<String>,

    /// Take an update up again that is held: it is judged anew (repeatable)
    #[arg(long = "resume", value_name = "ID")]
    resume: Vec<String>,

    /// Let proposing and merging go on after too many reverts
    #[arg(long)]
    close_breaker: bool,

    /// Make the verdicts of a recording again, at its own times, and print each change; `-` is stdin. Windows are those
    /// of --config, else those in the recording; with `--format json` each change is an object on a line of its own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["accept", "resume", "close_breaker", "wait", "record"])]
    replay: Option<std::path::PathBuf>,

    /// Who says so [default: `user.name` of Git]
    #[arg(long, value_name = "NAME", conflicts_with = "replay")]
    by: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("update `{id}` cannot be accepted: it is {stage}, and only what is merged can be good")]
    NotMerged { id: String, stage: &'static str },
    #[error("update `{id}` cannot be taken up again: it is {stage}, and only what is held can be")]
    NotHeld { id: String, stage: &'static str },
}

/// What a person said, as scripts read it.
#[derive(Serialize)]
struct Done<'a> {
    schema: &'static str,
    did: Vec<&'a str>,
}

/// As scripts read it.
#[derive(Serialize)]
struct Shown<'a> {
    schema: &'static str,
    updates: Vec<ShownUpdate<'a>>,
    effects: Vec<String>,
    /// What another run had done when this one was about to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_to_others: Vec<String>,
    failures: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShownUpdate<'a> {
    #[serde(flatten)]
    update: &'a Update,
    waiting: Option<&'a str>,
    evidence: Option<&'a Said>,
}

pub(super) fn run(args: &VerifyArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if let Some(file) = &args.replay {
        return replay::run(file, global);
    }
    if args.accept.is_empty() && args.resume.is_empty() && !args.close_breaker {
        return watch(args, global);
    }
    say(args, global)
}

/// Watches what was merged.
fn watch(args: &VerifyArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    let runtime = super::opened::runtime()?;
    let place = runtime.block_on(args.place.open(global))?;
    let access = args.cluster.access();
    let seen = runtime.block_on(Seen::connect(access.as_ref(), args.settle.is_recorded()))?;
    let selected = |id: &str, component: &str| {
        let named = args.updates.iter().any(|named| named == id);
        let of_component =
            global.components.iter().any(|selector| selector.matches(component, kind_of(component)));
        match (args.updates.is_empty(), global.components.is_empty()) {
            (true, true) => true,
            _ => named || of_component,
        }
    };
    let stop = Stop::listen()?;
    let turn = lease::take(access.as_ref())?;
    if let Some(text) = turn.of_another() {
        tracing::error!("{text}");
        // Whoever asked does not know whether the update is good.
        return Ok(Outcome::Undecided);
    }
    let stop = turn.stop(&stop);
    let settling = Settling {
        args: &args.settle,
        global,
        place: &place,
        runtime: &runtime,
        seen: &seen,
        stop: &stop,
        proposes: false,
    };
    let gathered = Gathered::default();
    let settled = settling.settle(witness(false, &stop), &gathered, &selected);
    if let (Some(signal), Err(_)) = (stop.asked(), &settled) {
        return Ok(Outcome::Stopped(signal));
    }
    if settled.is_err() && stop.is_lost() {
        return Err(lease::lost());
    }
    let acts = witness(false, &stop);
    let people = |config| People { config, place: &place, runtime: &runtime, witness: acts.as_ref() };
    let mut events = gathered.take();
    let (settled, config) = match settled {
        Ok(settled) => settled,
        Err(error) => {
            events.push(of_error(&error, place.now()));
            let told = place
                .state()
                .load()
                .map_err(CommandError::from)
                .and_then(|loaded| people(&place.config).tell(&loaded.state, events, &BTreeMap::new()));
            if let Err(untold) = told {
                tracing::warn!(reason = %untold.source, "nobody is told that it failed");
            }
            return Err(error);
        }
    };
    for id in &args.updates {
        update(&settled.state, id)?;
    }
    events.extend(of_failures(&settled.failures, &events, place.now()));
    let told = people(&config).tell(&settled.state, events, &settled.links);
    let mut shown = shown(&settled, args, &selected);
    // What was found out counts, and is shown, whether or not people can be told of it.
    let untold = match &told {
        Ok(delivered) => {
            let failed = delivered.failed.iter();
            failed.map(|(channel, (_, reason))| format!("not told ({channel}): {reason}")).collect()
        }
        Err(error) => vec![format!("not told: {}", crate::app::pass::chain(error.source.as_ref()))],
    };
    shown.warnings.extend(untold);
    form::write(global, &shown, || text(&shown))?;
    Ok(match settle::outcome(&settled, true) {
        worse @ (Outcome::RevertFailed | Outcome::Reverted | Outcome::Regressed) => worse,
        // Held by an earlier pass, it is not good all the same.
        outcome => match held(&shown) {
            Outcome::Regressed => Outcome::Regressed,
            Outcome::Undecided if outcome == Outcome::Done => Outcome::Undecided,
            _ => outcome,
        },
    })
}

/// How looking at held updates ends.
fn held(shown: &Shown<'_>) -> Outcome {
    let held = || shown.updates.iter().map(|shown| shown.update).filter(|update| update.stage == Stage::Held);
    if held().any(|update| update.settling.verdict == Some(Verdict::Regressed)) {
        Outcome::Regressed
    } else if held().next().is_some() {
        Outcome::Undecided
    } else {
        Outcome::Done
    }
}

fn shown<'a>(settled: &'a Settled, args: &VerifyArgs, selected: &dyn Fn(&str, &str) -> bool) -> Shown<'a> {
    let is_shown = |update: &&Update| {
        let named = args.updates.contains(&update.update_id);
        let under_way = matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held);
        let touched = settled.outcomes.contains_key(&update.update_id);
        named || (selected(&update.update_id, &update.component) && (under_way || touched))
    };
    let updates = settled.state.updates.values().filter(is_shown).map(|update| ShownUpdate {
        update,
        waiting: settled.waiting.get(&update.update_id).map(String::as_str),
        evidence: settled.newest.get(&update.update_id).or_else(|| {
            settled.state.evidence.get(&update.update_id).and_then(|known| known.judgements.last())
        }),
    });
    Shown {
        schema: "gitops-updater/verify/v1",
        updates: updates.collect(),
        effects: settled.effects.iter().map(ToString::to_string).collect(),
        left_to_others: settled.found.iter().map(ToString::to_string).collect(),
        failures: settled
            .failures
            .iter()
            .map(|failure| format!("{}: {}", failure.component, crate::app::pass::chain(&failure.error)))
            .collect(),
        warnings: settled
            .warnings
            .iter()
            .cloned()
            .chain(settled.blind.iter().map(|why| format!("the cluster was not seen: {why}")))
            .collect(),
    }
}

fn text(shown: &Shown<'_>) -> String {
    let mut lines = Vec::new();
    if shown.updates.is_empty() {
        lines.push("Nothing that was merged waits to be verified.".to_owned());
    }
    for ShownUpdate { update, waiting, evidence } in &shown.updates {
        let stage = match update.stage {
            Stage::Merged | Stage::Rolling if is_reverted(update) => "reverted, not seen healthy again yet",
            Stage::Merged | Stage::Rolling => "not decided yet",
            Stage::Verified => "verified",
            Stage::Reverted => "reverted",
            Stage::Held => "held",
            Stage::Proposed => "proposed",
            Stage::Abandoned => "abandoned",
        };
        put(&mut lines, 0, &format!("{} {} → {}: {stage}", update.component, update.from, update.to));
        lines.push(format!("  {}", update.update_id));
        let why = update.reason.as_deref().or(*waiting).or(update.verified_by.as_deref());
        why.into_iter().for_each(|why| put(&mut lines, 2, why));
        next_for_a_person(update, *evidence).into_iter().for_each(|next| put(&mut lines, 2, &next));
        for reason in evidence.iter().flat_map(|said| &said.reasons).take(10) {
            let object = reason.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
            put(&mut lines, 4, &format!("{object}{} ({})", reason.text, reason.code));
        }
    }
    for (title, list) in [
        ("Did", &shown.effects),
        ("Left, because others were faster", &shown.left_to_others),
        ("Failed", &shown.failures),
        ("Take note", &shown.warnings),
    ] {
        if !list.is_empty() {
            lines.push(format!("\n{title} ({}):", list.len()));
            lines.extend(list.iter().map(|line| folded(line, 2)));
        }
    }
    let printable: Vec<String> = lines
        .iter()
        .map(|line| line.split('\n').map(|part| printable(part).into_owned()).collect::<Vec<_>>().join("\n"))
        .collect();
    printable.join("\n") + "\n"
}

fn is_reverted(update: &Update) -> bool {
    update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_some())
}

/// Adds a text in lines of the usual width.
fn put(lines: &mut Vec<String>, indent: usize, text: &str) {
    let wrapped = clean::wrap(&clean::line(text), WIDTH - indent);
    lines.extend(wrapped.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))));
}

/// What a person says.
fn say(args: &VerifyArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        let place = args.place.open(global).await?;
        let by = args.by.clone().unwrap_or_else(|| place.person().name);
        let (store, now) = (place.state(), place.now());
        let loaded = {
            let store = store.clone();
            blocking(move || store.load()).await?
        };
        loaded.may_build()?;
        // All or none, as far as can be known before.
        let mut told = String::new();
        for id in &args.accept {
            let update = check(&loaded.state, id)?;
            told.push_str(&match update.stage {
                Stage::Verified => format!("{} was verified already\n", step(update)),
                _ => format!("{} is verified: accepted by {}\n", step(update), printable(&by)),
            });
        }
        for id in &args.resume {
            let update = update(&loaded.state, id)?;
            if update.stage != Stage::Held {
                let stage = stage_word(update.stage);
                return Err(CommandError::failed(Error::NotHeld { id: id.clone(), stage }));
            }
            told.push_str(&format!("{} is taken up again by {}\n", step(update), printable(&by)));
        }
        for id in args.resume.clone() {
            let (store, by) = (store.clone(), by.clone());
            blocking(move || store.change(now, |state| resume(state, &id, &by, now))).await?;
        }
        for id in args.accept.clone() {
            let (store, by) = (store.clone(), format!("accepted by {by}"));
            let changed = {
                let id = id.clone();
                blocking(move || store.change(now, |state| mark_verified(state, &id, &by, now))).await?
            };
            let Some(update) = changed.loaded.state.updates.get(&id).cloned() else { continue };
            let repo = place.repo.clone();
            blocking(move || -> Result<(), CommandError> {
                let removed = match repo.refs() {
                    Ok(refs) => refs
                        .branch(&update.branch)
                        .map_or(Ok(false), |head| delete_branch(&repo, &update, head)),
                    Err(error) => Err(error),
                };
                // It is verified all the same.
                if let Err(error) = removed {
                    tracing::warn!(branch = update.branch, reason = %error, "branch not deleted");
                }
                Ok(())
            })
            .await?;
        }
        if args.close_breaker {
            let (store, by) = (store.clone(), by.clone());
            let changed = blocking(move || store.change(now, |state| close_breaker(state, &by))).await?;
            told.push_str(match changed.transition {
                Some(_) => "the circuit breaker is closed: proposing and merging go on\n",
                None => "the circuit breaker was not open\n",
            });
        }
        let done = Done { schema: "gitops-updater/said/v1", did: told.lines().collect() };
        form::write(global, &done, || told.clone())
    })
}

fn step(update: &Update) -> String {
    let Update { component, from, to, .. } = update;
    format!("{} {} → {}", printable(component), printable(from), printable(to))
}

fn check<'s>(state: &'s State, id: &str) -> Result<&'s Update, CommandError> {
    let update = update(state, id)?;
    // Accepting twice is no error.
    if may_be_verified(update) || update.stage == Stage::Verified {
        return Ok(update);
    }
    let stage = stage_word(update.stage);
    let error = CommandError::failed(Error::NotMerged { id: id.to_owned(), stage });
    Err(if update.stage == Stage::Proposed {
        error.hint("where its pull request is merged, `gitops-updater run` records that first")
    } else {
        error
    })
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Proposed => "proposed",
        Stage::Merged | Stage::Rolling => "merged",
        Stage::Verified => "verified",
        Stage::Reverted => "reverted",
        Stage::Held => "held",
        Stage::Abandoned => "abandoned",
    }
}
