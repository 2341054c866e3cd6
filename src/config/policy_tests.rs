//! What may be proposed, when and where: what the keys mean, which of them wins, and what is said about slips.

use std::time::Duration;

use super::tests::{errors, errors_from, origin, read};
use super::*;
use crate::domain::component::UpdateType;
use crate::domain::plan::Approval;
use crate::domain::policy::window::{Opening, open};
use crate::domain::policy::{MergeMethod, RangeEdits, Verification};

#[test]
fn without_policy_patches_and_minors_are_reviewed_majors_manual_prereleases_skipped() {
    let policy = read("").policy_for("helm/a/b", "helm", Some("a"), &["a.yaml"]);
    assert_eq!(policy, ComponentPolicy::default());
    for (update_type, expected) in [
        (UpdateType::Patch, Some(Approval::Review)),
        (UpdateType::Minor, Some(Approval::Review)),
        (UpdateType::Major, Some(Approval::Manual)),
        (UpdateType::Prerelease, Some(Approval::Skip)),
        (UpdateType::Digest, Some(Approval::Review)),
        (UpdateType::Build, Some(Approval::Review)),
        (UpdateType::Unknown, None),
    ] {
        let gate = policy.gates.of(update_type);
        assert_eq!(gate.map(|gate| gate.value), expected, "{update_type:?}");
        assert!(gate.is_none_or(|gate| gate.by == "default"));
    }
}

const LAYERS: &str = "policy:
  semver_gates: {patch: auto, minor: manual}
  minimum_release_age: 1d
  components:
    helm: {semver_gates: {patch: review}, minimum_release_age: 2d}
    helm/*: {minimum_release_age: 3d}
    helm/monitoring/*: {minimum_release_age: 4d}
    helm/monitoring/loki: {minimum_release_age: 7d}
    staging:helm/monitoring/loki: {minimum_release_age: 8d}
  namespaces:
    mon*: {minimum_release_age: 5d}
    monitoring: {allowed: <9}
  paths:
    production: {minimum_release_age: 6d}
";

#[test]
fn most_particular_key_wins_for_each_value_and_is_remembered() {
    let config = read(LAYERS);
    for (id, kind, namespace, file, days, by) in [
        ("flux", "flux", None, "a.yaml", 1, "policy.minimum_release_age"),
        ("longhorn", "helm", None, "a.yaml", 2, "policy.components.helm.minimum_release_age"),
        ("helm/x/y", "helm", Some("x"), "a.yaml", 3, "policy.components[\"helm/*\"].minimum_release_age"),
        (
            "helm/monitoring/x",
            "helm",
            Some("elsewhere"),
            "a.yaml",
            4,
            "policy.components[\"helm/monitoring/*\"].minimum_release_age",
        ),
        (
            "helm/monitoring/x",
            "helm",
            Some("monitoring"),
            "a.yaml",
            5,
            "policy.namespaces[\"mon*\"].minimum_release_age",
        ),
        (
            "helm/monitoring/x",
            "helm",
            Some("monitoring"),
            "clusters/production/x/a.yaml",
            6,
            "policy.paths.production.minimum_release_age",
        ),
        (
            "helm/monitoring/loki",
            "helm",
            Some("monitoring"),
            "clusters/production/x/a.yaml",
            7,
            "policy.components[\"helm/monitoring/loki\"].minimum_release_age",
        ),
        (
            "staging:helm/monitoring/loki",
            "helm",
            Some("monitoring"),
            "clusters/production/x/a.yaml",
            8,
            "policy.components[\"staging:helm/monitoring/loki\"].minimum_release_age",
        ),
    ] {
        let policy = config.policy_for(id, kind, namespace, &[file]);
        assert_eq!(policy.minimum_release_age.value, Duration::from_secs(days * 86_400), "{id} {file}");
        assert_eq!(policy.minimum_release_age.by, by, "{id} {file}");
        assert_eq!(policy.gates.minor.by, "policy.semver_gates.minor");
    }
    let loki = config.policy_for("helm/monitoring/loki", "helm", Some("monitoring"), &["a.yaml"]);
    assert_eq!(loki.gates.patch.by, "policy.components.helm.semver_gates.patch");
    assert_eq!(loki.allowed[0].by, "policy.namespaces.monitoring.allowed");
}

#[test]
fn component_written_in_several_files_follows_the_strictest() {
    let config = read(
        "policy:
  semver_gates: {patch: auto}
  paths:
    /staging-long-name: {semver_gates: {patch: auto, minor: auto}, denied: [1.0.0]}
    clusters/*/prod: {semver_gates: {patch: manual}, allowed: <5}
    clusters: {semver_gates: {patch: skip}}
",
    );
    let patch = |files: &[&str]| {
        let policy = config.policy_for("helm/a/b", "helm", None, files);
        (policy.gates.patch.value, policy.gates.minor.value, policy.allowed.len(), policy.denied.len())
    };
    let (auto, review, manual, skip) = (Approval::Auto, Approval::Review, Approval::Manual, Approval::Skip);
    assert_eq!(patch(&[]), (auto, review, 0, 0));
    assert_eq!(patch(&["a.yaml"]), (auto, review, 0, 0));
    assert_eq!(patch(&["staging-long-name/a.yaml"]), (auto, auto, 0, 1));
    assert_eq!(patch(&["x/staging-long-name/a.yaml"]), (auto, review, 0, 0), "anchored by its slash");
    assert_eq!(patch(&["clusters/one/prod/a.yaml"]), (manual, review, 1, 0), "the longer pattern wins");
    assert_eq!(patch(&["clusters/one/dev/a.yaml"]), (skip, review, 0, 0));
    assert_eq!(patch(&["staging-long-name/a.yaml", "clusters/one/prod/a.yaml"]), (manual, review, 1, 1));
    assert_eq!(patch(&["staging-long-name/a.yaml", "a.yaml"]), (auto, review, 0, 1));
}

#[test]
fn other_settings_mean_what_they_say() {
    let config = read(
        "enabled: false
policy:
  ranges: widen
  verification: merged
  allowed: '>=1 <3'
  denied: [1.2.3, ~1.4, 1.33.4+k3s1]
  components: {k3s: {verification: observed}, flux: {verification: merged, settle: 1h}}
limits: {open_pull_requests: 1, per_hour: 2, concurrency: 3}
forge: {kind: local, remote: upstream, base_branch: release/1.x, api_url: 'https://ghes.example/api/v3/', app: {id: 7, installation: 9}}
pull_requests: {labels: [], reviewers: [jane, acme/ops], assignees: ['renovate[bot]'], draft: true, merge_method: squash, require_checks: false, templates: {title: '{{ component }}'}}
commits: {name: Jane Doe, email: jane@example.com}
dashboard: {enabled: false, title: Updates, template: '{{ problems }}'}
backup: {keep_last: 3, keep_for: 1w}
",
    );
    assert!(!config.enabled);
    let policy = config.policy_for("helm/a/b", "helm", None, &[]);
    assert_eq!(policy.ranges.value, RangeEdits::Widen);
    assert_eq!(policy.verification.value, Verification::Merged { settle: Duration::from_secs(86_400) });
    assert_eq!(policy.allowed[0].value.to_string(), ">=1 <3");
    assert_eq!(policy.denied.len(), 3);
    assert_eq!(policy.denied[2].by, "policy.denied");
    let verification = |id| config.policy_for(id, id, None, &[]).verification.value;
    assert_eq!(verification("k3s"), Verification::Observed);
    assert_eq!(verification("flux"), Verification::Merged { settle: Duration::from_secs(3600) });
    assert_eq!(config.limits, Limits { open_pull_requests: 1, per_hour: 2, concurrency: 3 });
    assert_eq!(config.forge.kind, ForgeKind::Local);
    assert_eq!(config.forge.base_branch.as_deref(), Some("release/1.x"));
    assert_eq!(config.forge.api_url.as_ref().map(url::Url::as_str), Some("https://ghes.example/api/v3"));
    assert!(!config.forge.trusts_api_url);
    let app = Identity::App { id: 7, installation: Some(9), private_key: None };
    assert_eq!(config.forge.identity, app);
    assert!(config.pull_requests.labels.is_empty() && config.pull_requests.draft);
    assert_eq!(config.pull_requests.merge_method, MergeMethod::Squash);
    assert_eq!(config.commits.email, "jane@example.com");
    assert_eq!(
        config.dashboard,
        Dashboard {
            enabled: false,
            title: "Updates".to_owned(),
            template: Some("{{ problems }}".to_owned())
        }
    );
    assert_eq!(config.backup, Backup { keep_last: 3, keep_for: Duration::from_secs(604_800) });
}

#[test]
fn components_that_a_window_names_have_those_windows_only() {
    let config = read(
        "windows:
- {cron: 0 2 * * 6, duration: 4h, time_zone: Europe/Berlin}
- {cron: 0 2 * * 0, duration: 4h, components: [longhorn, helm/storage/*]}
",
    );
    let windows = |id, kind| -> Vec<String> {
        config.windows_for(id, kind).iter().map(|window| window.by().to_owned()).collect()
    };
    assert_eq!(windows("k3s", "k3s"), ["windows[0]"]);
    assert_eq!(windows("longhorn", "longhorn"), ["windows[1]"]);
    assert_eq!(windows("helm/storage/minio", "helm"), ["windows[1]"]);
    let now = "2026-11-21T01:30:00Z".parse().unwrap();
    assert!(matches!(open(config.windows_for("k3s", "k3s"), now), Opening::Open { .. }), "02:30 in Berlin");
    assert!(read("").windows_for("k3s", "k3s").is_empty());
}

#[test]
fn window_of_the_command_line_is_one_line() {
    let window = window_from_line(" 0 2 * * 6  4h Europe/Berlin ", "--maintenance-window").unwrap();
    assert_eq!(window.to_string(), "`0 2 * * 6` Europe/Berlin for 4h");
    assert_eq!(window.by(), "--maintenance-window");
    assert_eq!(
        window_from_line("30 22 * * 1-5 90m", "x").unwrap().to_string(),
        "`30 22 * * 1-5` UTC for 1h 30m"
    );
    let wrong = |line| window_from_line(line, "x").unwrap_err();
    assert_eq!(
        wrong("0 2 * * 6 Europe/Berlin"),
        "`Europe/Berlin` is not a duration such as `30s`, `6h` or `1h30m`"
    );
    assert_eq!(
        wrong("0 2 * * 6 4h Berlin"),
        "unknown time zone `Berlin`; zones are named as in `Europe/Berlin`"
    );
    assert!(wrong("0 2 * 4h").starts_with("`0 2 * 4h` is not a window such as"));
    assert!(wrong("").starts_with("`` is not a window such as"));
    assert!(wrong("0 25 * * 6 4h").contains("is not a cron expression of five fields"));
    assert_eq!(wrong("0 2 * * 6 8d"), "a window is open for `1m` at least and `7d` at most");
}

#[test]
fn every_slip_is_told_with_its_place() {
    let text = "enabled: maybe
policy:
  semver_gates: {patch: automatic, minor: yes, mayor: skip}
  minimum_release_age: 3
  ranges: widening
  verification: merge
  settle: 1h
  allowed: '>>1'
  denied: [1.2.3, latest]
  components: {longhron: {}, flux: {settle: 1h}, helm: [], '': {}}
  namespaces: {'': {}, a: {semver_gate: {}}}
  paths: {../x: {}, 'a[': {}}
limits: {open_pull_requests: 0, per_hour: 101}
windows:
- {cron: 0 2 * *, duration: 4h}
- {cron: 0 2 * * 6}
- {cron: 0 0 30 2 *, duration: 4h, time_zone: Europa/Berlin, components: [fluxx]}
- {cron: 0 0 30 2 *, duration: 4h}
- {cron: 0 0 * * *, duration: 30s}
forge: {kind: gitlab, remote: 'https://x', base_branch: a..b, repository: x, token_env: 'a b', app: {id: 0}}
pull_requests:
  labels: ['', x, x]
  reviewers: [a/b/c]
  assignees: [a/b]
  merge_method: fast-forward
  templates: {title: '{{ a', body: '', header: x}
commits: {name: 'a <b>', email: nobody, through_api: true}
dashboard: {title: ''}
backup: {keep_last: 0, keep_for: soon}
";
    let expected = "\
1:10: enabled: expected `true` or `false`, found `maybe`
3:25: policy.semver_gates.patch: unknown gate `automatic`; known are `auto`, `review`, `manual`, `skip`
3:43: policy.semver_gates.minor: unknown gate `yes`; known are `auto`, `review`, `manual`, `skip`
3:48: policy.semver_gates.mayor: unknown field; did you mean `major`?
4:24: policy.minimum_release_age: `3` has no unit; write `3s`, `3m` or `3h`
5:11: policy.ranges: unknown way with ranges `widening`; did you mean `widen`?
6:17: policy.verification: unknown verification `merge`; did you mean `merged`?
7:11: policy.settle: goes with `verification: merged`, which is not given beside it
8:12: policy.allowed: `>>1` is not a range such as `>=1.6 <2`, `~1.9` or `1.x`
9:19: policy.denied[1]: `latest` is not a range such as `>=1.6 <2`, `~1.9` or `1.x`
10:26: policy.components.longhron: no such component kind; did you mean `longhorn`?
10:45: policy.components.flux.settle: goes with `verification: merged`, which is not given beside it
10:56: policy.components.helm: expected a mapping of policy settings, found a list
10:64: policy.components[\"\"]: not a component kind, id or pattern
11:20: policy.namespaces[\"\"]: not a namespace or a pattern of namespaces
11:28: policy.namespaces.a.semver_gate: unknown field; did you mean `semver_gates`?
12:17: policy.paths[\"../x\"]: not a pattern of paths within the repository
12:27: policy.paths[\"a[\"]: not a pattern: unclosed character class; missing ']'
13:30: limits.open_pull_requests: not between 1 and 100
13:43: limits.per_hour: not between 1 and 100
15:10: windows[0].cron: `0 2 * *` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
16:3: windows[1]: `duration` is missing
17:10: windows[2].cron: `0 0 30 2 *` never comes
17:47: windows[2].time_zone: unknown time zone `Europa/Berlin`; zones are named as in `Europe/Berlin`
17:75: windows[2].components[0]: no such component kind; did you mean `flux`?
18:10: windows[3].cron: `0 0 30 2 *` never comes
19:31: windows[4].duration: a window is open for `1m` at least and `7d` at most
20:15: forge.kind: unknown forge `gitlab`; known are `auto`, `github`, `local`
20:31: forge.remote: not the name of a Git remote such as `origin`
20:57: forge.base_branch: not the name of a branch such as `main`
20:75: forge.repository: not `owner/name`
20:89: forge.token_env: not the name of an environment variable (the name, not the secret itself)
20:106: forge.app.id: not a number from 1
22:12: pull_requests.labels[0]: not a label of 1 to 50 characters
22:19: pull_requests.labels[2]: given twice
23:15: pull_requests.reviewers[0]: not a login or `organisation/team`
24:15: pull_requests.assignees[0]: not a login
25:17: pull_requests.merge_method: unknown merge method `fast-forward`; known are `merge`, `squash`, `rebase`
26:22: pull_requests.templates.title: not a template in line 1: unexpected end of input, expected end of variable block
26:36: pull_requests.templates.body: an empty template; leave the key out for the built-in one
26:40: pull_requests.templates.header: unknown field; known are `title`, `body`, `commit`
27:17: commits.name: `a <b>` is not a name
27:17: commits.name: has no effect with `through_api: true`
27:33: commits.email: `nobody` is not an e-mail address
27:33: commits.email: has no effect with `through_api: true`
28:20: dashboard.title: not a title of 1 to 200 characters
29:21: backup.keep_last: not between 1 and 1000
29:34: backup.keep_for: `soon` is not a duration such as `30s`, `6h` or `1h30m`";
    assert_eq!(errors_from(Trust::User, text).join("\n"), expected);
}

/// A wrong `cron` was not told where something else of its window was wrong, too.
#[test]
fn mistakes_of_a_window_hide_none_of_the_others() {
    let text = "windows:
- {cron: 99 2 * * 6, duration: x, time_zone: Europa/Berlin}
- {cron: 99 2 * * 6}
- {cron: 99 2 * * 6, duration: [1], components: 7}
- {cron: 99 2 * * 6, duration: 8d, components: [fluxx]}
upstreams: {map: [{from: nowhere}]}
";
    let expected = "\
2:10: windows[0].cron: `99 2 * * 6` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
2:32: windows[0].duration: `x` is not a duration such as `30s`, `6h` or `1h30m`
2:46: windows[0].time_zone: unknown time zone `Europa/Berlin`; zones are named as in `Europe/Berlin`
3:3: windows[1]: `duration` is missing
3:10: windows[1].cron: `99 2 * * 6` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
4:10: windows[2].cron: `99 2 * * 6` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
4:32: windows[2].duration: expected text, found a list
4:49: windows[2].components: expected a list, found the number 7
5:10: windows[3].cron: `99 2 * * 6` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
5:32: windows[3].duration: a window is open for `1m` at least and `7d` at most
5:49: windows[3].components[0]: no such component kind; did you mean `flux`?
6:19: upstreams.map[0]: `to` is missing
6:26: upstreams.map[0].from: ";
    let found = errors_from(Trust::User, text).join("\n");
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn repository_may_not_choose_what_credentials_are_used_on() {
    for text in [
        "forge: {repository: other/place}\n",
        "forge: {api_url: 'http://ghes.example/api/v3'}\n",
        "forge: {token_env: AWS_SECRET_ACCESS_KEY}\n",
        "forge: {token_env: GITHUB_TOKEN}\n",
        "forge: {api_url: 'https://evil.example', token_env: GITOPS_UPDATER_HOST_API_GITHUB_COM_TOKEN}\n",
        "forge: {app: {id: 1, private_key_env: DEPLOY_KEY}}\n",
        "forge: {app: {id: 1, private_key_env: GITOPS_UPDATER_HOST_API_GITHUB_COM_TOKEN}}\n",
    ] {
        assert!(errors(text).iter().any(|error| error.contains("--config")), "{text}");
        assert!(parse(text, &origin(Trust::User)).is_ok(), "{text}");
    }
    let config = read(
        "forge: {api_url: 'https://ghes.example', app: {id: 1, private_key_env: GITOPS_UPDATER_HOST_GHES_EXAMPLE_PRIVATE_KEY}}\n",
    );
    assert!(matches!(config.forge.identity, Identity::App { private_key: Some(_), .. }));
    assert!(!config.forge.trusts_api_url);
}

#[test]
fn token_and_app_exclude_each_other() {
    assert_eq!(
        errors_from(Trust::User, "forge: {token_env: T, app: {id: 1}}\n"),
        ["1:20: forge.token_env: give `token_env` or `app`, not both"]
    );
}

#[test]
fn names_of_branches_are_those_of_git() {
    for (name, fine) in [
        ("main", true),
        ("release/1.x", true),
        ("", false),
        ("-main", false),
        ("/main", false),
        ("a//b", false),
        ("a/.b", false),
        ("a.lock", false),
        ("a/b.lock", false),
        ("a.", false),
        ("a..b", false),
        ("a@{b", false),
        ("@", false),
        ("HEAD", false),
        ("a b", false),
        ("a:b", false),
        ("a\\b", false),
    ] {
        let text = format!("forge: {{base_branch: '{name}'}}\n");
        assert_eq!(parse(&text, &origin(Trust::User)).is_ok(), fine, "{name}");
    }
}

#[test]
fn kubernetes_apis_can_be_added_and_corrected() {
    let config = read(
        "kubernetes_apis:
- {api_version: policy/v1beta1, kinds: [PodSecurityPolicy]}
- {api_version: example.com/v1beta1, removed_in: '1.40', replacement: example.com/v1}
",
    );
    assert_eq!(config.kubernetes_apis[0].removed_in, None);
    assert_eq!(config.kubernetes_apis[1].removed_in, Some(40));
    assert_eq!(
        errors("kubernetes_apis: [{api_version: policy, kinds: [a b], removed_in: '25'}, {kinds: [A]}]\n"),
        [
            "1:33: kubernetes_apis[0].api_version: not a group and version such as `policy/v1beta1`",
            "1:49: kubernetes_apis[0].kinds[0]: not a kind such as `PodDisruptionBudget`",
            "1:67: kubernetes_apis[0].removed_in: `25` is not a minor such as `1.25`",
            "1:74: kubernetes_apis[1]: `api_version` is missing",
        ]
    );
}

#[test]
fn policy_keys_that_name_nothing_are_told() {
    let config = read("policy: {components: {k3s: {}, cilium: {}, helm/a/b: {}, helm/*: {}}}\n");
    let components = [("flux", "flux")];
    assert_eq!(
        config.policy.unused_ids(components.into_iter()),
        ["policy.components.cilium", "policy.components[\"helm/a/b\"]"]
    );
}

#[test]
fn long_lists_of_the_policy_are_refused() {
    let many = |line: fn(usize) -> String| (0..1_001).map(line).collect::<String>();
    for (head, lines) in [
        ("policy:\n  components:\n", many(|n| format!("    a/{n}: {{}}\n"))),
        ("policy:\n  namespaces:\n", many(|n| format!("    a{n}: {{}}\n"))),
        ("policy:\n  paths:\n", many(|n| format!("    a{n}: {{}}\n"))),
        ("windows:\n", many(|_| "- {cron: 0 0 * * *, duration: 1h}\n".to_owned())),
        ("pull_requests:\n  labels:\n", many(|n| format!("  - a{n}\n"))),
    ] {
        let told = errors(&format!("{head}{lines}"));
        assert_eq!(told.len(), 1, "{head}");
        assert!(told[0].contains("more than "), "{told:?}");
    }
}
