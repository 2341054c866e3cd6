//! k3s, Flux and what must be left alone.

use super::{Repository, corpus};

/// `file:line text` of each pin of a component, copies marked.
fn places(repository: &Repository, id: &str) -> Vec<String> {
    repository
        .pins()
        .filter(|pin| pin.component == id)
        .map(|pin| {
            let copy = if pin.applied() { "" } else { " copy" };
            format!("{}:{} {}{copy}", pin.text("file"), pin.number("line"), pin.text("text"))
        })
        .collect()
}

#[test]
fn k3s_is_found_in_its_real_home_with_its_copies() {
    let Some(corpus) = corpus() else { return };
    let expected: &[(&str, &[&str])] = &[
        (
            "gelato-homecluster",
            &[
                "kubernetes/apps/system-upgrade/k3s/ks.yaml:26 v1.32.0+k3s1",
                "ansible/inventory/group_vars/kubernetes/main.yaml:18 v1.32.0+k3s1 copy",
                "bootstrap/templates/ansible/inventory/group_vars/kubernetes/main.yaml.j2:18 v1.32.0+k3s1 copy",
                "bootstrap/templates/kubernetes/apps/system-upgrade/k3s/ks.yaml.j2:26 v1.32.0+k3s1 copy",
            ],
        ),
        (
            "damacus-home-ops",
            &[
                "kubernetes/apps/system-upgrade/k3s/app/plan.yaml:8 v1.36.3+k3s1",
                "kubernetes/apps/system-upgrade/k3s/app/plan.yaml:53 v1.36.3+k3s1",
                "ansible/inventory/group_vars/kubernetes/main.yaml:18 v1.36.3+k3s1 copy",
                "kubernetes/apps/system-upgrade/k3s/ks.yaml:26 v1.36.3+k3s1 copy",
            ],
        ),
        (
            "ricsanfre-pi-cluster",
            &[
                "kubernetes/platform/system-upgrade/config/base/k3s-agent.yaml:27 v1.36.3+k3s1",
                "kubernetes/platform/system-upgrade/config/base/k3s-server.yaml:26 v1.36.3+k3s1",
                "ansible/roles/k3s/master/defaults/main.yml:7 v1.24.7+k3s1 copy",
                "ansible/roles/k3s/worker/defaults/main.yml:19 v1.24.7+k3s1 copy",
                "ansible/vars/picluster.yml:10 v1.36.3+k3s1 copy",
            ],
        ),
        (
            "pumba98-k3s-flux-cluster",
            &[
                "cluster/apps/system-upgrade/system-upgrade-controller/agent-plan.yaml:9 v1.24.6+k3s1",
                "cluster/apps/system-upgrade/system-upgrade-controller/server-plan.yaml:9 v1.24.6+k3s1",
            ],
        ),
    ];
    for repository in Repository::all(&corpus) {
        match expected.iter().find(|(name, _)| *name == repository.name) {
            Some((_, pins)) => assert_eq!(places(repository, "k3s"), *pins, "{}", repository.name),
            None => {
                let found: Vec<_> =
                    repository.components().filter(|(_, entry)| entry["kind"] == "k3s").collect();
                assert!(found.is_empty(), "{}: {found:?}", repository.name);
            }
        }
    }
}

#[test]
fn two_plans_behind_a_variable_are_one_pin_at_the_variables_value() {
    let Some(corpus) = corpus() else { return };
    let repository = Repository::read(&corpus, "gelato-homecluster", None);
    assert_eq!(repository.inventory("Plan"), 2);
    assert_eq!(repository.component("k3s")["current_version"], "v1.32.0+k3s1");
}

#[test]
fn flux_and_longhorn_are_found_as_the_census_has_them() {
    let Some(corpus) = corpus() else { return };
    let census = super::census::read(&corpus);
    for repository in Repository::all(&corpus) {
        let row = &census[&repository.name];
        for (kind, column) in [("flux", "Flux"), ("longhorn", "Longhorn"), ("k3s", "k3s Plan")] {
            let texts: Vec<String> = repository
                .pins()
                .filter(|pin| repository.component(pin.component)["kind"] == kind)
                .map(|pin| pin.text("text").to_owned())
                .collect();
            // `OCI v2.4.0`, `FI 2.x, OCI v2.9.4`, `v2.6.2, stub`; a variable stands elsewhere.
            for word in row[column]
                .split([' ', ','])
                .filter(|word| word.contains(|letter: char| letter.is_ascii_digit()))
            {
                // The artifact of budimanjojo's FluxInstance is of the operator, not of Flux.
                let artifact = repository
                    .pins()
                    .any(|pin| pin.text("text") == word && pin.text("rule").ends_with("-artifact"));
                assert!(
                    artifact || texts.iter().any(|text| text == word),
                    "{}: {kind} `{word}` is not among {texts:?}",
                    repository.name
                );
            }
        }
    }
}

/// Commented-out manifests, encrypted files, line ends of Windows and templates by name.
#[test]
fn what_is_no_manifest_is_neither_a_pin_nor_a_problem() {
    let Some(corpus) = corpus() else { return };
    let (mut encrypted, mut carriage_returns) = (0, 0);
    for repository in Repository::all(&corpus) {
        let problems = repository.problems();
        for file in files(&repository.folder) {
            let Ok(text) = std::fs::read_to_string(repository.folder.join(&file)) else { continue };
            let sops = text.contains("ENC[AES256_GCM");
            let commented =
                text.lines().all(|line| line.trim().is_empty() || line.starts_with('#') || line == "---");
            let template = [".j2", ".tpl", ".tmpl"].iter().any(|ending| file.ends_with(ending));
            encrypted += usize::from(sops);
            carriage_returns += usize::from(text.contains("\r\n"));
            if sops || commented || template || file.ends_with(".json") || text.contains("\r\n") {
                assert!(!problems.contains(&file.as_str()), "{}: a problem in {file}", repository.name);
            }
            if commented {
                assert!(
                    repository.pins().all(|pin| pin.text("file") != file),
                    "{}: a pin in {file}",
                    repository.name
                );
            }
        }
    }
    assert!(encrypted >= 20 && carriage_returns >= 7, "{encrypted} encrypted, {carriage_returns} with CRLF");
}

/// What the general reader reads is never a problem of ours; what it refuses is one.
#[test]
fn files_that_cannot_be_read_are_listed() {
    let Some(corpus) = corpus() else { return };
    for repository in Repository::all(&corpus) {
        let reading = super::reading::Reading::of(&repository.folder);
        let problems = repository.problems();
        for file in &problems {
            assert!(reading.refused.contains(*file), "{}: {file} can be read", repository.name);
        }
        for file in &reading.refused {
            assert!(problems.contains(&file.as_str()), "{}: {file} is not listed", repository.name);
        }
    }
}

fn files(folder: &std::path::Path) -> Vec<String> {
    fn walk(base: &std::path::Path, folder: &std::path::Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, files);
            } else {
                files.push(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found
}
