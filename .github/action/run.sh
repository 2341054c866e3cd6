#!/usr/bin/env bash
# Runs `gitops-updater run`, `plan` or `detect`. The program itself writes the step summary, the annotations and all
# outputs. All input comes by environment and is never evaluated.
set -euo pipefail

fail() {
  printf '::error title=gitops-updater::%s\n' "$1"
  exit 1
}

switch() { # name of the input, its value
  case "$2" in
    true) return 0 ;;
    false | '') return 1 ;;
    *) fail "input $1 must be true or false" ;;
  esac
}

# What a command does not know is refused before it does anything.
case "$INPUT_COMMAND" in
  run) ;;
  plan | detect)
    if switch dry-run "$INPUT_DRY_RUN"; then
      fail "input dry-run is for the command run; the others change nothing"
    fi
    ;;
  *) fail "input command must be run, plan or detect" ;;
esac
if [ "$INPUT_COMMAND" != run ] && [ -n "$INPUT_WAIT$INPUT_METRICS_FILE" ]; then
  fail "inputs wait and metrics-file are for the command run"
fi
if [ -n "$INPUT_FACTS" ] && [ -n "$INPUT_KUBECONFIG" ]; then
  fail "give facts or kubeconfig, not both"
fi
if [ "$INPUT_COMMAND" = detect ]; then
  if [ -n "$INPUT_FACTS$INPUT_KUBECONFIG" ]; then
    fail "inputs facts and kubeconfig are for the commands run and plan"
  fi
else
  if switch deep "$INPUT_DEEP"; then
    fail "input deep is for the command detect"
  fi
  if [ "$INPUT_FAIL_ON" != none ]; then
    fail "input fail-on is for the command detect"
  fi
fi

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
  *$'\n'*) fail "input output must be one line" ;;
esac

arguments=("$INPUT_COMMAND" --format "$INPUT_FORMAT" --output "$output")
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
if switch dry-run "$INPUT_DRY_RUN"; then
  arguments+=(--dry-run)
fi
if [ -n "$INPUT_FACTS" ]; then
  arguments+=(--facts "$INPUT_FACTS")
fi
if [ -n "$INPUT_WAIT" ]; then
  arguments+=(--wait "$INPUT_WAIT")
fi
if [ -n "$INPUT_METRICS_FILE" ]; then
  arguments+=(--metrics-file "$INPUT_METRICS_FILE")
fi
if [ -n "$INPUT_KUBECONFIG" ]; then
  # For nobody else on this machine, and for no longer than the program runs.
  kubeconfig="$(umask 077 && mktemp "$RUNNER_TEMP/gitops-updater-kubeconfig.XXXXXX")"
  trap 'rm -f "$kubeconfig"' EXIT
  printf '%s\n' "$INPUT_KUBECONFIG" >"$kubeconfig"
  arguments+=(--kubeconfig "$kubeconfig")
fi
unset INPUT_KUBECONFIG

"$BINARY" "${arguments[@]}" -- "$INPUT_PATH"
