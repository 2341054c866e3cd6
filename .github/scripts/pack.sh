#!/usr/bin/env bash
# Packs the binary of one target into out/; with GNU tar in the same bytes whenever the input is the same.
#   pack.sh <version> <target>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version="$1"
target="$2"
time="$(git log -1 --format=%ct)"
staging="$(mktemp -d)"
trap 'rm -rf "$staging"' EXIT

cp "target/$target/dist/gitops-updater" LICENSE README.md CHANGELOG.md "$staging/"
chmod 0755 "$staging/gitops-updater"
mkdir -p out
archive="$PWD/out/gitops-updater-$version-$target.tar.gz"
files=(CHANGELOG.md LICENSE README.md gitops-updater)
if tar --version | grep -q GNU; then
  tar --owner=0 --group=0 --numeric-owner --mtime="@$time" -C "$staging" -cf - "${files[@]}" | gzip -9n >"$archive"
else
  tar --uid 0 --gid 0 -C "$staging" -cf - "${files[@]}" | gzip -9n >"$archive"
fi
