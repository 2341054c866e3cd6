//! How a person sees what a rule says about moving a component.

use super::raw::RawRule;
use super::raw_health::RawHealth;
use super::raw_planning::{RawCompatibility, RawGate, RawLadder, RawRevert, RawRungs};
use super::show::{fact, heading, word};
use crate::domain::backup::Restorable;

/// The part of a rule's text that is about moving; nothing where the rule says nothing.
pub(super) fn planning(text: &mut String, raw: &RawRule) {
    if let Some(about) = &raw.about {
        heading(text, "About");
        for (name, list) in [("charts", &about.charts), ("images", &about.images)] {
            if !list.is_empty() {
                fact(text, name, &list.join(", "));
            }
        }
    }
    if raw.provides.is_some() || !raw.after.is_empty() || !raw.preconditions.is_empty() {
        heading(text, "Order");
    }
    if let Some(provides) = &raw.provides {
        fact(text, "provides", &format!("the version of {provides}, which others need"));
    }
    if !raw.after.is_empty() {
        fact(text, "after", &raw.after.join(", "));
    }
    if !raw.preconditions.is_empty() {
        let words: Vec<String> = raw.preconditions.iter().map(word).collect();
        fact(text, "only when", &words.join(", "));
    }
    if let Some(raw) = &raw.ladder {
        heading(text, "Ladder");
        ladder(text, raw);
    }
    if !raw.compatibility.is_empty() {
        heading(text, "Compatibility");
        for raw in &raw.compatibility {
            fact(text, "versions", &compatibility(raw));
        }
    }
    if !raw.revert.is_empty() {
        heading(text, "Revert");
        for raw in &raw.revert {
            fact(text, "safety", &revert(raw));
        }
    }
    if let Some(raw) = &raw.health {
        heading(text, "Health");
        health(text, raw);
    }
    if !raw.runbook.is_empty() {
        heading(text, "Runbook");
        for step in &raw.runbook {
            fact(text, "step", step.trim());
        }
    }
    if let Some(raw) = &raw.restore {
        heading(text, "Restore");
        let from = match raw.data {
            Restorable::EtcdSnapshot => "a snapshot of etcd",
            Restorable::LonghornBackup => "backups of volumes",
        };
        fact(text, "from", from);
        fact(text, "how", raw.how.trim());
    }
}

fn health(text: &mut String, raw: &RawHealth) {
    if let Some(window) = &raw.window {
        fact(text, "window", &format!("watched for {window}"));
    }
    if !raw.counts.is_empty() {
        fact(text, "counts", &format!("{}, wherever it is found", raw.counts.join(", ")));
    }
    let tried = [("storage", raw.storage), ("network", raw.network)];
    let tried: Vec<&str> = tried.into_iter().filter(|(_, asked)| *asked).map(|(name, _)| name).collect();
    if !tried.is_empty() {
        fact(text, "tries", &format!("{}, where the configuration says how", tried.join(", ")));
    }
}

fn ladder(text: &mut String, raw: &RawLadder) {
    match raw.by {
        RawRungs::Any => {}
        RawRungs::Minor => fact(text, "by", "one minor at a time"),
        RawRungs::Major => fact(text, "by", "one major at a time"),
    }
    if raw.build_months {
        fact(text, "months", "never to a version that was released in an earlier month");
    }
    for marked in &raw.avoid {
        fact(text, "avoid", &format!("{}: {}", marked.versions, marked.why));
    }
    for marked in &raw.stops {
        fact(text, "stop", &format!("{}: {}", marked.versions, marked.why));
    }
    for raw in &raw.gates {
        fact(text, "gate", &gate(raw));
    }
}

fn gate(raw: &RawGate) -> String {
    let from = raw.from.as_ref().map(|from| format!(" only from {from}")).unwrap_or_default();
    let removes = if raw.removes.is_empty() {
        String::new()
    } else {
        format!(", which no longer serves {}", raw.removes.join(", "))
    };
    format!("{}{from}{removes}: {}", raw.to, raw.why)
}

fn compatibility(raw: &RawCompatibility) -> String {
    let list = |verb: &str, ranges: &std::collections::BTreeMap<String, String>| {
        let ranges: Vec<String> = ranges.iter().map(|(of, range)| format!("{of} {range}")).collect();
        (!ranges.is_empty()).then(|| format!("{verb} {}", ranges.join(" and ")))
    };
    let parts = [list("need", &raw.needs), list("were tested with", &raw.tested)];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let why = raw.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {said}{why}", raw.versions)
}

fn revert(raw: &RawRevert) -> String {
    let mut said = word(&raw.safety);
    if !raw.updates.is_empty() {
        let updates: Vec<String> = raw.updates.iter().map(word).collect();
        said.push_str(&format!(" for {}", updates.join(", ")));
    }
    if !raw.pins.is_empty() {
        said.push_str(&format!(" by {}", raw.pins.join(" or ")));
    }
    format!("{said}: {}", raw.why)
}
