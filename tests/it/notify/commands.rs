//! `notify test`, `acknowledge` and `run`, as a user runs them.

use crate::support::fake_channels::{FakeChannels, HOOK_PATH, SLACK_PATH};
use crate::support::sandbox::Sandbox;
use crate::support::snapshot::snapshot;

const CONFIG: &str = "\
forge: {kind: local}
notifications:
  channels:
    ops: {type: slack, url_env: GITOPS_UPDATER_NOTIFY_OPS_URL, at_least: regular}
    audit: {type: webhook, url_env: GITOPS_UPDATER_NOTIFY_AUDIT_URL, secret_env: GITOPS_UPDATER_NOTIFY_AUDIT_SECRET}
";

fn sandbox(fake: &FakeChannels) -> Sandbox {
    let sandbox = Sandbox::with_empty_repo()
        .variable("GITOPS_UPDATER_NOTIFY_OPS_URL", &fake.url(SLACK_PATH))
        .variable("GITOPS_UPDATER_NOTIFY_AUDIT_URL", &fake.url(HOOK_PATH))
        .variable("GITOPS_UPDATER_NOTIFY_AUDIT_SECRET", "k3y");
    sandbox.write(".gitops-updater.yaml", CONFIG).write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    sandbox
}

/// Runs the program beside the fake's runtime.
async fn run(
    sandbox: Sandbox,
    arguments: &'static [&'static str],
) -> (Sandbox, crate::support::sandbox::CommandOutput) {
    tokio::task::spawn_blocking(move || {
        let output = sandbox.run(arguments);
        (sandbox, output)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn test_message_goes_to_every_channel() {
    let fake = FakeChannels::start().await;
    let (_, output) = run(sandbox(&fake), &["notify", "test"]).await;
    snapshot!(output, @r"
    exit_code: 0
    ----- stdout -----
    audit: sent
    ops: sent
    ----- stderr -----
    ");
    let at: Vec<&str> = fake.arrived().iter().map(|one| one.at).collect();
    assert_eq!(at.len(), 2, "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_that_is_not_there_or_refuses_is_named() {
    let fake = FakeChannels::start().await;
    let (sandbox, output) = run(sandbox(&fake), &["notify", "test", "--channel", "pager"]).await;
    snapshot!(output, @r"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no channel `pager`
    hint: there are: audit, ops
    ");
    fake.next(404, None, "no_service");
    let (_, output) = run(sandbox, &["notify", "test", "--channel", "ops", "--format", "json"]).await;
    assert_eq!(output.exit_code, 1, "{output}");
    let reason = output.json()["channels"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("no_service") && !output.to_string().contains("s3cret"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_without_its_secret_is_said_and_the_others_work() {
    let fake = FakeChannels::start().await;
    let sandbox = sandbox(&fake).variable("GITOPS_UPDATER_NOTIFY_AUDIT_SECRET", "");
    let (_, output) = run(sandbox, &["notify", "test", "-q"]).await;
    snapshot!(output, @r"
    exit_code: 1
    ----- stdout -----
    audit: not sent: cannot read the key of channel `audit`: `$GITOPS_UPDATER_NOTIFY_AUDIT_SECRET` is not set; set it, or name a file with `secret_file`
    ops: sent
    ----- stderr -----
    ");
    assert_eq!(fake.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_tells_of_maintenance_once_and_writes_metrics() {
    let fake = FakeChannels::start().await;
    let (sandbox, output) =
        run(sandbox(&fake), &["maintenance", "enable", "--reason", "new disks @here"]).await;
    assert_eq!(output.exit_code, 0, "{output}");
    let arguments = &["run", "--offline", "-q", "--metrics-file", "../cache/metrics.prom"];
    let (sandbox, output) = run(sandbox, arguments).await;
    assert_eq!(output.exit_code, 0, "{output}");
    assert!(output.stdout.contains("tell ops: Maintenance began"), "{output}");
    let (sandbox, output) = run(sandbox, arguments).await;
    assert_eq!(output.exit_code, 0, "{output}");
    let arrived = fake.arrived();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert!(arrived[0].body.to_string().contains("new disks @\u{200b}here"), "{}", arrived[0].body);
    let page = std::fs::read_to_string(sandbox.cache().join("metrics.prom")).unwrap();
    for line in [
        "gitops_updater_passes_total{result=\"ok\"} 1",
        "gitops_updater_last_pass_success 1",
        "gitops_updater_stopped{by=\"maintenance\"} 1",
        "gitops_updater_held{kind=\"all\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    for phase in ["open", "observe", "read", "detect", "plan", "act", "tell", "total"] {
        assert!(page.contains(&format!("phase_duration_seconds{{phase=\"{phase}\"}}")), "{phase} in\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledging_what_is_not_held_is_refused() {
    let fake = FakeChannels::start().await;
    let (_, output) = run(sandbox(&fake), &["acknowledge", "update-20260823-100000"]).await;
    snapshot!(output, @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: there is no update `update-20260823-100000`
    hint: `gitops-updater status` lists them
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_of_a_pass_is_told() {
    let fake = FakeChannels::start().await;
    let sandbox = sandbox(&fake);
    // What lies in the folder is fine; what the base branch says is not.
    sandbox.write(".gitops-updater.yaml", "forge: {kind: nowhere}\n");
    sandbox.git().commit_all("Break it");
    sandbox.write(".gitops-updater.yaml", CONFIG);
    let (_, output) = run(sandbox, &["run", "--offline", "--log-format", "json"]).await;
    assert_eq!(output.exit_code, 3, "{output}");
    assert_eq!(fake.arrived().len(), 2, "{output}");
    assert!(fake.arrived()[0].body.to_string().contains("a pass failed"), "{:?}", fake.arrived()[0].body);
    // Each line of the log is one object, the error that ends the program, too.
    assert!(output.stderr.lines().count() > 0);
    for line in output.stderr.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["level"].is_string() && event["fields"]["message"].is_string(), "{line}");
    }
    assert!(output.stderr.contains("\"spans\":[{\"name\":\"pass\"}"), "{output}");
}

#[test]
fn history_of_a_repository_without_one_is_empty_in_every_format() {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n").write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    for format in ["text", "json", "yaml", "csv", "html", "xml", "markdown"] {
        let output = sandbox.run(["report", "--format", format, "--since", "30d"]);
        assert_eq!(output.exit_code, 0, "{output}");
        assert!(!output.stdout.is_empty());
    }
    assert_eq!(sandbox.run(["report", "--since", "yesterday"]).exit_code, 2);
    assert_eq!(sandbox.run(["report"]).stdout, "0 updates\n");
}

/// Who ran `verify` alone after a merge was never told of anything.
#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_no_run_has_told_once() {
    let fake = FakeChannels::start().await;
    let (sandbox, output) = run(sandbox(&fake), &["maintenance", "enable", "--reason", "new disks"]).await;
    assert_eq!(output.exit_code, 0, "{output}");
    let (sandbox, output) = run(sandbox, &["verify"]).await;
    assert_eq!(output.exit_code, 0, "{output}");
    assert_eq!(fake.arrived().len(), 1, "{output}");
    assert!(fake.arrived()[0].body.to_string().contains("new disks"), "{:?}", fake.arrived()[0].body);
    // Whoever comes next tells nothing again.
    let (sandbox, _) = run(sandbox, &["verify"]).await;
    drop(run(sandbox, &["run", "--offline", "-q"]).await);
    assert_eq!(fake.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_that_refuses_is_noted_by_verify() {
    let fake = FakeChannels::start().await;
    let (sandbox, _) = run(sandbox(&fake), &["maintenance", "enable"]).await;
    fake.next(404, None, "no_service");
    let (_, output) = run(sandbox, &["verify"]).await;
    assert_eq!(output.exit_code, 0, "{output}");
    assert!(output.stdout.contains("not told (ops)") && output.stdout.contains("no_service"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_of_verify_is_told() {
    let fake = FakeChannels::start().await;
    let sandbox = sandbox(&fake);
    sandbox.write(".gitops-updater.yaml", "forge: {kind: nowhere}\n");
    sandbox.git().commit_all("Break it");
    sandbox.write(".gitops-updater.yaml", CONFIG);
    let (_, output) = run(sandbox, &["verify"]).await;
    assert_eq!(output.exit_code, 3, "{output}");
    assert_eq!(fake.arrived().len(), 2, "{output}");
    assert!(fake.arrived()[0].body.to_string().contains("a pass failed"), "{:?}", fake.arrived()[0].body);
}
