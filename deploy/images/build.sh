#!/usr/bin/env bash
# Builds the images of the mesh, and puts them where a cluster finds them.
#
#   deploy/images/build.sh                              compiles everything in a container
#   deploy/images/build.sh --compile                    compiles with cargo on this machine
#   deploy/images/build.sh --prebuilt target/debug      takes binaries that are there already
#   deploy/images/build.sh --load kind                  then loads them into the kind cluster
#   deploy/images/build.sh --only meshd,mesh-proxy      not all of them
set -euo pipefail

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
    cat <<'TEXT'

Options:
  --prebuilt DIR    directory with meshd, mesh-proxy, meshctl and bookinfo. Needs no network.
                    Binaries that are linked dynamically get a base with their libraries
  --compile         build static binaries here with cargo (profile: --profile), then as --prebuilt
  --profile NAME    cargo profile [default: dist]
  --hub HUB         first part of the images' names [default: mesh.local]
  --tag TAG         tag of the images [default: the workspace's version]
  --only LIST       targets, separated by commas [default: all]
  --load HOW        none | kind | ctr: where to put the images afterwards [default: none]
  --kind-name NAME  name of the kind cluster [default: mesh]
  --ctr ADDRESS     containerd's socket for --load ctr [default: $CONTAINERD_ADDRESS, or
                    /run/containerd/containerd.sock]
  --runtime-base IMAGE, --init-base IMAGE, --rust-image IMAGE, --debian-image IMAGE
                    bases. local: made of this machine's own files, where no image can be pulled
                    (--init-base local is the default with --prebuilt and --compile)
  --cargo-config FILE
                    cargo configuration for compiling in a container, where crates come from a
                    mirror: a build secret, which stays out of the images
  --docker PATH     docker's command line [default: $DOCKER, or docker]

Without pulling anything: --prebuilt or --compile.
TEXT
}

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*" >&2; }

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
prebuilt="" compile="" profile=dist hub=mesh.local tag="" only="" load=none kind_name=mesh
ctr_address=${CONTAINERD_ADDRESS:-/run/containerd/containerd.sock}
runtime_base="" init_base="" rust_image="" debian_image="" cargo_config="" docker=${DOCKER:-}
all=(meshd mesh-proxy mesh-init meshctl
    bookinfo-productpage-v1 bookinfo-details-v1 bookinfo-ratings-v1
    bookinfo-reviews-v1 bookinfo-reviews-v2 bookinfo-reviews-v3)

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --compile) compile=1; shift; continue ;;
        --prebuilt | --profile | --hub | --tag | --only | --load | --kind-name | --ctr | \
            --runtime-base | --init-base | --rust-image | --debian-image | --cargo-config | --docker)
            [ $# -ge 2 ] || fail "$1 needs a value" ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    case $1 in
        --prebuilt) prebuilt=$2 ;;
        --profile) profile=$2 ;;
        --hub) hub=$2 ;;
        --tag) tag=$2 ;;
        --only) only=$2 ;;
        --load) load=$2 ;;
        --kind-name) kind_name=$2 ;;
        --ctr) ctr_address=$2 ;;
        --runtime-base) runtime_base=$2 ;;
        --init-base) init_base=$2 ;;
        --rust-image) rust_image=$2 ;;
        --debian-image) debian_image=$2 ;;
        --cargo-config) cargo_config=$2 ;;
        --docker) docker=$2 ;;
    esac
    shift 2
done

case $load in none | kind | ctr) ;; *) fail "--load $load: write none, kind or ctr" ;; esac
[ -n "$tag" ] || tag=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
if [ -n "$only" ]; then IFS=, read -r -a targets <<<"$only"; else targets=("${all[@]}"); fi
for target in "${targets[@]}"; do
    case " ${all[*]} " in *" $target "*) ;; *) fail "there is no image $target; there are: ${all[*]}" ;; esac
done

# A docker that can use BuildKit: with its buildx plugin, or one old enough to have it built in.
with_buildkit() {
    local version
    version=$("$1" version --format '{{.Client.Version}}' 2>/dev/null) || return 1
    [ "${version%%.*}" -lt 23 ] 2>/dev/null || "$1" buildx version >/dev/null 2>&1
}
if [ -z "$docker" ]; then
    while read -r candidate; do
        if with_buildkit "$candidate"; then docker=$candidate; break; fi
    done < <(type -ap docker)
    [ -n "$docker" ] || fail "no docker that reaches its daemon and has BuildKit: start the daemon, \
or install the plugin docker-buildx"
fi
export DOCKER_BUILDKIT=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "$compile" ]; then
    [ -z "$prebuilt" ] || fail "--compile and --prebuilt exclude each other"
    triple=$(rustc -vV | sed -n 's/^host: //p')
    say "compiling ($profile, static)"
    (cd "$root" && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked \
        --profile "$profile" --target "$triple" -p meshd -p mesh-proxy -p meshctl -p bookinfo \
        --features mesh-proxy/mimalloc)
    directory=$profile
    [ "$profile" != dev ] || directory=debug
    target_dir=$(cd "$root" && cargo metadata --format-version 1 --no-deps --offline \
        | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    prebuilt=$target_dir/$triple/$directory
fi

context=$root
arguments=()
if [ -n "$cargo_config" ]; then
    [ -r "$cargo_config" ] || fail "cannot read $cargo_config"
    arguments+=(--secret "id=cargo-config,src=$cargo_config")
fi
# Compiling takes many minutes: show that it goes on.
[ -z "$prebuilt" ] || arguments+=(--quiet)
if [ -n "$prebuilt" ]; then
    context=$work/context
    mkdir "$context"
    dynamic=()
    for program in meshd mesh-proxy meshctl bookinfo; do
        needed=""
        for target in "${targets[@]}"; do
            case $target in
                "$program" | "$program"-*) needed=1 ;;
                mesh-init) [ "$program" != mesh-proxy ] || needed=1 ;;
            esac
        done
        [ -n "$needed" ] || continue
        [ -x "$prebuilt/$program" ] || fail "$prebuilt/$program is not there: cargo build -p $program"
        # Nobody debugs inside these images.
        strip -o "$context/$program" "$prebuilt/$program" 2>/dev/null \
            || cp "$prebuilt/$program" "$context/$program"
        if ldd "$context/$program" 2>/dev/null | grep -q '=>'; then dynamic+=("$context/$program"); fi
    done
    certificates=""
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        if [ -r "$file" ]; then certificates=$file; break; fi
    done
    [ -n "$certificates" ] || fail "no certificates of public authorities found: install ca-certificates"
    cp -L "$certificates" "$context/ca-certificates.crt"
    arguments+=(--build-arg BINARIES=prebuilt)

    if [ ${#dynamic[@]} -gt 0 ] && [ -z "$runtime_base" ]; then runtime_base=local; fi
    [ -n "$init_base" ] || init_base=local
fi

# An image of nothing but these programs' libraries (and nft), out of this machine's files.
local_base() {
    local name=$1 rootfs=$work/$1
    shift
    sh "$here/rootfs.sh" "$rootfs" "$@"
    printf 'FROM scratch\nCOPY . /\n' >"$work/$name.Dockerfile"
    "$docker" build -q -f "$work/$name.Dockerfile" -t "$hub/$name:$tag" "$rootfs" >/dev/null
    printf '%s' "$hub/$name:$tag"
}
if [ "$runtime_base" = local ]; then
    [ -n "$prebuilt" ] || fail "--runtime-base local goes with --prebuilt or --compile"
    runtime_base=$(local_base base-runtime --libraries-of ${dynamic[@]+"${dynamic[@]}"})
fi
if [ "$init_base" = local ]; then
    nft=$(PATH="$PATH:/usr/sbin:/sbin" command -v nft) || fail "nft is not installed here (package nftables)"
    init_base=$(local_base base-init "$nft" --libraries-of ${dynamic[@]+"${dynamic[@]}"})
fi
for pair in "RUNTIME_BASE=$runtime_base" "INIT_BASE=$init_base" "RUST_IMAGE=$rust_image" \
    "DEBIAN_IMAGE=$debian_image" "PROFILE=$profile"; do
    [ -z "${pair#*=}" ] || arguments+=(--build-arg "$pair")
done

names=()
for target in "${targets[@]}"; do
    name=$hub/$target:$tag
    say "building $name"
    "$docker" build -f "$root/deploy/Dockerfile" --target "$target" -t "$name" \
        "${arguments[@]}" "$context" >/dev/null
    names+=("$name")
done

case $load in
    kind)
        command -v kind >/dev/null || fail "kind is not installed: https://kind.sigs.k8s.io"
        kind load docker-image --name "$kind_name" "${names[@]}" >&2 ;;
    ctr)
        [ -S "$ctr_address" ] || fail "no containerd at $ctr_address: --ctr ADDRESS"
        "$docker" save "${names[@]}" | ctr -a "$ctr_address" -n k8s.io images import - >/dev/null ;;
esac
for name in "${names[@]}"; do
    size=$("$docker" image inspect --format '{{.Size}}' "$name")
    printf '%-48s %6.1f MB\n' "$name" "$(awk "BEGIN { print $size / 1e6 }")"
done
