//! Recordings of what real controllers did around a merge, judged again.
//!
//! The recordings of the corpus are not part of the project: they are looked for at `GITOPS_UPDATER_CORPUS`, else beside
//! the project. Where they are not, the tests on them say so and pass. Those of `testdata/recordings` are always there.

mod command;
mod disturbed;
mod expected;
mod recorded;
mod resumed;

use std::path::{Path, PathBuf};
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

/// Window of the tests that use short ones, in seconds: the recordings last one to four minutes.
const WINDOW: u64 = 20;

/// Recordings of the corpus, by name; empty where there is no corpus.
#[expect(clippy::print_stderr, reason = "a test that checks nothing must say so")]
fn recordings() -> Vec<(String, String)> {
    let folder = match std::env::var_os("GITOPS_UPDATER_CORPUS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
    }
    .join("flux-recordings");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("note: no recordings at {}: nothing was checked", folder.display());
        return Vec::new();
    };
    let mut found: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 31, "{} recordings at {}", found.len(), folder.display());
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
    /// Regressed, and taken back.
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
