#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# tidy.sh BUILD_DIR [FILE]...: clang-tidy with warnings as errors, over the files given or over all
# that are shipped, as many at once as there are processors.

set -uo pipefail
cd "$(dirname "$0")/../.."
build=${1:?tidy.sh BUILD_DIR [FILE]...}
shift
if [[ $# == 0 ]]; then
    mapfile -d '' -t files < <(find base bench cli indexer net pipeline stages storage tests/sim \
        -name '*.c' -print0 | sort -z)
    set -- "${files[@]}"
fi
# "N warnings generated" counts those of system headers, which are not ours.
printf '%s\0' "$@" |
    xargs -0 -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet --warnings-as-errors='*' 2>&1 |
    grep -vE '^[0-9]+ warnings? generated|^Suppressed [0-9]+ warnings|^Use -header-filter'
[[ ${PIPESTATUS[1]} == 0 ]]
