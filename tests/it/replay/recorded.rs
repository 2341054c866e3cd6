//! Right at every moment.

use gitops_updater::domain::settle::settings::Settings;

use super::expected::{expected, wrong};
use super::{Says, end_of, judge, lines, recordings, short, spans};

#[test]
fn every_verdict_is_right_at_every_moment() {
    let mut failures = Vec::new();
    for (name, text) in recordings() {
        let lines = lines(&text);
        let end = end_of(&lines);
        let said = spans(&judge(lines, &short()), end);
        assert!(!said.is_empty(), "{name}: nothing was said");
        failures.extend(
            wrong(&expected(&name), &said, |_, _, _| false)
                .into_iter()
                .map(|wrong| format!("{name}: {wrong}")),
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The recordings are shorter than any default window: nothing is complete before one ends, and waiting is never wrong.
#[test]
fn no_verdict_is_wrong_with_the_default_windows() {
    let mut failures = Vec::new();
    for (name, text) in recordings() {
        let lines = lines(&text);
        let end = end_of(&lines);
        let said = spans(&judge(lines, &Settings::default()), end);
        failures.extend(
            said.iter()
                .filter(|(_, _, says)| *says == Says::Complete)
                .map(|said| format!("{name}: {said:?}")),
        );
        // Pods that crash are counted when the settle time is over; until then only Flux can tell.
        let waits = |_, until, says| {
            says == Says::Unknown || (name == "late-crash" && until < 82.7 && says == Says::Healthy)
        };
        failures.extend(
            wrong(&expected(&name), &said, waits).into_iter().map(|wrong| format!("{name}: {wrong}")),
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A node's absence, or a failure that is tried again, settles nothing early.
#[test]
fn longer_windows_never_make_a_verdict_wrong() {
    let mut failures = Vec::new();
    for seconds in [5, 40, 90] {
        let settings = Settings {
            windows: gitops_updater::domain::settle::settings::Windows::all(std::time::Duration::from_secs(
                seconds,
            )),
            ..short()
        };
        for (name, text) in recordings() {
            let lines = lines(&text);
            let end = end_of(&lines);
            let said = spans(&judge(lines, &settings), end);
            let also = |_, _, says: Says| match says {
                Says::Unknown => true,
                // Five seconds are less than a restart takes; the right verdict is only said earlier.
                Says::Doubt | Says::Hold => seconds == 5 && name.starts_with("k3s-"),
                _ => false,
            };
            failures.extend(
                wrong(&expected(&name), &said, also)
                    .into_iter()
                    .map(|wrong| format!("{seconds} s, {name}: {wrong}")),
            );
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
