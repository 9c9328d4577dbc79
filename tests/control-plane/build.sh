#!/usr/bin/env bash
# Builds the programs of a real control plane from the pinned modules beside this file, each once, into the user's cache.
#
#   build.sh                 builds what is missing of all
#   build.sh PROGRAM …       builds what is missing of these and prints their paths, a line each
#
# A variable such as FLUXKEEP_KUBE_APISERVER names a ready program; KUBEBUILDER_ASSETS a folder of them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fluxkeep/control-plane

# Charts and clients ask the apiserver for its version; without these flags it says v0.0.0.
kubernetes_version=$(sed -nE 's|^\tk8s.io/kubernetes (v[0-9.]+).*|\1|p' "$here/kubernetes/go.mod")
IFS=. read -r major minor _ <<<"${kubernetes_version#v}"
version=k8s.io/component-base/version
kubernetes_flags="-X $version.gitVersion=$kubernetes_version -X $version.gitMajor=$major -X $version.gitMinor=$minor"

# program, module, package, linker flags
programs=(
  "etcd|etcd|go.etcd.io/etcd/server/v3|"
  "kube-apiserver|kubernetes|k8s.io/kubernetes/cmd/kube-apiserver|$kubernetes_flags"
  "kube-controller-manager|kubernetes|k8s.io/kubernetes/cmd/kube-controller-manager|$kubernetes_flags"
  "kubectl|kubernetes|k8s.io/kubernetes/cmd/kubectl|$kubernetes_flags"
  "helm-3|helm-3|helm.sh/helm/v3/cmd/helm|"
  "helm-4|helm-4|helm.sh/helm/v4/cmd/helm|"
  "helm-controller|helm-controller|github.com/fluxcd/helm-controller|"
  "go-yaml|go-yaml|.|"
  "dashboard|dashboard|.|"
  "actionlint|actionlint|github.com/rhysd/actionlint/cmd/actionlint|"
  "kustomize-controller|kustomize-controller|github.com/fluxcd/kustomize-controller|"
  "flux-operator|flux-operator|github.com/controlplaneio-fluxcd/flux-operator/cmd/operator|"
)

say() { printf 'control plane: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 2
}

# The ready program that the environment names, if it does.
given() {
  local variable
  variable=FLUXKEEP_$(tr 'a-z-' 'A-Z_' <<<"$1")
  local path=${!variable:-}
  if [[ -z $path && -n ${KUBEBUILDER_ASSETS:-} && -x $KUBEBUILDER_ASSETS/$1 ]]; then
    path=$KUBEBUILDER_ASSETS/$1
  fi
  [[ -z $path || -x $path ]] || fail "$variable names $path, which is no program; correct or unset it"
  printf '%s' "$path"
}

# Builds one program if it is missing, and prints its path.
provide() {
  local program module package flags path
  IFS='|' read -r program module package flags <<<"$1"
  path=$(given "$program")
  if [[ -n $path ]]; then
    printf '%s\n' "$path"
    return
  fi
  local key
  # A module of our own has sources, too.
  key=$({
    cat "$here/$module/go.mod" "$here/$module/go.sum"
    find "$here/$module" -name '*.go' -exec cat {} +
    cat <<<"$package $flags"
  } | sha256sum | cut -c1-16)
  path=$cache/$program-$key
  if [[ ! -x $path ]]; then
    build "$program" "$here/$module" "$package" "$flags" "$path"
  fi
  printf '%s\n' "$path"
}

# Two test programs may ask at once: one builds, the other waits and finds it. What is cut off leaves nothing behind
# that looks finished.
build() {
  local program=$1 module=$2 package=$3 flags=$4 path=$5
  command -v go >/dev/null || fail "building $program needs Go (https://go.dev/dl), $(sed -n 's/^go //p' "$module/go.mod") or newer"
  mkdir -p "$cache"
  exec {lock}>"$cache/.lock"
  flock "$lock"
  if [[ ! -x $path ]]; then
    say "building $program (once; minutes)"
    local start=$SECONDS
    if [[ $program == flux-operator ]]; then
      complete "$module" "$path.source"
      module=$path.source
    fi
    (cd "$module" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w $flags" -o "$path.partial" "$package") ||
      fail "building $program from $module failed; the lines above say why"
    rm -rf "$path.source"
    mv "$path.partial" "$path"
    say "$program is built, in $((SECONDS - start)) s"
  fi
  exec {lock}>&-
}

# flux-operator embeds a web page that its Go module lacks, and go build changes nothing in the module cache. So it is built
# from a copy with an empty page. Its CRDs and the manifests of every Flux that it installs stay beside the program.
complete() {
  local module=$1 source=$2 name=github.com/controlplaneio-fluxcd/flux-operator original
  (cd "$module" && go mod download "$name") || fail "downloading $name failed"
  original=$(cd "$module" && go list -m -f '{{.Dir}}' "$name")
  rm -rf "$source" "${source%.source}.config"
  mkdir -p "$source" "${source%.source}.config"
  cp -r "$original/config/crd/bases" "${source%.source}.config/crds"
  cp -r "$original/config/data" "${source%.source}.config/data"
  cp -r "$original" "$source/operator"
  cp "$module/go.mod" "$module/go.sum" "$source"
  chmod -R u+w "$source" "${source%.source}.config"
  mkdir -p "$source/operator/web/dist"
  touch "$source/operator/web/dist/index.html"
  (cd "$source" && go mod edit -replace "$name=./operator")
}

named() {
  local entry
  for entry in "${programs[@]}"; do
    if [[ ${entry%%|*} == "$1" ]]; then
      printf '%s' "$entry"
      return
    fi
  done
  fail "there is no program $1; there are: ${programs[*]%%|*}"
}

if [[ $# -eq 0 ]]; then
  for entry in "${programs[@]}"; do
    provide "$entry" >/dev/null
  done
  say "everything is there, in $cache"
else
  for program in "$@"; do
    entry=$(named "$program")
    provide "$entry"
  done
fi
