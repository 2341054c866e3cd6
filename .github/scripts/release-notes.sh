#!/usr/bin/env bash
# Prints the section of CHANGELOG.md for one version, without its heading; fails where there is none.
#   release-notes.sh <version>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

notes="$(awk -v heading="## [$1]" '
  index($0, "## ") == 1 { inside = (index($0, heading) == 1); next }
  /^\[[^]]+\]: / { next }
  inside { print }
' CHANGELOG.md)"

if [ -z "${notes//[[:space:]]/}" ]; then
  printf 'CHANGELOG.md has no notes for %s\n' "$1" >&2
  exit 1
fi
printf '%s\n' "$notes"
