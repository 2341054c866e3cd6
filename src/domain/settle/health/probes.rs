//! What was tried beside looking.

use super::look::{Look, Wrong, named};
use super::probe::{RESTORE, STORAGE};
use crate::domain::settle::finding::{Category, Severity};

/// Name of the result that says what the API server answers to `/readyz`.
pub const API_SERVER: &str = "apiserver";

/// So many answers in a row that name a failing check put the whole cluster in danger; one alone may be a moment.
const API_SERVER_FAILS: u32 = 3;

pub(super) fn check(look: &mut Look<'_>) {
    for probe in look.world.probes().filter(|probe| probe.ok == Some(false)) {
        let (check, category, severity) = match probe.name.as_str() {
            API_SERVER => {
                let lasts = look.world.failed_in_a_row(API_SERVER) >= API_SERVER_FAILS;
                let severity = if lasts { Severity::Critical } else { Severity::Failing };
                ("apiserver_ready", Category::Infrastructure, severity)
            }
            name if is_of_storage(name) => ("storage_probe", Category::Storage, Severity::Failing),
            "test_job" => ("test_job", Category::Custom, Severity::Failing),
            "command" => ("command", Category::Custom, Severity::Failing),
            name if name.starts_with("network/") => ("network_probe", Category::Network, Severity::Failing),
            name if name.starts_with("probe/") => ("probe", Category::Network, Severity::Failing),
            _ => ("probe", Category::Custom, Severity::Failing),
        };
        let name = probe.name.strip_prefix("probe/").unwrap_or(&probe.name);
        look.wrong(
            named("Probe", "", name),
            Wrong { check, category, severity, reason: "ProbeFailed", message: probe.detail.clone() },
        );
    }
}

/// Whether a result is about a volume: the one of `health --try`, or that of an update.
fn is_of_storage(name: &str) -> bool {
    name.split('/').next().is_some_and(|first| first == STORAGE || first == RESTORE)
}
