#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# deb.sh [--must]: makes the Debian packages and installs them in a bare root of the same release,
# which mmdebstrap makes with this machine's own sources and settings of apt; then lives in it
# (tests/package/bare_root.sh). That needs root and mmdebstrap: without them it says that it was
# skipped, which with --must is a failure. The last line is "N passed, N failed".

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# skip WHY: with --must there is no such thing.
must=false
[[ ${1:-} != --must ]] || must=true
skip() {
    echo "SKIPPED: $*"
    if $must; then
        echo "0 passed, 1 failed"
        exit 1
    fi
    echo "0 passed, 0 failed"
    exit 0
}

# shellcheck source=/dev/null
[[ ! -r /etc/os-release ]] || . /etc/os-release
[[ ${ID:-} == debian && -n ${VERSION_CODENAME:-} ]] || skip "this is not a Debian system"
[[ $(id -u) == 0 ]] || skip "a bare root needs the rights of root"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is not installed (./dev setup ci)"

scratch=$(mktemp -d)
trap 'umount "$scratch/root" 2>/dev/null; rm -rf "$scratch"' EXIT
# The root is in memory where that is allowed: thousands of files that live for a minute.
mkdir "$scratch/root"
mount -t tmpfs -o size=3G,mode=755 syncline-root "$scratch/root" 2>/dev/null || true
if ! packages=$(./dev package); then
    echo "0 passed, 1 failed"
    exit 1
fi

# Where packages come from is the machine's own business: its sources as they are, and what it has
# set about fetching.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [[ ! -s $file ]] || ! grep -qE '^(deb |URIs:)' "$file" || sources+=("$file")
done
apt-config dump | grep '^Acquire::' >"$scratch/apt.conf"

mkdir "$scratch/bring"
# shellcheck disable=SC2086
cp $packages tests/package/{bare_root,example,page}.sh "$scratch/bring"
# What happens in the root is shown as it comes; what mmdebstrap says, only if there is no root.
TMPDIR=$scratch/root mmdebstrap --mode=root --variant=minbase --format=null --aptopt="$scratch/apt.conf" --dpkgopt=force-unsafe-io \
    --customize-hook="tests/package/enter_root.sh \"\$1\" '$scratch' >&3 2>&1" \
    "$VERSION_CODENAME" /dev/null "${sources[@]}" 3>&1 >"$scratch/said" 2>&1
if [[ ! -f $scratch/entered ]]; then
    # A message may name a mirror.
    sed -E 's#[a-z+]+://[^ ]*#(mirror)#g' "$scratch/said" | tail -n 20
    echo "there is no bare root"
    echo "0 passed, 1 failed"
    exit 1
fi
read -r passed failed <"$scratch/entered"
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed == 0 && $passed -gt 0 ]]
