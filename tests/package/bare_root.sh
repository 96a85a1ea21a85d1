#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# bare_root.sh STEP: one step of the life of the packages, inside the bare root that
# tests/checks/deb.sh makes. Never on a system that is used: it removes packages.

set -euo pipefail
[[ -d /bring ]] || { echo "this is for the root that deb.sh makes"; exit 1; }

# What is kept of libraries outside of them is their user's, and no part of a package.
export XDG_STATE_HOME=/tmp/state

# sameness A B TEXT: fails unless both are the same.
same() {
    [[ $1 == "$2" ]] || { printf '%s:\n%s\n%s\n' "$3" "$1" "$2"; exit 1; }
}

case ${1:?bare_root.sh STEP} in
tools)
    [[ ! -e /usr/include/syncline.h ]] || { echo "the header came with the library"; exit 1; }
    version=$(dpkg-query -W -f='${Version}' libsyncline0)
    same "$(syncline --version)" "syncline $version" "the command has another version"
    ! ldd /usr/bin/syncline | grep 'not found' || { echo "libraries are missing"; exit 1; }
    # Two devices in two processes, equal at the end.
    syncline demo /usr/share/perl5 --pairs 1
    [[ -s /usr/share/bash-completion/completions/syncline ]]
    [[ -s /usr/share/zsh/vendor-completions/_syncline ]]
    ;;
manual)
    same "$(man -w syncline)" /usr/share/man/man1/syncline.1.gz "man syncline"
    same "$(man -w 3 syncline)" /usr/share/man/man3/syncline.3.gz "man 3 syncline"
    same "$(man -w 5 syncline.conf)" /usr/share/man/man5/syncline.conf.5.gz "man 5 syncline.conf"
    man syncline_open >/tmp/page
    grep -q 'enum syncline_status syncline_open(' /tmp/page || { echo "man syncline_open does not show it"; exit 1; }
    rm /tmp/page
    ;;
example)
    for target in notes static; do
        cp -r /usr/share/doc/libsyncline-dev/examples "/tmp/$target"
        make -C "/tmp/$target" "$target"
        mkdir "/tmp/$target/run"
        bash /bring/example.sh "/tmp/$target/notes" "/tmp/$target/run"
    done
    same "$(pkg-config --cflags-only-I --libs-only-L syncline | tr -d ' ')" "-I/usr/include/uuid" \
        "pkg-config names folders that the compiler knows anyway"
    rm -r /tmp/notes /tmp/static
    ;;
page)
    mkdir /tmp/page
    bash /bring/page.sh /usr/share/doc/libsyncline-dev/ADD_A_MODEL.md /tmp/page
    rm -r /tmp/page
    ;;
remove)
    rm -rf "$XDG_STATE_HOME"
    dpkg --purge libsyncline-dev syncline-tools libsyncline0
    left=$(find / -xdev -path /bring -prune -o -path /proc -prune -o -path /sys -prune -o \
        -path /var/cache/man -prune -o -iname '*syncline*' -print)
    same "$left" "" "files that stay"
    ;;
*)
    echo "bare_root.sh: there is no step $1"
    exit 1
    ;;
esac
