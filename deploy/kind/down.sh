#!/usr/bin/env bash
# Removes what up.sh has made: the kind cluster, or with --no-kind Bookinfo and the mesh.
#
#   deploy/kind/down.sh [--name NAME]
#   deploy/kind/down.sh --no-kind [--kubeconfig FILE] [--namespace NAME] [--purge]
set -euo pipefail

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

root=$(cd "$(dirname "$0")/../.." && pwd)
name=mesh kind=1 namespace=default purge=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        --no-kind) kind=""; shift; continue ;;
        --purge) purge=(--purge); shift; continue ;;
        --name | --kubeconfig | --namespace) [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    case $1 in
        --name) name=$2 ;;
        --kubeconfig) export KUBECONFIG=$2 ;;
        --namespace) namespace=$2 ;;
    esac
    shift 2
done

if [ -n "$kind" ]; then
    exec kind delete cluster --name "$name"
fi
meshctl=${MESHCTL:-$(command -v meshctl)} || fail "no meshctl: put it into the PATH, or name it in \$MESHCTL"
kubectl delete -n "$namespace" --ignore-not-found -f "$root/samples/bookinfo/platform/kube/bookinfo.yaml"
# Its kinds may be gone already.
kubectl delete -n "$namespace" --ignore-not-found -f "$root/samples/bookinfo/config/base" || true
# The namespace may be gone, too.
kubectl label namespace "$namespace" istio.io/rev- >/dev/null || true
"$meshctl" uninstall --yes ${purge[@]+"${purge[@]}"}
