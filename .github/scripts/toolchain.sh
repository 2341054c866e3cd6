#!/usr/bin/env bash
# Installs one Rust toolchain and makes it the one that `cargo` runs.
#   toolchain.sh <version or channel> [component…]
set -euo pipefail

toolchain="$1"
shift
components=()
for component in "$@"; do
  components+=(--component "$component")
done

rustup toolchain install "$toolchain" --profile minimal --no-self-update ${components[@]+"${components[@]}"}
rustup default "$toolchain"
rustc --version --verbose

# Caches are of no use to another compiler.
if [ -n "${GITHUB_ENV:-}" ]; then
  printf 'RUSTC_HASH=%s\n' "$(rustc --version --verbose | sed -n 's/^commit-hash: //p')" >>"$GITHUB_ENV"
fi
