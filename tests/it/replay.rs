//! Recordings of what real controllers did around a merge, judged again.
//!
//! Those of `testdata/recordings` are always there; those of the corpus, which is not part of the project, where
//! `GITOPS_UPDATER_CORPUS` names one.

mod command;
mod disturbed;
mod expected;
mod recorded;
mod resumed;

use std::path::Path;
use std::time::Duration;

use gitops_updater::domain::settle::health::{HealthSettings, findings};
use gitops_updater::domain::settle::judge::Judge;
use gitops_updater::domain::settle::line::{Line, Moment};
use gitops_updater::domain::settle::memory::Memory;
use gitops_updater::domain::settle::object::Object;
use gitops_updater::domain::settle::recording::read;
use gitops_updater::domain::settle::settings::{Settings, Windows};
use gitops_updater::domain::settle::verdict::{Action, Judgement, Verdict};
use gitops_updater::domain::settle::world::World;
use jiff::Timestamp;

use crate::support::corpus::corpus;

/// Window of the tests that use short ones, in seconds: the recordings last one to four minutes.
const WINDOW: u64 = 20;

/// Recordings by name: those of the project, and those of the corpus where there is one.
fn recordings() -> Vec<(String, String)> {
    let own = recordings_at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recordings"));
    assert!(own.len() >= 4, "{} recordings of the project", own.len());
    let Some(folder) = corpus("flux-recordings") else { return own };
    let real = recordings_at(&folder);
    assert!(real.len() >= 31, "{} recordings at {}", real.len(), folder.display());
    own.into_iter().chain(real).collect()
}

fn recordings_at(folder: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn lines(text: &str) -> Vec<Line<Object>> {
    text.lines().map(|line| read(line.as_bytes()).unwrap()).collect()
}

fn short() -> Settings {
    Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        windows: Windows::all(Duration::from_secs(WINDOW)),
        ..Settings::default()
    }
}

/// What was said of the only update, as it changed.
fn judge(lines: impl IntoIterator<Item = Line<Object>>, settings: &Settings) -> Vec<Judgement> {
    let health = HealthSettings::default().within(settings.windows.other);
    let checks = Box::new(move |world: &World| findings(world, &health));
    let mut judge = Judge::new(settings.clone(), checks, Timestamp::UNIX_EPOCH, Memory::default());
    let mut said: Vec<Judgement> = lines.into_iter().flat_map(|line| judge.take(line)).collect();
    said.extend(judge.conclude());
    said
}

/// What is said, in the words of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Neither complete nor revert: wait, or hold until the evidence comes, or nothing.
    Unknown,
    /// Healthy.
    Healthy,
    /// Healthy for long enough.
    Complete,
    /// Regressed, and reverted.
    Revert,
    /// Held, until a person says how it goes on.
    Hold,
    /// Held, until the evidence comes.
    Doubt,
    /// Anything else, which is never right.
    Wrong,
}

fn says(judgement: &Judgement) -> Says {
    match (judgement.verdict, judgement.action) {
        (Verdict::Healthy, Action::Complete) => Says::Complete,
        (Verdict::Healthy, Action::Wait | Action::None) => Says::Healthy,
        (Verdict::Regressed, Action::Revert) => Says::Revert,
        (Verdict::Unknown | Verdict::Inconclusive, Action::Wait | Action::None) => Says::Unknown,
        (Verdict::Unknown | Verdict::Inconclusive, Action::Hold) if judgement.clears_itself => Says::Doubt,
        (_, Action::Hold) if !judgement.clears_itself => Says::Hold,
        _ => Says::Wrong,
    }
}

/// What is said from a moment on until the next one.
fn spans(said: &[Judgement], end: Moment) -> Vec<(f64, f64, Says)> {
    let at = |moment: Moment| moment.0 as f64 / 1000.0;
    let ends = said.iter().skip(1).map(|next| next.t).chain([end]);
    said.iter().zip(ends).map(|(now, until)| (at(now.t), at(until), says(now))).collect()
}

fn end_of(lines: &[Line<Object>]) -> Moment {
    lines.iter().map(|line| line.t).max().unwrap()
}
