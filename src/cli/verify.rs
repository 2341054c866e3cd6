//! `verify`: watch merged updates until they are good; say so as a person; or make the verdicts of a recording again.

mod say;

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
use super::replay;
use super::run::{Settling, witness};
use super::settle::{self, Seen, SettleArgs};
use super::stop::Stop;
use super::updates::{breaker_is_open, next_for_a_person, update};
use super::workplace::PlaceArgs;
use crate::app::notify::Gathered;
use crate::app::settle::Settled;
use crate::domain::notice::kind_of;
use crate::domain::settle::record::{Breaker, Said};
use crate::domain::settle::verdict::Verdict;
use crate::domain::state::{Stage, Update};
use crate::repo::printable;
use crate::report::clean;

const SCHEMA: &str = "gitops-updater/verify/v1";
/// Options that say how is looked at updates, by id: whoever only says something does not look.
const LOOKING: [&str; 5] = ["wait", "record", "cluster", "kubeconfig", "context"];

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
    #[arg(long = "accept", value_name = "ID", conflicts_with_all = LOOKING)]
    accept: Vec<String>,

    /// Take an update up again that is held (repeatable): it is judged anew, by the next run, or at once where a cluster or
    /// --wait is given
    #[arg(long = "resume", value_name = "ID")]
    resume: Vec<String>,

    /// Let proposing and merging go on after too many reverts
    #[arg(long, conflicts_with_all = LOOKING)]
    close_breaker: bool,

    /// Make the verdicts of a recording again, at its own times, and print each change; `-` is stdin. Windows are those
    /// of --config, else those in the recording; with `--format json` each change is an object on a line of its own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["accept", "resume", "close_breaker"])]
    #[arg(conflicts_with_all = LOOKING)]
    replay: Option<std::path::PathBuf>,

    /// Who says so [default: `user.name` of Git]
    #[arg(long, value_name = "NAME", conflicts_with = "replay")]
    by: Option<String>,
}

/// As scripts read it.
#[derive(Serialize)]
struct Shown<'a> {
    schema: &'static str,
    /// What a person said before.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    said: &'a [String],
    /// The signal that ended looking on before everything was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_by: Option<&'static str>,
    /// Set while too many reverts have stopped proposing and merging.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'a Breaker>,
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
    form::check(global)?;
    if args.accept.is_empty() && args.resume.is_empty() && !args.close_breaker {
        return watch(args, global, &[]);
    }
    let mut said = say::say(args, global)?;
    let looks_on = args.cluster.is_asked() || args.settle.looks_on();
    if args.resume.is_empty() || !looks_on {
        if !args.resume.is_empty() {
            said.push("the next `gitops-updater run` or `gitops-updater verify` judges it".to_owned());
        }
        return say::tell(&said, global);
    }
    // It is said, whatever comes of looking on.
    watch(args, global, &said).map_err(|error| said.iter().fold(error, |error, line| error.detail(line)))
}

/// Watches what was merged. `said` is what a person said before: then only of that is looked on.
fn watch(args: &VerifyArgs, global: &GlobalArgs, said: &[String]) -> Result<Outcome, CommandError> {
    let runtime = super::opened::runtime()?;
    // What there is to be told of the place was told to the person who spoke.
    let place = PlaceArgs { is_quiet: !said.is_empty(), ..args.place.clone() };
    let place = runtime.block_on(place.open(global))?;
    let access = args.cluster.access();
    let seen = runtime.block_on(Seen::connect(access.as_ref(), args.settle.is_recorded()))?;
    let named = args.named();
    let selected = |id: &str, component: &str| {
        let of_component =
            global.components.iter().any(|selector| selector.matches(component, kind_of(component)));
        match (named.is_empty(), global.components.is_empty() || !said.is_empty()) {
            (true, true) => true,
            (_, is_by_id) => named.iter().any(|named| named == id) || (!is_by_id && of_component),
        }
    };
    let stop = Stop::listen()?;
    let turn = lease::take(access.as_ref())?;
    if let Some(text) = turn.of_another() {
        tracing::error!("{text}");
        if !said.is_empty() {
            say::tell(said, global)?;
        }
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
    let is_stopped = settled.as_ref().map_or(true, |(settled, _)| settled.stopped);
    if let (Some(signal), true) = (stop.asked(), is_stopped) {
        // Who is asked to stop begins nothing new: the next pass tells people what this one came to.
        let known = settled.ok().map(|(settled, _)| settled);
        let shown = known.as_ref().map(|settled| shown(settled, args, said, &selected)).unwrap_or_default();
        let shown = Shown { stopped_by: Some(signal.name()), said, ..shown };
        form::write(global, &shown, || text(&shown))?;
        return Ok(Outcome::Stopped(signal));
    }
    if is_stopped && stop.is_lost() {
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
    let mut shown = shown(&settled, args, said, &selected);
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

impl Default for Shown<'_> {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            said: &[],
            stopped_by: None,
            breaker: None,
            updates: Vec::new(),
            effects: Vec::new(),
            left_to_others: Vec::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl VerifyArgs {
    /// Ids of the updates that are looked at; none = all.
    fn named(&self) -> &[String] {
        if self.resume.is_empty() { &self.updates } else { &self.resume }
    }
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

fn shown<'a>(
    settled: &'a Settled,
    args: &VerifyArgs,
    said: &'a [String],
    selected: &dyn Fn(&str, &str) -> bool,
) -> Shown<'a> {
    let is_shown = |update: &&Update| {
        let named = args.named().contains(&update.update_id);
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
        schema: SCHEMA,
        said,
        stopped_by: None,
        breaker: settled.state.breaker.as_ref(),
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
    for line in shown.said {
        put(&mut lines, 0, line);
    }
    match (shown.stopped_by, shown.updates.is_empty()) {
        (None, true) => lines.push("Nothing that was merged waits to be verified.".to_owned()),
        (None, false) => {}
        (Some(signal), true) => lines.push(format!("Stopped by {signal} before anything was seen.")),
        (Some(signal), false) => lines.push(format!("Stopped by {signal}; seen until then:")),
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
    if let Some(breaker) = shown.breaker {
        lines.push(String::new());
        breaker_is_open(breaker).iter().for_each(|line| put(&mut lines, 0, line));
    }
    if shown.stopped_by.is_some() {
        lines.push(String::new());
        put(&mut lines, 0, "Nothing is lost: `gitops-updater verify`, or the next run, goes on from here.");
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
