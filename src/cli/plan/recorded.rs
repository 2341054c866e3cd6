//! What is recorded, and what is asked of others, before a plan is made.

use std::collections::BTreeSet;

use super::PlanArgs;
use crate::app::forge::{Forge as _, PullRequest};
use crate::app::pass::foresee;
use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::opened::{Opened, block_on};
use crate::cli::workplace::{PlaceArgs, Workplace, blocking};
use crate::cli::{GlobalArgs, switch};
use crate::domain::policy::Hold;
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::problem::{Category, Problem};
use crate::domain::state::State;
use crate::repo;
use crate::repo::write::Id;
use crate::state::STATE_REF;
use crate::telemetry::EVEN_QUIET;

/// Commits that the files here lack are counted up to this many.
const MOST_BEHIND: usize = 500;

/// What is recorded of updates, where the repository has such a record; without it the plan is made as if nothing
/// were under way.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) state: State,
    /// What is not as it should be with the record.
    pub(super) problems: Vec<Problem>,
    /// Nothing may be built on the record: no pass would propose anything.
    pub(super) unfit: Option<Hold>,
    /// What stops every pass on the base branch or the dashboard.
    pub(super) switch: Option<KillSwitch>,
    /// Ids of updates that were merged, which no pass has recorded yet.
    pub(super) unrecorded: BTreeSet<String>,
}

impl Recorded {
    pub(super) fn of(opened: &Opened, args: &PlanArgs, global: &GlobalArgs) -> Self {
        if matches!(opened.repository.location(), repo::Location::Folder { .. }) {
            return Self::default();
        }
        let place = PlaceArgs::quietly(&opened.path, opened.request.now, opened.request.offline);
        // What an older revision would come to is asked without what is there today.
        let asks = args.read.rev.is_none() && !opened.request.offline;
        let loaded = block_on(async {
            let workplace = place.open(global).await?;
            let store = workplace.state();
            let loaded = blocking(move || store.load()).await?;
            let around = match (asks, args.read.rev.is_none()) {
                (true, _) => Around::of(&workplace).await,
                (false, true) => Around { switch: workplace.stopped, ..Around::default() },
                (false, false) => Around::default(),
            };
            Ok((loaded, around))
        });
        let (mut loaded, around) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(target: EVEN_QUIET, reason = %error.source, "the plan is made as if nothing were under way");
                return Self::default();
            }
        };
        let mut problems = loaded.problems();
        for problem in &problems {
            // The report has it in full; a graph has no problems.
            match args.graph {
                None => {
                    tracing::warn!(target: EVEN_QUIET, "the state is not as it should be: see Problems");
                    break;
                }
                Some(_) => {
                    tracing::warn!(target: EVEN_QUIET, reason = problem.message, "the state is not as it should be");
                }
            }
        }
        let unfit = loaded.may_build().err().map(|error| Hold {
            gate: "state",
            reason: error.to_string(),
            policy_applied: STATE_REF.to_owned(),
            until: None,
            is_asked_again: false,
        });
        problems.extend(around.behind);
        let base_branch = around.base_branch.as_deref();
        let unrecorded = foresee(&mut loaded.state, &around.pulls, base_branch, opened.request.now);
        Self { state: loaded.state, problems, unfit, switch: around.switch, unrecorded }
    }
}

/// What is asked of others than the record, as far as they answer.
#[derive(Default)]
struct Around {
    /// What stops every pass, by the base branch or the dashboard.
    switch: Option<KillSwitch>,
    base_branch: Option<String>,
    /// That the plan is made from files which are older than those of the base branch.
    behind: Option<Problem>,
    pulls: Vec<PullRequest>,
}

impl Around {
    async fn of(workplace: &Workplace) -> Self {
        let looked = async {
            let (branch, base, _) = crate::cli::backup::base(workplace).await?;
            let behind = behind(workplace, &branch, base);
            Ok::<_, CommandError>((branch, behind, switch::by_anything(workplace, base).await))
        };
        let (mut base_branch, mut behind) = (None, None);
        let looked = looked.await.and_then(|(branch, commits, switch)| {
            (base_branch, behind) = (Some(branch), commits);
            switch
        });
        let switch = match looked {
            Ok(switch) => switch,
            // Who cannot be understood may have meant to stop it.
            Err(error) if error.kind == ErrorKind::Configuration => Some(KillSwitch::Unreadable),
            Err(error) => {
                let reason = error.source;
                let unknown = "whether the base branch or the dashboard stops everything is not known";
                tracing::warn!(target: EVEN_QUIET, %reason, "{unknown}");
                workplace.stopped
            }
        };
        let pulls = workplace.forge.pull_requests().await.unwrap_or_else(|error| {
            tracing::warn!(target: EVEN_QUIET, reason = %error, "what became of pull requests is not known");
            Vec::new()
        });
        Self { switch, base_branch, behind, pulls }
    }
}

/// What the base branch has and the files here do not: a step of it would be planned once more. A pass reads the base
/// branch itself.
fn behind(workplace: &Workplace, branch: &str, base: Id) -> Option<Problem> {
    let head = workplace.repo.head()?;
    // Where the history between them is not here, as in a shallow clone, nobody can say.
    if workplace.repo.is_ancestor(base, head).unwrap_or(true) {
        return None;
    }
    let count = workplace.repo.commits_since(Some(head), base, MOST_BEHIND).map(|commits| commits.len());
    let commits = match count {
        Ok(1) => "a commit that is".to_owned(),
        Ok(count) => format!("{count} commits that are"),
        Err(_) => "commits that are".to_owned(),
    };
    Some(Problem {
        category: Category::Repository,
        file: None,
        line: None,
        upstream: None,
        message: format!(
            "the plan is made from the files here, and `{branch}` has {commits} not in them: `git pull` brings what it has, \
             and `gitops-updater run` reads that branch itself"
        ),
    })
}
