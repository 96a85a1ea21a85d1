#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# config.sh BUILD_DIR [FILE]: docs/CONFIG.md (or FILE) is, byte for byte, what the command makes of
# the table of settings.
# config.sh --self-test: the check sees a changed default, and a line that is missing.

set -euo pipefail
cd "$(dirname "$0")/../.."

check_document() {
    local build=$1 file=${2:-docs/CONFIG.md}
    "$build/bin/syncline" config list --markdown | diff -u "$file" - && return 0
    echo "$file differs; cure: $build/bin/syncline config list --markdown >docs/CONFIG.md"
    return 1
}

self_test() {
    local scratch edit
    scratch=$(mktemp -d)
    trap "rm -rf '$scratch'" EXIT
    for edit in 's/| 1000 |/| 1001 |/' '/linger_ms/d'; do
        sed -e "$edit" docs/CONFIG.md >"$scratch/CONFIG.md"
        if check_document build/release "$scratch/CONFIG.md" >/dev/null; then
            echo "not seen: $edit"
            exit 1
        fi
    done
}

if [[ ${1:-} == --self-test ]]; then
    self_test
else
    check_document "${1:?config.sh BUILD_DIR [FILE]}" "${2:-}"
fi
