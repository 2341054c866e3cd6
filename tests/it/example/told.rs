//! What commands tell people about the example, as they play its first steps.

use serde_json::Value;

use crate::support::sandbox::{CommandOutput, Sandbox};

const NOW: &str = "2026-11-21T12:00:00Z";
const LATER: &str = "2026-11-21T12:10:00Z";
const FLUX: &str = "gitops-updater/flux-v2.9.4-0fddc314";

/// The example, and what was told so far.
struct Told {
    sandbox: Sandbox,
}

impl Told {
    fn new() -> Self {
        Self { sandbox: super::begun() }
    }

    fn output(&self, now: &str, arguments: &[&str]) -> CommandOutput {
        let more = ["--config", "../mirror.yaml", "--now", now];
        self.sandbox.run(arguments.iter().copied().chain(more))
    }

    /// Standard output, in which every line fits, and nothing that is meant to be copied is broken.
    #[track_caller]
    fn run(&self, now: &str, arguments: &[&str]) -> String {
        let output = self.output(now, arguments);
        assert!(!output.stdout.is_empty(), "{arguments:?}: {output}");
        let mut is_code = false;
        for line in output.stdout.lines() {
            let text = line.trim();
            // The difference is the last that `rollback` shows.
            if line.starts_with("--- ") {
                break;
            }
            is_code ^= text.starts_with("```");
            if is_code {
                continue;
            }
            let fits = line.chars().count() <= 80;
            assert!(fits || is_alone(text), "{arguments:?}: {line}");
            for program in ["`gitops-updater ", "`git "] {
                for (at, _) in text.match_indices(program) {
                    assert!(text[at + 1..].contains('`'), "{arguments:?} breaks a command: {line}");
                }
            }
        }
        output.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let more = ["--format", "json"];
        self.output(LATER, &arguments.iter().copied().chain(more).collect::<Vec<_>>()).json()
    }

    fn update_id(&self) -> String {
        self.json(&["status"])["updates"][0]["update_id"].as_str().unwrap().to_owned()
    }
}

/// Whether a line has nothing on it but one address, path or command.
fn is_alone(text: &str) -> bool {
    // What is printed to be typed as it stands.
    if text.starts_with("git ") && !text.contains('`') {
        return true;
    }
    let is_command = text.starts_with('`') && text.trim_end_matches([',', ';', '.', ':']).ends_with('`');
    is_command || !text.contains(' ') && text.contains('/')
}

/// Effects, notes of `rollback` and hints went beyond, and commands were broken in the middle.
#[test]
fn everything_fits_eighty_columns_and_commands_stay_in_one_piece() {
    let told = Told::new();
    for arguments in [
        &["detect"][..],
        &["detect", "-v"],
        &["plan"],
        &["plan", "-v"],
        &["plan", "--component", "k3s"],
        &["run", "--dry-run"],
        &["run"],
        &["status"],
        &["pr", "list"],
        &["pr", "show", "1"],
        &["dashboard", "show"],
        &["report"],
        &["plan"],
        &["backup", "list"],
        &["pr", "merge", "1"],
        &["status"],
        &["plan"],
        &["run"],
        &["status"],
        &["verify"],
    ] {
        told.run(NOW, arguments);
    }
    told.run(LATER, &["verify", "--accept", &told.update_id()]);
    told.run(LATER, &["run"]);
    told.run(LATER, &["status", "-v"]);
    told.run(LATER, &["report"]);
    let harm = ["--accept-harm", "flux-may-not-return"];
    let back = told.run(LATER, &["rollback", "flux", "--dry-run", harm[0], harm[1]]);
    assert!(back.contains("mind:"), "{back}");
    let back = told.run(LATER, &["rollback", "--emergency", harm[0], harm[1]]);
    assert!(back.contains("mind:") && back.contains("Made "), "{back}");
    told.run(LATER, &["rollback", "--emergency", "--dry-run", harm[0], harm[1]]);
    told.run(LATER, &["verify", "--accept", &told.update_id()]);
    told.run(LATER, &["verify", "--close-breaker"]);
    let points = told.json(&["backup", "list"]);
    let point = points["backups"].as_array().unwrap().last().unwrap()["backup_id"].as_str().unwrap();
    told.run(LATER, &["backup", "show", point]);
    told.run(LATER, &["backup", "restore", point, harm[0], harm[1]]);
    told.run(LATER, &["rollback", "flux", harm[0], harm[1]]);
    told.run(LATER, &["run"]);
    told.run(LATER, &["status"]);
    // On a state that somebody rewrote.
    let git = told.sandbox.git();
    git.run(["update-ref", "refs/gitops-updater/state", "refs/gitops-updater/state~2"]);
    told.run(LATER, &["plan"]);
    let log = told.output(LATER, &["plan"]).stderr;
    let warning = log.lines().find(|line| line.contains("WARN")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains("see Problems") && warning.chars().count() <= 80, "{warning}");
    told.run(LATER, &["status"]);
    // What `rollback` tells of harm is on standard error.
    let told = Told::new();
    for arguments in [&["run"][..], &["pr", "merge", "1"], &["run"]] {
        told.run(NOW, arguments);
    }
    let refused = told.output(LATER, &["rollback", "flux"]);
    let harm: Vec<&str> = refused.stderr.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(harm.len() > 5, "{refused}");
    assert!(harm.iter().all(|line| line.chars().count() <= 80 || is_alone(line.trim())), "{refused}");
}

/// The plan of one component began with whatever wave of the whole it stood in.
#[test]
fn waves_of_a_part_of_the_plan_count_from_one_without_gaps() {
    let told = Told::new();
    for component in ["k3s", "helm/network/traefik", "git/*"] {
        let plan = told.json(&["plan", "--component", component]);
        let waves = plan["waves"].as_array().unwrap();
        let numbers: Vec<u64> = waves.iter().map(|wave| wave["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=waves.len() as u64).collect::<Vec<_>>(), "{component}");
        assert!(waves.iter().all(|wave| wave["steps"] != Value::Array(vec![])), "{plan}");
        // What an upstream did not say of others is not its problem.
        assert_eq!(plan["problems"].as_array().unwrap().len(), 1, "{plan}");
    }
    let k3s = told.run(NOW, &["plan", "--component", "k3s"]);
    assert!(k3s.contains("Wave 3 · after wave 2\n  longhorn"), "{k3s}");
}

/// It was told as proposed, and its number was lost when the merge was recorded.
#[test]
fn merge_is_told_before_and_after_it_is_recorded() {
    let told = Told::new();
    told.run(NOW, &["run"]);
    told.run(NOW, &["pr", "merge", "1"]);
    let plan = told.output(NOW, &["plan"]).said();
    assert!(
        plan.contains("waits: flux v2.9.4 is merged, not yet recorded; `gitops-updater run` or `gitops-updater verify` records it"),
        "{plan}"
    );
    assert!(!plan.contains("flux v2.9.4 is proposed"), "{plan}");
    let status = told.output(NOW, &["status"]).said();
    assert!(status.contains("#1 merged now") && status.contains("merged, not yet recorded"), "{status}");
    told.run(LATER, &["run"]);
    let status = told.output(LATER, &["status"]).said();
    assert!(status.contains("#1 merged now") && !status.contains("not yet recorded"), "{status}");
    let plan = told.output(LATER, &["plan"]).said();
    assert!(plan.contains("waits: flux v2.9.4 is merged and not verified"), "{plan}");
}

/// The plan went on telling of a pull request that is open.
#[test]
fn closed_pull_request_is_planned_without_before_a_run_records_it() {
    let told = Told::new();
    told.run(NOW, &["run"]);
    told.run(NOW, &["pr", "close", "1"]);
    let foreseen = told.json(&["plan"]);
    told.run(LATER, &["run"]);
    let recorded = told.json(&["plan"]);
    assert_eq!(foreseen["held"], recorded["held"]);
    assert!(foreseen["held"].to_string().contains("not this version"), "{}", foreseen["held"]);
    let status = told.output(NOW, &["status"]);
    assert!(status.stdout.contains("Quarantined (1)"), "{status}");
}

/// Only `run` and the dashboard told of it.
#[test]
fn commits_of_others_on_a_branch_are_told_by_status() {
    let told = Told::new();
    told.run(NOW, &["run"]);
    let said = "somebody else has committed to its branch; it is left alone";
    assert!(!told.output(NOW, &["status"]).said().contains(said));
    let git = told.sandbox.git();
    git.run(["switch", "--quiet", FLUX]);
    git.write("clusters/home/note.txt", "mine\n").commit_all("Mine");
    git.run(["switch", "--quiet", "main"]);
    let status = told.output(NOW, &["status"]);
    assert!(status.said().contains(said), "{status}");
    assert_eq!(told.json(&["status"])["foreign_commits"], Value::Array(vec![told.update_id().into()]));
    assert!(told.output(LATER, &["run"]).said().contains(said));
}

/// The reason of a record that was rebuilt had the same command as the hint below it.
#[test]
fn how_to_accept_an_update_is_told_once_when_its_record_was_rebuilt() {
    let told = Told::new();
    told.run(NOW, &["run"]);
    told.run(NOW, &["pr", "merge", "1"]);
    told.run(NOW, &["run"]);
    told.sandbox.git().run(["update-ref", "-d", "refs/gitops-updater/state"]);
    told.run(LATER, &["status", "--accept-rewritten"]);
    let outputs = [&["run"][..], &["status"], &["verify"]].map(|arguments| told.run(LATER, arguments));
    for output in outputs {
        assert_eq!(output.matches("gitops-updater verify --accept").count(), 1, "{output}");
    }
}

/// What stops every pass is known to the plan, also where it asks nobody, and where nobody can say what was meant.
#[test]
fn plan_knows_what_the_work_tree_stops() {
    let sandbox = super::begun();
    let plan = |more: &[&str]| {
        let arguments = ["plan", "--config", "../mirror.yaml", "--quiet", "--now", "2026-11-21T12:00:00Z"];
        let told = sandbox.run(arguments.iter().chain(more).copied()).exited(0);
        told.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!plan(&[]).contains("kill switch") && !plan(&[]).contains("everything is stopped"));
    for (text, undo) in [
        ("enabled: false\n", "set `enabled: true` in `.gitops-updater.yaml` of the work tree to go on"),
        ("enabled: [false\n", "mend `.gitops-updater.yaml` of the work tree, which cannot be read, to go on"),
    ] {
        sandbox.write(".gitops-updater.yaml", text);
        let told = plan(&[]);
        assert!(told.contains(undo) && told.contains(": 0 can be proposed now"), "{told}");
    }
}
