#!/usr/bin/env bash
# Packs programs into archives. The same programs, commit and script give the same bytes.
#
#   pack.sh PROGRAMS OUT
#
# PROGRAMS is a folder with fluxkeep, fluxkeep-webhook, fluxkeep-postrenderer and fluxkeep-man, as cargo builds them. OUT gets
#   fluxkeep_VERSION_OS-ARCH.tar.gz         the programs, completions, man pages, the Helm 4 plugin's folder and the licence
#   fluxkeep-VERSION-OS-ARCH.tgz            the Helm 4 plugin alone, for `helm plugin install --verify=false`
#   krew.yaml                               the manifest of `kubectl krew install --manifest=krew.yaml --archive=…`
#   SHA256SUMS                              of all files in OUT; see index.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ $# -eq 2 ]] || {
  sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}
programs=$1 out=$2

os=$(uname -s | tr '[:upper:]' '[:lower:]')
arch=$(uname -m | sed 's/^x86_64$/amd64/; s/^aarch64$/arm64/')
version=$("$programs/fluxkeep" version -o json | sed -nE 's/.*"version": "([^"]+)".*/\1/p')
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}

# Packs a folder of the stage: no order, owner, time or mode of this machine gets in.
pack() {
  tar --directory "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" \
    --mode='u+rw,go-w,a+rX' --format=gnu --create "$1" | gzip --no-name >"$out/$2"
}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$out"

name=fluxkeep_${version}_$os-$arch
mkdir -p "$stage/$name/completions" "$stage/$name/man"
for program in fluxkeep fluxkeep-webhook fluxkeep-postrenderer; do
  install -m 755 "$programs/$program" "$stage/$name/$program"
done
cp "$root/LICENSE" "$root/README.md" "$stage/$name/"
for shell in bash zsh fish powershell; do
  "$programs/fluxkeep" completion "$shell" >"$stage/$name/completions/fluxkeep.$shell"
done
"$programs/fluxkeep-man" "$stage/$name/man"
"$programs/fluxkeep-postrenderer" plugin "$stage/fluxkeep" 2>/dev/null
cp "$root/LICENSE" "$stage/fluxkeep/"
cp -r "$stage/fluxkeep" "$stage/$name/helm-plugin"

archive=$name.tar.gz
pack "$name" "$archive"
pack fluxkeep "fluxkeep-$version-$os-$arch.tgz"

"$root/dist/index.sh" "$out"
