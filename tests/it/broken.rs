//! What is broken, hostile or odd costs itself only, and is told.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::detect::world::{World, problems, reduced, versions, word};
use crate::support::broken;
use crate::support::fake_github::release;
use crate::support::sandbox::Sandbox;

/// The report of a run that may use no more than `mebibytes` of memory, where that can be bounded.
#[expect(clippy::print_stdout, reason = "a part of the test that is left out is told")]
fn bounded(world: &World, mebibytes: usize, arguments: &[&str]) -> Value {
    let config = world.config_path();
    let mut all = vec!["detect", "--format", "json", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    let plain = world.sandbox.command(&all);
    let limited = Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_ok();
    let output = if limited {
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={}", mebibytes << 20)).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(world.sandbox.work()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.output().unwrap()
    } else {
        println!("memory is not bounded: there is no `prlimit`");
        world.sandbox.command(&all).output().unwrap()
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["update_report"].clone()
}

#[test]
fn every_broken_file_is_told_and_hides_nothing() {
    let world = World::home();
    let folder = world.sandbox.work().join("broken");
    std::fs::create_dir(&folder).unwrap();
    broken::write_all(&folder);
    let report = bounded(&world, 400, &[]);
    let told: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|problem| word(&problem["file"])).collect();
    for broken in broken::all() {
        let path = format!("broken/{}", broken.name);
        // Templates are searched by lines, as they are meant to be; an alias that leads nowhere is not followed.
        let harmless = broken.name.ends_with(".j2")
            || ["undefined-alias.yaml", "alias-of-itself.yaml"].contains(&broken.name);
        let expected = !broken.readable && !harmless;
        assert_eq!(told.contains(&path.as_str()), expected, "{path}: {}", problems(&report));
    }
    assert!(told.contains(&"broken/hundred-megabytes.yaml"));
    for id in ["flux", "k3s", "helm/apps/blog", "image/ghcr.io/example/web"] {
        assert_eq!(versions(&report, id).0, "update_available", "{id}: {}", reduced(&report));
    }
    insta::assert_snapshot!(problems(&report), @r"
    problem (repository) broken/alias-bomb.yaml:6: is not valid YAML: aliases repeat more than 100000 nodes
    problem (repository) broken/binary.yaml: is not UTF-8 text (byte 128); save it as UTF-8 or exclude it under `files.exclude`
    problem (repository) broken/conflict-markers.yaml:2: is not valid YAML: simple key expected ':' at char 6 line 2 column 1
    problem (repository) broken/deep-block.yaml:256: is not valid YAML: recursion limit exceeded at char 33405 line 256 column 256
    problem (repository) broken/deep-dashes.yaml:1: is not valid YAML: recursion limit exceeded at char 510 line 1 column 511
    problem (repository) broken/deep-flow-open.yaml:1: is a template, not YAML, and was left alone (recursion limit exceeded at char 255 line 1 column 256)
    problem (repository) broken/deep-flow.yaml:1: is a template, not YAML, and was left alone (recursion limit exceeded at char 255 line 1 column 256)
    problem (repository) broken/deep.json:1: is not valid YAML: recursion limit exceeded at char 1296 line 1 column 1297
    problem (repository) broken/escape-codes.yaml:1: is not valid YAML: unexpected character: `\u{1b}' at char 7 line 1 column 8
    problem (repository) broken/html.yaml:2: is not valid YAML: mapping values are not allowed in this context at char 38 line 2 column 23
    problem (repository) broken/hundred-megabytes.yaml: not read: 104857600 bytes, more than the limit of 10485760; exclude it or make it smaller
    problem (repository) broken/invalid-utf8-at-the-end.yaml: is not UTF-8 text (byte 27); save it as UTF-8 or exclude it under `files.exclude`
    problem (repository) broken/invalid-utf8.yaml: is not UTF-8 text (byte 24); save it as UTF-8 or exclude it under `files.exclude`
    problem (repository) broken/long-key.yaml:1: is not valid YAML: mapping values are not allowed in this context at char 2002 line 1 column 2003
    problem (repository) broken/merge-bomb.yaml:12: is not valid YAML: aliases repeat more than 100000 nodes
    problem (repository) broken/nul-bytes.yaml:1: is not valid YAML: unexpected character: `\u{0}' at char 10 line 1 column 11
    problem (repository) broken/only-nul.yaml:1: is not valid YAML: unexpected character: `\u{0}' at char 0 line 1 column 1
    problem (repository) broken/tab-indented.yaml:3: is not valid YAML: tabs disallowed within this context (block indentation) at char 25 line 3 column 2
    problem (repository) broken/template-braces.yaml:3: is a template, not YAML, and was left alone (while parsing a block mapping, did not find expected key at char 54 line 3 column 27)
    problem (repository) broken/truncated-in-a-flow.yaml:2: is not valid YAML: unclosed bracket '[' at char 39 line 2 column 22
    problem (repository) broken/truncated-in-a-string.yaml:3: is not valid YAML: unclosed quote at char 33 line 3 column 10
    problem (repository) broken/truncated.json:1: is not valid YAML: unclosed bracket '{' at char 52 line 1 column 53
    problem (repository) broken/utf16-be.yaml: is UTF-16, which Flux does not read; save it as UTF-8
    problem (repository) broken/utf16-le.yaml: is UTF-16, which Flux does not read; save it as UTF-8
    ");
}

#[test]
fn line_of_the_mistake_is_named() {
    let world = World::home();
    world.sandbox.write("apps/typo.yaml", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b\n c: d\n");
    let report = world.report(&[]);
    let problem = &report["problems"][0];
    assert_eq!((word(&problem["file"]), &problem["line"]), ("apps/typo.yaml", &json!(5)), "{problem}");
}

#[test]
fn variables_in_a_circle_end() {
    let world = World::home();
    world.sandbox.write(
        "clusters/home/circle.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: circle, namespace: flux-system}
spec:
  path: ./circle
  sourceRef: {kind: GitRepository, name: flux-system}
  postBuild:
    substitute: {A: '${B}', B: '${A}', C: '${C}', D: '${D:=${D}}'}
",
    );
    let image = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: x}}\nspec: {{containers: [{{name: c, image: \
             'ghcr.io/example/{}:${{{name}}}'}}]}}\n",
            name.to_lowercase(),
            name.to_lowercase()
        )
    };
    world.sandbox.write("circle/pods.yaml", ["A", "B", "C", "D"].map(image).concat());
    let report = bounded(&world, 400, &["--component", "image"]);
    for name in ["a", "b", "c", "d"] {
        let id = format!("image/ghcr.io/example/{name}");
        assert_eq!(versions(&report, &id).0, "unresolved", "{}", reduced(&report));
    }
}

#[test]
fn folders_that_include_each_other_end() {
    let world = World::home();
    for (one, other) in [("a", "b"), ("b", "a")] {
        world.sandbox.write(
            format!("{one}/kustomization.yaml"),
            format!(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../{other}, ../{one}, ../../..]\n"
            ),
        );
    }
    world.sandbox.write(
        "clusters/home/loop.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: loop, namespace: flux-system}\nspec: {path: ./a, sourceRef: {kind: GitRepository, name: flux-system}}\n",
    );
    let report = bounded(&world, 400, &[]);
    assert_eq!(report["summary"]["total_updates"], 6, "{}", reduced(&report));
}

/// Every object that a rule looks at, with every value of another type.
#[test]
fn values_of_the_wrong_type_are_no_panic_and_no_pin() {
    let world = World::with(Sandbox::with_empty_repo());
    let kinds = [
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        ("source.toolkit.fluxcd.io/v1", "HelmRepository"),
        ("source.toolkit.fluxcd.io/v1", "OCIRepository"),
        ("source.toolkit.fluxcd.io/v1", "GitRepository"),
        ("source.toolkit.fluxcd.io/v1", "HelmChart"),
        ("source.toolkit.fluxcd.io/v1", "Bucket"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
        ("upgrade.cattle.io/v1", "Plan"),
        ("helm.cattle.io/v1", "HelmChart"),
        ("fluxcd.controlplane.io/v1", "FluxInstance"),
        ("fluxcd.controlplane.io/v1", "ResourceSet"),
        ("apps/v1", "Deployment"),
        ("v1", "ConfigMap"),
    ];
    let keys = [
        "spec",
        "data",
        "chart",
        "version",
        "url",
        "ref",
        "tag",
        "semver",
        "digest",
        "sourceRef",
        "kind",
        "name",
        "values",
        "image",
        "images",
        "resources",
        "patches",
        "components",
        "helmCharts",
        "postBuild",
        "substitute",
        "substituteFrom",
        "containers",
        "template",
        "upgrade",
        "channel",
        "distribution",
        "resourcesTemplate",
        "inputs",
        "path",
        "targetNamespace",
        "chartRef",
        "repository",
        "newTag",
    ];
    let wrong = [
        "null",
        "7",
        "true",
        "[]",
        "{}",
        "[[[1]]]",
        "''",
        "{'': {'': null}}",
        "[null, {a: [b]}]",
        "1e999",
        "${X}",
        "~",
    ];
    for (number, value) in wrong.iter().enumerate() {
        let mut file = String::new();
        for (api, kind) in kinds {
            let all: String = keys.iter().map(|key| format!("  {key}: {value}\n")).collect();
            let nested: String = keys.iter().map(|key| format!("    {key}: {value}\n")).collect();
            file.push_str(&format!(
                "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\nspec:\n{all}"
            ));
            file.push_str(&format!(
                "---\napiVersion: {api}\nkind: {kind}\nmetadata: {value}\nspec: {value}\n"
            ));
            file.push_str(&format!(
                "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {value}, namespace: {value}}}\nspec:\n  chart:\n{nested}  ref:\n{nested}"
            ));
        }
        world.sandbox.write(format!("wrong-{number}.yaml"), &file);
        world.sandbox.write(
            format!("w{number}/kustomization.yaml"),
            keys.iter().map(|key| format!("{key}: {value}\n")).collect::<String>(),
        );
        world.sandbox.write(
            format!("w{number}/Chart.yaml"),
            format!("dependencies: {value}\nname: {value}\nversion: {value}\n"),
        );
    }
    let report = bounded(&world, 400, &[]);
    for (id, entry) in report["components"].as_object().unwrap() {
        for pin in entry["pins"].as_array().unwrap() {
            assert!(matches!(word(&pin["text"]), "7" | "true" | "1e999" | "${X}"), "{id} has the pin {pin}");
        }
    }
}

const HOSTILE: &str = "## Security\n\n@everyone fixes #1 and CVE-2026-0001 <script>alert(1)</script> \u{1b}[2J\u{1b}]0;owned\u{7}\n\
     <img src=x onerror=alert(1)> [click](javascript:alert(1)) ![x](https://evil.example/t.png)\n\
     ::error::owned\n\u{202e}gnp.exe\n## Breaking changes\n\n- @acme/team `rm -rf` |x| <b>all</b> \u{0}\r\n- \u{85}\u{2028}next\n";

#[test]
fn hostile_notes_are_harmless_in_every_format() {
    let world = World::home();
    let mut hostile = release("v2.8.6");
    hostile["body"] = json!(HOSTILE.repeat(4 * 1024 * 1024 / HOSTILE.len()));
    hostile["html_url"] = json!("javascript:alert(1)");
    let mut odd = release("v2.8.7");
    odd["body"] = json!(HOSTILE);
    odd["html_url"] = json!("https://github.com/fluxcd/flux2/\"><script>alert(1)</script>");
    odd["name"] = json!("\u{1b}[31m<b>@everyone");
    world.github.release_list("fluxcd/flux2", vec![odd, hostile, release("v2.8.5")]);
    world.web.serve(
        "/charts/index.yaml",
        "entries:
  podinfo:
    - {version: 6.6.0, urls: ['javascript:alert(1)'], created: never, deprecated: yes, kubeVersion: '<b>\\e[2J', home: 'javascript:x', description: '@everyone <script>'}
    - {version: '9.9.9\\e[2J', urls: [x]}
    - {version: \"9.9.9-<script>@everyone\", urls: [x]}
    - {version: 6.5.0, urls: [x]}
",
    );
    let json = bounded(&world, 500, &[]);
    assert_eq!(versions(&json, "flux").2, "v2.8.7", "{}", reduced(&json));
    assert_eq!(json["components"]["flux"]["security_update"], true);
    let world = World { sandbox: world.sandbox.variable("GITHUB_ACTIONS", "true"), ..world };
    for format in ["text", "json", "yaml", "csv", "html", "xml", "markdown"] {
        let output = world.detect(&["--format", format, "-v"]).exited(0);
        let both = format!("{}{}", output.stdout, output.stderr);
        for bad in ["\u{1b}", "\u{7}", "\u{202e}", "\u{0}", "\u{2028}", "\u{85}"] {
            assert!(!both.contains(bad), "{format} has {bad:?}");
        }
        assert!(!output.stderr.lines().any(|line| line.starts_with("::error")), "{output}");
        if matches!(format, "html" | "markdown" | "xml") {
            for bad in ["<script>", "<img", "<b>all", "href=\"javascript:", "](javascript:"] {
                assert!(!output.stdout.contains(bad), "{format} has {bad}");
            }
        }
        if format == "markdown" {
            for bad in ["@everyone", "@acme/team"] {
                assert!(!output.stdout.contains(bad), "{bad} calls people: {}", output.stdout);
            }
        }
    }
}

#[test]
fn rule_files_that_are_wrong_are_told_and_the_others_hold() {
    let world = World::home();
    for (name, text) in [
        ("cut.yaml", "id: [".to_owned()),
        ("unknown.yaml", "id: mine\ntitle: Mine\nwhatever: 1\n".to_owned()),
        ("nothing.yaml", String::new()),
        ("huge.yaml", "#".repeat(2 << 20)),
        ("binary.yaml", "\u{0}\u{1}".to_owned()),
    ] {
        world.sandbox.write(format!(".gitops-updater/rules/{name}"), text);
    }
    let report = bounded(&world, 400, &[]);
    assert_eq!(report["summary"]["total_updates"], 6, "{}", reduced(&report));
    insta::assert_snapshot!(problems(&report), @r"
    problem (configuration) .gitops-updater/rules/binary.yaml:1: not valid YAML: unexpected character: `\u{0}'
    problem (configuration) .gitops-updater/rules/cut.yaml:1: not valid YAML: unclosed bracket '['
    problem (configuration) .gitops-updater/rules/huge.yaml: is too large for a rule (1 MiB)
    problem (configuration) .gitops-updater/rules/nothing.yaml:1: `id` is missing
    problem (configuration) .gitops-updater/rules/nothing.yaml:1: `title` is missing
    problem (configuration) .gitops-updater/rules/nothing.yaml:1: `why` is missing
    problem (configuration) .gitops-updater/rules/unknown.yaml:1: `why` is missing
    problem (configuration) .gitops-updater/rules/unknown.yaml:3: `whatever`: unknown field
    ");
}
