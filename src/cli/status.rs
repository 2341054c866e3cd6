//! `status`: updates in flight, held, quarantined and completed, and why.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::opened::block_on;
use super::updates::next_for_a_person;
use super::workplace::{PlaceArgs, Workplace, blocking};
use super::{age_of, maintenance, switch};
use crate::app::forge::{Forge as _, PullRequest};
use crate::app::pass::{GoingBack, LEFT_ALONE, Unrecorded, has_foreign_commits};
use crate::backup::PREFIX;
use crate::domain::backup::DataBackup;
use crate::domain::ground;
use crate::domain::notice::kind_of;
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::problem::Problem;
use crate::domain::settle::record::{Breaker, Said};
use crate::domain::settle::verdict::Verdict;
use crate::domain::state::{Campaign, Maintenance, Quarantined, Stage, Update, UpdateStatus};
use crate::repo::write::{self, Id};
use crate::report::clean;
use crate::state::{History, Loaded, STATE_REF};
use crate::telemetry::EVEN_QUIET;

/// Reasons that are shown of one update.
const EVIDENCE: usize = 5;
/// Columns for what a row is about.
const WHAT: usize = WIDTH - 24;
/// Finished updates that text shows without -v.
const FINISHED: usize = 5;

/// Show updates in flight, held, quarantined and completed, and why
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Take the state for right although somebody rewrote its ref
    #[arg(long)]
    accept_rewritten: bool,
}

/// As scripts read it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    schema: &'static str,
    /// Newest transition; null before the first.
    state: Option<String>,
    now: Timestamp,
    /// Key, variable or label of the kill switch, where one stops everything.
    stopped_by: Option<&'static str>,
    maintenance: Option<&'a Maintenance>,
    updates: Vec<&'a Update>,
    campaigns: Vec<&'a Campaign>,
    quarantine: &'a [Quarantined],
    /// Set while too many reverts have stopped proposing and merging.
    breaker: Option<&'a Breaker>,
    /// What was said last of updates after their merge, by update id.
    evidence: BTreeMap<&'a str, &'a Said>,
    problems: Vec<Problem>,
    /// What became of pull requests since a pass looked at them last, by update id: `merged` or `closed`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    not_recorded: BTreeMap<&'a str, &'static str>,
    /// Ids of updates to whose branch somebody else has committed: they are left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    foreign_commits: Vec<&'a str>,
    /// Why open pull requests must not be merged now, by update id: what had to come first was taken back since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    not_to_be_merged: BTreeMap<&'a str, String>,
    #[serde(skip)]
    became: BTreeMap<&'a str, Unrecorded>,
    /// Open pull requests that go back to older versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    going_back: Vec<GoingBack>,
    /// Backups of data that backup points of what is in flight or held have, by the point's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    data_backups: BTreeMap<String, Vec<DataBackup>>,
}

/// What is asked of others than the record.
struct Around {
    switch: Option<KillSwitch>,
    pulls: Vec<PullRequest>,
    base_branch: Option<String>,
    /// Ids of updates to whose branch somebody else has committed.
    foreign: Vec<String>,
}

impl Around {
    /// Where the forge or the remote does not answer, the record is shown all the same.
    async fn of(workplace: &Workplace, loaded: &Loaded) -> Self {
        let pulls = workplace.forge.pull_requests().await.unwrap_or_else(|error| {
            tracing::warn!(
                target: EVEN_QUIET,
                reason = %error,
                "what became of pull requests, and those that go back, is not shown"
            );
            Vec::new()
        });
        let looked = async {
            let (branch, base, _) = super::backup::base(workplace).await?;
            Ok::<_, CommandError>((branch, base, switch::by_anything(workplace, base).await?))
        };
        let (base_branch, switch, foreign) = match looked.await {
            Ok((branch, base, switch)) => {
                let foreign = foreign(workplace, loaded, base).await.unwrap_or_else(|error| {
                    let reason = error.source;
                    tracing::warn!(target: EVEN_QUIET, %reason, "commits of others on branches are not shown");
                    Vec::new()
                });
                (Some(branch), switch, foreign)
            }
            Err(error) => {
                tracing::warn!(
                    target: EVEN_QUIET,
                    reason = %error.source,
                    "whether the base branch or the dashboard stops everything is not shown"
                );
                (None, workplace.stopped, Vec::new())
            }
        };
        Self { switch, pulls, base_branch, foreign }
    }

    /// What became of the pull request of an update that is recorded as proposed.
    fn not_recorded(&self, update: &Update) -> Option<Unrecorded> {
        Unrecorded::of(update, &self.pulls, self.base_branch.as_deref())
    }
}

/// The updates whose open branch somebody else has committed to. Where the forge commits in its own name a commit that was
/// not noted yet cannot be told from others here, and nothing is said.
async fn foreign(workplace: &Workplace, loaded: &Loaded, base: Id) -> Result<Vec<String>, CommandError> {
    let open = |update: &&Update| update.stage == Stage::Proposed;
    let open: Vec<Update> = loaded.state.updates.values().filter(open).cloned().collect();
    if open.is_empty() || workplace.config.commits.through_api {
        return Ok(Vec::new());
    }
    let (repo, ours) = (workplace.repo.clone(), workplace.author.email.clone());
    blocking(move || {
        let wanted = |name: &str| {
            let branch = name.strip_prefix("refs/heads/");
            branch.is_some_and(|branch| open.iter().any(|update| update.branch == branch))
        };
        let refs = repo.fetch(wanted)?;
        let mut foreign = Vec::new();
        for update in &open {
            let Some(head) = refs.branch(&update.branch) else { continue };
            if has_foreign_commits(&repo, base, &ours, update, head)? {
                foreign.push(update.update_id.clone());
            }
        }
        Ok::<_, write::Error>(foreign)
    })
    .await
}

pub(super) fn run(args: &StatusArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    let (loaded, now, around, data_backups) = block_on(async {
        let workplace = args.place.open(global).await?;
        let (store, now, by) = (workplace.state(), workplace.now(), workplace.person().name);
        let accept = args.accept_rewritten;
        let loaded = blocking(move || {
            if accept {
                store.accept(now, &by)?;
            }
            store.load()
        })
        .await?;
        let data = data_backups(&workplace, &loaded).await;
        let around = Around::of(&workplace, &loaded).await;
        Ok((loaded, now, around, data))
    })?;
    let mut updates: Vec<&Update> = loaded
        .state
        .updates
        .values()
        .filter(|update| {
            global.components.is_empty()
                || global
                    .components
                    .iter()
                    .any(|selector| selector.matches(&update.component, kind_of(&update.component)))
        })
        .collect();
    updates.sort_by(|a, b| b.changed_at.cmp(&a.changed_at).then_with(|| a.update_id.cmp(&b.update_id)));
    let became: BTreeMap<&str, Unrecorded> = updates
        .iter()
        .filter_map(|update| Some((update.update_id.as_str(), around.not_recorded(update)?)))
        .collect();
    let is_shown = |id: &&str| updates.iter().any(|update| update.update_id == **id);
    let foreign_commits = around.foreign.iter().map(String::as_str).filter(is_shown).collect();
    let open = updates.iter().filter(|update| update.stage == Stage::Proposed);
    let groundless = open.filter_map(|update| {
        let why = ground::reason(&ground::lost(&loaded.state, update))?;
        Some((update.update_id.as_str(), why))
    });
    let not_to_be_merged = groundless.collect();
    let shown = Shown {
        schema: "gitops-updater/status/v1",
        state: loaded.tip.map(|tip| tip.to_string()),
        now,
        stopped_by: around.switch.map(KillSwitch::by),
        maintenance: loaded.state.maintenance.as_ref(),
        updates,
        campaigns: loaded.state.campaigns.values().collect(),
        quarantine: &loaded.state.quarantine,
        breaker: loaded.state.breaker.as_ref(),
        evidence: loaded
            .state
            .evidence
            .iter()
            .filter_map(|(id, evidence)| Some((id.as_str(), evidence.judgements.last()?)))
            .collect(),
        problems: loaded.problems(),
        not_recorded: became.iter().map(|(id, became)| (*id, became.word())).collect(),
        foreign_commits,
        not_to_be_merged,
        became,
        going_back: GoingBack::among(&around.pulls),
        data_backups,
    };
    form::write(global, &shown, || text(&shown, &loaded, around.switch, global.verbose > 0))?;
    // Told after what could be read: nothing is built on such a state, and a script should notice.
    loaded.may_build()?;
    Ok(Outcome::Done)
}

/// Backups of data of what is in flight or held. What cannot be read is told by `backup list`.
async fn data_backups(workplace: &Workplace, loaded: &Loaded) -> BTreeMap<String, Vec<DataBackup>> {
    let open = loaded
        .state
        .updates
        .values()
        .filter(|update| matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held));
    let ids: Vec<String> = open.filter_map(|update| update.backup_id.clone()).collect();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let (repo, backups) = (workplace.repo.clone(), workplace.backups());
    let found = blocking(move || {
        let wanted =
            |name: &str| name.strip_prefix(PREFIX).is_some_and(|id| ids.iter().any(|known| known == id));
        let refs = repo.fetch(wanted)?;
        let points = ids.into_iter().filter_map(|id| {
            let point = backups.known(&refs, &id).ok().flatten()?;
            (!point.data.is_empty()).then_some((id, point.data))
        });
        Ok::<_, write::Error>(points.collect())
    });
    found.await.unwrap_or_default()
}

fn text(shown: &Shown<'_>, loaded: &Loaded, switch: Option<KillSwitch>, verbose: bool) -> String {
    let mut lines = vec![match (&shown.state, loaded.history) {
        (Some(tip), _) => format!("state {} ({STATE_REF})", tip.get(..10).unwrap_or(tip)),
        (None, History::Intact) => "nothing was proposed yet".to_owned(),
        (None, History::Rewritten { .. }) => format!("{STATE_REF} is gone"),
    }];
    if let Some(switch) = switch {
        let said = format!("everything is stopped by the kill switch; {} to go on", switch.undo());
        lines.extend(clean::wrap(&said, WIDTH));
    }
    lines.push(maintenance::text(shown.maintenance, shown.now));
    if let Some(breaker) = shown.breaker {
        lines.push("the circuit breaker is open:".to_owned());
        lines.extend(why(&breaker.reason()));
        lines.extend(why("`gitops-updater verify --close-breaker` lets it go on"));
    }
    let of = |status: UpdateStatus| -> Vec<&Update> {
        shown.updates.iter().copied().filter(|update| update.status == status).collect()
    };
    section(&mut lines, "In flight", &of(UpdateStatus::InProgress), usize::MAX, shown);
    section(&mut lines, "Held", &of(UpdateStatus::Held), usize::MAX, shown);
    if !shown.going_back.is_empty() {
        lines.push(format!("\nGoing back ({})", shown.going_back.len()));
        for GoingBack { pull_request, title } in &shown.going_back {
            lines.extend(why(&format!("#{pull_request} waits for a person: {title}")));
        }
    }
    if !shown.quarantine.is_empty() {
        lines.push(format!("\nQuarantined ({})", shown.quarantine.len()));
        for entry in shown.quarantine {
            let since = age_of(entry.since, shown.now);
            lines.push(row(&format!("{} {}", entry.component, entry.version), "", &since));
            lines.extend(why(&entry.reason));
        }
    }
    let most = if verbose { usize::MAX } else { FINISHED };
    section(&mut lines, "Completed", &of(UpdateStatus::Completed), most, shown);
    section(&mut lines, "Reverted", &of(UpdateStatus::Reverted), most, shown);
    if verbose {
        section(&mut lines, "Closed unmerged or replaced", &of(UpdateStatus::Abandoned), most, shown);
    }
    if !shown.problems.is_empty() {
        lines.push(format!("\nProblems ({})", shown.problems.len()));
        for problem in &shown.problems {
            lines.extend(why(&problem.message));
        }
    }
    lines.join("\n") + "\n"
}

fn section(lines: &mut Vec<String>, title: &str, updates: &[&Update], most: usize, shown: &Shown<'_>) {
    if updates.is_empty() {
        return;
    }
    lines.push(format!("\n{title} ({})", updates.len()));
    for update in updates.iter().take(most) {
        let what = format!("{} {} -> {}", update.component, update.from, update.to);
        let became = shown.became.get(update.update_id.as_str());
        let word = match update.stage {
            Stage::Proposed if update.pull_request.is_none() => "proposed",
            Stage::Proposed => became.map_or("open", Unrecorded::word),
            Stage::Merged => "merged",
            Stage::Rolling => "rolling",
            Stage::Verified | Stage::Reverted | Stage::Held | Stage::Abandoned => "",
        };
        let number = update.pull_request.map(|number| format!("#{number} ")).unwrap_or_default();
        let stage = format!("{number}{word}").trim_end().to_owned();
        let age = age_of(update.changed_at, shown.now);
        if clean::line(&what).chars().count() <= WHAT {
            lines.push(row(&what, &stage, &age));
        } else {
            // Versions are not what is cut off.
            lines.push(row(&update.component, &stage, &age));
            lines.extend(why(&format!("{} -> {}", update.from, update.to)));
        }
        if matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held) {
            lines.extend(why(&update.update_id));
            lines.extend(became.map(|became| why(became.told())).unwrap_or_default());
            if shown.foreign_commits.contains(&update.update_id.as_str()) {
                lines.extend(why(LEFT_ALONE));
            }
            let lost = shown.not_to_be_merged.get(update.update_id.as_str());
            lines.extend(lost.map(|lost| why(&format!("do not merge it now: {lost}"))).unwrap_or_default());
            let data = update.backup_id.as_ref().and_then(|id| shown.data_backups.get(id));
            lines.extend(data.into_iter().flatten().flat_map(|data| why(&data.line())));
        }
        lines.extend(update.reason.as_deref().map(why).unwrap_or_default());
        // What was taken back is not verified any more.
        let had = if update.stage == Stage::Reverted { "had been verified: " } else { "" };
        lines.extend(update.verified_by.as_ref().map(|by| why(&format!("{had}{by}"))).unwrap_or_default());
        if matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held) {
            lines.extend(judged(update, shown));
            let said = shown.evidence.get(update.update_id.as_str()).copied();
            lines.extend(next_for_a_person(update, said).map(|next| why(&next)).unwrap_or_default());
        }
    }
    if updates.len() > most {
        lines.push(format!("  and {} more (-v shows all)", updates.len() - most));
    }
}

/// What was said of a merged update, and what ends its hold.
fn judged(update: &Update, shown: &Shown<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(said) = shown.evidence.get(update.update_id.as_str()) {
        let verdict = match said.verdict {
            Verdict::Healthy => "healthy",
            Verdict::Regressed => "regressed",
            Verdict::Unknown => "unknown",
            Verdict::Inconclusive => "inconclusive",
        };
        let of = if said.of_the_way_back { " (after the revert)" } else { "" };
        lines.extend(why(&format!(
            "verdict: {verdict}{of}, since {}; said then:",
            age_of(said.at, shown.now)
        )));
        for reason in said.reasons.iter().take(EVIDENCE) {
            let object = reason.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
            lines.extend(why(&format!("- {object}{}", reason.text)));
        }
    }
    if update.settling.hold.as_ref().is_some_and(|hold| hold.clears_itself) {
        lines.extend(why("it goes on when what is missing is seen"));
    }
    lines
}

fn row(what: &str, stage: &str, age: &str) -> String {
    let what = clean::line(what).into_owned();
    let what = clean::left(&clean::fit(&what, WHAT), WHAT);
    format!("  {what}  {stage:<10}  {age}").trim_end().to_owned()
}

fn why(reason: &str) -> Vec<String> {
    clean::wrap(&clean::line(reason), WIDTH - 4).into_iter().map(|line| format!("    {line}")).collect()
}
