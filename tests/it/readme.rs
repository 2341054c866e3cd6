//! What the documentation says, compared with the program.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use super::support::git::Git;
use super::support::sandbox::Sandbox;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The blocks of a kind (```` ```console ````) in a Markdown file.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let start = format!("```{kind}\n");
    let found: Vec<String> =
        text.split(&start).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect();
    assert!(!found.is_empty(), "no {kind} block");
    found
}

/// First cells of a table that begins with `head`.
fn first_cells(text: &str, head: &str) -> BTreeSet<String> {
    let rest = text.split_once(head).unwrap_or_else(|| panic!("no table {head}")).1;
    let rows: Vec<&str> = rest.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    let cell = Regex::new(r"`([^`]+)`").unwrap();
    rows.iter()
        .skip(1)
        .flat_map(|row| {
            let first = row.split('|').nth(1).unwrap();
            let quoted: Vec<String> = cell.captures_iter(first).map(|found| found[1].to_owned()).collect();
            if quoted.is_empty() { vec![first.trim().to_owned()] } else { quoted }
        })
        .collect()
}

/// Revision and duration differ from run to run, and a source archive has no revision.
fn repeatable(text: &str) -> String {
    let text = Regex::new(r" @ [0-9a-f]{12}(-dirty)?").unwrap().replace_all(text, "").into_owned();
    Regex::new(r"\d+\.\ds\n").unwrap().replace_all(&text, "0.0s\n").into_owned()
}

/// The report of the README's first command, its longest part left out.
fn screen() -> String {
    let readme = read("README.md");
    let command = blocks(&readme, "console")[0].clone();
    let arguments = command.strip_prefix("$ cargo run -- ").unwrap().split(' ');
    let sandbox = Sandbox::empty().variable("GITOPS_UPDATER_NOW", "2026-11-21T12:00:00Z");
    let output = sandbox.command(arguments).current_dir(ROOT).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let printed = repeatable(&String::from_utf8(output.stdout).unwrap());
    let (before, rest) = printed.split_once("\nMinor (").unwrap();
    let (_, after) = rest.split_once("\nNot pinned (").unwrap();
    format!("{before}\n[...]\n\nNot pinned ({after}")
}

#[test]
fn screen_of_the_readme_is_what_the_first_command_prints() {
    let shown = format!("{}\n", blocks(&read("README.md"), "text")[0]);
    assert!(
        shown == screen(),
        "the program prints something else; run `cargo test --test it readme::screen_is_written -- --ignored`:\n{}",
        similar::TextDiff::from_lines(&shown, screen().as_str()).unified_diff()
    );
}

/// Whoever tries it has neither a configuration of Git nor a cache, perhaps not even a home.
#[test]
fn first_command_of_the_readme_needs_nothing_at_home() {
    let command = blocks(&read("README.md"), "console")[0].clone();
    let arguments: Vec<&str> = command.strip_prefix("$ cargo run -- ").unwrap().split(' ').collect();
    let home = tempfile::tempdir().unwrap();
    for home in [Some(home.path()), Some(Path::new("/nonexistent")), None] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_gitops-updater"));
        program.args(&arguments).current_dir(ROOT).env_clear();
        program.envs(home.map(|home| ("HOME", home)));
        let output = program.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*told), (Some(0), ""), "{home:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Security ("), "{home:?}");
    }
}

#[test]
#[ignore = "writes README.md"]
fn screen_is_written() {
    let readme = read("README.md");
    let shown = format!("{}\n", blocks(&readme, "text")[0]);
    std::fs::write(Path::new(ROOT).join("README.md"), readme.replace(&shown, &screen())).unwrap();
}

/// Between the parts is what `[...]` stands for.
#[test]
fn parts_of_a_plan_in_the_readme_are_what_the_command_prints() {
    let readme = read("README.md");
    let arguments =
        ["plan", "testdata/example/repo", "--config", "testdata/example/mirror.yaml", "--no-cache"];
    let sandbox = Sandbox::empty().variable("GITOPS_UPDATER_NOW", "2026-11-21T12:00:00Z");
    let output = sandbox.command(arguments).current_dir(ROOT).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut rest = printed.as_str();
    for part in blocks(&readme, "text")[1].split("\n[...]\n") {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("not printed, or in another order:\n{part}\nin\n{printed}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn environment_variables_of_the_readme_are_those_of_the_program() {
    let table = gitops_updater::cli::environment_table();
    assert!(read("README.md").contains(table.trim_end()), "replace the table of README.md by\n{table}");
}

#[test]
fn exit_codes_of_the_readme_are_those_of_the_help() {
    let help = Sandbox::empty().run(["--help"]).exited(0).stdout;
    let codes: BTreeSet<String> = help
        .split_once("Exit codes:\n")
        .unwrap()
        .1
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(first_cells(&read("README.md"), "| code | meaning |"), codes);
}

#[test]
fn formats_of_the_readme_are_those_of_the_program() {
    use clap::ValueEnum;
    let formats: BTreeSet<String> = gitops_updater::report::Format::value_variants()
        .iter()
        .filter_map(|format| format.to_possible_value())
        .map(|value| value.get_name().to_owned())
        .collect();
    assert_eq!(first_cells(&read("README.md"), "| format | for |"), formats);
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let comment = Regex::new(r"\s+# .*$|\s+> \S+").unwrap();
    let mut seen = 0;
    for file in ["README.md", "CONTRIBUTING.md", "rules/README.md", "testdata/example/README.md"] {
        let text = read(file);
        for line in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let line = comment.replace_all(line, "").into_owned();
            let arguments = line
                .split_once("cargo run -- ")
                .or_else(|| line.split_once("gitops-updater:0.1.0 "))
                .map(|(_, arguments)| arguments)
                .or_else(|| line.strip_prefix("gitops-updater "));
            let Some(arguments) = arguments else { continue };
            let words = arguments.split_whitespace().map(|word| word.trim_matches('\''));
            let words = std::iter::once("gitops-updater").chain(words);
            if let Err(error) = gitops_updater::cli::command().try_get_matches_from(words) {
                let help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(help, "{file}: {line}\n{error}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} commands");
}

#[test]
fn configurations_that_are_shown_are_valid() {
    let sandbox = Sandbox::empty();
    let shown: Vec<String> = blocks(&read("README.md"), "yaml")
        .into_iter()
        .filter(|block| {
            ["detection:", "policy:", "upstreams:", "notifications:"].iter().any(|key| block.starts_with(key))
        })
        .collect();
    assert_eq!(shown.len(), 4);
    for block in shown {
        std::fs::write(sandbox.work().join(".gitops-updater.yaml"), block).unwrap();
        let _valid = sandbox.run(["config", "check"]).exited(0);
    }
}

#[test]
fn inputs_and_outputs_of_the_action_are_explained() {
    let action: serde_json::Value = serde_saphyr::from_str(&read("action.yml")).unwrap();
    let names = |of: &str| action[of].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let readme = read("README.md");
    assert_eq!(first_cells(&readme, "| input | default | meaning |"), names("inputs"));
    for output in names("outputs") {
        assert!(readme.contains(&format!("`{output}`")), "{output}");
    }
}

/// Everything in a value, the deepest first.
fn within<'v>(value: &'v serde_json::Value, found: &mut Vec<&'v serde_json::Value>) {
    match value {
        serde_json::Value::Array(list) => list.iter().for_each(|inner| within(inner, found)),
        serde_json::Value::Object(map) => map.values().for_each(|inner| within(inner, found)),
        _ => {}
    }
    found.push(value);
}

/// A key of a workflow that the action does not know is a warning that nobody reads.
#[test]
fn workflows_that_are_shown_use_what_the_action_has() {
    let action: serde_json::Value = serde_saphyr::from_str(&read("action.yml")).unwrap();
    let used = Regex::new(r"steps\.([\w-]+)\.outputs\.([\w-]+)").unwrap();
    let (mut steps, mut inputs, mut outputs) = (0, 0, 0);
    for file in ["README.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let text = read(file);
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()) {
            if !block.contains("/gitops-updater@") {
                continue;
            }
            let workflow: serde_json::Value =
                serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{file}: {error}\n{block}"));
            let mut all = Vec::new();
            within(&workflow, &mut all);
            let is_ours = |value: &&&serde_json::Value| {
                value["uses"].as_str().is_some_and(|uses| uses.contains("/gitops-updater@"))
            };
            for step in all.iter().filter(is_ours) {
                steps += 1;
                for (key, value) in step["with"].as_object().into_iter().flatten() {
                    let input = &action["inputs"][key];
                    assert!(input.is_object(), "{file}: the action has no input `{key}`:\n{block}");
                    assert_ne!(
                        Some(value),
                        input.get("default"),
                        "{file}: `{key}` has its default:\n{block}"
                    );
                    inputs += 1;
                }
                let Some(id) = step["id"].as_str() else { continue };
                for output in used.captures_iter(block).filter(|output| &output[1] == id) {
                    let known = action["outputs"].get(&output[2]).is_some();
                    assert!(known, "{file}: the action has no output `{}`:\n{block}", &output[2]);
                    outputs += 1;
                }
            }
        }
    }
    assert!(steps >= 4 && inputs >= 6 && outputs >= 3, "{steps} steps, {inputs} inputs, {outputs} outputs");
}

/// The program writes the counts, the action hands them on.
#[test]
fn outputs_of_the_action_are_written_by_the_program() {
    let sandbox = Sandbox::empty().variable("GITHUB_ACTIONS", "true");
    let written = sandbox.work().join("outputs");
    let sandbox = sandbox.variable("GITHUB_OUTPUT", written.to_str().unwrap());
    let ran = sandbox.run(["detect", "--no-cache", "--output", "report.json", "--format", "json"]).exited(0);
    assert_eq!(ran.stdout, "");
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n");
    let git = Git::init(sandbox.work());
    git.commit_all("Start");
    let _ran = sandbox.run(["run", "--no-cache", "--output", "report.json", "--format", "json"]).exited(0);
    let written = std::fs::read_to_string(written).unwrap();
    let names: BTreeSet<&str> = written.lines().filter_map(|line| Some(line.split_once("<<")?.0)).collect();
    let used = Regex::new(r"steps\.program\.outputs\.(\w+)").unwrap();
    let action = read("action.yml");
    let mut seen = 0;
    for name in used.captures_iter(&action) {
        assert!(names.contains(&name[1]), "nobody writes `{}`:\n{written}", &name[1]);
        seen += 1;
    }
    assert!(seen >= 11, "{seen} outputs");
}

#[test]
fn files_that_are_linked_to_exist() {
    let link = Regex::new(r"\]\(([^)#:]+)(?:#[^)]*)?\)").unwrap();
    let mut seen = 0;
    for file in ["README.md", "CONTRIBUTING.md", "rules/README.md", "SECURITY.md"] {
        let text = read(file);
        for found in link.captures_iter(&text) {
            let path = Path::new(ROOT).join(file).with_file_name(&found[1]);
            assert!(path.exists(), "{file} links to {}", &found[1]);
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} links");
}
