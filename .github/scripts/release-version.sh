#!/usr/bin/env bash
# Refuses a tag that is not the version in Cargo.toml, or that the changelog does not describe.
# Writes `version` and `prerelease` to $GITHUB_OUTPUT.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  printf '::error::%s\n' "$1"
  exit 1
}

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
[ "$GITHUB_REF" = "refs/tags/v$version" ] || fail "the tag ${GITHUB_REF#refs/tags/} is not v$version, the version in Cargo.toml"
.github/scripts/release-notes.sh "$version" >/dev/null || fail "CHANGELOG.md has no section [$version]"

prerelease=false
case "$version" in *-*) prerelease=true ;; esac
printf 'version=%s\nprerelease=%s\n' "$version" "$prerelease" >>"$GITHUB_OUTPUT"
