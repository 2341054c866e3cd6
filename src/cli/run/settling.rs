//! Settling what was merged, by the configuration and the rules of the base branch.

use super::ingredients::{Ingredients, Nothing, failed};
use crate::app::effects::Witness;
use crate::app::notify::Gathered;
use crate::app::rules::rules_of;
use crate::app::settle::{Recorded, Settled};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::opened::{configuration, configuration_of_base};
use crate::cli::settle::{self, Seen, SettleArgs};
use crate::cli::stop::Stop;
use crate::cli::workplace::Workplace;
use crate::config::Config;
use crate::repo;
use crate::repo::write::Id;

/// How merged updates are settled, by the configuration of the base branch.
pub(in crate::cli) struct Settling<'a> {
    pub(in crate::cli) args: &'a SettleArgs,
    pub(in crate::cli) global: &'a GlobalArgs,
    pub(in crate::cli) place: &'a Workplace,
    pub(in crate::cli) runtime: &'a tokio::runtime::Runtime,
    pub(in crate::cli) seen: &'a Seen,
    pub(in crate::cli) stop: &'a Stop,
    /// Something may be proposed afterwards.
    pub(in crate::cli) proposes: bool,
}

impl Settling<'_> {
    /// Settles what was merged and is selected, by update id and component; returns the configuration of the base branch,
    /// too.
    pub(in crate::cli) fn settle(
        &self,
        witness: Box<dyn Witness + '_>,
        gathered: &Gathered,
        selected: &dyn Fn(&str, &str) -> bool,
    ) -> Result<(Settled, Config), CommandError> {
        let Self { args, global, place, runtime, seen, stop, proposes } = *self;
        let path = place.path.as_path();
        let first = Ingredients::bare(place, runtime, &place.config, witness, gathered, seen)?;
        let world = first.pass(&Nothing).observe().map_err(failed)?;
        let repository = repo::open(path, Some(&world.base.to_string())).map_err(CommandError::failed)?;
        let config = configuration(path, global, &repository)?;
        let mut ingredients = Ingredients::bare(place, runtime, &config, first.witness, gathered, seen)?;
        ingredients.heed(global, &configuration_of_base(path, &repository)?);
        // What is wrong with a rule is said by the survey of the same revision.
        let (registry, _) = rules_of(&repository);
        ingredients.trials = settle::trier(&config, seen, registry.rules(), place.clock)?;
        let pass = ingredients.pass(&Nothing);
        let which = settle::Which { selected, rules: registry.rules(), proposes };
        let settled = args.settle(&pass, world, seen, stop, &which)?;
        drop(ingredients);
        Ok((settled, config))
    }
}

/// Records what was merged and no pass has recorded yet. `may_go_on` is asked with the base branch as it is at the remote,
/// before anything is done.
pub(in crate::cli) fn record_merged(
    place: &Workplace,
    runtime: &tokio::runtime::Runtime,
    witness: Box<dyn Witness + '_>,
    may_go_on: impl FnOnce(Id) -> Result<(), CommandError>,
) -> Result<Recorded, CommandError> {
    let (gathered, seen) = (Gathered::default(), Seen::default());
    let ingredients = Ingredients::bare(place, runtime, &place.config, witness, &gathered, &seen)?;
    let pass = ingredients.pass(&Nothing);
    let world = pass.observe().map_err(failed)?;
    may_go_on(world.base)?;
    pass.record_merged(world).map_err(failed)
}
