//! No network at all, and hosts that nobody answers for.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::world::{World, problems, reduced, word};
use crate::support::sandbox::Sandbox;

/// The address of a port at which nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Without configuration, token and network there is still a report, and the code is 0.
#[test]
fn nothing_but_a_repository_is_enough() {
    // The proxy is how a test takes the network away from names that others own.
    let sandbox = Sandbox::with_repo("home")
        .variable("NO_PROXY", "")
        .variable("HTTPS_PROXY", &format!("http://{}", nobody()))
        .variable("HTTP_PROXY", &format!("http://{}", nobody()));
    let started = Instant::now();
    let output = sandbox.run(["detect", "--format", "json", "--exit-code"]).exited(0);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let report = &output.json()["update_report"];
    assert_eq!(report["summary"]["unresolved"], report["summary"]["components"]);
    for problem in report["problems"].as_array().unwrap() {
        assert_eq!(problem["category"], "upstream", "{problem}");
    }
    for (id, entry) in report["components"].as_object().unwrap() {
        assert!(!word(&entry["reason"]).is_empty() && entry["current_version"].is_string(), "{id}");
    }
    let text = sandbox.run(["detect"]).exited(0);
    assert!(text.stdout.contains("podinfo"), "{text}");
}

/// Every question was repeated with growing pauses, whether its host had just refused the one before or not.
#[test]
fn host_that_refuses_connections_is_given_up_for_the_run() {
    let world = World::with(Sandbox::with_empty_repo());
    let mut mirrors = world.mirrors();
    let mut manifests = String::new();
    for host in 0..30 {
        let nobody = nobody();
        mirrors.push_str(&format!("    - {{from: 'https://r{host}.example.com', to: 'http://{nobody}'}}\n"));
        for image in 0..10 {
            manifests.push_str(&format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{host}-{image}, namespace: apps}}\nspec: \
                 {{containers: [{{name: c, image: 'r{host}.example.com/team/i{image}:1.0.0'}}]}}\n"
            ));
        }
    }
    std::fs::write(world.config_path(), mirrors).unwrap();
    world.sandbox.write("pods.yaml", manifests);
    let started = Instant::now();
    let report = world.report(&[]);
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    assert_eq!(report["summary"]["unresolved"], 300);
    let said = problems(&report);
    assert!(said.contains("cannot connect to"), "{said}");
    assert!(said.contains("not asked again in this run"), "{said}");
}

#[test]
fn host_that_comes_back_is_asked_as_ever() {
    let world = World::home();
    let first = world.report(&[]);
    assert_eq!(problems(&first), "");
    assert_eq!(reduced(&world.report(&[])), reduced(&first));
}
