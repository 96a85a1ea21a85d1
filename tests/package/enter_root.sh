#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# enter_root.sh ROOT SCRATCH: called by mmdebstrap with its new root. Brings in SCRATCH/bring/ and
# goes through tests/package/bare_root.sh there, step by step; between steps apt installs from the
# outside, where the machine's sources can be reached. Writes "PASSED FAILED" to SCRATCH/entered.

set -uo pipefail
root=${1:?enter_root.sh ROOT SCRATCH}
scratch=${2:?enter_root.sh ROOT SCRATCH}
passed=0
failed=0

# check NAME COMMAND...: its output is shown only if it fails, and without the names of mirrors.
check() {
    local name=$1 said started=$SECONDS
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        printf 'ok      %s (%s s)\n' "$name" $((SECONDS - started))
    else
        failed=$((failed + 1))
        printf 'FAILED  %s (%s s)\n' "$name" $((SECONDS - started))
        sed -E 's#[a-z+]+://[^ ]*#(mirror)#g' <<<"$said" | tail -n 60
    fi
    printf '%s %s\n' "$passed" "$failed" >"$scratch/entered"
}

# apt ARGUMENT...: apt-get for the root.
apt() {
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        --no-install-recommends -oDPkg::Chroot-Directory="$root" -oDpkg::Use-Pty=0 "$@" </dev/null
}

# inside STEP: one step of bare_root.sh, with nothing of this environment.
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        chroot "$root" /bin/bash /bring/bare_root.sh "$1"
}

# install PACKAGE...: as a person would: dpkg, and then apt for what it lacks.
install() {
    local package
    for package in "$@"; do
        chroot "$root" sh -c "dpkg -i /bring/${package}_*.deb" || true
    done
    apt -f install || return 1
    for package in "$@"; do
        [[ $(chroot "$root" dpkg-query -W -f='${db:Status-Status}' "$package") == installed ]] ||
            { echo "$package is not installed"; return 1; }
    done
}

cp -r "$scratch/bring" "$root/bring"
check "library and tools install" install libsyncline0 syncline-tools
check "the command works, with nothing to build there" inside tools
check "the development package installs" install libsyncline-dev
check "a compiler and the like" apt install gcc libc6-dev make pkg-config sqlite3 man-db
check "the manual" inside manual
check "the example, shared and static library" inside example
check "a model in five minutes" inside page
check "all are removed, and nothing stays" inside remove
exit 0
