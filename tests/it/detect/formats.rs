//! Every form of the report, as the program writes it.

use serde_json::Value;

use super::world::World;
use crate::support::snapshot::snapshot;

const FORMATS: [&str; 7] = ["text", "json", "yaml", "csv", "html", "xml", "markdown"];

#[test]
fn text_is_the_default_and_fits_80_columns() {
    let world = World::home();
    let output = world.detect(&[]);
    for line in output.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    snapshot!(output, @r"
    exit_code: 0
    ----- stdout -----
    6 updates: 2 of the cluster itself, 3 minor, 1 patch
    . @ 8b3edc97799f: 6 components in 9 files, [duration]

    Cluster (2)
      k3s                        v1.33.4+k3s1 → v1.34.1+k3s1  minor   15d
      flux                             v2.8.5 → v2.8.6        patch   15d

    Minor (3)
      git/git.example.com/site         v1.0.0 → v1.1.0        minor
      helm/apps/podinfo                 6.5.0 → 6.6.0         minor   22d
      image/ghcr.io/example/web  1.2.0-alpine → 1.3.0-alpine  minor

    Patch (1)
      helm/apps/blog                    0.4.0 → 0.4.1         patch

    Schedule maintenance: 6 updates (security unknown).
    ----- stderr -----
    ");
}

#[test]
fn every_format_goes_to_stdout_alone_and_names_every_component() {
    let world = World::home();
    for format in FORMATS {
        let output = world.detect(&["--format", format]).exited(0);
        assert_eq!(output.stderr, "", "{format}");
        for text in ["podinfo", "6.6.0", "v1.34.1+k3s1", "1.3.0-alpine"] {
            let escaped = text.replace('+', "&#43;");
            assert!(output.stdout.contains(text) || output.stdout.contains(&escaped), "{format} {text}");
        }
        assert!(output.stdout.ends_with('\n'), "{format}");
    }
}

#[test]
fn json_is_what_its_schema_says_and_yaml_is_the_same() {
    let world = World::home();
    world.sandbox.write("apps/broken.yaml", "a: [");
    let json = world.detect(&["--format", "json"]).exited(0).json();
    let schema: Value = serde_json::from_str(include_str!("../../../schema/report.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(json["update_report"]["problems"].as_array().unwrap().len(), 1);
    let yaml = world.detect(&["--format", "yaml"]).exited(0).stdout;
    let yaml: Value = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn file_gets_the_same_bytes_as_stdout_and_stdout_gets_none() {
    let world = World::home();
    for format in FORMATS {
        let shown = world.detect(&["--format", format]).exited(0);
        let path = world.beside("report");
        std::fs::write(&path, "an older and much longer report".repeat(10_000)).unwrap();
        let output = world.detect(&["--format", format, "--output", path.to_str().unwrap()]).exited(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{format}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), shown.stdout, "{format}");
    }
    let names: Vec<_> = std::fs::read_dir(world.beside(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("report"))
        .collect();
    assert_eq!(names, ["report"], "nothing is left beside the report");
}

#[test]
fn exit_code_is_10_only_on_request_and_only_with_updates() {
    let world = World::home();
    for (arguments, code) in [
        (&[][..], 0),
        (&["--exit-code"], 10),
        (&["--exit-code", "--component", "k3s"], 10),
        (&["--exit-code", "--output", "/dev/null"], 10),
    ] {
        assert_eq!(world.detect(arguments).exit_code, code, "{arguments:?}");
    }
    world.web.serve("/charts/index.yaml", "entries: {podinfo: [{version: 6.5.0, urls: [x.tgz]}]}");
    assert_eq!(world.detect(&["--exit-code", "--component", "helm/apps/podinfo"]).exit_code, 0);
    world.web.serve("/charts/index.yaml", "entries: {}");
    let output = world.detect(&["--exit-code", "--component", "helm/apps/podinfo"]);
    assert_eq!(output.exit_code, 0, "unresolved alone is no update: {output}");
}

#[test]
fn csv_has_a_row_for_each_component_and_xml_an_element() {
    let world = World::home();
    let csv = world.detect(&["--format", "csv"]).exited(0).stdout;
    assert_eq!(csv.lines().count(), 7, "{csv}");
    let xml = world.detect(&["--format", "xml"]).exited(0).stdout;
    assert_eq!(xml.matches("<component id=").count(), 6, "{xml}");
    let html = world.detect(&["--format", "html"]).exited(0).stdout;
    for outside in ["<script", "src=\"http", "<link", "@import", "url(http"] {
        assert!(!html.contains(outside), "a report of one file has no {outside}");
    }
}

#[test]
fn nothing_is_coloured_but_on_request() {
    let world = World::home();
    for format in FORMATS {
        assert!(!world.detect(&["--format", format]).stdout.contains('\u{1b}'), "{format}");
    }
    assert!(world.detect(&["--color", "always"]).stdout.contains('\u{1b}'));
    for format in &FORMATS[1..] {
        let output = world.detect(&["--color", "always", "--format", format]);
        assert!(!output.stdout.contains('\u{1b}'), "{format}");
    }
}
