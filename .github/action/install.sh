#!/usr/bin/env bash
# Downloads the release that belongs to this copy of the action, checks it, and prints where it is
# into $GITHUB_OUTPUT (`binary`). All input comes by environment.
set -euo pipefail

fail() {
  printf '::error title=gitops-updater::%s\n' "$1"
  exit 1
}

version="${INPUT_VERSION#v}"
if [ -z "$version" ]; then
  # The copy of the action knows its own version, also where it is used by commit id.
  version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ACTION_PATH/Cargo.toml" | head -n 1)"
fi
case "$version" in
  '' | *[!0-9A-Za-z.+-]*) fail "input \`version\` is not a version" ;;
esac

case "$INPUT_VERIFY_PROVENANCE" in
  true | false) ;;
  *) fail "input verify-provenance must be true or false" ;;
esac

# Remote actions live at …/_actions/<owner>/<repository>/<ref>; `uses: ./` is this very repository.
case "$ACTION_PATH" in
  */_actions/*/*/*)
    rest="${ACTION_PATH##*/_actions/}"
    owner="${rest%%/*}"
    rest="${rest#*/}"
    repository="$owner/${rest%%/*}"
    ;;
  *) repository="$GITHUB_REPOSITORY" ;;
esac

case "$RUNNER_OS/$RUNNER_ARCH" in
  Linux/X64) target=x86_64-unknown-linux-musl ;;
  Linux/ARM64) target=aarch64-unknown-linux-musl ;;
  macOS/X64) target=x86_64-apple-darwin ;;
  macOS/ARM64) target=aarch64-apple-darwin ;;
  *) fail "no release for $RUNNER_OS on $RUNNER_ARCH; use a Linux or macOS runner" ;;
esac

command -v gh >/dev/null || fail "the runner has no \`gh\`, which downloads and verifies the release"

folder="$RUNNER_TEMP/gitops-updater-$version"
archive="gitops-updater-$version-$target.tar.gz"
rm -rf "$folder"
mkdir -p "$folder"

gh release download "v$version" --repo "$repository" --dir "$folder" \
  --pattern "$archive" --pattern SHA256SUMS ||
  fail "cannot download $archive of release v$version of $repository"

# Only the line of this archive: the list names every file of the release.
(
  cd "$folder"
  grep -F "  $archive" SHA256SUMS >this.sha256 || fail "SHA256SUMS of v$version does not name $archive"
  if command -v sha256sum >/dev/null; then
    sha256sum --check --strict --quiet this.sha256
  else
    shasum --algorithm 256 --check --quiet this.sha256
  fi
) || fail "$archive does not match its checksum"

# A checksum beside the file proves only that it arrived whole. That it was built by the release workflow of
# that repository is proven by the attestation.
if [ "$INPUT_VERIFY_PROVENANCE" = true ]; then
  gh attestation verify "$folder/$archive" --repo "$repository" \
    --signer-workflow "$repository/.github/workflows/release-binaries.yml" ||
    fail "cannot verify where $archive was built; \`verify-provenance: false\` goes without"
fi

tar -xzf "$folder/$archive" -C "$folder" gitops-updater
printf 'binary=%s\n' "$folder/gitops-updater" >>"$GITHUB_OUTPUT"
