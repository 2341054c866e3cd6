//! The life of updates, from the first pass to the end of the campaign.

use rstest::rstest;

use crate::support::fake_forge::PullState;
use crate::support::fake_upstream::Fault;
use crate::support::snapshot::snapshot;

use super::world::{LATER, MUCH_LATER, NOW, World};

const PEOPLE: &str = "pull_requests: {labels: [updates, flux], reviewers: [jane, acme/platform], assignees: [joe], draft: true}\n";

#[test]
fn first_pass_proposes_and_the_second_does_nothing() {
    let world = World::new();
    world.configure(PEOPLE);
    {
        let mut github = world.forge.github();
        github.collaborators.extend(["jane", "joe"].map(str::to_owned));
        github.teams.insert("platform".to_owned());
    }
    snapshot!(world.run(&["run", "--now", NOW]).exited(0).stdout, @r"
    Did 6 things:
      record: Propose helm/apps/podinfo 6.5.0 -> 6.5.1
      make backup point backup-20261121-100000-11e4fffd of a898475
      push gitops-updater/helm-apps-podinfo-6.5.1-53ff4b61: helm/apps/podinfo: 6.5.0
        -> 6.5.1
      open a pull request from gitops-updater/helm-apps-podinfo-6.5.1-53ff4b61:
        helm/apps/podinfo: 6.5.0 -> 6.5.1
      record: Note the pull request of helm/apps/podinfo 6.5.0 -> 6.5.1
      write the dashboard `GitOps updates`

    Under way (1):
      helm/apps/podinfo 6.5.0 → 6.5.1 #1
        update-20261121-100000

    Waiting (1; `gitops-updater plan` shows all):
      helm/apps/legacy 1.0.0 → 2.0.0
        a person must ask for it (default)
    ");
    let podinfo = world.open("podinfo");
    let pull = podinfo.pull.clone().unwrap();
    assert_eq!(podinfo.labels, ["updates", "flux"]);
    assert_eq!(podinfo.assignees, ["joe"]);
    assert_eq!((pull.draft, pull.base.as_str()), (true, "main"));
    assert!(pull.reviewers.contains("jane") && pull.teams.contains("platform"), "{pull:?}");
    let git = world.git();
    let diff = git.run(["diff", "--unified=0", "main", &pull.head]);
    assert!(diff.contains("-      version: 6.5.0 # kept\n+      version: 6.5.1 # kept"), "{diff}");
    assert!(world.dashboard().body.contains("helm/apps/legacy"), "{}", world.dashboard().body);
    let refs = world.refs();
    assert_eq!(refs.iter().filter(|name| name.starts_with("refs/gitops-updater/backups/")).count(), 1);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);

    let end = world.end();
    world.quiet(NOW);
    world.quiet(LATER);
    assert_eq!(world.end(), end);
}

/// By each of the three buttons: the merge is recorded, nothing goes on before a person has said that it is good, then
/// the next step is proposed, and so to the end.
#[rstest]
#[case("merge")]
#[case("squash")]
#[case("rebase")]
fn campaign_goes_on_step_by_step_to_its_end(#[case] method: &str) {
    let world = World::new();
    world.pass(NOW);
    let merged = world.merge("podinfo", method);
    let report = world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    let waiting = report["waiting"].to_string();
    assert!(waiting.contains("a person, has to say that it is healthy"), "{waiting}");
    world.quiet(LATER);

    // On the dashboard.
    world.tick(&["gitops-updater:accept"]);
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 verified", "helm/apps/website 1.1.0 proposed"]);
    assert!(!world.dashboard().body.contains("[x]"), "{}", world.dashboard().body);
    let website = world.open("website");
    assert!(website.body.contains("podinfo"), "what came first is told: {}", website.body);
    assert_eq!(world.branches().len(), 1, "the branch of what is over is gone: {:?}", world.branches());
    world.quiet(LATER);

    // By command.
    world.merge("website", method);
    world.pass(MUCH_LATER);
    let id = world.update_id("helm/apps/website");
    drop(world.run(&["verify", "--accept", &id, "--now", MUCH_LATER]).exited(0));
    assert_eq!(world.branches(), [""; 0], "`verify` takes the branch away, too");
    assert_eq!(
        world.effects(MUCH_LATER),
        ["record: End campaign-20261121-100000", "write the dashboard `GitOps updates`"]
    );

    // What nobody asked for is still there.
    assert_eq!(world.pulls().len(), 2);
    world.tick(&["gitops-updater:open", "legacy"]);
    world.pass(MUCH_LATER);
    world.merge("legacy", method);
    world.pass(MUCH_LATER);
    world.tick(&["gitops-updater:accept"]);
    world.pass(MUCH_LATER);
    world.quiet(MUCH_LATER);
    assert!(world.updates().iter().all(|update| update.ends_with(" verified")), "{:?}", world.updates());
    let states: Vec<PullState> = world.pulls().into_iter().map(|pull| pull.2).collect();
    assert_eq!(states, [PullState::Merged; 3]);
    let campaigns = world.git().run(["ls-tree", "--name-only", "refs/gitops-updater/state", "campaigns/"]);
    for path in campaigns.lines() {
        let text = world.git().run(["show", &format!("refs/gitops-updater/state:{path}")]);
        assert!(text.contains("status: completed"), "{text}");
    }
    let points =
        world.git().run(["grep", "-h", "git_commit", "refs/gitops-updater/state", "--", "campaigns"]);
    assert!(points.contains(&merged), "{points}");
    let history = world.git().run(["log", "--reverse", "--format=%s", "refs/gitops-updater/state"]);
    if method == "merge" {
        snapshot!(history, @r"
        Propose helm/apps/podinfo 6.5.0 -> 6.5.1
        Note the pull request of helm/apps/podinfo 6.5.0 -> 6.5.1
        Record the merge of helm/apps/podinfo 6.5.0 -> 6.5.1
        Verify helm/apps/podinfo 6.5.0 -> 6.5.1
        Propose helm/apps/website 1.0.0 -> 1.1.0
        Note the pull request of helm/apps/website 1.0.0 -> 1.1.0
        Record the merge of helm/apps/website 1.0.0 -> 1.1.0
        Verify helm/apps/website 1.0.0 -> 1.1.0
        End campaign-20261121-100000
        Propose helm/apps/legacy 1.0.0 -> 2.0.0
        Note the pull request of helm/apps/legacy 1.0.0 -> 2.0.0
        Record the merge of helm/apps/legacy 1.0.0 -> 2.0.0
        Verify helm/apps/legacy 1.0.0 -> 2.0.0
        End campaign-20261122-100000
        ");
    }
}

#[test]
fn reviewer_is_told_what_is_different_in_the_chart() {
    let mut world = World::new();
    world.publish("podinfo", &["6.5.0", "6.5.1"]);
    let values = "replicas: 1\nlogLevel: info\n";
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\nspec:\n  group: example.com\n  names: {kind: Thing, plural: things}\n  scope: Namespaced\n  versions: [{name: v1, served: true, storage: true}]\n";
    let newer =
        super::world::chart("podinfo", "6.5.1", &[("values.yaml", values), ("crds/things.yaml", crd)]);
    world.web.serve("/charts/podinfo-6.5.1.tgz", newer);
    world.pass(NOW);
    let body = world.open("podinfo").body;
    assert!(body.contains("color"), "a value that is set and is no more in the chart: {body}");
    assert!(body.contains("logLevel"), "a default that is new: {body}");
    assert!(body.contains("things.example.com"), "a definition that is new: {body}");
}

/// A definition with these versions, as YAML has them.
pub(super) fn definition(versions: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: things.example.com}}\nspec:\n  group: example.com\n  names: {{kind: Thing, plural: things}}\n  scope: Namespaced\n  versions: [{versions}]\n"
    )
}

pub(super) const OLD: &str = "{name: v1alpha1, served: true, storage: true}";

#[rstest]
#[case::version_is_gone(Some("{name: v1, served: true, storage: true}"), "v1alpha1")]
#[case::version_is_served_no_more(
    Some("{name: v1alpha1, served: false, storage: false}, {name: v1, served: true, storage: true}"),
    "v1alpha1"
)]
#[case::definition_is_gone(None, "things.example.com")]
fn chart_that_drops_what_objects_are_stored_as_is_held_and_never_reverted(
    #[case] newer: Option<&str>,
    #[case] lost: &str,
    #[values("review", "auto")] gate: &str,
) {
    let world = World::new();
    world.configure(&format!("policy: {{semver_gates: {{patch: {gate}}}}}\n"));
    for (version, versions) in [("6.5.0", Some(OLD)), ("6.5.1", newer)] {
        let crd = versions.map(definition);
        let files: Vec<(&str, &str)> = crd.iter().map(|crd| ("crds/things.yaml", crd.as_str())).collect();
        let chart = super::world::chart("podinfo", version, &files);
        world.web.serve(&format!("/charts/podinfo-{version}.tgz"), chart);
    }
    let report = world.pass(NOW);
    assert_eq!(world.pulls(), []);
    let plan = report["plan"].to_string();
    assert!(plan.contains(lost) && plan.contains("things.example.com"), "{plan}");
    assert!(world.dashboard().body.contains("things.example.com"), "{}", world.dashboard().body);
    // A person who asks for it by name has decided that it is proposed, not that it may be reverted.
    drop(world.run(&["propose", "--component", "helm/apps/podinfo", "--now", NOW]).exited(0));
    let pull = world.open("podinfo");
    assert!(pull.body.contains(lost), "{}", pull.body);
    assert!(pull.body.contains("Do not revert the merged commit"), "{}", pull.body);
    let status = world.run(&["status", "--format", "json"]).exited(0).json();
    let update = &status["updates"][0];
    assert_eq!(update["revert"]["safety"], "unsafe", "{update}");
    assert!(update["revert"]["why"].as_str().unwrap().contains("things.example.com"), "{update}");
    assert_eq!(update["gate"], "review", "a person merges it, whatever the policy says");
}

/// A chart whose archive was not there was proposed all the same, and merged where the policy says `auto`.
#[rstest]
#[case::not_there(Fault::Status(404, vec![]), "it cannot be fetched")]
#[case::broken(Fault::Status(503, vec![]), "not judged")]
#[case::refused(Fault::Status(401, vec![]), "not judged")]
fn chart_that_cannot_be_fetched_is_held_until_it_can(
    #[case] fault: Fault,
    #[case] reason: &str,
    #[values("review", "auto")] gate: &str,
) {
    let world = World::new();
    world.configure(&format!("policy: {{semver_gates: {{patch: {gate}}}}}\n"));
    for _ in 0..20 {
        world.web.fail("/charts/podinfo-6.5.1.tgz", fault.clone());
    }
    let report = world.pass(NOW);
    assert_eq!(world.pulls(), []);
    // Another chart waits for it, so that it keeps its place on the way; it is told of once.
    let plan = &report["plan"];
    assert_eq!(plan.to_string().matches(reason).count(), 1, "{plan}");
    let mut steps =
        plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave["steps"].as_array().unwrap());
    let podinfo = steps.find(|step| step["component"] == "helm/apps/podinfo");
    let podinfo = podinfo.unwrap_or_else(|| panic!("{plan}"));
    assert_eq!((&podinfo["next"], &podinfo["to"]), (&false.into(), &"6.5.1".into()));
    assert!(podinfo["reasons"].to_string().contains("fetch: "), "{podinfo}");
    assert!(world.dashboard().body.contains("fetch"), "{}", world.dashboard().body);
    let text = world.run(&["plan", "--now", NOW]).exited(0);
    assert!(text.stdout.contains("fetch: "), "{text}");
    // Asked again by the next pass, when it is there.
    world.web.heal("/charts/podinfo-6.5.1.tgz");
    world.pass(LATER);
    assert!(world.open("podinfo").title.contains("6.5.1"));
}

#[test]
fn chart_that_is_not_what_the_index_promises_is_held() {
    let world = World::new();
    let index = "apiVersion: v1\nentries:\n  podinfo:\n    - {name: podinfo, version: 6.5.1, digest: \
                 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, created: '2026-07-01T10:00:00Z', urls: \
                 [podinfo-6.5.1.tgz]}\n    - {name: podinfo, version: 6.5.0, created: '2026-06-01T10:00:00Z', urls: \
                 [podinfo-6.5.0.tgz]}\n";
    world.web.serve("/charts/index.yaml", index);
    let report = world.pass(NOW);
    assert_eq!(world.pulls(), []);
    assert!(report["plan"]["held"].to_string().contains("not what the index promises"), "{report}");
}

/// A pass that could not see the cluster, or a registry that did not answer, closed what was proposed and deleted its
/// branch.
#[test]
fn what_is_proposed_stays_open_when_its_archive_is_out_of_reach() {
    let world = World::new();
    world.pass(NOW);
    let (pulls, refs) = (world.pulls(), world.git().run(["for-each-ref", "refs/heads"]));
    for _ in 0..20 {
        world.web.fail("/charts/podinfo-6.5.1.tgz", Fault::Status(503, vec![]));
    }
    world.pass(LATER);
    assert_eq!((world.pulls(), world.git().run(["for-each-ref", "refs/heads"])), (pulls, refs));
}

/// "Nothing to do." was all that was said, and that all went well.
#[test]
fn pass_without_any_upstream_in_reach_says_so_and_fails() {
    let world = World::new();
    for _ in 0..20 {
        world.web.fail("/charts/index.yaml", Fault::Status(503, vec![]));
    }
    let told = world.run(&["run", "--now", NOW]).exited(1);
    assert!(told.stdout.contains("Unresolved (3)") && told.stdout.contains("helm/apps/podinfo"), "{told}");
}

#[test]
fn pass_that_is_stopped_says_by_what() {
    let mut world = World::new();
    world.variables.push(("GITOPS_UPDATER_DISABLE", "1".to_owned()));
    let told = world.run(&["run", "--now", NOW]).exited(0);
    assert!(told.stdout.contains("stopped by the kill switch"), "{told}");
    assert!(told.stdout.contains("`GITOPS_UPDATER_DISABLE`"), "{told}");
    let status = world.run(&["status", "--now", NOW]).exited(0);
    assert!(status.stdout.contains("GITOPS_UPDATER_DISABLE"), "{status}");
    let refused = world.run(&["backup", "create", "--now", NOW]).exited(1);
    assert!(refused.stderr.contains("kill switch"), "{refused}");
    assert_eq!(world.git().run(["for-each-ref", "refs/gitops-updater/backups"]), "");
}

/// What was named and cannot go was passed over in silence.
#[test]
fn named_component_that_is_not_proposed_is_told_with_the_reason() {
    let world = World::new();
    let told = world.run(&["propose", "--component", "helm/apps/website", "--now", NOW]).exited(0);
    let text = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Not proposed (1): helm/apps/website 1.0.0 → 1.1.0 waits"), "{told}");
}

/// A declined version kept what waits for nothing of it from going on, and was told as "goes alone".
#[test]
fn declined_version_is_held_by_its_quarantine_and_keeps_nothing_else_back() {
    let world = World::new();
    world.pass(NOW);
    let number = world.open("podinfo").number;
    world.forge.github().set_open(number, false);
    world.pass(LATER);
    let report = world.pass(MUCH_LATER);
    let held = report["plan"]["held"].as_array().unwrap();
    let podinfo = held.iter().find(|held| held["component"] == "helm/apps/podinfo").unwrap();
    assert_eq!(podinfo["gate"], "quarantine", "{podinfo}");
    assert!(world.open("website").title.contains("1.1.0"));
}

#[test]
fn dry_run_asks_and_writes_nothing() {
    let world = World::new();
    let (end, objects) = (world.end(), world.git().run(["count-objects"]));
    let told = world.run(&["run", "--dry-run", "--now", NOW]).exited(0);
    assert!(told.stdout.contains("open a pull request from gitops-updater/helm-apps-podinfo"), "{told}");
    assert_eq!(world.forge.writes(), [""; 0]);
    assert_eq!((world.end(), world.git().run(["count-objects"])), (end, objects));
}
