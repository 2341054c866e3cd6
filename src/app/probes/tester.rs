//! Who makes the trials of updates: what is to be tried for which, and each piece of it as one thing that may take
//! minutes.

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::{Outside, Testbed, Trial, Tried, command, inside, quick, restore, run_job, storage, sweep};
use crate::app::cluster::Cluster;
use crate::app::ports::Clock;
use crate::config::Validation;
use crate::domain::notice::kind_of;
use crate::domain::rule::Rule;
use crate::domain::rule::health::health_for;
use crate::domain::settle::health::probe::{Pods, RESTORE, STORAGE, StorageSpec, Trials};
use crate::domain::settle::record::KeptVolume;
use crate::domain::state::Update;

/// What is tried in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Addresses and the network, by Pods.
    Inside,
    /// A volume that was written is read back.
    ReadBack(KeptVolume),
    /// The backup of a volume that was written is restored into a new one, which is read and removed.
    Restore(KeptVolume),
    /// The user's Job, by its manifest.
    Job(Value),
    /// The user's program.
    Command,
}

/// One piece of work.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is done.
    pub work: Work,
    /// The update that it is done for: the same names come of it in every run.
    pub update: String,
    /// As it is configured for the update.
    pub trials: Trials,
}

/// Who makes the trials of updates.
pub trait Trier: Sync {
    /// What is tried for an update; nothing where there is no cluster to compare before and after.
    fn trials(&self, update: &Update) -> Trials;

    /// Asks the addresses that are asked from where the program runs. Cheap, and changes nothing.
    fn ask(&self, trials: Trials) -> LocalBoxFuture<'_, Vec<Trial>>;

    /// Does one piece of work.
    fn work(&self, order: Order) -> LocalBoxFuture<'_, Vec<Trial>>;

    /// Writes a volume for an update and keeps it; done again, it finds what was written. Returns what there is to be
    /// told of it, and of its backup where one is wanted.
    fn write(&self, update: String, trials: Trials) -> LocalBoxFuture<'_, (Option<KeptVolume>, Vec<Trial>)>;

    /// Removes a volume that was written for an update, with its backup.
    fn remove(&self, update: String, volume: KeptVolume) -> LocalBoxFuture<'_, Result<(), Tried>>;
}

/// Tries nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoTrials;

impl Trier for NoTrials {
    fn trials(&self, _: &Update) -> Trials {
        Trials::default()
    }

    fn ask(&self, _: Trials) -> LocalBoxFuture<'_, Vec<Trial>> {
        Box::pin(async { Vec::new() })
    }

    fn work(&self, _: Order) -> LocalBoxFuture<'_, Vec<Trial>> {
        Box::pin(async { Vec::new() })
    }

    fn write(&self, _: String, _: Trials) -> LocalBoxFuture<'_, (Option<KeptVolume>, Vec<Trial>)> {
        Box::pin(async { (None, Vec::new()) })
    }

    fn remove(&self, _: String, _: KeptVolume) -> LocalBoxFuture<'_, Result<(), Tried>> {
        Box::pin(async { Ok(()) })
    }
}

/// Makes trials in a cluster and from here, as the configuration and the rules say.
#[derive(Debug)]
pub struct Tester<'a, C, O, K> {
    /// The cluster, where there is a way to it.
    pub cluster: Option<&'a C>,
    /// What is tried from here.
    pub outside: O,
    /// The time.
    pub clock: K,
    /// What is configured.
    pub validation: &'a Validation,
    /// What is known of components.
    pub rules: Vec<Rule>,
}

impl<C: Cluster, O: Outside, K: Clock + Sync> Tester<'_, C, O, K> {
    fn testbed<'s>(&'s self, pods: &'s Pods, purpose: &'s str) -> Option<Testbed<'s, C, K>> {
        Some(Testbed { cluster: self.cluster?, clock: &self.clock, pods, purpose })
    }

    async fn made(&self, order: &Order) -> Vec<Trial> {
        let Order { work, update, trials } = order;
        if *work == Work::Command {
            return command(trials, &self.outside).await.into_iter().collect();
        }
        let pods = match work {
            // It is where it was written, whatever is configured since.
            Work::ReadBack(volume) | Work::Restore(volume) => at(&trials.pods, volume),
            _ => trials.pods.clone(),
        };
        let Some(testbed) = self.testbed(&pods, update) else { return Vec::new() };
        let one = |first: &str, tried| vec![Trial::new(format!("{first}/{update}"), tried)];
        match work {
            Work::Inside => inside(&testbed, trials).await,
            Work::ReadBack(volume) => one(STORAGE, storage::storage_read(&testbed, volume).await),
            Work::Restore(volume) => one(RESTORE, restore::restored(&testbed, volume).await),
            Work::Job(job) => match &trials.test_job {
                Some(spec) => vec![Trial::new("test_job", run_job(&testbed, spec, job).await)],
                None => Vec::new(),
            },
            Work::Command => Vec::new(),
        }
    }

    async fn written(
        &self,
        update: &str,
        spec: &StorageSpec,
        pods: &Pods,
    ) -> (Option<KeptVolume>, Vec<Trial>) {
        let Some(testbed) = self.testbed(pods, update) else { return (None, Vec::new()) };
        if let Err(error) = sweep(testbed.cluster, &pods.namespace, self.clock.now()).await {
            tracing::debug!(reason = %error, "cannot look for what killed runs have left");
        }
        let storage = format!("{STORAGE}/{update}");
        let mut kept = match storage::storage_before(&testbed, spec).await {
            Ok(kept) => kept,
            Err(tried) => return (None, vec![Trial::new(storage, tried)]),
        };
        let mut told = vec![Trial::new(storage, Tried::Good(format!("written on {}", kept.node)))];
        if spec.restore {
            let tried = match restore::backed_up(&testbed, &kept).await {
                Ok(backup) => {
                    kept.backup = Some(backup);
                    Tried::Good("backed up".to_owned())
                }
                Err(tried) => tried,
            };
            told.push(Trial::new(format!("{RESTORE}/{update}"), tried));
        }
        (Some(kept), told)
    }
}

/// Pods where a volume is.
fn at(pods: &Pods, volume: &KeptVolume) -> Pods {
    Pods { namespace: volume.namespace.clone(), ..pods.clone() }
}

impl<C: Cluster, O: Outside, K: Clock + Sync> Trier for Tester<'_, C, O, K> {
    fn trials(&self, update: &Update) -> Trials {
        if self.cluster.is_none() {
            return Trials::default();
        }
        let component = update.component.as_str();
        let rule = health_for(&self.rules, component, update.chart.as_deref()).map(|(rule, _)| rule);
        self.validation.trials_for(component, kind_of(component), rule)
    }

    fn ask(&self, trials: Trials) -> LocalBoxFuture<'_, Vec<Trial>> {
        Box::pin(async move { quick(&trials, &self.outside).await })
    }

    fn work(&self, order: Order) -> LocalBoxFuture<'_, Vec<Trial>> {
        Box::pin(async move { self.made(&order).await })
    }

    fn write(&self, update: String, trials: Trials) -> LocalBoxFuture<'_, (Option<KeptVolume>, Vec<Trial>)> {
        Box::pin(async move {
            match &trials.storage {
                Some(spec) => self.written(&update, spec, &trials.pods).await,
                None => (None, Vec::new()),
            }
        })
    }

    fn remove(&self, update: String, volume: KeptVolume) -> LocalBoxFuture<'_, Result<(), Tried>> {
        Box::pin(async move {
            let pods = at(&self.validation.pods, &volume);
            let testbed = self.testbed(&pods, &update);
            let testbed = testbed.ok_or_else(|| Tried::Not("there is no way to the cluster".to_owned()))?;
            restore::removed(&testbed, &volume).await?;
            storage::storage_removed(&testbed, &volume.claim).await
        })
    }
}
