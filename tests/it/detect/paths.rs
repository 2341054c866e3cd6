//! What PATH and `--rev` may be, and which components are shown.

use super::world::{World, problems, reduced, versions, word};
use crate::support::sandbox::{Sandbox, copy};
use crate::support::snapshot::snapshot;

#[test]
fn everything_that_runs_is_found_with_what_is_newer() {
    let world = World::home();
    snapshot!(reduced(&world.report(&[])), @r"
    flux: update_available v2.8.5 -> v2.8.6
      clusters/home/flux-system/gotk-components.yaml:3 v2.8.5
    git/git.example.com/site: update_available v1.0.0 -> v1.1.0
      apps/site.yaml:10 v1.0.0
    helm/apps/blog: update_available 0.4.0 -> 0.4.1
      apps/blog.yaml:10 0.4.0
    helm/apps/podinfo: update_available 6.5.0 -> 6.6.0
      apps/podinfo.yaml:20 6.5.0
    image/ghcr.io/example/web: update_available 1.2.0-alpine -> 1.3.0-alpine
      apps/web.yaml:11 1.2.0-alpine
    k3s: update_available v1.33.4+k3s1 -> v1.34.1+k3s1
      clusters/home/apps.yaml:29 v1.33.4+k3s1
    ");
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
    snapshot!(world.detect(&["--component", "helm/apps/podinf", "--exit-code"]), @r"
    exit_code: 0
    ----- stdout -----
    Nothing found that has a version
    . @ 8b3edc97799f: 0 components in 9 files, [duration]

    Problems (1)
      gitops-updater: `--component helm/apps/podinf` names nothing that was found;
        did you mean `helm/apps/podinfo`?

    Review what could not be read: 1 problem.
    ----- stderr -----
    ");
    assert!(world.requests().is_empty());
    // One of several is told, too, and the rest is shown.
    let report = world.report(&["--component", "k3s", "--component", "grafana"]);
    assert!(problems(&report).contains("`--component grafana` names nothing"), "{}", problems(&report));
    let output = world.detect(&["--component", "k3s", "--component", "grafana", "--format", "csv"]).exited(0);
    assert!(output.stderr.contains("CSV has no place for problems"), "{output}");
    assert!(output.stdout.contains("\nk3s,"), "{output}");
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
    for (rev, revision, version) in [
        ("main", &second, "6.5.1"),
        ("v1", &first, "6.5.0"),
        ("feature", &first, "6.5.0"),
        ("main~1", &first, "6.5.0"),
    ] {
        let report = world.report(&["--rev", rev]);
        assert_eq!(word(&report["repository"]["revision"]), revision, "{rev}");
        assert_eq!(versions(&report, "helm/apps/podinfo").1, version, "{rev}");
    }
    snapshot!(world.detect(&["--rev", "none"]), @r#"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot find a commit named `none` in `.`
      caused by: couldn't parse revision, input="none"
      caused by: Reference "none" could not be found
      caused by: NotFound
    "#);
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
    let plain = World::with(Sandbox::empty()).detect(&["--exit-code"]);
    assert_eq!(World::with(Sandbox::with_empty_repo()).detect(&["--exit-code"]), plain);
    snapshot!(plain, @r"
    exit_code: 0
    ----- stdout -----
    Nothing found that has a version
    .: 0 components in 0 files, [duration]
    No file here matches a rule; `gitops-updater rules list` shows them.
    ----- stderr -----
    ");
    let world = World::home();
    let output = world.detect(&["none"]);
    assert_eq!(output.exit_code, 1, "{output}");
    assert_eq!(problems(&world.report(&[])), "");
}
