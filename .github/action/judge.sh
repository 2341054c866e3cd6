#!/usr/bin/env bash
# Fails the step when the counts are what `fail-on` names. Runs after the outputs are set, so that a
# workflow can still publish the report.
set -euo pipefail

fail() {
  printf '::error title=gitops-updater::%s\n' "$1"
  exit 1
}

# What was not counted is not zero.
refuse_any() { # count, what is counted
  case "$1" in
    '' | *[!0-9]*) fail "the run did not count $2" ;;
    0) ;;
    *) fail "$2: $1" ;;
  esac
}

case "$INPUT_FAIL_ON" in
  none) ;;
  updates) refuse_any "$UPDATES" "available updates" ;;
  security) refuse_any "$SECURITY_UPDATES" "available security updates" ;;
  unresolved) refuse_any "$UNRESOLVED" "components that could not be resolved" ;;
  *) fail "input fail-on must be none, updates, security or unresolved" ;;
esac
