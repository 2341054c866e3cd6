#!/usr/bin/env bash
# Fails the step when the counts are what `fail-on` names. Runs after the outputs are set, so that a
# workflow can still publish the report.
set -euo pipefail

fail() {
  printf '::error title=gitops-updater::%s\n' "$1"
  exit 1
}

case "$INPUT_FAIL_ON" in
  none) ;;
  updates)
    [ "${UPDATES:-0}" -eq 0 ] || fail "$UPDATES updates are available"
    ;;
  security)
    [ "${SECURITY_UPDATES:-0}" -eq 0 ] || fail "$SECURITY_UPDATES security updates are available"
    ;;
  unresolved)
    [ "${UNRESOLVED:-0}" -eq 0 ] || fail "$UNRESOLVED components could not be resolved"
    ;;
  *) fail 'input fail-on must be none, updates, security or unresolved' ;;
esac
