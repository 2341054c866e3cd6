//! What a pass writes to its recording, and that it says the same again: also of what people do to the branch meanwhile.

use std::sync::Arc;
use std::time::Duration;

use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::settle::{Outcome, Settled};
use gitops_updater::domain::settle::verdict::{Action, Verdict};
use gitops_updater::domain::state::Stage;
use rstest::rstest;
use serde_json::{Value, json};

use super::judged::{NEW, OLD, failing, healthy, look, merged, settings};
use super::scripted::Scripted;
use super::story::{Release, Story};
use super::world::{LATER, Lines, Settling, replayed, settle_recorded};
use crate::pass::world::{Recording, World};
use crate::support::git::Git;
use crate::support::manifests::release;

/// A pass that records what it sees, and what somebody does at a second of the story.
fn recorded(
    settling: &Settling,
    story: &Story,
    at: f64,
    happens: impl Fn() + Send + Sync + 'static,
) -> (Settled, String) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut cluster = Scripted::of(&story.text(), 0.0);
    cluster.then = Some((at, Arc::new(happens)));
    let lines = Lines::default();
    let settled = settling.world.with_pass(&Recording::default(), LATER, &runtime, |pass| {
        let world = pass.observe()?;
        let wait = Some(Duration::from_secs(600));
        settle_recorded(pass, world, Some(&cluster), wait, settings(), false, Some(&lines))
    });
    (settled.unwrap(), lines.0.into_inner())
}

fn lines_with<'a>(recording: &'a str, key: &'a str) -> impl Iterator<Item = Value> + 'a {
    let lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(move |line| line.get(key).is_some())
}

/// A recording had neither: what failed before the merge was taken for new, or what was new for old, by other windows.
#[test]
fn recording_holds_the_policy_and_what_was_known_before() {
    let (settling, base, merge) = merged();
    let (_, recording) = recorded(&settling, &healthy(&base, &merge), 0.0, || {});
    let second = recording.lines().nth(1).unwrap();
    let config: Value = serde_json::from_str(second).unwrap();
    let validation = &config["config"]["validation"];
    assert_eq!((&validation["window"], &validation["sample"]), (&json!("20s"), &json!("1s")), "{config}");
    let own = json!({"settle": "2s", "window": "20s", "cap": "2h"});
    assert_eq!(validation["components"]["helm/apps/podinfo"], own, "{config}");
    let update = lines_with(&recording, "update").next().unwrap();
    assert!(update["update"]["remembered"]["baseline"]["taken_at"].is_string(), "{update}");
    let over: Vec<Value> = lines_with(&recording, "over").collect();
    assert_eq!((over.len(), &over[0]["over"]), (1, &json!(settling.id)));
    let said = replayed(&recording);
    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

/// A pass that begins when all is broken already knows from an earlier one that it was not: its recording did not.
#[test]
fn failure_that_was_there_when_the_pass_began_is_as_new_in_its_recording() {
    let (settling, base, merge) = merged();
    look(&settling, &failing(&base, &merge), 8);
    let mut story = Story::begin(&base, OLD);
    story.source(0.0, &merge).applied(0.0, &merge, &base, false).release(0.0, 2, Release::Failed(OLD, NEW));
    let (settled, recording) = recorded(&settling, &story, 0.0, || {});
    assert_eq!(settled.outcomes[&settling.id], Outcome::Reverted, "{:?}", settled.waiting);
    let reverts = |recording: &str| {
        let said = replayed(recording);
        said.iter().any(|said| said.update == settling.id && said.action == Action::Revert)
    };
    assert!(reverts(&recording), "{recording}");
    let forgetful: Vec<String> = recording
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if let Some(update) = line.get_mut("update").and_then(Value::as_object_mut) {
                update.remove("remembered");
            }
            line.to_string()
        })
        .collect();
    assert!(!reverts(&forgetful.join("\n")), "it rests on what was known before");
}

/// It was looked at every half minute, whatever Flux showed.
#[test]
fn branch_is_looked_at_when_flux_has_a_commit_that_nobody_knows() {
    let (settling, base, merge) = merged();
    let repository = settling.world.dir().to_owned();
    let git = Git::at(&repository);
    git.run(["commit", "--quiet", "--allow-empty", "-m", "Mine"]);
    let mine = git.run(["rev-parse", "main"]);
    git.run(["reset", "--quiet", "--hard", &merge]);
    let mut story = healthy(&base, &merge);
    story.source(16.0, &mine).applied(16.2, &mine, &mine, true);
    let commit = mine.clone();
    let (settled, recording) = recorded(&settling, &story, 16.0, move || {
        Git::at(&repository).run(["reset", "--quiet", "--hard", &commit]);
    });
    let told = lines_with(&recording, "commit").find(|line| line["commit"]["id"] == *mine).unwrap();
    assert_eq!(told["t"].as_f64().unwrap(), 16.0, "{told}");
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
    let said = replayed(&recording);
    let texts = said.iter().flat_map(|said| &said.reasons).map(|reason| reason.text.as_str());
    assert!(texts.clone().all(|text| !text.contains(&mine[..12])), "{:?}", texts.collect::<Vec<_>>());
    let complete = said.last().unwrap();
    assert!(complete.t.0 < 40_000, "the window did not begin anew: {complete:?}");
}

#[rstest]
#[case::back("version: 6.5.0 # mine", "reverts", "reverted", Stage::Reverted)]
#[case::another("version: 6.5.2 # mine", "replaces", "superseded", Stage::Abandoned)]
fn what_a_person_does_to_the_pins_is_recorded(
    #[case] line: &'static str,
    #[case] key: &str,
    #[case] code: &str,
    #[case] stage: Stage,
) {
    let (settling, base, merge) = merged();
    let folder = settling.world.dir().to_owned();
    let (_, recording) = recorded(&settling, &failing_late(&base, &merge), 8.0, move || {
        let file = folder.join("podinfo.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let old = text.lines().find(|line| line.trim().starts_with("version:")).unwrap().trim().to_owned();
        std::fs::write(&file, text.replace(&old, line)).unwrap();
        Git::at(&folder).commit_all("Mine");
    });
    assert_eq!(settling.update().stage, stage);
    let told = lines_with(&recording, "commit").find(|line| line["commit"]["message"] == "Mine\n").unwrap();
    assert_eq!(told["commit"][key], json!([settling.id]), "{told}");
    let said = replayed(&recording);
    let last = said.last().unwrap();
    assert_eq!((last.action, last.reasons[0].code.as_str()), (Action::None, code), "{said:?}");
}

/// Nothing is decided of it within the first minute.
fn failing_late(base: &str, merge: &str) -> Story {
    let mut story = Story::begin(base, OLD);
    story.source(5.0, merge).applied(5.5, merge, base, false).release(6.0, 2, Release::Upgrading(OLD, NEW));
    story.source(8.0, merge);
    story
}

#[test]
fn version_that_a_person_took_back_and_put_in_again_is_judged_on() {
    let (settling, base, merge) = merged();
    for line in ["version: 6.5.0 # back", "version: 6.5.1 # and again"] {
        let file = settling.world.dir().join("podinfo.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let old = text.lines().find(|line| line.trim().starts_with("version:")).unwrap().trim().to_owned();
        std::fs::write(&file, text.replace(&old, line)).unwrap();
        settling.world.git.commit_all("Mine");
    }
    let head = settling.main();
    let settled = look(&settling, &deployed_at(&base, &head), 600);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over, "{:?}", settled.waiting);
    assert_eq!(settling.update().stage, Stage::Verified);
    assert_ne!(head, merge);
}

/// A component with a pin in each of two files, which a person took back at once and puts in again one file after the
/// other: right before the last of these commits the pins were neither all gone nor all there.
#[rstest]
#[case::taken_back_by_git(true)]
#[case::taken_back_by_hand(false)]
fn version_that_a_person_puts_in_again_file_by_file_is_judged_on(#[case] by_git: bool) {
    const FILES: [&str; 2] = ["podinfo.yaml", "second/podinfo.yaml"];
    let world = World::new();
    world.git.write(FILES[1], release("podinfo", OLD, ""));
    world.git.commit_all("Begin");
    let settling = Settling::merged_in(world, MergeMethod::Merge);
    let (git, merge) = (&settling.world.git, settling.main());
    let base = git.run(["rev-parse", "main^1"]);
    assert_eq!(git.run(["diff", "--name-only", &base, &merge]).lines().collect::<Vec<_>>(), FILES);
    let put = |from: &str, files: &[&str]| {
        git.run(["checkout", "--quiet", from, "--"].into_iter().chain(files.iter().copied()));
        git.commit_all("Mine");
    };
    match by_git {
        true => drop(git.run(["revert", "--no-edit", "-m", "1", &merge])),
        false => put(&base, &FILES),
    }
    put(&merge, &FILES[..1]);
    put(&merge, &FILES[1..]);
    let head = settling.main();
    let (settled, recording) = recorded(&settling, &deployed_at(&base, &head), 0.0, || {});
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over, "{:?}", settled.waiting);
    assert_eq!(settling.update().stage, Stage::Verified, "{:?}", settling.update().reason);
    let again: Vec<Value> = lines_with(&recording, "commit")
        .filter(|line| line["commit"]["restores"] == json!([settling.id]))
        .map(|line| line["commit"]["id"].clone())
        .collect();
    assert_eq!(again, [json!(head)], "{recording}");
}

/// Flux applies a commit, and the new version is deployed.
fn deployed_at(base: &str, head: &str) -> Story {
    let mut story = Story::begin(base, OLD);
    story
        .source(5.0, head)
        .applied(5.5, head, base, false)
        .release(6.0, 2, Release::Upgrading(OLD, NEW))
        .release(12.0, 2, Release::Deployed(NEW))
        .applied(14.0, head, head, true);
    story
}
