//! What is right when, for every recording, as the README of its folder says.

use super::{Says, WINDOW};
use Says::{Complete, Doubt, Healthy, Hold, Revert, Unknown};

/// From a time on, in seconds, one of these is right; until the next row, or the end.
pub(super) type Row = (f64, &'static [Says]);

const WAIT: &[Says] = &[Unknown];
/// Suspended: waiting does not help, and it clears itself.
const SUSPENDED: &[Says] = &[Unknown, Doubt];
const GOOD: &[Says] = &[Healthy, Complete];
const REVERT: &[Says] = &[Revert];
const HOLD: &[Says] = &[Hold];
const DOUBT: &[Says] = &[Doubt];
/// It fails, and is tried again for ever: patience ends when the window does.
const PATIENCE: &[Says] = &[Unknown, Revert];
/// A node is away: it may yet come back.
const AWAY: &[Says] = &[Unknown, Hold];
/// Pods crash after a good start.
const CRASH: &[Says] = &[Healthy, Complete, Unknown, Revert];

/// The rows of a recording, from its merge on.
pub(super) fn expected(name: &str) -> Vec<Row> {
    let window = WINDOW as f64;
    match name {
        "helm-upgrade-healthy" => vec![(4.3, WAIT), (18.284, GOOD)],
        "helm-upgrade-fails" => vec![(4.3, WAIT), (36.332, REVERT), (61.628, WAIT), (75.923, GOOD)],
        "helm-upgrade-fails-rolls-back" => vec![(4.3, WAIT), (71.1, REVERT), (96.95, WAIT), (102.9, GOOD)],
        "helm-upgrade-fails-uninstalls" => {
            vec![(4.2, WAIT), (34.6, PATIENCE), (66.014, REVERT), (91.937, WAIT), (104.438, GOOD)]
        }
        "helm-upgrade-retry-on-failure" => {
            vec![
                (4.1, WAIT),
                (24.8, PATIENCE),
                (24.9 + window + 11.0, REVERT),
                (75.379, WAIT),
                (144.793, GOOD),
            ]
        }
        "helm-template-fails" => vec![(4.3, WAIT), (8.69, PATIENCE), (8.7 + window + 2.0, REVERT)],
        "helm-kubeversion-too-high" => vec![(4.3, WAIT), (9.6, PATIENCE), (9.6 + window + 2.0, REVERT)],
        "helm-chart-version-missing" => vec![(4.3, WAIT), (9.535, REVERT), (40.447, WAIT), (79.681, GOOD)],
        "helm-hook-hangs" => vec![(4.2, WAIT), (48.765, REVERT), (69.639, WAIT), (78.395, GOOD)],
        "kustomization-wait-fails" => vec![(4.3, WAIT), (34.564, REVERT), (60.613, WAIT), (75.254, GOOD)],
        "kustomization-nowait-helm-fails" => vec![(4.3, WAIT), (38.468, REVERT)],
        // A try every ten seconds: the one after the patience tells.
        "kustomization-build-fails" => {
            vec![(4.3, WAIT), (9.44, PATIENCE), (29.7, REVERT), (35.449, WAIT), (39.915, GOOD)]
        }
        "dependency-not-ready" => vec![(4.2, WAIT), (84.103, GOOD)],
        "suspended-kustomization" => vec![(8.1, SUSPENDED), (63.396, GOOD)],
        "suspended-helmrelease" => vec![(8.1, SUSPENDED), (63.641, GOOD)],
        "source-outage" => vec![(4.4, WAIT), (104.782, GOOD)],
        "poll-skips-commit" => vec![(14.4, WAIT), (29.525, GOOD)],
        "stale-controller" => vec![(5.7, WAIT), (61.301, GOOD)],
        "helm-controller-stopped" => vec![(5.9, WAIT), (84.779, REVERT)],
        "apiserver-restart" => vec![(4.1, WAIT), (60.144, DOUBT)],
        "apiserver-restart-short" => vec![(4.1, WAIT), (49.337, GOOD)],
        "unrelated-failure" => vec![(4.2, WAIT), (29.045, GOOD)],
        "baseline-already-failing" => vec![(4.2, WAIT), (17.819, GOOD)],
        "late-crash" => {
            vec![
                (4.2, WAIT),
                (13.606, GOOD),
                (49.06, CRASH),
                (49.6 + 5.0, REVERT),
                (87.849, WAIT),
                (93.78, GOOD),
            ]
        }
        "ocirepository-upgrade-healthy" => vec![(4.3, WAIT), (19.018, GOOD)],
        "ocirepository-tag-missing" => {
            vec![(4.3, WAIT), (9.0, PATIENCE), (9.0 + window + 2.0, REVERT), (39.438, WAIT), (74.168, GOOD)]
        }
        "human-commit-on-top" => vec![(4.3, WAIT), (30.253, REVERT), (40.597, HOLD)],
        "k3s-plan-healthy" => vec![(4.2, WAIT), (42.479, GOOD)],
        "k3s-plan-job-succeeds-node-stays-away" => {
            vec![(4.3, WAIT), (27.0 + window, AWAY), (27.0 + window + 10.0, HOLD)]
        }
        "k3s-plan-job-fails" => vec![(4.3, WAIT), (34.423, HOLD)],
        "k3s-plan-reverted-old-jobs-kept" => vec![(4.2, WAIT), (21.531, HOLD)],
        "chart-upgrade-healthy" => vec![(10.0, WAIT), (30.01, GOOD)],
        // A person reverts it.
        "chart-upgrade-fails" => vec![(10.0, WAIT), (40.0, REVERT), (60.0, WAIT), (80.0, GOOD)],
        // The second node is away for the settle time and two windows before it is given up.
        "k3s-node-stays-away" => vec![(10.0, WAIT), (46.0 + window, AWAY), (46.0 + 2.0 * window + 5.0, HOLD)],
        "longhorn-fails-after-recording" => vec![(10.0, WAIT), (90.0, HOLD)],
        _ => panic!("no table for the recording `{name}`"),
    }
}

/// Where what is said is not among what is right, with both.
pub(super) fn wrong(
    rows: &[Row],
    said: &[(f64, f64, Says)],
    also: impl Fn(f64, f64, Says) -> bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (row, (from, right)) in rows.iter().enumerate() {
        let until = rows.get(row + 1).map_or(f64::INFINITY, |(next, _)| *next);
        for &(since, to, says) in said {
            // What lasts for no time at all, as the tables are rounded, is not said.
            let (start, stop) = (since.max(*from), to.min(until));
            if stop - start > 0.002 && !right.contains(&says) && !also(start, stop, says) {
                wrong.push(format!("{start:.3} to {stop:.3} s: {says:?}, and right is {right:?}"));
            }
        }
    }
    wrong
}
