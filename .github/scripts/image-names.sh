#!/usr/bin/env bash
# Names of the image of one release: the exact version, and for releases also the minor and `latest`.
# Registries take lower case only. Writes `image` and `tags` to $GITHUB_OUTPUT.
set -euo pipefail

image="ghcr.io/$(printf '%s' "$GITHUB_REPOSITORY" | tr '[:upper:]' '[:lower:]')"
{
  printf 'image=%s\n' "$image"
  printf 'tags<<END_OF_TAGS\n%s:%s\n' "$image" "$VERSION"
  if [ "$PRERELEASE" != true ]; then
    printf '%s:%s\n%s:latest\n' "$image" "${VERSION%.*}" "$image"
  fi
  printf 'END_OF_TAGS\n'
} >>"$GITHUB_OUTPUT"
