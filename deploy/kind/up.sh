#!/usr/bin/env bash
# From nothing to Bookinfo behind the mesh's gateway:
#
#   deploy/kind/up.sh                    a kind cluster, images built and loaded, mesh, Bookinfo
#   deploy/kind/up.sh --no-kind          the same in the cluster of the current kubeconfig
#
# Run again after a change: only what differs is changed. deploy/kind/down.sh removes all of it.
set -euo pipefail

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
    cat <<'TEXT'

Options:
  --name NAME         name of the kind cluster [default: mesh]
  --port PORT         port of 127.0.0.1 at which the gateway answers (kind) [default: 8080]
  --no-kind           use the cluster that $KUBECONFIG or --kubeconfig names; make none
  --kubeconfig FILE   its kubeconfig
  --load HOW          how images get there: kind | ctr | none [default: kind; with --no-kind none]
  --ctr ADDRESS       containerd's socket for --load ctr
  --no-build          the images are there already
  --prebuilt DIR      make the images of binaries in DIR
  --compile           compile with cargo on this machine, not in a container
  --hub HUB, --tag TAG  of the images [default: mesh.local, the version]
  --namespace NAME    namespace of Bookinfo [default: default]
  --bookinfo FILE     other manifests of Bookinfo, such as Istio's own; only the names of the
                      images in them are changed, to the mesh's
  --set KEY=VALUE     a value for meshctl install; may be repeated

Needs docker, kubectl, curl, and kind unless --no-kind. What is not built from source here is pulled.
TEXT
}

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*" >&2; }

root=$(cd "$(dirname "$0")/../.." && pwd)
name=mesh port=8080 kind=1 load="" build=1 hub=mesh.local tag="" namespace=default
bookinfo=$root/samples/bookinfo/platform/kube/bookinfo.yaml
image_options=() install_options=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --no-kind) kind=""; shift; continue ;;
        --no-build) build=""; shift; continue ;;
        --compile) image_options+=(--compile); shift; continue ;;
        --name | --port | --kubeconfig | --load | --ctr | --prebuilt | --hub | --tag | --namespace | --bookinfo | --set)
            [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    case $1 in
        --name) name=$2 ;;
        --port) port=$2 ;;
        --kubeconfig) export KUBECONFIG=$2 ;;
        --load) load=$2 ;;
        --ctr) image_options+=(--ctr "$2") ;;
        --prebuilt) image_options+=(--prebuilt "$2") ;;
        --hub) hub=$2 ;;
        --tag) tag=$2 ;;
        --namespace) namespace=$2 ;;
        --bookinfo) bookinfo=$2 ;;
        --set) install_options+=(--set "$2") ;;
    esac
    shift 2
done
[ -n "$tag" ] || tag=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
if [ -z "$load" ]; then if [ -n "$kind" ]; then load=kind; else load=none; fi; fi
[ -r "$bookinfo" ] || fail "cannot read $bookinfo"
command -v kubectl >/dev/null || fail "kubectl is not installed: https://kubernetes.io/docs/tasks/tools"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "$kind" ]; then
    command -v kind >/dev/null || fail "kind is not installed: https://kind.sigs.k8s.io (or use --no-kind)"
    if ! kind get clusters 2>/dev/null | grep -qx "$name"; then
        say "making the kind cluster $name"
        cat >"$work/kind.yaml" <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraPortMappings:
  - containerPort: 30080
    hostPort: $port
    listenAddress: 127.0.0.1
YAML
        kind create cluster --name "$name" --config "$work/kind.yaml" --wait 120s
    fi
    # The user's kubeconfig gets the context too, if the cluster was there and it did not.
    kind export kubeconfig --name "$name"
    kind get kubeconfig --name "$name" >"$work/kubeconfig"
    export KUBECONFIG=$work/kubeconfig
fi
kubectl get --raw /readyz >/dev/null || fail "the cluster of kubeconfig ${KUBECONFIG:-~/.kube/config} does not answer"

if [ -n "$build" ]; then
    say "building the images"
    "$root/deploy/images/build.sh" --hub "$hub" --tag "$tag" --load "$load" --kind-name "$name" \
        ${image_options[@]+"${image_options[@]}"}
fi

# meshctl: what is in the PATH, or was compiled, or comes out of its image.
meshctl=${MESHCTL:-$(command -v meshctl || true)}
for option in "${!image_options[@]}"; do
    if [ "${image_options[$option]}" = --prebuilt ]; then meshctl=${image_options[$option + 1]}/meshctl; fi
done
if [ -z "$meshctl" ]; then
    docker=${DOCKER:-docker}
    container=$("$docker" create "$hub/meshctl:$tag") \
        || fail "no meshctl: put it into the PATH, or name it in \$MESHCTL"
    "$docker" cp "$container:/usr/local/bin/meshctl" "$work/meshctl" >/dev/null
    "$docker" rm "$container" >/dev/null
    meshctl=$work/meshctl
fi

say "installing the mesh"
# A port of the node that the kind cluster maps to this machine.
printf '%s\n' \
    'gateway:' \
    '  service:' \
    '    type: NodePort' \
    '    ports:' \
    '    - {name: status-port, port: 15021, targetPort: 15021}' \
    '    - {name: http2, port: 80, targetPort: 8080, nodePort: 30080}' \
    '    - {name: https, port: 443, targetPort: 8443, nodePort: 30443}' >"$work/values.yaml"
"$meshctl" install --hub "$hub" --image-tag "$tag" -f "$work/values.yaml" \
    ${install_options[@]+"${install_options[@]}"}

say "applying Bookinfo in namespace $namespace"
kubectl get namespace "$namespace" >/dev/null 2>&1 || kubectl create namespace "$namespace"
kubectl label namespace "$namespace" --overwrite istio.io/rev=mesh
# mesh.local/bookinfo-details-v1:..., or Istio's .../examples-bookinfo-details-v1:...
sed "s|image: .*/[a-z-]*\(bookinfo-[a-z0-9-]*\):.*|image: $hub/\1:$tag|" "$bookinfo" \
    | kubectl apply -n "$namespace" -f -
kubectl apply -n "$namespace" -f "$root/samples/bookinfo/config/base"
for deployment in productpage-v1 details-v1 ratings-v1 reviews-v1 reviews-v2 reviews-v3; do
    kubectl rollout status -n "$namespace" "deployment/$deployment" --timeout=180s
done

say "asking the gateway"
if [ -n "$kind" ]; then
    url=http://127.0.0.1:$port/productpage
else
    node=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    url=http://$node:30080/productpage
fi
for _ in $(seq 60); do
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$url" || true)
    if [ "$status" = 200 ]; then
        printf 'Bookinfo: %s\n' "$url"
        if [ -n "$kind" ]; then
            printf 'kubectl and meshctl: --context kind-%s\n' "$name"
        fi
        exit 0
    fi
    sleep 1
done
fail "$url answers ${status:-nothing}: look with \`meshctl status\` and \`kubectl get pods -A\`"
