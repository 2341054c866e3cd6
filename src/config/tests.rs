//! Whole configurations: what is accepted, what it means, and what is said about what is not.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::domain::upstream::UpstreamRef;

pub(super) fn origin(trust: Trust) -> Origin<'static> {
    Origin {
        name: FILE_NAME,
        trust,
        folder: Some(Path::new("/repo")),
        repository: (trust == Trust::Repository).then_some(Path::new("/repo")),
    }
}

pub(super) fn read(text: &str) -> Config {
    parse(text, &origin(Trust::Repository)).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

pub(super) fn errors_from(trust: Trust, text: &str) -> Vec<String> {
    let findings = parse(text, &origin(trust)).expect_err("the text is wrong");
    findings.iter().map(|finding| finding.to_string().replace(".gitops-updater.yaml:", "")).collect()
}

pub(super) fn errors(text: &str) -> Vec<String> {
    errors_from(Trust::Repository, text)
}

const USERS_BLOCK: &str = "detection:
  k3s:
    channel: stable
    repository: k3s-io/k3s
    check_interval: 6h
    check_prereleases: false
    minimum_version: v1.28.0
    notifications: true
";

#[test]
fn users_detection_block_means_the_same_in_both_forms() {
    let nested = USERS_BLOCK.replace("\n  ", "\n    ").replace("detection:\n", "detection:\n  components:\n");
    let (direct, nested) = (read(USERS_BLOCK), read(&nested));
    let settings = direct.settings_for("k3s", "k3s");
    let mut other = nested.settings_for("k3s", "k3s");
    assert_eq!(settings.channel.by.as_deref(), Some("detection.k3s.channel"));
    assert_eq!(other.channel.by.as_deref(), Some("detection.components.k3s.channel"));
    for by in [
        &mut other.channel.by,
        &mut other.repository.by,
        &mut other.check_interval.by,
        &mut other.check_prereleases.by,
        &mut other.minimum_version.by,
        &mut other.notifications.by,
    ] {
        *by = by.as_ref().map(|key| key.replace(".components", ""));
    }
    assert_eq!(settings, other);
    assert_eq!(settings.channel.value, Some(Channel::Stable));
    assert_eq!(
        settings.repository.value,
        Some(Repository::Github { owner: "k3s-io".to_owned(), name: "k3s".to_owned() })
    );
    assert_eq!(settings.check_interval.value, Duration::from_secs(6 * 3600));
    assert!(!settings.check_prereleases.value);
    assert_eq!(settings.minimum_version.value.as_deref(), Some("v1.28.0"));
    assert!(settings.notifications.value);
}

#[test]
fn nothing_written_means_the_defaults() {
    for text in
        ["", "# nothing\n", "---\n", "version: 1\n", "detection:\nupstreams: {}\nclusters: # none yet\n"]
    {
        let config = read(text);
        assert_eq!(config.settings_for("helm/a/b", "helm"), Settings::default());
        assert_eq!(config.upstreams, Upstreams::default());
        assert_eq!(config.files.max_size, 10 << 20);
    }
}

#[test]
fn id_wins_over_pattern_over_kind_over_defaults() {
    let config = read(
        "detection:
  check_interval: 1h
  check_prereleases: true
  helm: {check_interval: 2h, minimum_version: 1.0.0}
  helm/monitoring/*: {check_interval: 3h, allowed: <9}
  helm/*: {check_interval: 4h, ignored: [1.2.3]}
  helm/monitoring/loki: {check_interval: 5h}
  staging:helm/monitoring/loki: {check_interval: 6h}
",
    );
    for (id, kind, hours, by) in [
        ("flux", "flux", 1, "detection.check_interval"),
        ("staging:k3s", "k3s", 1, "detection.check_interval"),
        ("longhorn", "helm", 2, "detection.helm.check_interval"),
        ("helm/apps/x", "helm", 4, "detection[\"helm/*\"].check_interval"),
        ("helm/monitoring/x", "helm", 3, "detection[\"helm/monitoring/*\"].check_interval"),
        ("helm/monitoring/loki", "helm", 5, "detection[\"helm/monitoring/loki\"].check_interval"),
        ("production:helm/monitoring/loki", "helm", 5, "detection[\"helm/monitoring/loki\"].check_interval"),
        (
            "staging:helm/monitoring/loki",
            "helm",
            6,
            "detection[\"staging:helm/monitoring/loki\"].check_interval",
        ),
    ] {
        let settings = config.settings_for(id, kind);
        assert_eq!(settings.check_interval.value, Duration::from_secs(hours * 3600), "{id}");
        assert_eq!(settings.check_interval.by.as_deref(), Some(by), "{id}");
        assert!(settings.check_prereleases.value, "{id}");
    }
    let loki = config.settings_for("helm/monitoring/loki", "helm");
    assert_eq!(loki.minimum_version.value.as_deref(), Some("1.0.0"));
    assert_eq!(loki.allowed.by.as_deref(), Some("detection[\"helm/monitoring/*\"].allowed"));
    assert_eq!(loki.ignored.value, ["1.2.3"]);
    assert_eq!(loki.enabled, Decided { value: true, by: None });
}

#[test]
fn keys_that_name_nothing_are_told() {
    let config = read("detection: {k3s: {}, flux: {}, helm/a/*: {}, images: {}, cilium: {}, helm/a/b: {}}\n");
    let components = [("k3s", "k3s"), ("image/ghcr.io/a/b", "image")];
    assert_eq!(
        config.detection.unused_ids(components.into_iter()),
        ["detection.cilium", "detection[\"helm/a/b\"]"],
        "kinds and patterns are for whatever there is"
    );
}

#[test]
fn channel_decides_about_prereleases_unless_said_outright() {
    let config = read(
        "detection:
  check_prereleases: true
  k3s: {channel: v1.33}
  flux: {channel: prerelease}
  longhorn: {channel: stable}
  helm/a/*: {channel: stable}
  helm/a/b: {check_prereleases: true}
",
    );
    let prereleases = |id, kind| config.settings_for(id, kind).check_prereleases.value;
    assert_eq!(config.settings_for("k3s", "k3s").channel.value, Some(Channel::Minor { major: 1, minor: 33 }));
    assert!(!prereleases("k3s", "k3s"));
    assert!(prereleases("flux", "flux"));
    assert!(!prereleases("longhorn", "longhorn"));
    assert!(!prereleases("helm/a/c", "helm"));
    assert!(prereleases("helm/a/b", "helm"));
}

#[test]
fn every_error_of_a_file_is_told_with_line_column_and_field() {
    let text = "version: 2
detection:
  check_intervall: 6h
  k3s:
    channel: stabel
    minimum_version: latest
    minimum_verison: v1.28.0
  longhron: {channel: stable}
  flux: {channel: v2.1, repository: git@github.com/x, allowed: '>>1', ignored: [1.0.0, oops], ignore: ''}
  helm: yes
  helm/a/*: {check_prereleases: false, channel: prerelease, notifications: maybe, check_interval: 6}
files: {exclude: [../etc, 'a[', docs/], max_size: 1GiB}
clusters:
- {name: a, path: clusters/a}
- {name: a, path: ../b}
- {path: c}
architectures: [amd64, x86_64, arm46]
upstreams:
  timeout: 0s
  retries: 11
  concurrency: 0
  concurency: 1
k3s: {channel: stable}
";
    let expected = "\
1:10: version: this program knows version 1 only
3:3: detection.check_intervall: unknown field; did you mean `check_interval`?
5:14: detection.k3s.channel: unknown channel `stabel`; known are `stable`, `latest`, `testing` or a minor such as `v1.33`
6:22: detection.k3s.minimum_version: `latest` is not a version such as `v1.28.0`
7:5: detection.k3s.minimum_verison: unknown field; did you mean `minimum_version`?
8:13: detection.longhron: no such component kind; did you mean `longhorn`?
9:19: detection.flux.channel: unknown channel `v2.1`; known are `stable` or `prerelease`
9:37: detection.flux.repository: `git@github.com/x` is neither `owner/name` on GitHub nor an `https://` or `oci://` URL
9:64: detection.flux.allowed: `>>1` is not a range such as `>=1.6 <2`, `~1.9` or `1.x`
9:88: detection.flux.ignored[1]: `oops` is not a range such as `>=1.6 <2`, `~1.9` or `1.x`
9:103: detection.flux.ignore: an empty reason; write why, or `true`
10:3: detection.helm: expected a mapping of component settings
11:33: detection[\"helm/a/*\"].check_prereleases: contradicts `channel: prerelease`
11:76: detection[\"helm/a/*\"].notifications: expected `true` or `false`, found `maybe`
11:99: detection[\"helm/a/*\"].check_interval: `6` has no unit; write `6s`, `6m` or `6h`
12:19: files.exclude[0]: not a pattern of paths within the repository
12:27: files.exclude[1]: not a pattern: unclosed character class; missing ']'
12:51: files.max_size: not between `1` and `100MiB`
15:10: clusters[1].name: a second cluster named `a`
15:19: clusters[1].path: not a folder within the repository
16:3: clusters[2]: `name` is missing
17:24: architectures[1]: unknown architecture `x86_64`; known are `amd64`, `arm64`, `arm`, `s390x`
17:32: architectures[2]: unknown architecture `arm46`; did you mean `arm64`?
19:12: upstreams.timeout: no time at all
20:12: upstreams.retries: more than 10
21:16: upstreams.concurrency: not between 1 and 64
22:3: upstreams.concurency: unknown field; did you mean `concurrency`?
23:1: k3s: unknown field; component kinds stand below `detection`: `detection.k3s`";
    assert_eq!(errors(text).join("\n"), expected);
}

#[test]
fn items_after_a_wrong_one_keep_their_number() {
    assert_eq!(
        errors("upstreams:\n  map:\n  - 7\n  - {from: nowhere, to: ./x}\n"),
        [
            "3:5: upstreams.map[0]: expected a mapping with `from` and `to`, found the number 7",
            "4:12: upstreams.map[1].from: not an absolute `https://` or `http://` URL",
        ]
    );
}

#[test]
fn duplicate_keys_are_errors() {
    assert_eq!(
        errors("detection:\n  k3s: {channel: stable}\n  k3s: {channel: latest}\n  components: {k3s: {}}\n"),
        [
            "3:3: detection.k3s: given twice, first in line 2",
            "4:21: detection.components.k3s: given twice, also as `detection.k3s`",
        ]
    );
}

#[test]
fn versions_keep_their_text() {
    let config =
        read("detection: {helm/a/b: {minimum_version: 1.30, allowed: 1.10, ignored: [1.20, 016]}}\n");
    let settings = config.settings_for("helm/a/b", "helm");
    assert_eq!(settings.minimum_version.value.as_deref(), Some("1.30"));
    assert_eq!(settings.allowed.value.as_deref(), Some("1.10"));
    assert_eq!(settings.ignored.value, ["1.20", "016"]);
}

#[test]
fn exclusions_are_kept_as_written() {
    let config =
        read("files: {exclude: [docs, ./a/b/, /x, '**/testdata', '*.tmpl.yaml'], include_ignored: true}\n");
    assert_eq!(config.files.exclude, ["docs", "./a/b/", "/x", "**/testdata", "*.tmpl.yaml"]);
    assert!(config.files.include_ignored);
}

#[test]
fn repository_replaces_the_upstream_and_keeps_the_kind_of_list() {
    let repository = |text: &str| {
        read(&format!("detection: {{x/y: {{repository: '{text}'}}}}\n"))
            .settings_for("x/y", "x")
            .repository
            .value
            .unwrap()
    };
    let chart = UpstreamRef::HelmChart { repository: "https://old".to_owned(), chart: "c".to_owned() };
    let k3s = UpstreamRef::K3s { channel: None };
    let tags = UpstreamRef::GithubTags {
        host: "github.com".to_owned(),
        owner: "o".to_owned(),
        name: "n".to_owned(),
    };
    for (text, given, expected) in [
        ("k3s-io/k3s", Some(&k3s), "k3s https://update.k3s.io/v1-release/channels k3s"),
        ("me/k3s", Some(&k3s), "github_releases https://github.com/me/k3s me/k3s"),
        ("me/x", Some(&tags), "github_tags https://github.com/me/x me/x"),
        ("https://github.com/me/x.git", None, "github_releases https://github.com/me/x me/x"),
        ("https://charts.example.com/a/", Some(&chart), "helm https://charts.example.com/a c"),
        ("https://git.example.com/a/b.git", Some(&tags), "git_tags https://git.example.com/a/b.git b"),
        ("oci://Ghcr.io/a/b", Some(&chart), "oci oci://ghcr.io/a/b a/b"),
    ] {
        let upstream = repository(text).upstream_instead_of(given);
        assert_eq!(format!("{} {} {}", upstream.kind(), upstream.url(), upstream.name()), expected);
    }
}

#[test]
fn kinds_of_a_repositorys_own_rules_are_accepted() {
    read("detection: {fluxcd: {}, k3os: {}, cilium: {}, talos: {}, helmfile: {}, githooks: {}}\n");
    for word in ["longhron", "helms", "releases", "fluxx"] {
        assert_eq!(errors(&format!("detection: {{{word}: {{}}}}\n")).len(), 1, "{word}");
    }
}

#[test]
fn lists_without_end_are_refused() {
    let many = |line: fn(usize) -> String| (0..1_001).map(line).collect::<String>();
    for (head, lines) in [
        ("detection:\n", many(|n| format!("  a/{n}*: {{}}\n"))),
        ("clusters:\n", many(|n| format!("- {{name: c{n}, path: c{n}}}\n"))),
        ("files:\n  exclude:\n", many(|n| format!("  - a{n}\n"))),
        ("upstreams:\n  map:\n", many(|n| format!("  - {{from: 'https://h{n}', to: ./a}}\n"))),
        ("upstreams:\n  hosts:\n", many(|n| format!("    h{n}: {{}}\n"))),
    ] {
        let told = errors(&format!("{head}{lines}"));
        assert_eq!(told.len(), 1, "{head}");
        assert!(told[0].contains("more than 1000"), "{told:?}");
    }
}

#[test]
fn selectors_know_two_wildcards_and_no_other() {
    for (selector, id, matches) in [
        ("helm/*", "helm/a/b", true),
        ("helm/?/b", "helm/a/b", true),
        ("helm/[a]/*", "helm/a/b", false),
        ("helm/[a]/*", "helm/[a]/b", true),
        ("image/ghcr.io/*", "image/ghcr.io/a/b", true),
        ("*:k3s", "staging:k3s", true),
        ("*:k3s", "k3s", false),
        ("images", "image/ghcr.io/a", true),
    ] {
        let kind = id.split('/').next().unwrap();
        assert_eq!(Selector::read(selector).unwrap().matches(id, kind), matches, "{selector} {id}");
    }
}

#[test]
fn example_is_valid_and_changes_no_default() {
    let config = read(EXAMPLE);
    let k3s = config.settings_for("k3s", "k3s");
    assert!(k3s.channel.value.is_none() && k3s.minimum_version.value.is_none());
    assert_eq!(k3s.check_interval.value, Duration::ZERO);
    assert_eq!(config.settings_for("helm/a/b", "helm").check_interval.value, Duration::ZERO);
    assert_eq!(config.upstreams, Upstreams::default());
    assert_eq!(config.files.max_size, Files::default().max_size);
    assert!(config.architectures.is_empty() && config.clusters.is_empty());
    let defaults = Config::default();
    assert_eq!(config.limits, defaults.limits);
    assert_eq!(config.forge, defaults.forge);
    assert_eq!(config.pull_requests, defaults.pull_requests);
    assert_eq!(config.commits, defaults.commits);
    assert_eq!(config.dashboard, defaults.dashboard);
    assert_eq!(config.backup, defaults.backup);
    assert!(config.enabled && config.windows.is_empty());
    let (mut policy, default) = (config.policy_for("a/b", "a", None, &[]), ComponentPolicy::default());
    for by in [
        &mut policy.gates.patch.by,
        &mut policy.gates.minor.by,
        &mut policy.gates.major.by,
        &mut policy.gates.prerelease.by,
        &mut policy.gates.digest.by,
        &mut policy.minimum_release_age.by,
        &mut policy.ranges.by,
        &mut policy.verification.by,
    ] {
        assert!(by.starts_with("policy."), "{by}");
        *by = "default".to_owned();
    }
    assert_eq!(policy, default);
}

#[test]
fn commented_parts_of_the_example_are_valid_too() {
    let uncommented: Vec<String> = EXAMPLE
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => line.replacen('#', "", 1),
            _ => line.to_owned(),
        })
        .collect();
    let config = read(&uncommented.join("\n"));
    assert_eq!(config.clusters.len(), 2);
    assert_eq!(config.architectures, ["amd64", "arm64"]);
    assert_eq!(config.files.exclude.len(), 2);
    assert_eq!(config.upstreams.map.len(), 2);
    assert_eq!(config.upstreams.hosts.len(), 1);
    assert!(!config.settings_for("helm/apps/old-thing", "helm").enabled.value);
    assert_eq!(config.settings_for("helm/monitoring/x", "helm").ignored.value.len(), 2);
    assert_eq!(config.windows.len(), 2);
    assert_eq!(config.policy_for("longhorn", "longhorn", None, &[]).denied.len(), 1);
    let kube_system = config.policy_for("helm/kube-system/x", "helm", Some("kube-system"), &[]);
    assert_eq!(kube_system.gates.patch.by, "policy.namespaces.kube-system.semver_gates.patch");
    let production = config.policy_for("k3s", "k3s", None, &["clusters/production/k3s.yaml"]);
    assert_eq!(production.minimum_release_age.value, Duration::from_secs(7 * 86_400));
    assert!(config.forge.base_branch.is_some() && config.pull_requests.templates.title.is_some());
}

#[test]
fn every_documented_key_states_its_default() {
    fn visit(schema: &serde_json::Value, at: &str, missing: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(|p| p.as_object()) {
            for (name, property) in properties {
                let described = property.get("description").and_then(|d| d.as_str()).unwrap_or_default();
                if !described.contains("Default:") && !described.contains("No default.") {
                    missing.push(format!("{at}.{name}"));
                }
            }
        }
        for (name, definition) in schema.get("$defs").and_then(|d| d.as_object()).into_iter().flatten() {
            visit(definition, name, missing);
        }
    }
    let mut missing = vec![];
    visit(&schema(), "", &mut missing);
    assert!(missing.is_empty(), "no default stated for {missing:?}");
}

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/config.v1.json");

#[test]
fn schema_file_is_what_the_program_prints() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let current = format!("{:#}\n", schema());
    assert!(
        committed == current,
        "schema/config.v1.json is out of date: run \
         `cargo test --lib config::tests::schema_is_written -- --ignored` and look at the difference"
    );
}

#[test]
#[ignore = "writes schema/config.v1.json"]
fn schema_is_written() {
    std::fs::write(COMMITTED, format!("{:#}\n", schema())).unwrap();
}

#[test]
fn schema_and_reader_agree() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
    for text in [
        EXAMPLE,
        USERS_BLOCK,
        "{}",
        "detection: {components: {k3s: {ignore: why}}}",
        "detection: {helm/a/*: {ignore: true}}",
        "policy: {components: {k3s: {semver_gates: {patch: auto}, verification: merged, settle: 1h}}}",
        "windows: [{cron: 0 2 * * 6, duration: 4h}]",
        "forge: {kind: local, app: {id: 1}}",
    ] {
        assert!(
            validator.is_valid(&json(text)),
            "{text}: {:?}",
            validator.iter_errors(&json(text)).map(|e| e.to_string()).collect::<Vec<_>>()
        );
        read(text);
    }
    for text in [
        "detektion: {}",
        "detection: {k3s: {chanel: stable}}",
        "detection: {check_intervall: 6h}",
        "upstreams: {map: [{from: x}]}",
        "version: 2",
        "architectures: [x]",
        "policy: {semver_gates: {patch: automatic}}",
        "policy: {paths: {a: {range: keep}}}",
        "limits: {per_hour: 0}",
        "windows: [{cron: 0 2 * * 6}]",
        "forge: {kind: gitlab}",
        "pull_requests: {merge_method: octopus}",
    ] {
        assert!(!validator.is_valid(&json(text)), "{text}");
        assert!(!errors(text).is_empty(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_configuration_or_findings_with_a_place(text in r#"(detection|k3s|channel|upstreams|map|from|files|: |\n|  |- |\[|\]|\{|\}|,|stable|6h|&a |\*a|'|"|#|1\.2){0,40}"#) {
        if let Err(findings) = parse(&text, &origin(Trust::Repository)) {
            proptest::prop_assert!(!findings.is_empty());
            for finding in findings {
                proptest::prop_assert!(finding.line >= 1 && finding.column >= 1);
            }
        }
    }
}
