//! A judgement survives the end of the process at any moment: the next pass goes on from what was remembered.

use std::collections::BTreeMap;

use gitops_updater::domain::settle::judge::Judge;
use gitops_updater::domain::settle::line::{Change, Line, Moment, Seen};
use gitops_updater::domain::settle::memory::Memory;
use gitops_updater::domain::settle::object::Object;
use gitops_updater::domain::settle::verdict::{Action, Judgement, Verdict};
use jiff::Timestamp;

use super::{judge, lines, recordings, short};

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

#[test]
fn recordings_end_the_same_whenever_the_judge_is_killed() {
    for (name, text) in recordings() {
        let lines = lines(&text);
        // Short ones are looked into more closely.
        ends_the_same(&name, &lines, if lines.len() < 40 { 12 } else { 4 });
    }
}
