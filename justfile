# Short names for what is done often; `.ci/run` is what decides.

# List the tasks
default:
    @just --list

# Everything a change must pass
ci:
    .ci/run

# Format the code
fmt:
    cargo fmt

# Lints
lint:
    .ci/run fmt clippy

# All tests, or those whose name contains FILTER
test FILTER="":
    cargo test --locked {{ FILTER }}

# The report of the example, with further arguments
example *ARGS:
    cargo run -- detect testdata/example/repo --config testdata/example/mirror.yaml {{ ARGS }}

# Look at snapshots that changed, one by one
review:
    cargo insta review

# Scripts and workflows (needs shellcheck, actionlint, zizmor)
lint-workflows:
    shellcheck .ci/run .github/action/*.sh .github/scripts/*.sh
    .github/scripts/test.sh
    actionlint
    zizmor --offline .

# Fuzz TARGET for SECONDS (needs `cargo install cargo-fuzz`; see fuzz/README.md)
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/corpus/{{ TARGET }}
    RUSTC_BOOTSTRAP=1 cargo fuzz run -s none {{ TARGET }} fuzz/corpus/{{ TARGET }} fuzz/seeds/{{ TARGET }} -- \
        -max_total_time={{ SECONDS }} -max_len=16384 -timeout=10 -rss_limit_mb=1024 -dict=fuzz/yaml.dict

# Every seed of every fuzz target once, without the fuzz engine
fuzz-seeds:
    .ci/run fuzz
