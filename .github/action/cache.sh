#!/usr/bin/env bash
# Says where the answers of upstreams are kept between runs, and under which key, into $GITHUB_OUTPUT (`folder`,
# `key`, `restore`; nothing where `cache` is false). All input comes by environment.
set -euo pipefail

fail() {
  printf '::error title=gitops-updater::%s\n' "$1"
  exit 1
}

case "$INPUT_CACHE" in
  true) ;;
  false | '') exit 0 ;;
  *) fail "input cache must be true or false" ;;
esac

# A key is written once and never again: with the week in it what is kept is renewed, and what nobody asks for any
# more goes away. A run of a new week begins with what the last one left.
case "$GITHUB_REPOSITORY$RUNNER_OS$RUNNER_ARCH" in
  *[!0-9A-Za-z._/-]*) fail "the name of the repository has characters that no key can have" ;;
esac
prefix="gitops-updater-$RUNNER_OS-$RUNNER_ARCH-${GITHUB_REPOSITORY//\//-}-"
{
  printf 'folder=%s\n' "$RUNNER_TEMP/gitops-updater-cache"
  printf 'key=%s%s\n' "$prefix" "$(date -u +%G-W%V)"
  printf 'restore=%s\n' "$prefix"
} >>"$GITHUB_OUTPUT"
