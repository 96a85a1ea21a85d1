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
    mapfile -d '' -t files < <(find base bench cli indexer net pipeline stages storage tests/crash \
        tests/sim -name '*.c' -print0 | sort -z)
    set -- "${files[@]}"
fi
# Kept of the output: each error with its line of source. The notes on how control gets there fill
# pages; clang-tidy on one file shows them.
printf '%s\0' "$@" |
    xargs -0 -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet --warnings-as-errors='*' 2>&1 |
    awk '/: (error|warning): /{ kept = 1 }
         /: note: |^[0-9]+ warnings? |^Suppressed |^Use -/ { kept = 0 }
         kept'
[[ ${PIPESTATUS[1]} == 0 ]]
