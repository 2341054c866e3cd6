//! What is tried before a revert is tried by one pass, and nobody waits for what the cluster does not take.

use std::time::Duration;

use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::settle::{Outcome, Settled};
use gitops_updater::domain::settle::record::Recovery;
use gitops_updater::domain::state::State;
use gitops_updater::state::Transition;

use super::judged::{failing, settings};
use super::scripted::Scripted;
use super::world::{LATER, Settling, settle};
use crate::pass::world::Recording;

const CONFIG: &str = "validation: {recovery: [reset_release]}\n";

/// A pass over an update that fails, in a cluster that takes patches or refuses them; and what was asked of it.
fn settled(settling: &Settling, witness: &dyn Witness, refuses: bool) -> (Settled, Vec<String>) {
    let merge = settling.main();
    let base = settling.world.git.run(["rev-parse", "main^1"]);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut cluster = Scripted::of(&failing(&base, &merge).text(), 0.0);
    cluster.refuses = refuses;
    let wait = Some(Duration::from_secs(300));
    let settled = settling
        .world
        .with_pass(witness, LATER, &runtime, |pass| settle(pass, Some(&cluster), wait, settings()));
    (settled.unwrap(), cluster.asked.into_inner().unwrap())
}

/// How many seconds lie between the recovery and the decision to revert.
fn waited(settling: &Settling) -> i64 {
    let settling = settling.update().settling;
    settling.reversal.unwrap().decided_at.duration_since(settling.recovery.unwrap().at).as_secs()
}

#[test]
fn recovery_that_is_refused_is_recorded_as_that_and_delays_nothing() {
    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    let (done, _) = settled(&settling, &Recording::default(), true);
    assert_eq!(done.outcomes[&settling.id], Outcome::Reverted);
    let recovery = settling.update().settling.recovery.unwrap();
    assert_eq!(recovery.done, [""; 0]);
    assert_eq!(recovery.refused, ["reset HelmRelease/apps/podinfo: the account may not"]);
    assert_eq!(waited(&settling), 0);

    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    settled(&settling, &Recording::default(), false);
    assert!(waited(&settling) >= 19, "one that is taken is given the window");
}

/// Another pass that is faster: it records the same recovery just before this one does.
struct Rival<'a>(&'a Settling);

impl Witness for Rival<'_> {
    fn before(&self, effect: &Effect) -> Result<Go, Stopped> {
        if matches!(effect, Effect::Record { what } if what.starts_with("Try to recover")) {
            let id = &self.0.id;
            let changed = self.0.store().change(LATER.parse().unwrap(), |state: &mut State| {
                let done = vec!["reset HelmRelease/apps/podinfo".to_owned()];
                let update = state.updates.get_mut(id)?;
                update.settling.recovery =
                    Some(Recovery { at: LATER.parse().unwrap(), done, refused: vec![] });
                Some(Transition::new("Be faster"))
            });
            changed.unwrap();
        }
        Ok(Go::Do)
    }
}

#[test]
fn of_two_passes_one_asks_the_cluster() {
    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    let (done, asked) = settled(&settling, &Rival(&settling), false);
    assert_eq!(asked, [""; 0]);
    assert_eq!(done.outcomes[&settling.id], Outcome::Reverted);
}
