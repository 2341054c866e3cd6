//! `verify --replay` on small recordings of our own (`testdata/recordings`).

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::Value;

use crate::support::sandbox::{CommandOutput, Sandbox};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recordings").join(format!("{name}.jsonl"))
}

fn replay(sandbox: &Sandbox, file: &Path, more: &[&str]) -> CommandOutput {
    let mut arguments = vec!["verify", "--replay", file.to_str().unwrap()];
    arguments.extend(more);
    sandbox.run(arguments)
}

/// Time, verdict, action and first reason of every change.
fn changes(output: &CommandOutput) -> Vec<(f64, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    output
        .stdout
        .lines()
        .map(|line| {
            let change: Value = serde_json::from_str(line).unwrap();
            assert_eq!(change["update"], "update-20261121-080010");
            let first = text(&change["reasons"][0]["code"]);
            (change["t"].as_f64().unwrap(), text(&change["verdict"]), text(&change["action"]), first)
        })
        .collect()
}

#[rstest]
#[case::a_good_upgrade_is_complete_after_its_window("chart-upgrade-healthy", &[
    (10.0, "unknown", "wait", "not_applied"),
    (30.01, "healthy", "wait", "applied"),
    (75.0, "healthy", "complete", "healthy"),
])]
#[case::a_failed_upgrade_is_reverted_and_watched_until_it_is_back("chart-upgrade-fails", &[
    (10.0, "unknown", "wait", "not_applied"),
    (40.0, "regressed", "revert", "upgrade_failed"),
    (60.0, "unknown", "none", "reverted"),
    (80.0, "healthy", "none", "reverted"),
])]
#[case::a_node_that_stays_away_holds_and_is_never_reverted("k3s-node-stays-away", &[
    (10.0, "unknown", "wait", "not_applied"),
    (110.0, "regressed", "hold", "node_away"),
])]
#[case::longhorn_is_not_reverted_once_its_version_is_recorded("longhorn-fails-after-recording", &[
    (10.0, "unknown", "wait", "not_applied"),
    (90.0, "regressed", "hold", "upgrade_failed"),
])]
fn replaying(#[case] name: &str, #[case] expected: &[(f64, &str, &str, &str)]) {
    let output = replay(&Sandbox::empty(), &recording(name), &["--format", "json"]).exited(0);
    let expected: Vec<_> = expected
        .iter()
        .map(|&(t, verdict, action, reason)| (t, verdict.to_owned(), action.to_owned(), reason.to_owned()))
        .collect();
    assert_eq!(changes(&output), expected, "{output}");
}

#[test]
fn the_configuration_that_is_named_takes_the_place_of_the_recorded_one() {
    let sandbox = Sandbox::empty();
    let config = sandbox.work().with_file_name("home").join("config.yaml");
    std::fs::write(&config, "validation: {sample: 5s, settle: 0s, window: 60s}\n").unwrap();
    let more = ["--format", "json", "--config", config.to_str().unwrap()];
    let output = replay(&sandbox, &recording("chart-upgrade-healthy"), &more).exited(0);
    let last = changes(&output).pop().unwrap();
    assert_eq!((last.0, last.2.as_str()), (95.0, "complete"), "{output}");
}

#[test]
fn text_is_for_people() {
    let output = replay(&Sandbox::empty(), &recording("longhorn-fails-after-recording"), &[]).exited(0);
    for line in [
        "    10.000 s  update-20261121-080010: unknown, wait\n",
        "    90.000 s  update-20261121-080010: regressed, hold until a person clears it\n",
        "              HelmRelease/longhorn-system/longhorn: UpgradeFailed at chart 1.11.0: context deadline exceeded\n",
    ] {
        assert!(output.stdout.contains(line), "{line}{output}");
    }
}

#[rstest]
#[case::a_line_that_is_cut(
    "{\"t\":0,\"note\":\"x\"}\n{\"t\":1,\"note",
    "line 2 is not a line of a recording"
)]
#[case::a_policy_that_is_not_valid(
    "{\"t\":0,\"config\":{\"validation\":{\"window\":\"soon\"}}}\n",
    "line 1 has no valid `validation`"
)]
#[case::nothing_at_all("\n", "the recording has no line")]
fn a_bad_recording_is_refused_with_its_line(#[case] text: &str, #[case] message: &str) {
    let sandbox = Sandbox::empty();
    let file = sandbox.work().join("bad.jsonl");
    std::fs::write(&file, text).unwrap();
    let output = replay(&sandbox, &file, &[]).exited(1);
    assert!(output.stderr.contains(message), "{output}");
}

#[test]
fn a_line_without_end_is_not_read_to_its_end() {
    let sandbox = Sandbox::empty();
    let file = sandbox.work().join("long.jsonl");
    std::fs::write(&file, vec![b' '; 5 * 1024 * 1024]).unwrap();
    let output = replay(&sandbox, &file, &[]).exited(1);
    assert!(output.stderr.contains("line 1 is longer than"), "{output}");
}

#[test]
fn a_time_far_away_ends_the_replay_soon() {
    let sandbox = Sandbox::empty();
    let mut text = std::fs::read_to_string(recording("chart-upgrade-healthy")).unwrap();
    text.push_str("{\"t\":99999999999,\"note\":\"much later\"}\n");
    let file = sandbox.work().join("far.jsonl");
    std::fs::write(&file, text).unwrap();
    let output = replay(&sandbox, &file, &["--format", "json"]).exited(0);
    assert_eq!(changes(&output).len(), 3, "{output}");
}
