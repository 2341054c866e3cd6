//! What an update rests upon: the steps that had to come before it, and whether they still stand.
//!
//! A step is proposed once they are verified. While its pull request is open a person may take one of them back; then
//! nobody may merge it before that one, or another in its place, is verified.

use jiff::Timestamp;

use super::plan::Step;
use super::plan::before::{Requirements, needed};
use super::state::{Stage, State, Update};

/// Most steps that are named.
const NAMED: usize = 3;

/// How it is with a step that had to come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is verified.
    Stands,
    /// It was reverted after the update was proposed.
    Reverted,
    /// A person asked to go back from it, and its version is in quarantine.
    Leaving,
}

impl Standing {
    /// One word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stands => "verified",
            Self::Reverted => "reverted",
            Self::Leaving => "to be reverted",
        }
    }
}

/// A step that had to come first.
#[derive(Debug, Clone, PartialEq)]
pub struct Footing<'s> {
    /// Its record.
    pub update: &'s Update,
    /// Why it comes first; empty where nothing more is known.
    pub why: String,
    /// How it is with it.
    pub standing: Standing,
}

/// A step that had to come first and does not stand any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its id: `helm/apps/podinfo@6.5.1`.
    pub id: String,
    /// How it is with it.
    pub standing: Standing,
}

/// What an update rests upon, as far as plans said so, in the order in which it was merged.
pub fn of<'s>(state: &'s State, update: &Update) -> Vec<Footing<'s>> {
    of_step(state, (&update.component, &update.from, &update.to), update.started_at)
}

/// What a step rests upon that was proposed at `since`: its component, where it starts and where it goes.
fn of_step<'s>(
    state: &'s State,
    (component, from, to): (&str, &str, &str),
    since: Timestamp,
) -> Vec<Footing<'s>> {
    let known: Vec<&Requirements> = state.campaigns.values().map(|campaign| &campaign.requires).collect();
    let first = |id: &str| needed(&known, component, from, to, |_| true).contains_key(id);
    let view = View { state, since, first: &first };
    let mut found: Vec<Footing<'s>> = Vec::new();
    let all = [
        needed(&known, component, from, to, |id| view.stands(id).is_some()),
        needed(&known, component, from, to, |id| view.lost(id).is_some()),
    ];
    for (id, why) in all.into_iter().flatten() {
        let Some((footing, standing)) = view.lost(id).or_else(|| Some((view.stands(id)?, Standing::Stands)))
        else {
            continue;
        };
        if !found.iter().any(|known| known.update.update_id == footing.update_id) {
            found.push(Footing { update: footing, why: why.to_owned(), standing });
        }
    }
    found.sort_by_key(|footing| (footing.update.merged_at, footing.update.changed_at));
    found
}

/// What an update rests upon and does not stand any more.
pub fn lost(state: &State, update: &Update) -> Vec<Lost> {
    among(of(state, update))
}

/// What a step that is about to be proposed rests upon and does not stand any more: what a person goes back from.
pub fn lost_by(state: &State, step: &Step, now: Timestamp) -> Vec<Lost> {
    among(of_step(state, (&step.component, &step.from, &step.to), now))
}

fn among(footings: Vec<Footing<'_>>) -> Vec<Lost> {
    let gone = footings.into_iter().filter(|footing| footing.standing != Standing::Stands);
    gone.map(|footing| Lost { id: id_of(footing.update), standing: footing.standing }).collect()
}

/// Why nobody may merge an update whose ground is lost; `None` where none is.
pub fn reason(lost: &[Lost]) -> Option<String> {
    let told = lost.iter().take(NAMED).map(|Lost { id, standing }| match standing {
        Standing::Leaving => format!("`{id}`, which had to come first, is about to be taken back"),
        Standing::Stands | Standing::Reverted => {
            format!("`{id}`, which had to come first, was taken back since")
        }
    });
    let told: Vec<String> = told.collect();
    let more = match lost.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and so it is with {more} more"),
    };
    (!told.is_empty()).then(|| told.join("; ") + &more)
}

/// Whether the newest version of the component of a step that is in is verified and not about to be left: all that can be
/// said of a step where it is not known what its update rests upon.
pub fn is_settled(state: &State, id: &str) -> bool {
    let updates = state.updates.values().filter(|update| is_of_component(id, update));
    let newest = updates.filter(|update| update.merged_at.is_some()).max_by_key(|update| age(update));
    newest.is_some_and(|update| update.stage == Stage::Verified && !is_left(state, update))
}

/// By which updates of a component are told apart that came one after the other.
fn age(update: &Update) -> (Option<Timestamp>, Timestamp) {
    (update.merged_at, update.started_at)
}

fn id_of(update: &Update) -> String {
    format!("{}@{}", update.component, update.to)
}

fn is_of_component(id: &str, update: &Update) -> bool {
    id.strip_prefix(update.component.as_str()).is_some_and(|rest| rest.starts_with('@'))
}

fn is_left(state: &State, update: &Update) -> bool {
    state.quarantine.iter().any(|left| left.component == update.component && left.version == update.to)
}

struct View<'a, 's> {
    state: &'s State,
    /// When what rests upon it was proposed.
    since: Timestamp,
    /// Whether a step came right before that by any plan so far.
    first: &'a dyn Fn(&str) -> bool,
}

impl<'s> View<'_, 's> {
    /// The verified update of a step.
    fn stands(&self, id: &str) -> Option<&'s Update> {
        self.of_step(id).filter(|update| self.is_good(update)).max_by_key(|update| age(update))
    }

    /// The update of a step that was taken back, or that of another version of its component where the step is planned
    /// in its place and not verified yet.
    fn lost(&self, id: &str) -> Option<(&'s Update, Standing)> {
        if self.stands(id).is_some() {
            return None;
        }
        let own = self.of_step(id).filter_map(|update| Some((update, self.went(update)?)));
        let newest = |found: &(&'s Update, Standing)| age(found.0);
        let lost = own.max_by_key(newest).or_else(|| {
            let others = self.state.updates.values().filter(|update| is_of_component(id, update));
            let reverted = others.filter(|update| self.went(update) == Some(Standing::Reverted));
            reverted.map(|update| (update, Standing::Reverted)).max_by_key(newest)
        })?;
        // Another version that came first in its place makes good for it.
        let is_made_good = self.state.updates.values().any(|update| {
            update.component == lost.0.component
                && self.is_good(update)
                && age(update) > age(lost.0)
                && (self.first)(&id_of(update))
        });
        (!is_made_good).then_some(lost)
    }

    fn of_step(&self, id: &str) -> impl Iterator<Item = &'s Update> {
        let updates = self.state.updates.values().filter(|update| id_of(update) == id);
        updates.collect::<Vec<_>>().into_iter()
    }

    fn is_good(&self, update: &Update) -> bool {
        update.stage == Stage::Verified && !is_left(self.state, update)
    }

    fn went(&self, update: &Update) -> Option<Standing> {
        match update.stage {
            // What was reverted before is nothing that it was proposed upon.
            Stage::Reverted => (update.changed_at > self.since).then_some(Standing::Reverted),
            Stage::Merged | Stage::Rolling | Stage::Held | Stage::Verified => {
                is_left(self.state, update).then_some(Standing::Leaving)
            }
            Stage::Proposed | Stage::Abandoned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;
    use crate::domain::lifecycle::tests::update as made;
    use crate::domain::plan::Approval;
    use crate::domain::plan::before::Required;
    use crate::domain::state::{Campaign, Quarantined, UpdateStatus};

    /// Minutes after ten.
    fn at(minutes: i64) -> jiff::Timestamp {
        let ten: jiff::Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        ten + jiff::SignedDuration::from_mins(minutes)
    }

    fn update(component: &str, to: &str, stage: Stage, minutes: i64) -> Update {
        Update {
            update_id: format!("update-{component}-{to}-{minutes}"),
            component: component.to_owned(),
            from: "1".to_owned(),
            to: to.to_owned(),
            started_at: at(0),
            changed_at: at(minutes),
            merged_at: (stage != Stage::Proposed).then(|| at(minutes - 1)),
            ..made(stage, None, Approval::Review)
        }
    }

    /// `app 2`, proposed ten minutes after ten, comes after these steps.
    fn state(first: &[&str], updates: &[Update]) -> (State, Update) {
        let app = Update { started_at: at(10), ..update("app", "2", Stage::Proposed, 10) };
        let first = first.iter().map(|id| ((*id).to_owned(), "it says so".to_owned())).collect();
        let required = Required { from: "1".to_owned(), to: "2".to_owned(), first };
        let campaign = Campaign {
            campaign_id: app.campaign.clone(),
            status: UpdateStatus::InProgress,
            started_at: at(0),
            current_phase: None,
            completed_phases: vec![],
            backup_id: None,
            order: vec![],
            requires: BTreeMap::from([("app".to_owned(), vec![required])]),
            rollback_points: vec![],
        };
        let updates = updates.iter().chain([&app]).map(|one| (one.update_id.clone(), one.clone()));
        let state = State {
            updates: updates.collect(),
            campaigns: BTreeMap::from([(campaign.campaign_id.clone(), campaign)]),
            ..State::default()
        };
        (state, app)
    }

    fn leave(state: &mut State, component: &str, version: &str) {
        state.quarantine.push(Quarantined {
            component: component.to_owned(),
            version: version.to_owned(),
            reason: "rolled back by jane".to_owned(),
            since: at(20),
            update_id: None,
        });
    }

    const STEP: &[&str] = &["db@2"];
    const BOTH: &[&str] = &["db@2", "db@3"];

    #[rstest]
    #[case::it_stands(STEP, &[("2", Stage::Verified, 5)], false)]
    #[case::it_was_reverted(STEP, &[("2", Stage::Reverted, 20)], true)]
    #[case::it_had_been_reverted_before(STEP, &[("2", Stage::Reverted, 5)], false)]
    #[case::it_is_proposed_again(STEP, &[("2", Stage::Reverted, 20), ("2", Stage::Proposed, 30)], true)]
    #[case::it_is_merged_again(STEP, &[("2", Stage::Reverted, 20), ("2", Stage::Rolling, 30)], true)]
    #[case::it_is_verified_again(STEP, &[("2", Stage::Reverted, 20), ("2", Stage::Verified, 30)], false)]
    #[case::a_newer_one_is_planned_in_its_place(&["db@3"], &[("2", Stage::Reverted, 20)], true)]
    #[case::a_newer_one_is_proposed(&["db@3"], &[("2", Stage::Reverted, 20), ("3", Stage::Proposed, 30)], true)]
    #[case::a_newer_one_is_verified(BOTH, &[("2", Stage::Reverted, 20), ("3", Stage::Verified, 30)], false)]
    #[case::one_is_verified_that_is_not_enough(STEP, &[("2", Stage::Reverted, 20), ("1.9", Stage::Verified, 30)], true)]
    #[case::a_newer_one_is_published(BOTH, &[("2", Stage::Verified, 5)], false)]
    fn ground_is_lost_while_nothing_that_had_to_come_first_is_in_its_place(
        #[case] first: &[&str],
        #[case] updates: &[(&str, Stage, i64)],
        #[case] expected: bool,
    ) {
        let updates: Vec<Update> =
            updates.iter().map(|(to, stage, minutes)| update("db", to, *stage, *minutes)).collect();
        let (state, app) = state(first, &updates);
        let told = reason(&lost(&state, &app));
        assert_eq!(told.is_some(), expected, "{told:?}");
        let words = told.unwrap_or_default();
        assert!(
            words.is_empty() || words.starts_with("`db@2`, which had to come first, was taken back"),
            "{words}"
        );
    }

    #[test]
    fn what_a_person_goes_back_from_is_lost_until_the_person_leaves_it() {
        let (mut state, app) = state(STEP, &[update("db", "2", Stage::Verified, 5)]);
        assert_eq!(of(&state, &app)[0].standing, Standing::Stands);
        leave(&mut state, "db", "2");
        assert_eq!(of(&state, &app)[0].standing, Standing::Leaving);
        assert!(!is_settled(&state, "db@2"));
        let told = reason(&lost(&state, &app)).unwrap();
        assert_eq!(told, "`db@2`, which had to come first, is about to be taken back");
        state.quarantine.clear();
        assert_eq!(reason(&lost(&state, &app)), None);
        assert!(is_settled(&state, "db@2"));
    }

    #[test]
    fn what_is_below_is_lost_where_what_is_upon_it_stands() {
        let updates = [update("db", "2", Stage::Verified, 5), update("disk", "2", Stage::Reverted, 20)];
        let (mut state, app) = state(STEP, &updates);
        let first = BTreeMap::from([("disk@2".to_owned(), String::new())]);
        let campaign = state.campaigns.values_mut().next().unwrap();
        let required = Required { from: "1".to_owned(), to: "2".to_owned(), first };
        campaign.requires.insert("db".to_owned(), vec![required]);
        let standings: Vec<Standing> = of(&state, &app).iter().map(|footing| footing.standing).collect();
        assert_eq!(standings, [Standing::Stands, Standing::Reverted]);
    }

    #[test]
    fn only_some_of_many_are_named() {
        let lost: Vec<Lost> =
            (0..5).map(|n| Lost { id: format!("db@{n}"), standing: Standing::Reverted }).collect();
        let told = reason(&lost).unwrap();
        assert!(told.contains("db@2") && !told.contains("db@3") && told.ends_with("with 2 more"), "{told}");
        assert_eq!(reason(&[]), None);
    }
}
