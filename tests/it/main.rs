//! Black-box tests: one binary, so that it is linked once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod architecture;
mod backup_data;
mod broken;
mod cluster;
mod config;
mod corpus;
mod deploy;
mod detect;
mod example;
mod exit_codes;
mod forge;
mod forges;
mod git_writes;
mod github_pass;
mod gotk;
mod health;
mod help;
mod local_forge;
mod notify;
mod options;
mod pass;
mod readme;
mod replay;
mod repo;
mod rollback;
mod rules;
mod settle;
mod state;
mod support;
mod upstream;

/// A file in `tests/it` that is not a module here would never be compiled, let alone run.
#[test]
fn every_file_of_this_folder_is_a_module() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Hidden files are what tools leave behind.
        if name == "main" || name.starts_with('.') {
            continue;
        }
        seen += 1;
        let declared = main.lines().any(|line| line == format!("mod {name};"));
        assert!(declared, "`{}` is not declared in tests/it/main.rs", path.display());
    }
    assert!(seen >= 3, "the folder was not read: {seen} files");
}
