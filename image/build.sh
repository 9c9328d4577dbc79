#!/usr/bin/env bash
# Assembles the server's image without a container daemon. The same programs and the same commit give the same digest.
#
#   build.sh FOLDER ARCHITECTURE=PROGRAM …      ARCHITECTURE is amd64 or arm64; PROGRAM is a static fluxkeep-webhook
#
# FOLDER gets an OCI layout (oci/), an archive for docker load and ctr import (ARCHITECTURE.tar), and the digest.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$1
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
version=$(sed -n 's/^appVersion: //p' "$here/../charts/fluxkeep/Chart.yaml")
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
export SOURCE_DATE_EPOCH

(cd "$here" && go build -trimpath -buildvcs=false -o "$work/crane" github.com/google/go-containerregistry/cmd/crane)
# crane reports every upload; only a failure is worth reading.
crane() { "$work/crane" "$@" 2>"$work/crane.log" || { cat "$work/crane.log" >&2; return 2; }; }

# crane works against a registry. This one lives in memory, on a port that the system chooses.
"$work/crane" registry serve --address 127.0.0.1:0 >"$work/registry.log" 2>&1 &
registry=$!
trap 'kill "$registry"; rm -rf "$work"' EXIT
until port=$(sed -n 's/.*serving on port //p' "$work/registry.log") && [[ -n $port ]]; do
  kill -0 "$registry" || { cat "$work/registry.log" >&2; exit 2; }
  sleep 0.1
done
name=127.0.0.1:$port/fluxkeep-webhook

manifests=()
for one in "$@"; do
  architecture=${one%%=*} program=${one#*=}
  # 65532 has no name in the image: one file is all there is.
  mkdir -p "$work/$architecture"
  install -m 0755 "$program" "$work/$architecture/fluxkeep-webhook"
  tar --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    -C "$work/$architecture" -cf "$work/$architecture.tar" fluxkeep-webhook
  crane append --insecure --oci-empty-base -f "$work/$architecture.tar" -t "$name:raw-$architecture" >/dev/null
  crane mutate --insecure "$name:raw-$architecture" -t "$name:$architecture" --user 65532:65532 \
    --entrypoint /fluxkeep-webhook --set-platform "linux/$architecture" \
    --label org.opencontainers.image.title=fluxkeep-webhook --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.licenses=Apache-2.0 >/dev/null
  crane pull --insecure "$name:$architecture" "$folder/$architecture.tar"
  manifests+=(-m "$name:$architecture")
done
crane index append --insecure "${manifests[@]}" -t "$name:$version" >/dev/null
rm -rf "$folder/oci"
crane pull --insecure --format oci "$name:$version" "$folder/oci"
crane digest --insecure "$name:$version" | tee "$folder/digest"
