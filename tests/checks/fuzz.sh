#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# fuzz.sh BUILD_DIR SECONDS: runs every fuzz target for that long, from an empty corpus and a fixed
# seed. The last line is "N passed, N failed"; an input that breaks a target stays in
# BUILD_DIR/fuzz/.

set -uo pipefail
build=${1:?fuzz.sh BUILD_DIR SECONDS}
seconds=${2:?fuzz.sh BUILD_DIR SECONDS}
passed=0
failed=0
mkdir -p "$build/fuzz"
for target in "$build"/tests/*_fuzz; do
    [[ -x $target ]] || continue
    name=${target##*/}
    corpus=$(mktemp -d)
    if said=$("$target" -seed=1 -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 \
        -print_final_stats=1 -artifact_prefix="$build/fuzz/$name-" "$corpus" 2>&1); then
        passed=$((passed + 1))
        printf 'ok      %s: %s runs\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' <<<"$said")"
    else
        failed=$((failed + 1))
        printf '%s\nFAILED  %s\n' "$(tail -n 60 <<<"$said")" "$name"
    fi
    rm -rf "$corpus"
done
[[ $((passed + failed)) -gt 0 ]] || failed=1
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed == 0 ]]
