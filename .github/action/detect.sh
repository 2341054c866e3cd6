#!/usr/bin/env bash
# Runs `gitops-updater detect`. The program itself writes the step summary, the annotations and all outputs. All input comes by environment and is never evaluated.
set -euo pipefail

switch() { # name of the input, its value
  case "$2" in
    true) return 0 ;;
    false | '') return 1 ;;
    *)
      printf '::error title=gitops-updater::input %s must be true or false\n' "$1"
      exit 1
      ;;
  esac
}

output="$INPUT_OUTPUT"
if [ -z "$output" ]; then
  case "$INPUT_FORMAT" in
    text) extension=txt ;;
    markdown) extension=md ;;
    *) extension="${INPUT_FORMAT//[^a-z]/}" ;;
  esac
  output="$RUNNER_TEMP/gitops-updater-report.$extension"
fi

case "$output" in
  *$'\n'*)
    printf '::error title=gitops-updater::input output must be one line\n'
    exit 1
    ;;
esac

arguments=(detect --format "$INPUT_FORMAT" --output "$output")
if [ -n "$INPUT_CONFIG" ]; then
  arguments+=(--config "$INPUT_CONFIG")
fi
while IFS= read -r component; do
  if [ -n "$component" ]; then
    arguments+=(--component "$component")
  fi
done <<<"$INPUT_COMPONENT"
if [ -n "$CACHE_FOLDER" ]; then
  arguments+=(--cache-dir "$CACHE_FOLDER")
fi
if switch offline "$INPUT_OFFLINE"; then
  arguments+=(--offline)
fi
if switch deep "$INPUT_DEEP"; then
  arguments+=(--deep)
fi

"$BINARY" "${arguments[@]}" -- "$INPUT_PATH"
