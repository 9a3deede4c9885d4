#!/usr/bin/env bash
# Test equipment: builds the real peers the tests run against (etcd, Kubernetes, containerd, runc, reference
# CNI plugins, cnitool) from their Go modules into a cache, one folder per pinned version. Nothing is built twice.
#
#   test/peers/build.sh NAME...      builds the named programs and prints the path of each, one per line
#   test/peers/build.sh --list       prints the names that can be built
#
# Environment: PEERS_CACHE (default ${XDG_CACHE_HOME:-$HOME/.cache}/multi-nic-peers).
set -euo pipefail

cache=${PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/multi-nic-peers}
kubernetes=v1.36.3 etcd=v3.7.3 containerd=v2.4.2 runc=v1.5.2 plugins=v1.9.1 cni=v1.3.1

kubernetes_programs=(kube-apiserver kubectl kubelet kube-controller-manager kube-scheduler kube-proxy)
containerd_programs=(containerd containerd-shim-runc-v2 ctr)
plugin_programs=(main/macvlan main/ipvlan main/bridge main/host-device main/loopback main/ptp
  ipam/host-local ipam/static meta/portmap meta/tuning)

say() { printf '%s\n' "$*" >&2; }

names() {
  printf '%s\n' "${kubernetes_programs[@]}" etcd "${containerd_programs[@]}" runc cnitool
  printf '%s\n' "${plugin_programs[@]##*/}"
}

# Writes a Go module that depends on the packages given, so that `go build` can compile them from the module proxy.
# $1 folder, $2 "module@version ...", rest: packages. A finished module has a go.sum and is left alone.
module() {
  local folder=$1 requires=$2
  shift 2
  mkdir -p "$folder"
  cd "$folder"
  if [ -f complete ]; then return; fi
  [ -f go.mod ] || printf 'module peers\n\ngo 1.26.0\n' >go.mod
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    printf '\t_ "%s"\n' "$@"
    printf ')\n'
  } >tools.go
  # shellcheck disable=SC2086 # a list of words by intent
  [ -z "$requires" ] || go get $requires >&2
  go mod tidy >&2
  touch complete
}

# k8s.io/kubernetes points its staging modules at folders of its own repository; they are published beside it as v0.X.
kubernetes_module() {
  local folder=$cache/src/kubernetes-$kubernetes
  mkdir -p "$folder"
  cd "$folder"
  if [ ! -f complete ]; then
    printf 'module peers\n\ngo 1.26.0\n' >go.mod
    go mod download "k8s.io/kubernetes@$kubernetes" >&2
    local upstream
    upstream=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/$kubernetes.mod
    {
      printf 'module peers\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$kubernetes"
      sed -nE "s#^\s*(k8s.io/[a-z-]+) => \./staging.*#\t\1 => \1 v0${kubernetes#v1}#p" "$upstream"
      printf ')\n'
    } >go.mod
  fi
  module "$folder" '' "${kubernetes_programs[@]/#/k8s.io/kubernetes/cmd/}"
}

# Compiles into a temporary name and renames, so that an interrupted build leaves no half program behind.
compile() { # output, cgo, package, further go build arguments...
  local output=$1 cgo=$2 package=$3
  shift 3
  local begin=$SECONDS
  mkdir -p "$(dirname "$output")"
  CGO_ENABLED=$cgo go build -trimpath -o "$output.partial" "$@" "$package" >&2
  mv "$output.partial" "$output"
  say "built ${output##*/} in $((SECONDS - begin)) s"
}

build_kubernetes() {
  local output=$cache/bin/kubernetes-$kubernetes/$1
  if [ ! -x "$output" ]; then
    kubernetes_module
    local version=k8s.io/component-base/version minor=${kubernetes#v1.}
    compile "$output" 0 "k8s.io/kubernetes/cmd/$1" -ldflags "-s -w \
      -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} \
      -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"
  fi
  printf '%s\n' "$output"
}

build_etcd() {
  local output=$cache/bin/etcd-$etcd/etcd
  if [ ! -x "$output" ]; then
    module "$cache/src/etcd-$etcd" "go.etcd.io/etcd/server/v3@$etcd" go.etcd.io/etcd/server/v3
    compile "$output" 0 go.etcd.io/etcd/server/v3 -ldflags '-s -w'
  fi
  printf '%s\n' "$output"
}

build_containerd() {
  local output=$cache/bin/containerd-$containerd/$1 package=github.com/containerd/containerd/v2
  if [ ! -x "$output" ]; then
    module "$cache/src/containerd-$containerd" "$package@$containerd" \
      "${containerd_programs[@]/#/$package/cmd/}"
    compile "$output" 0 "$package/cmd/$1" -tags 'no_btrfs no_devmapper no_zfs no_aufs' \
      -ldflags "-s -w -X $package/version.Version=$containerd"
  fi
  printf '%s\n' "$output"
}

build_runc() {
  local output=$cache/bin/runc-$runc-seccomp/runc package=github.com/opencontainers/runc
  if [ ! -x "$output" ]; then
    module "$cache/src/runc-$runc" "$package@$runc" "$package"
    # With seccomp, since containerd asks for it with every sandbox: needs gcc, pkg-config and libseccomp's headers.
    pkg-config --exists libseccomp || { say 'runc needs gcc, pkg-config and libseccomp-dev'; exit 3; }
    compile "$output" 1 "$package" -tags seccomp -ldflags "-s -w -X main.version=${runc#v}"
  fi
  printf '%s\n' "$output"
}

build_plugin() {
  local output=$cache/bin/plugins-$plugins/$1 package=github.com/containernetworking/plugins/plugins
  if [ ! -x "$output" ]; then
    plugins_module
    local path
    for path in "${plugin_programs[@]}"; do
      [ "${path##*/}" = "$1" ] && compile "$output" 0 "$package/$path" -ldflags '-s -w'
    done
  fi
  printf '%s\n' "$output"
}

build_cnitool() {
  local output=$cache/bin/cni-$cni/cnitool
  if [ ! -x "$output" ]; then
    plugins_module
    compile "$output" 0 github.com/containernetworking/cni/cnitool -ldflags '-s -w'
  fi
  printf '%s\n' "$output"
}

plugins_module() {
  module "$cache/src/plugins-$plugins" \
    "github.com/containernetworking/plugins@$plugins github.com/containernetworking/cni@$cni" \
    github.com/containernetworking/cni/cnitool \
    "${plugin_programs[@]/#/github.com/containernetworking/plugins/plugins/}"
}

build() {
  case $1 in
    kube-* | kubectl | kubelet) build_kubernetes "$1" ;;
    etcd) build_etcd ;;
    containerd | containerd-shim-runc-v2 | ctr) build_containerd "$1" ;;
    runc) build_runc ;;
    cnitool) build_cnitool ;;
    *) build_plugin "$1" ;;
  esac
}

[ $# -gt 0 ] || { say 'name a program to build; --list prints them'; exit 2; }
if [ "$1" = --list ]; then names; exit; fi
for name in "$@"; do
  # Not `names | grep -q`: grep ends at the first match, and `names` may then fail on the closed pipe.
  [[ $'\n'$(names)$'\n' == *$'\n'"$name"$'\n'* ]] || { say "unknown program '$name'; --list prints the names"; exit 2; }
done
command -v go >/dev/null || { say 'go is not installed: install Go 1.26 or newer to build the peers'; exit 3; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
for name in "$@"; do build "$name"; done
