//! A judgement survives the end of the process at any moment: the next pass goes on from what was remembered.

use std::collections::BTreeMap;
use std::time::Duration;

use gitops_updater::app::replay::replay;
use gitops_updater::config::recorded_policy;
use gitops_updater::domain::settle::health::{HealthSettings, findings};
use gitops_updater::domain::settle::judge::Judge;
use gitops_updater::domain::settle::line::{Change, Line, Moment, Seen};
use gitops_updater::domain::settle::memory::{Memory, Remembered};
use gitops_updater::domain::settle::object::Object;
use gitops_updater::domain::settle::recording::read;
use gitops_updater::domain::settle::verdict::{Action, Judgement, Verdict};
use gitops_updater::domain::settle::world::World;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{WINDOW, judge, lines, recordings, short};

/// Judges until a moment, forgets everything but the memory, looks at what is there, and judges on.
fn killed_at(lines: &[Line<Object>], at: Moment) -> Vec<Judgement> {
    let new = |memory: Memory| Judge::new(short(), Box::new(|_| Vec::new()), Timestamp::UNIX_EPOCH, memory);
    let mut first = new(Memory::default());
    let mut told = Vec::new();
    let mut objects: BTreeMap<(String, String, String), Object> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.t <= at) {
        first.take(line.clone());
        match &line.seen {
            Seen::Event { change, object, .. } => {
                let key = (object.kind.label(), object.meta.namespace.clone(), object.meta.name.clone());
                match change {
                    Change::Deleted => objects.remove(&key),
                    Change::Added | Change::Modified => objects.insert(key, object.clone()),
                };
            }
            _ => told.push(line.seen.clone()),
        }
    }
    first.conclude();
    // The memory is kept as text, and read by strict rules.
    let memory: Memory = serde_json::from_str(&serde_json::to_string(&first.memory()).unwrap()).unwrap();
    let mut second = new(memory);
    let mut said = Vec::new();
    let (updates, before): (Vec<Seen<Object>>, Vec<Seen<Object>>) =
        told.into_iter().partition(|seen| matches!(seen, Seen::Update(_)));
    let events =
        objects.into_values().map(|object| Seen::Event { change: Change::Added, object, initial: true });
    for seen in before.into_iter().chain(events).chain(updates) {
        said.extend(second.take(Line { t: at, seen }));
    }
    for line in lines.iter().filter(|line| line.t > at) {
        said.extend(second.take(line.clone()));
    }
    said.extend(second.conclude());
    said
}

fn ends_the_same(name: &str, lines: &[Line<Object>], parts: i64) {
    let end = |said: Vec<Judgement>| said.last().map(|last| (last.verdict, last.action)).unwrap();
    let merged = lines.iter().find(|line| matches!(line.seen, Seen::Update(_))).unwrap().t;
    let last = super::end_of(lines);
    let undisturbed = end(judge(lines.to_vec(), &short()));
    for part in 0..parts {
        let at = Moment(merged.0 + (last.0 - merged.0) * part / parts);
        let mut resumed = end(killed_at(lines, at));
        // What was complete may have to be watched again.
        if undisturbed == (Verdict::Healthy, Action::Complete) && resumed == (Verdict::Healthy, Action::Wait)
        {
            resumed = undisturbed;
        }
        assert_eq!(resumed, undisturbed, "{name}, killed at {} ms", at.0);
    }
}

/// A pass that goes on from what an earlier one remembered, with what it writes to its recording: what it says itself, and
/// what its recording says. Only what `keeps` lets through of what was remembered is written.
fn recorded_from(
    text: &str,
    at: Moment,
    keeps: impl Fn(Remembered) -> Option<Remembered>,
) -> (Vec<Judgement>, Vec<Judgement>) {
    let health = HealthSettings::default().within(Duration::from_secs(WINDOW));
    let new = |memory: Memory| {
        let health = health.clone();
        let checks = Box::new(move |world: &World| findings(world, &health));
        Judge::new(short(), checks, Timestamp::UNIX_EPOCH, memory)
    };
    let raw: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines = lines(text);
    let mut first = new(Memory::default());
    let mut objects: BTreeMap<(String, String, String), Value> = BTreeMap::new();
    let mut told: Vec<Value> = Vec::new();
    for (line, raw) in lines.iter().zip(&raw).filter(|(line, _)| line.t <= at) {
        first.take(line.clone());
        match &line.seen {
            Seen::Event { change, object, .. } => {
                let key = (object.kind.label(), object.meta.namespace.clone(), object.meta.name.clone());
                match change {
                    Change::Deleted => objects.remove(&key),
                    Change::Added | Change::Modified => objects.insert(key, raw["object"].clone()),
                };
            }
            Seen::Config(_) | Seen::Note(_) | Seen::Unknown => {}
            _ => told.push(raw.clone()),
        }
    }
    first.conclude();
    let mut second = new(first.memory());
    let t = at.0 as f64 / 1000.0;
    let (updates, mut before): (Vec<Value>, Vec<Value>) =
        told.into_iter().partition(|line| line.get("update").is_some());
    for update in &updates {
        let component = update["update"]["component"].as_str().unwrap();
        let kind = update["update"]["kind"].as_str().unwrap();
        before.insert(1, json!({"config": recorded_policy(&short(), [(component, kind)])}));
    }
    let listed =
        objects.into_values().map(|object| json!({"type": "ADDED", "object": object, "initial": true}));
    let later =
        raw.iter().zip(&lines).filter(|(_, line)| line.t > at && !matches!(line.seen, Seen::Config(_)));
    let fed = before.into_iter().chain(listed).chain(updates).map(|mut line| {
        line["t"] = json!(t);
        line
    });
    let (mut said, mut recording) = (Vec::new(), String::new());
    for mut line in fed.chain(later.map(|(raw, _)| raw.clone())) {
        let read = read(line.to_string().as_bytes()).unwrap();
        if let Seen::Update(update) = &read.seen {
            said.extend(second.advance(read.t));
            if let Some(known) = keeps(second.known_of(&update.id).recorded()) {
                line["update"]["remembered"] = serde_json::to_value(known).unwrap();
            }
        }
        recording.push_str(&(line.to_string() + "\n"));
        said.extend(second.take(read));
    }
    said.extend(second.conclude());
    let mut again = Vec::new();
    replay(recording.as_bytes(), None, |judgement| again.push(judgement)).unwrap();
    (said, again)
}

/// A pass seldom sees an update from its beginning. The baseline and what else was remembered were not in its recording,
/// nor by which windows it judged: the replay said something else.
#[test]
fn recording_of_a_pass_that_went_on_says_what_the_pass_said() {
    let (mut cases, mut differ) = (0, 0);
    for (name, text) in recordings() {
        let lines = lines(&text);
        let merged = lines.iter().find(|line| matches!(line.seen, Seen::Update(_))).unwrap().t;
        let last = super::end_of(&lines);
        for part in 0..5 {
            let at = Moment(merged.0 + (last.0 - merged.0) * part / 5);
            let (live, again) = recorded_from(&text, at, Some);
            assert_eq!(again, live, "{name}, from {} ms on", at.0);
            cases += 1;
            let (_, forgetful) = recorded_from(&text, at, |_| None);
            differ += usize::from(forgetful != live);
        }
    }
    assert!(cases >= 20 && differ > 0, "{differ} of {cases} rest on what was remembered");
}

#[test]
fn recordings_end_the_same_whenever_the_judge_is_killed() {
    for (name, text) in recordings() {
        let lines = lines(&text);
        // Short ones are looked into more closely.
        ends_the_same(&name, &lines, if lines.len() < 40 { 12 } else { 4 });
    }
}
