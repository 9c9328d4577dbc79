#!/usr/bin/env bash
# Writes krew.yaml, with a platform for each archive, and SHA256SUMS of all files of the folder.
#
#   index.sh FOLDER
#
# FLUXKEEP_RELEASES_URL is the address from which krew loads the archives; it needs none with --archive.
set -euo pipefail

[[ $# -eq 1 ]] || {
  sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}
cd "$1"
releases=${FLUXKEEP_RELEASES_URL:-https://fluxkeep.invalid/releases}
archives=(fluxkeep_*.tar.gz)
version=${archives[0]#fluxkeep_}
version=${version%%_*}

platform() {
  local archive=$1 name=${1%.tar.gz}
  local platform=${name#"fluxkeep_${version}_"}
  cat <<YAML
    - selector:
        matchLabels:
          os: ${platform%-*}
          arch: ${platform#*-}
      uri: $releases/v$version/$archive
      sha256: $(sha256sum "$archive" | cut -d' ' -f1)
      bin: fluxkeep
      files:
        - from: $name/fluxkeep
          to: .
        - from: $name/LICENSE
          to: .
YAML
}

cat >krew.yaml <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: fluxkeep
spec:
  version: v$version
  shortDescription: Keep Flux alive through its own upgrades
  description: |
    Judges manifests, HelmReleases and upgrades of Flux against a cluster before
    anything is applied, and hands a running Flux to a Helm release.
  platforms:
YAML
for archive in "${archives[@]}"; do
  platform "$archive" >>krew.yaml
done
rm -f SHA256SUMS
sums=$(sha256sum -- *)
printf '%s\n' "$sums" >SHA256SUMS
