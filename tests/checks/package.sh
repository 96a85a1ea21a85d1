#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# package.sh BUILD_DIR: what is installed is enough. Installs a build into a folder of its own and
# builds there, outside the tree, with nothing but what was installed: the example program by
# pkg-config with the shared and with the static library, and by CMake with both, the header in C++,
# and docs/ADD_A_MODEL.md from its first block to its last. All of it is run.
# The last line is "N passed, N failed".

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:?package.sh BUILD_DIR}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/installed
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export LD_LIBRARY_PATH=$prefix/lib
version=$(sed -nE 's/^#define SYNCLINE_VERSION "(.*)"$/\1/p' include/syncline.h)
passed=0
failed=0

# check NAME COMMAND...: its output is shown only if it fails.
check() {
    local name=$1 said
    shift
    if said=$(set -e; "$@" 2>&1); then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$name"
        return 0
    fi
    failed=$((failed + 1))
    printf 'FAILED  %s\n%s\n' "$name" "$said"
}

# Every check works in a folder of its own below $scratch. `set -e` does not reach into a function
# whose failure is asked for, so each line says what happens then.
folder() {
    mkdir -p "$scratch/$1"
    printf '%s\n' "$scratch/$1"
}

needs() {
    readelf -d "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'
}

installs() {
    cmake --install "$build" --prefix "$prefix" || return 1
    # In a staged installation the files say where they will be, not where they are now.
    DESTDIR=$scratch/staged cmake --install "$build" --prefix /opt/syncline >/dev/null || return 1
    grep -qx 'prefix=/opt/syncline' "$scratch/staged/opt/syncline/lib/pkgconfig/syncline.pc" || return 1
    ! grep -rIlF -e "$PWD/" -e "$scratch" "$scratch/staged" || { echo "names folders of this machine"; return 1; }
}

# One public name for the linker: the SONAME; in the static library only names with our prefixes.
library_names() {
    local soname names
    soname=$(readelf -d "$prefix/lib/libsyncline.so" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p')
    [[ $soname == libsyncline.so.0 && -e $prefix/lib/$soname ]] || { echo "SONAME is $soname"; return 1; }
    names=$(nm --extern-only --defined-only --format=posix "$prefix/lib/libsyncline.a" 2>/dev/null |
        awk 'NF > 1 { print $1 }' | grep -vE '^(sl|syncline)_' || true)
    [[ -z $names ]] || { echo "libsyncline.a has names that may be an application's: $names"; return 1; }
    [[ $(find "$prefix/include" -type f) == "$prefix/include/syncline.h" ]] ||
        { echo "more than one header is installed"; return 1; }
}

versions() {
    [[ $(pkg-config --modversion syncline) == "$version" ]] || { echo "syncline.pc has another version"; return 1; }
    [[ $(env -u LD_LIBRARY_PATH "$prefix/bin/syncline" --version) == "syncline $version" ]] ||
        { echo "the command does not find its library, or has another version"; return 1; }
    [[ " $(needs "$prefix/bin/syncline" | tr '\n' ' ')" == *" libsyncline.so.0 "* ]] ||
        { echo "the command does not use the shared library"; return 1; }
}

# by_make TARGET
by_make() {
    local at
    at=$(folder "make-$1")
    cp examples/Makefile examples/notes.c "$at" || return 1
    make -C "$at" CFLAGS="-O2 -Wall -Wextra -Wpedantic -Werror" "$1" || return 1
    linked "$at/notes" "$1" || return 1
    tests/package/example.sh "$at/notes" "$(folder "make-$1/run")"
}

# linked PROGRAM notes|static: with the shared library, or with none of ours; SQLite is the system's.
linked() {
    local list
    list=" $(needs "$1" | tr '\n' ' ')"
    [[ $list == *" libsqlite3.so.0 "* ]] || { echo "$1 does not use the system's SQLite"; return 1; }
    if [[ $2 == static ]]; then
        [[ $list != *libsyncline* ]] || { echo "$1 uses the shared library"; return 1; }
    else
        [[ $list == *" libsyncline.so.0 "* ]] || { echo "$1 does not use the shared library"; return 1; }
    fi
}

# by_cmake notes|static
by_cmake() {
    local at
    at=$(folder "cmake-$1")
    cp examples/CMakeLists.txt examples/notes.c "$at" || return 1
    cmake -S "$at" -B "$at/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS=-Werror \
        -DNOTES_STATIC="$([[ $1 == static ]] && echo ON || echo OFF)" || return 1
    cmake --build "$at/build" || return 1
    linked "$at/build/notes" "$1" || return 1
    tests/package/example.sh "$at/build/notes" "$(folder "cmake-$1/run")"
}

# A version that may lack calls is not taken; parts that are missing are named.
cmake_refuses() {
    local at said
    at=$(folder cmake-refuses)
    sed 's/find_package(syncline 0\.1 /find_package(syncline 0.2 /' examples/CMakeLists.txt >"$at/CMakeLists.txt" || return 1
    cp examples/notes.c "$at" || return 1
    said=$(cmake -S "$at" -B "$at/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" 2>&1) &&
        { echo "version 0.2 was found"; return 1; }
    [[ $said == *"$version"* ]] || { printf 'the version is not named:\n%s\n' "$said"; return 1; }

    cp examples/CMakeLists.txt "$at" || return 1
    # Without pkg-config files of the parts, shared linking still works, and static linking says why not.
    cmake -S "$at" -B "$at/shared" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DPKG_CONFIG_EXECUTABLE=/bin/false \
        >/dev/null || { echo "the shared library needs pkg-config"; return 1; }
    said=$(cmake -S "$at" -B "$at/static" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DNOTES_STATIC=ON \
        -DPKG_CONFIG_EXECUTABLE=/bin/false 2>&1) && { echo "static linking without parts was configured"; return 1; }
    [[ $said == *"cannot be linked without: "* ]] || { printf 'what is missing is not named:\n%s\n' "$said"; return 1; }
}

in_cxx() {
    local at standard
    at=$(folder cxx)
    for standard in c++11 c++17 c++20; do
        # shellcheck disable=SC2046
        g++ -std=$standard -Wall -Wextra -Wpedantic -Werror -o "$at/header" tests/package/header.cpp \
            $(pkg-config --cflags --libs syncline) || return 1
        "$at/header" || return 1
    done
}

five_minutes() {
    tests/package/page.sh docs/ADD_A_MODEL.md "$(folder page)"
}

check "installs, into a prefix and staged" installs
check "names in the libraries" library_names
check "versions, and the command with the installed library" versions
check "the example by pkg-config, shared library" by_make notes
check "the example by pkg-config, static library" by_make static
check "the example by CMake, shared library" by_cmake notes
check "the example by CMake, static library" by_cmake static
check "the CMake package refuses what does not fit" cmake_refuses
check "the header in C++" in_cxx
check "a model in five minutes (docs/ADD_A_MODEL.md)" five_minutes
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed == 0 ]]
