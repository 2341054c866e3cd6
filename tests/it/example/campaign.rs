//! The whole loop of the README on one machine: every step that the example has, to its end.

use serde_json::Value;

use crate::support::sandbox::{CommandOutput, Sandbox};

/// Most rounds; one step a round would be enough.
const ROUNDS: i64 = 40;

/// The example, played without a pause.
struct Loop {
    sandbox: Sandbox,
    round: i64,
}

impl Loop {
    fn run(&self, arguments: &[&str]) -> CommandOutput {
        let start: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let now = (start + jiff::SignedDuration::from_mins(self.round)).to_string();
        let more = ["--config", "../mirror.yaml", "--quiet", "--now", &now];
        let output = self.sandbox.run(arguments.iter().copied().chain(more)).exited(0);
        assert_eq!(output.stderr, "", "{arguments:?}");
        output
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let more = ["--format", "json"];
        self.run(&arguments.iter().copied().chain(more).collect::<Vec<_>>()).json()
    }

    /// Merges what is open, oldest first, and says what it was.
    fn merge(&self) -> Vec<String> {
        let mut open: Vec<(u64, String)> = self.json(&["pr", "list"])["pull_requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pull| (pull["number"].as_u64().unwrap(), pull["title"].as_str().unwrap().to_owned()))
            .collect();
        open.sort();
        for (number, title) in &open {
            let shown = self.run(&["pr", "show", &number.to_string()]);
            assert!(!shown.stdout.contains("could not be compared"), "{title}: {shown}");
        }
        let merge = |(number, title): (u64, String)| {
            let first = self.came_first(number);
            drop(self.run(&["pr", "merge", &number.to_string()]));
            if first.is_empty() { title } else { format!("{title} [after {}]", first.join(", ")) }
        };
        open.into_iter().map(merge).collect()
    }

    /// What a pull request says that had to come first: component and the number of its pull request. The table of gates
    /// says the same.
    fn came_first(&self, number: u64) -> Vec<String> {
        let pull = self.json(&["pr", "show", &number.to_string()]);
        let body = pull["body"].as_str().unwrap_or_else(|| panic!("no body in {pull}"));
        let lines = body.lines().skip_while(|line| *line != "Had to come first:").skip(2);
        let listed = lines.take_while(|line| line.starts_with("- `"));
        let first: Vec<String> = listed
            .map(|line| {
                let component = line.split('`').nth(1).unwrap();
                let number = line.split("(#").nth(1).unwrap().split(')').next().unwrap();
                format!("{component} #{number}")
            })
            .collect();
        let order = body.lines().find(|line| line.starts_with("| `order` | passed | ")).unwrap();
        let says_nothing = order.contains("nothing that was planned had to come first");
        assert_eq!(says_nothing, first.is_empty(), "{order}: {first:?}");
        first
    }

    /// What people read fits their terminal, piped too; code is as it is.
    fn fits(&self, arguments: &[&str]) {
        let mut more = vec!["--config", "../mirror.yaml", "--quiet"];
        if arguments[0] != "config" {
            more.extend(["--now", "2026-11-21T12:30:00Z"]);
        }
        let shown = self.sandbox.run(arguments.iter().copied().chain(more)).stdout;
        assert!(!shown.is_empty(), "{arguments:?}: {shown}");
        let mut is_code = false;
        for line in shown.lines() {
            is_code ^= line.trim().starts_with("```");
            assert!(is_code || line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }

    /// Says of everything that was merged that it is good.
    fn accept(&self) {
        for update in self.json(&["status"])["updates"].as_array().unwrap() {
            if update["status"] == "in_progress" && update["stage"] != "proposed" {
                drop(self.run(&["verify", "--accept", update["update_id"].as_str().unwrap()]));
            }
        }
    }

    /// What waits for nothing but a person who asks for it.
    fn unasked(&self) -> Option<String> {
        let plan = self.json(&["plan"]);
        let steps =
            plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave["steps"].as_array().unwrap());
        let mut unasked =
            steps.filter(|step| step["gate"] == "manual" && step["requires"] == Value::Array(vec![]));
        unasked.next().map(|step| step["component"].as_str().unwrap().to_owned())
    }
}

/// The mirror lacked archives and images: the loop ended in the middle of it.
#[test]
fn example_is_played_to_its_end_on_one_machine() {
    let mut game = Loop { sandbox: super::begun(), round: 0 };
    let mut merged = Vec::new();
    for round in 0..ROUNDS {
        game.round = round;
        drop(game.run(&["run"]));
        let mut titles = game.merge();
        if titles.is_empty() {
            let Some(component) = game.unasked() else { break };
            drop(game.run(&["propose", "--component", &component]));
            titles = game.merge().into_iter().map(|title| format!("{title} (asked for)")).collect();
            assert!(!titles.is_empty(), "`{component}` was asked for and is not proposed");
        }
        merged.push(titles.join("; "));
        drop(game.run(&["run"]));
        if round < 3 {
            let shown = [
                &["status"][..],
                &["backup", "list"],
                &["pr", "list", "--state", "all"],
                &["report"],
                &["plan"],
                &["verify"],
                &["dashboard", "show"],
                &["config", "check"],
            ];
            shown.into_iter().for_each(|arguments| game.fits(arguments));
            game.fits(&["pr", "show", &(round + 1).to_string()]);
        }
        game.accept();
    }
    insta::assert_snapshot!(merged.join("\n"), @r"
    flux: v2.8.5 -> v2.9.4
    helm/network/cert-manager: v1.20.3 -> v1.21.1 [after flux #1]
    longhorn: 1.10.2 -> 1.11.4 [after flux #1]
    longhorn: 1.11.4 -> 1.12.2 [after longhorn #3]
    k3s: v1.34.3+k3s1 -> v1.35.7+k3s1 [after helm/network/cert-manager #2, longhorn #4]
    k3s: v1.35.7+k3s1 -> v1.36.4+k3s1 [after k3s #5]
    git/github.com/kubernetes-sigs/gateway-api: v1.4.0 -> v1.5.1 [after k3s #6]; release/rancher/system-upgrade-controller: v0.19.2 -> v0.20.1 [after k3s #6]
    helm/monitoring/kube-prometheus-stack: 86.1.0 -> 88.2.1 [after longhorn #4] (asked for)
    helm/network/traefik: 40.2.0 -> 41.0.1 [after helm/network/cert-manager #2] (asked for)
    helm/apps/podinfo: 6.10.1 -> 6.12.0 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]; image/docker.io/library/nginx: 1.30.1-alpine -> 1.31.0-alpine [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]; image/docker.io/restic/restic: 0.18.0 -> 0.19.0 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]; image/docker.io/traefik/whoami: v1.10.4 -> v1.11.0 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]
    release/restic/restic: v0.18.0 -> v0.19.0 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]
    image/docker.io/library/postgres: 17.5-alpine -> 17.7-alpine [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]
    image/ghcr.io/home-assistant/home-assistant: 2026.10.3 -> 2026.11.2 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]
    image/ghcr.io/paperless-ngx/paperless-ngx: 2.20.3 -> 2.20.11 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10]
    helm/monitoring/status-page: 2.4.0 -> 2.4.1 [after k3s #6] (asked for)
    image/docker.io/library/postgres: 17.7-alpine -> 18.1-alpine [after image/docker.io/library/postgres #16] (asked for)
    image/docker.io/valkey/valkey: 8.2 -> 9.1 [after git/github.com/kubernetes-sigs/gateway-api #7, helm/network/traefik #10] (asked for)
    ");

    // What is left is left on purpose, and testdata/example/README.md says why.
    let plan = game.json(&["plan"]);
    assert_eq!(plan["waves"], Value::Array(vec![]), "{plan}");
    let held = plan["held"].as_array().unwrap().iter();
    let held: Vec<String> = held.map(|held| format!("{}: {}", held["component"], held["gate"])).collect();
    assert_eq!(
        held,
        [r#""helm/monitoring/uptime-probe": "unresolved""#, r#""helm/network/metallb": "not_pinned""#]
    );
    let found = game.json(&["detect"])["update_report"].clone();
    for (id, entry) in found["components"].as_object().unwrap() {
        assert_ne!(entry["status"], "update_available", "{id}: {entry}");
    }
    assert_eq!(found["summary"]["total_updates"], 0, "{}", found["summary"]);
    assert_eq!(game.sandbox.git().run(["status", "--porcelain"]), "");
}
