#!/usr/bin/env bash
# Tests the scripts of the action and of the release against fakes: no network, no account, a temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failures=0

# expect <what> <wanted exit code> <text that the output must hold> <command…>
expect() {
  local what="$1" wanted="$2" text="$3" code=0 output
  shift 3
  output="$("$@" 2>&1)" || code=$?
  if [ "$code" -ne "$wanted" ] || [[ "$output" != *"$text"* ]]; then
    printf 'FAILED %s: exit code %s, wanted %s and "%s" in:\n%s\n' "$what" "$code" "$wanted" "$text" "$output"
    failures=$((failures + 1))
  else
    printf 'ok     %s\n' "$what"
  fi
}

# A copy of the project with a changelog of its own, as a Git repository with one commit.
project="$scratch/project"
mkdir -p "$project/target/x86_64-unknown-linux-musl/dist"
cp -R .github Cargo.toml LICENSE README.md "$project/"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
cat >"$project/CHANGELOG.md" <<EOF
## [Unreleased]

- not yet

## [$version] - 2026-01-02

- a thing of $version

## [0.0.0]

[0.0.0]: https://example.org
EOF
git -C "$project" init --quiet
git -C "$project" add CHANGELOG.md
git -C "$project" -c user.name=test -c user.email=test@example.org commit --quiet --message test

notes="$project/.github/scripts/release-notes.sh"
expect 'notes are the section of the version' 0 "- a thing of $version" "$notes" "$version"
expect 'a version without a section has no notes' 1 'no notes for 9.9.9' "$notes" 9.9.9
expect 'a section without text is no section' 1 'no notes for 0.0.0' "$notes" 0.0.0

export GITHUB_OUTPUT="$scratch/output"
check="$project/.github/scripts/release-version.sh"
expect 'the tag of the version is released' 0 '' env GITHUB_REF="refs/tags/v$version" "$check"
expect 'the version is an output' 0 "version=$version" cat "$GITHUB_OUTPUT"
expect 'another tag is refused' 1 "is not v$version" env GITHUB_REF=refs/tags/v9.9.9 "$check"

names="$project/.github/scripts/image-names.sh"
: >"$GITHUB_OUTPUT"
expect 'image names are made' 0 '' env GITHUB_REPOSITORY=ACME/Bot VERSION=1.2.3 PRERELEASE=false "$names"
expect 'image names are lower case, minor included' 0 'ghcr.io/acme/bot:1.2
' cat "$GITHUB_OUTPUT"
: >"$GITHUB_OUTPUT"
expect 'image names of a pre-release are made' 0 '' env GITHUB_REPOSITORY=acme/bot VERSION=1.3.0-rc.1 PRERELEASE=true "$names"
expect 'a pre-release does not move latest' 1 '' grep -q latest "$GITHUB_OUTPUT"

# A release of a program that prints its arguments, and a `gh` that serves it.
cat >"$project/target/x86_64-unknown-linux-musl/dist/gitops-updater" <<'EOF'
#!/usr/bin/env bash
printf '<%s>' "$@"
EOF
expect 'the archive is packed' 0 '' "$project/.github/scripts/pack.sh" "$version" x86_64-unknown-linux-musl
archive="gitops-updater-$version-x86_64-unknown-linux-musl.tar.gz"
(cd "$project/out" && sha256sum -- * >SHA256SUMS)
mkdir "$scratch/bin"
cat >"$scratch/bin/gh" <<EOF
#!/usr/bin/env bash
case "\$1 \$2" in
  'release download')
    shift 2
    while [ "\$#" -gt 0 ]; do
      if [ "\$1" = --dir ]; then cp "$project/out/"* "\$2"; fi
      if [ "\$1" = --repo ]; then printf 'repository %s\n' "\$2"; fi
      shift
    done ;;
  'attestation verify') exit "\${FAKE_VERIFY:-0}" ;;
esac
EOF
chmod +x "$scratch/bin/gh"

action="$scratch/_actions/acme/bot/v1"
mkdir -p "$action" "$scratch/temp"
cp -R .github Cargo.toml "$action/"
export PATH="$scratch/bin:$PATH" RUNNER_TEMP="$scratch/temp" GITHUB_REPOSITORY=me/cluster
export RUNNER_OS=Linux RUNNER_ARCH=X64 ACTION_PATH="$action"
export INPUT_VERSION='' INPUT_VERIFY_PROVENANCE=true
install="$action/.github/action/install.sh"
: >"$GITHUB_OUTPUT"
expect 'the release of the action itself is installed' 0 'repository acme/bot' "$install"
binary="$scratch/temp/gitops-updater-$version/gitops-updater"
expect 'the path of the binary is an output' 0 "binary=$binary" cat "$GITHUB_OUTPUT"
expect 'a local action is this repository' 0 'repository me/cluster' env ACTION_PATH="$PWD" "$install"
expect 'a version is not a command' 1 'is not a version' env INPUT_VERSION='1; id' "$install"
expect 'an unknown machine is refused' 1 'no release for Windows' env RUNNER_OS=Windows "$install"
expect 'provenance that cannot be verified is refused' 1 'cannot verify' env FAKE_VERIFY=1 "$install"
expect 'provenance is not asked where it is not wanted' 0 '' env FAKE_VERIFY=1 INPUT_VERIFY_PROVENANCE=false "$install"
expect 'a word that is no switch is refused' 1 'must be true or false' env INPUT_VERIFY_PROVENANCE=yes "$install"

export BINARY="$binary" INPUT_COMMAND=detect INPUT_PATH=. INPUT_FORMAT=json INPUT_OUTPUT='' INPUT_CONFIG='' INPUT_COMPONENT=''
export INPUT_KUBECONFIG='' INPUT_WAIT='' INPUT_METRICS_FILE=''
export INPUT_OFFLINE=false INPUT_DEEP=false INPUT_DRY_RUN=false INPUT_FACTS='' INPUT_FAIL_ON=none CACHE_FOLDER=''
run="$action/.github/action/run.sh"
# shellcheck disable=SC2016 # it must reach the program as it is
expect 'inputs are arguments, never commands' 0 '<--config><a b.yaml><--component><k3s><--component><helm/*/*><--deep><--><$(id)>' \
  env INPUT_CONFIG='a b.yaml' INPUT_COMPONENT=$'k3s\nhelm/*/*\n' INPUT_DEEP=true INPUT_PATH='$(id)' "$run"
expect 'a path is no option' 0 '<--><--help>' env INPUT_PATH=--help "$run"
expect 'a switch is true or false' 1 'must be true or false' env INPUT_OFFLINE=maybe "$run"
expect 'an output of two lines is refused' 1 'one line' env INPUT_OUTPUT=$'a\nupdates=0' "$run"
: >"$GITHUB_OUTPUT"
expect 'the report is written where asked' 0 '<detect><--format><json><--output><a.json>' env INPUT_OUTPUT=a.json "$run"
expect 'outputs are left to the program' 0 '' test ! -s "$GITHUB_OUTPUT"
expect 'answers are kept where the cache is' 0 '<--cache-dir><a folder>' env CACHE_FOLDER='a folder' "$run"

expect 'a pass has its own options' 0 '<run><--format><json>' env INPUT_COMMAND=run "$run"
expect 'a pass can be dry, and know facts' 0 '<--dry-run><--facts><a b;id.yaml><--><.>' \
  env INPUT_COMMAND=run INPUT_DRY_RUN=true INPUT_FACTS='a b;id.yaml' "$run"
expect 'a pass can wait, and be measured' 0 '<--wait><30m><--metrics-file><a b.prom><--><.>' \
  env INPUT_COMMAND=run INPUT_WAIT=30m INPUT_METRICS_FILE='a b.prom' "$run"
expect 'a kubeconfig is handed on in a file' 0 "<--kubeconfig><$scratch/temp/gitops-updater-kubeconfig." \
  env INPUT_COMMAND=run INPUT_KUBECONFIG='users: [{user: {token: s3cret}}]' "$run"
expect 'the kubeconfig is gone afterwards' 1 '' sh -c "ls $scratch/temp | grep -q kubeconfig"
expect 'a kubeconfig and facts contradict' 1 'not both' env INPUT_COMMAND=run INPUT_KUBECONFIG=x INPUT_FACTS=y "$run"
expect 'what reads only does not wait' 1 'for the command run' env INPUT_COMMAND=plan INPUT_WAIT=30m "$run"
expect 'detect asks no cluster' 1 'facts and kubeconfig are for' env INPUT_KUBECONFIG=x "$run"
expect 'a plan takes facts' 0 '<plan><--format><text>' env INPUT_COMMAND=plan INPUT_FORMAT=text INPUT_FACTS=f.yaml "$run"
expect 'a command is one of three' 1 'must be run, plan or detect' env INPUT_COMMAND='run --help' "$run"
expect 'no command is none of them' 1 'must be run, plan or detect' env INPUT_COMMAND='' "$run"
expect 'what reads only has no dry run' 1 'dry-run is for the command run' env INPUT_COMMAND=plan INPUT_DRY_RUN=true "$run"
expect 'a dry run is a switch, lest it be a real one' 1 'dry-run must be true or false' \
  env INPUT_COMMAND=run INPUT_DRY_RUN=yes "$run"
expect 'detect knows no facts' 1 'are for the commands run and plan' env INPUT_FACTS=f.yaml "$run"
expect 'only detect looks deep' 1 'deep is for' env INPUT_COMMAND=run INPUT_DEEP=true "$run"
expect 'only detect counts' 1 'fail-on is for' env INPUT_COMMAND=run INPUT_FAIL_ON=updates "$run"

cache="$action/.github/action/cache.sh"
week="$(date -u +%G-W%V)"
: >"$GITHUB_OUTPUT"
expect 'the cache has a key' 0 '' env INPUT_CACHE=true "$cache"
expect 'the key is of the repository and the week' 0 "key=gitops-updater-Linux-X64-me-cluster-$week
restore=gitops-updater-Linux-X64-me-cluster-" cat "$GITHUB_OUTPUT"
expect 'the folder is the temporary one of the runner' 0 "folder=$scratch/temp/gitops-updater-cache" cat "$GITHUB_OUTPUT"
: >"$GITHUB_OUTPUT"
expect 'the cache can be switched off' 0 '' env INPUT_CACHE=false "$cache"
expect 'without a cache there is no key and no folder' 0 '' test ! -s "$GITHUB_OUTPUT"
expect 'the cache is a switch' 1 'must be true or false' env INPUT_CACHE=weekly "$cache"
expect 'a name that is no name gives no key' 1 'no key can have' env INPUT_CACHE=true GITHUB_REPOSITORY=$'a/b\nkey=c' "$cache"

judge="$action/.github/action/judge.sh"
export UPDATES=2 SECURITY_UPDATES=0 UNRESOLVED=''
expect 'fail-on none lets all pass' 0 '' env INPUT_FAIL_ON=none "$judge"
expect 'fail-on updates fails on updates' 1 'available updates: 2' env INPUT_FAIL_ON=updates "$judge"
expect 'fail-on security passes without any' 0 '' env INPUT_FAIL_ON=security "$judge"
expect 'what was not counted is not zero' 1 'did not count' env INPUT_FAIL_ON=unresolved "$judge"
expect 'fail-on takes four words' 1 'must be none' env INPUT_FAIL_ON=anything "$judge"

printf 'x' >>"$project/out/$archive"
expect 'an archive that was changed is refused' 1 'does not match its checksum' "$install"

if [ "$failures" -gt 0 ]; then
  printf '%s failed\n' "$failures"
  exit 1
fi
