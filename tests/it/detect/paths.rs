//! What PATH and `--rev` may be, and which components are shown.

use super::world::{World, problems, reduced, versions, word};
use crate::support::sandbox::{Sandbox, copy};
use crate::support::snapshot::snapshot;

#[test]
fn everything_that_runs_is_found_with_what_is_newer() {
    let world = World::home();
    snapshot!(reduced(&world.report(&[])), @"");
}

#[test]
fn filter_names_ids_kinds_and_patterns() {
    let world = World::home();
    let shown = |filter: &[&str]| {
        let arguments: Vec<&str> = filter.iter().flat_map(|one| ["--component", one]).collect();
        let report = world.report(&arguments);
        report["components"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(shown(&["k3s"]), ["k3s"]);
    assert_eq!(shown(&["helm/apps/podinfo"]), ["helm/apps/podinfo"]);
    assert_eq!(shown(&["helm/*"]), ["helm/apps/blog", "helm/apps/podinfo"]);
    assert_eq!(shown(&["images", "flux"]), ["flux", "image/ghcr.io/example/web"]);
    assert_eq!(shown(&["git", "git"]), ["git/git.example.com/site"]);
}

#[test]
fn only_what_is_shown_is_asked_for() {
    let world = World::home();
    world.report(&["--component", "helm/apps/podinfo"]);
    assert_eq!(world.requests(), ["200 /charts/index.yaml"]);
}

/// A mistyped `--component` gave an empty report and no word about it.
#[test]
fn filter_that_names_nothing_says_so_and_what_there_is() {
    let world = World::home();
    snapshot!(world.detect(&["--component", "helm/apps/podinf", "--exit-code"]), @"");
    assert!(world.requests().is_empty());
    // One of several is told, too, and the rest is shown.
    let output = world.detect(&["--component", "k3s", "--component", "grafana", "--format", "csv"]).exited(0);
    assert!(output.stderr.contains("grafana") && output.stdout.contains("\nk3s,"), "{output}");
}

#[test]
fn folder_of_a_repository_limits_what_is_read() {
    let world = World::home();
    let report = world.report(&["apps"]);
    let ids: Vec<_> = report["components"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        ["git/git.example.com/site", "helm/apps/blog", "helm/apps/podinfo", "image/ghcr.io/example/web"]
    );
    assert_eq!(report["components"]["helm/apps/podinfo"]["pins"][0]["file"], "apps/podinfo.yaml");
    assert_eq!(report["repository"]["revision"], world.sandbox.git().head());
}

#[test]
fn revision_says_what_was_read() {
    let world = World::home();
    let git = world.sandbox.git();
    let first = git.head();
    git.run(["tag", "v1"]);
    let podinfo = std::fs::read_to_string(world.sandbox.work().join("apps/podinfo.yaml")).unwrap();
    git.write("apps/podinfo.yaml", podinfo.replace("6.5.0", "6.5.1"));
    let dirty = world.report(&[]);
    assert_eq!(dirty["repository"]["revision"], format!("{first}-dirty"));
    assert_eq!(versions(&dirty, "helm/apps/podinfo").1, "6.5.1");
    let second = git.commit_all("Update podinfo");
    git.run(["branch", "feature", "v1"]);
    for (rev, revision, version) in
        [("main", &second, "6.5.1"), ("v1", &first, "6.5.0"), ("feature", &first, "6.5.0"), ("main~1", &first, "6.5.0")]
    {
        let report = world.report(&["--rev", rev]);
        assert_eq!(word(&report["repository"]["revision"]), revision, "{rev}");
        assert_eq!(versions(&report, "helm/apps/podinfo").1, version, "{rev}");
    }
    snapshot!(world.detect(&["--rev", "none"]), @"");
}

#[test]
fn bare_repository_is_read_at_head_and_at_a_revision() {
    let world = World::home();
    let bare = world.beside("bare.git");
    world.sandbox.git().run(["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let plain = world.report(&[]);
    for arguments in [vec![bare.to_str().unwrap()], vec![bare.to_str().unwrap(), "--rev", "main"]] {
        let report = world.report(&arguments);
        assert_eq!(reduced(&report), reduced(&plain));
        assert_eq!(report["repository"]["revision"], plain["repository"]["revision"]);
    }
}

#[test]
fn folder_outside_of_any_repository_has_no_revision() {
    let world = World::with(Sandbox::empty());
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/flux-repos/home");
    copy(&source, world.sandbox.work());
    let report = world.report(&[]);
    assert!(report["repository"]["revision"].is_null());
    assert_eq!(reduced(&report), reduced(&World::home().report(&[])));
}

#[test]
fn repository_without_anything_to_find_is_no_error() {
    for sandbox in [Sandbox::with_empty_repo(), Sandbox::empty()] {
        let world = World::with(sandbox);
        snapshot!(world.detect(&["--exit-code"]), @"");
    }
    let world = World::home();
    let output = world.detect(&["none"]);
    assert_eq!(output.exit_code, 1, "{output}");
    assert_eq!(problems(&world.report(&[])), "");
}
