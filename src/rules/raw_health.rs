//! The file form of what a rule says about proving an update healthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::RuleError;
use super::raw::RawRule;
use crate::config::duration;
use crate::domain::rule::health::HealthRule;

/// Checks that a rule may name.
const CHECKS: &[&str] = crate::domain::settle::health::CHECKS;

/// What is looked at after an update, beside what it touches itself.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    /// How long it is watched, such as `30m`; default: as its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<String>,
    /// Checks whose findings count against the update wherever in the cluster they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) counts: Vec<String>,
    /// The storage is tried, where the configuration says how; default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) storage: bool,
    /// The network is tried, where the configuration says how; default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) network: bool,
}

pub(super) fn health(raw: &RawRule) -> Result<Option<HealthRule>, RuleError> {
    if let Some(at) = raw.runbook.iter().position(|step| step.trim().is_empty()) {
        return Err(RuleError::choice(&format!("runbook[{at}]"), "say what to do"));
    }
    let Some(raw) = &raw.health else { return Ok(None) };
    if *raw == RawHealth::default() {
        return Err(RuleError::choice("health", "says nothing; leave it out"));
    }
    let window = match raw.window.as_deref().map(duration) {
        None => None,
        Some(Ok(window)) if !window.is_zero() && window.as_secs() <= 86_400 => Some(window),
        Some(_) => {
            return Err(RuleError::choice("health.window", "write a duration such as `30m`, at most `24h`"));
        }
    };
    if let Some(at) = raw.counts.iter().position(|check| !CHECKS.contains(&check.as_str())) {
        return Err(RuleError::choice(&format!("health.counts[{at}]"), "there is no such check"));
    }
    Ok(Some(HealthRule { window, counts: raw.counts.clone(), storage: raw.storage, network: raw.network }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use crate::domain::backup::{DataBackup, Saved};
    use crate::domain::rule::health::{health_for, runbook_for};
    use crate::rules::compile::tests::assert_told;
    use crate::rules::{Registry, parse};

    const GOOD: &str = "\
id: suite
title: Suite
why: because
about: {charts: [suite], images: [acme/suite]}
health:
  window: 30m
  counts: [certificate_ready]
  storage: true
runbook:
  - Look at the operator's log.
";

    #[test]
    fn what_is_written_is_understood() {
        let rule = parse(GOOD).unwrap();
        let health = rule.planning.health.as_ref().unwrap();
        assert_eq!(health.window, Some(Duration::from_secs(1800)));
        assert_eq!(
            (health.counts.as_slice(), health.storage, health.network),
            (&["certificate_ready".to_owned()][..], true, false)
        );
        assert_eq!(rule.planning.runbook, ["Look at the operator's log."]);
    }

    #[test]
    fn every_error_names_its_line_and_field() {
        let changes = [
            ("30m", "30", 6, "`health.window`: write a duration such as `30m`"),
            ("30m", "0s", 6, "`health.window`: write a duration"),
            ("certificate_ready", "certificate", 7, "`health.counts[0]`: there is no such check"),
            ("storage", "disk", 8, "`health.disk`: unknown field"),
            ("Look at the operator's log.", "''", 10, "`runbook[0]`: say what to do"),
        ];
        assert_told(GOOD, &changes);
        let empty = GOOD
            .replace("  window: 30m\n  counts: [certificate_ready]\n  storage: true\n", "")
            .replace("health:", "health: {}");
        assert!(parse(&empty).unwrap_err().to_string().contains("`health`: says nothing"));
    }

    #[test]
    fn embedded_rules_say_what_to_look_at_and_what_to_do() {
        let (registry, _) = Registry::load([]);
        let rules = registry.rules();
        let of = |id: &str, chart: Option<&str>| {
            health_for(rules, id, chart).map(|(health, rule)| (rule.to_owned(), health.clone()))
        };
        let (rule, longhorn) = of("longhorn", None).unwrap();
        assert_eq!(
            (rule.as_str(), longhorn.window, longhorn.storage),
            ("longhorn", Some(Duration::from_secs(1800)), true)
        );
        assert!(of("staging:k3s", None).unwrap().1.network);
        assert_eq!(of("helm/cert-manager/cert-manager", None).unwrap().0, "cert-manager");
        assert_eq!(of("helm/tls/issuer", Some("cert-manager")).unwrap().0, "cert-manager");
        assert_eq!(of("helm/tls/issuer", None), None);
        assert_eq!(of("helm/ingress/traefik", None).unwrap().0, "cluster-network");
        for id in [
            "k3s",
            "flux",
            "longhorn",
            "helm/cert-manager/cert-manager",
            "helm/network/cilium",
            "image/docker.io/library/postgres",
        ] {
            let runbook = runbook_for(rules, id, None, &Saved::default())
                .unwrap_or_else(|| panic!("no runbook for {id}"));
            assert!(runbook.starts_with("1. ") && runbook.ends_with('\n'), "{runbook}");
        }
        assert_eq!(runbook_for(rules, "helm/apps/something", None, &Saved::default()), None);
    }

    /// They spoke of backups that nobody had made.
    #[rstest]
    #[case::etcd_is_there("k3s", &["etcd_snapshot"], "`gitops-updater backup restore b-1 --etcd`")]
    #[case::etcd_is_not("k3s", &["longhorn_backup"], "backup point `b-1` holds no snapshot of etcd.")]
    #[case::volumes_are_there("longhorn", &["longhorn_backup"], "`gitops-updater backup restore b-1 --volume")]
    #[case::volumes_are_not("longhorn", &[], "backup point `b-1` holds no backup of a volume.")]
    #[case::data_are_there("image/docker.io/library/postgres", &["longhorn_backup"], "`gitops-updater backup restore b-1")]
    #[case::data_are_not("image/docker.io/library/postgres", &["export"], "from a backup of your own, because")]
    fn runbooks_end_with_what_the_backup_point_holds(
        #[case] id: &str,
        #[case] kinds: &[&str],
        #[case] expected: &str,
    ) {
        let (registry, _) = Registry::load([]);
        let one = |kind: &&str| DataBackup { kind: (*kind).to_owned(), ..DataBackup::default() };
        let data: Vec<DataBackup> = kinds.iter().map(one).collect();
        let saved = Saved { id: Some("b-1"), data: Some(&data) };
        let runbook = runbook_for(registry.rules(), id, None, &saved).unwrap();
        let last = runbook.lines().last().unwrap();
        assert!(last.contains(". As the last way, ") && last.contains(expected), "{last}");
        let spoken = runbook.matches("backup").count();
        assert_eq!(spoken, last.matches("backup").count(), "only there: {runbook}");
    }
}
