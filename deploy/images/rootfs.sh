#!/bin/sh
# rootfs.sh DIR [PROGRAM...] [--libraries-of PROGRAM...]: copies programs and the shared libraries
# they need into DIR, at the same paths, so that DIR is the root file system of an image that can
# run them. Of the programs after --libraries-of only the libraries.
set -eu
root=$1
shift

take() {
    [ ! -e "$root$1" ] || return 0
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}

mkdir -p "$root"
whole=1
for program in "$@"; do
    if [ "$program" = --libraries-of ]; then
        whole=
        continue
    fi
    [ -z "$whole" ] || take "$program"
    # "name => /path (address)" for libraries, "/path (address)" for the loader.
    ldd "$program" | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | while read -r library; do
        take "$library"
    done
done
