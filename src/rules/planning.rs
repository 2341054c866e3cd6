//! From the file form of what a rule says about moving a component to its checked form.

use super::error::{Fault, RuleError};
use super::raw::RawRule;
use super::raw_health::health;
use super::raw_planning::{
    RawCompatibility, RawGate, RawLadder, RawMarked, RawPrecondition, RawRestore, RawRevert, RawRungs,
};
use crate::domain::rule::planning::{
    About, Compatibility, Gate, Ladder, Marked, Planning, Precondition, RestoreRule, RevertRule, Rungs,
};
use crate::domain::version::range::Range;

/// Takes what a rule says about moving its component.
///
/// # Errors
///
/// The field that is wrong, without its line.
pub(super) fn planning(raw: &RawRule) -> Result<Planning, RuleError> {
    if let Some(provides) = raw.provides.as_deref()
        && provides != KUBERNETES
    {
        return Err(RuleError::choice("provides", "only `kubernetes` can be provided"));
    }
    let about = raw.about.as_ref();
    if about.is_some_and(|about| about.charts.is_empty() && about.images.is_empty()) {
        return Err(RuleError::choice("about", "name `charts` or `images`"));
    }
    Ok(Planning {
        about: about.map_or_else(About::default, |about| About {
            charts: about.charts.clone(),
            images: about.images.clone(),
        }),
        provides: raw.provides.clone(),
        after: raw.after.clone(),
        ladder: raw.ladder.as_ref().map(ladder).transpose()?,
        compatibility: each(&raw.compatibility, "compatibility", compatibility)?,
        preconditions: raw.preconditions.iter().map(|raw| precondition(*raw)).collect(),
        revert: each(&raw.revert, "revert", revert)?,
        health: health(raw)?,
        runbook: raw.runbook.clone(),
        restore: raw.restore.as_ref().map(restore).transpose()?,
    })
}

fn restore(raw: &RawRestore) -> Result<RestoreRule, RuleError> {
    if raw.how.trim().is_empty() {
        return Err(RuleError::choice("restore.how", "say how"));
    }
    Ok(RestoreRule { data: raw.data, how: raw.how.clone() })
}

/// The version of Kubernetes, under which name it is needed.
const KUBERNETES: &str = "kubernetes";

fn each<R, T>(
    raw: &[R],
    field: &str,
    convert: impl Fn(&str, &R) -> Result<T, RuleError>,
) -> Result<Vec<T>, RuleError> {
    raw.iter().enumerate().map(|(at, raw)| convert(&format!("{field}[{at}]"), raw)).collect()
}

fn ladder(raw: &RawLadder) -> Result<Ladder, RuleError> {
    Ok(Ladder {
        by: match raw.by {
            RawRungs::Any => Rungs::Any,
            RawRungs::Minor => Rungs::Minor,
            RawRungs::Major => Rungs::Major,
        },
        build_months: raw.build_months,
        avoid: each(&raw.avoid, "ladder.avoid", marked)?,
        stops: each(&raw.stops, "ladder.stops", marked)?,
        gates: each(&raw.gates, "ladder.gates", gate)?,
    })
}

fn marked(field: &str, raw: &RawMarked) -> Result<Marked, RuleError> {
    Ok(Marked {
        versions: range(&format!("{field}.versions"), &raw.versions)?,
        why: said(&format!("{field}.why"), &raw.why)?,
    })
}

fn gate(field: &str, raw: &RawGate) -> Result<Gate, RuleError> {
    if let Some(at) = raw.removes.iter().position(|api| !is_api_version(api)) {
        return Err(RuleError::choice(
            &format!("{field}.removes[{at}]"),
            "write an API version as `group/version`",
        ));
    }
    Ok(Gate {
        to: range(&format!("{field}.to"), &raw.to)?,
        from: raw.from.as_deref().map(|from| range(&format!("{field}.from"), from)).transpose()?,
        removes: raw.removes.clone(),
        why: said(&format!("{field}.why"), &raw.why)?,
    })
}

fn compatibility(field: &str, raw: &RawCompatibility) -> Result<Compatibility, RuleError> {
    if raw.needs.is_empty() && raw.tested.is_empty() {
        return Err(RuleError::choice(field, "say what it `needs` or was `tested` with"));
    }
    let ranges = |name: &str, raw: &std::collections::BTreeMap<String, String>| {
        raw.iter()
            .map(|(of, text)| Ok((of.clone(), range(&format!("{field}.{name}.{of}"), text)?)))
            .collect::<Result<_, RuleError>>()
    };
    Ok(Compatibility {
        versions: range(&format!("{field}.versions"), &raw.versions)?,
        needs: ranges("needs", &raw.needs)?,
        tested: ranges("tested", &raw.tested)?,
        why: raw.why.clone(),
    })
}

fn precondition(raw: RawPrecondition) -> Precondition {
    match raw {
        RawPrecondition::NodesReady => Precondition::NodesReady,
        RawPrecondition::VolumesHealthy => Precondition::VolumesHealthy,
        RawPrecondition::EnginesCurrent => Precondition::EnginesCurrent,
    }
}

fn revert(field: &str, raw: &RawRevert) -> Result<RevertRule, RuleError> {
    Ok(RevertRule {
        updates: raw.updates.clone(),
        pins: raw.pins.clone(),
        safety: raw.safety,
        why: said(&format!("{field}.why"), &raw.why)?,
    })
}

fn range(field: &str, text: &str) -> Result<Range, RuleError> {
    Range::parse(text).map_err(|error| RuleError::at(field, Fault::from(error)))
}

/// People decide by the reasons: an empty one is no reason.
fn said(field: &str, why: &str) -> Result<String, RuleError> {
    if why.trim().is_empty() { Err(RuleError::choice(field, "say why")) } else { Ok(why.to_owned()) }
}

fn is_api_version(text: &str) -> bool {
    text.split_once('/').is_some_and(|(group, version)| {
        !group.is_empty() && version.starts_with('v') && !version.contains('/')
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::rule::planning::{Precondition, Rungs};
    use crate::rules::compile::tests::assert_told;
    use crate::rules::parse;

    const GOOD: &str = "\
id: suite
title: Suite
why: because
about: {charts: [suite]}
after: [k3s]
ladder:
  by: minor
  build_months: true
  avoid: [{versions: 1.11.0, why: it leaks}]
  stops: [{versions: 2.3.x, why: it migrates}]
  gates:
    - to: '>=3'
      from: '>=2.9'
      removes: [example.org/v1beta1]
      why: the API goes
compatibility:
  - {versions: 2.x, needs: {kubernetes: '>=1.30'}, tested: {flux: 2.x}}
preconditions: [nodes_ready]
revert:
  - {updates: [minor], safety: unsafe, why: data}
";

    #[test]
    fn what_is_written_is_understood() {
        let planning = parse(GOOD).unwrap().planning;
        let ladder = planning.ladder.unwrap();
        assert_eq!((ladder.by, ladder.build_months), (Rungs::Minor, true));
        assert_eq!((ladder.avoid.len(), ladder.stops.len(), ladder.gates.len()), (1, 1, 1));
        assert_eq!(ladder.gates[0].removes, ["example.org/v1beta1"]);
        assert_eq!(planning.compatibility[0].needs["kubernetes"].to_string(), ">=1.30");
        assert_eq!(planning.compatibility[0].tested["flux"].to_string(), "2.x");
        assert_eq!(planning.preconditions, [Precondition::NodesReady]);
        assert_eq!(planning.after, ["k3s"]);
        assert_eq!(planning.about.charts, ["suite"]);
    }

    #[test]
    fn every_error_names_its_line_and_field() {
        let changes = [
            ("versions: 1.11.0", "versions: newest", 9, "`ladder.avoid[0].versions`: cannot read `newest`"),
            ("why: it migrates", "why: ' '", 10, "`ladder.stops[0].why`: say why"),
            ("'>=3'", "'>='", 12, "`ladder.gates[0].to`: cannot read"),
            ("'>=2.9'", "two", 13, "`ladder.gates[0].from`: cannot read `two`"),
            ("example.org/v1beta1", "v1beta1", 14, "`ladder.gates[0].removes[0]`: write an API version"),
            ("'>=1.30'", "new", 17, "`compatibility[0].needs.kubernetes`: cannot read `new`"),
            (
                "needs: {kubernetes: '>=1.30'}, tested: {flux: 2.x}",
                "why: no",
                17,
                "`compatibility[0]`: say what",
            ),
            ("nodes_ready", "nodes_happy", 18, "`preconditions[0]`: unknown word `nodes_happy`"),
            ("unsafe", "dangerous", 20, "`revert[0].safety`: unknown word `dangerous`"),
            ("why: data", "why: ''", 20, "`revert[0].why`: say why"),
            ("[minor]", "[big]", 20, "`revert[0].updates[0]`: unknown word `big`"),
            ("by: minor", "by: week", 7, "`ladder.by`: unknown word `week`"),
            ("charts: [suite]", "charts: []", 4, "`about`: name `charts` or `images`"),
            ("after:", "provides: storage\nafter:", 5, "`provides`: only `kubernetes`"),
            ("after:", "claims: [{chart: a}]\nafter:", 1, "`component`: is needed where"),
            ("after:", "scheme: semver\nafter:", 1, "`component`: is needed where"),
            ("after:", "component: {id: a, kind: a, name: a}\nafter:", 1, "`scheme`: is needed where"),
        ];
        assert_told(GOOD, &changes);
    }
}
