#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# models.sh [MODEL]...: goes through every state of the models in tests/models, as they are and with
#   each of their rules broken, one at a time: as it is a model must have no error, broken it must have
#   one. Needs spin and gcc. The last line is "N passed, N failed".
#
# A model's second comment says what it is run with, a line "Run: OPTIONS" for each way, and which rules
# can be broken, a line for each: five blanks, the name to be defined, what is broken by that.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
folder=$PWD/tests/models
[[ $# -gt 0 ]] || set -- "$folder"/*.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# explore MODEL OPTION...: 0 no error in any state, 1 an error, 2 neither could be told.
explore() {
    local model=$1
    shift
    rm -f "$work"/*
    (cd "$work" && spin -a "$@" "$model" && gcc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c) \
        >"$work/log" 2>&1 || return 2
    (cd "$work" && ./pan -m1000000 -w22) >"$work/log" 2>&1
    ! grep -q 'error: max search depth too small\|Search not completed\|out of memory' "$work/log" ||
        grep -q 'errors: [1-9]' "$work/log" || return 2
    grep -q 'errors: 0' "$work/log" && return 0
    grep -q 'errors: [1-9]' "$work/log" && return 1
    return 2
}

# judge WANTED SAID NAME
judge() {
    if [[ $1 == "$2" ]]; then
        passed=$((passed + 1))
        printf 'passed  %s\n' "$3"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$3"
        tail -n 5 "$work/log"
    fi
}

for model in "$@"; do
    [[ -f $model ]] || model=$folder/$model.pml
    name=$(basename "$model" .pml)
    header=$(sed '/\*\/$/q' <(sed 1,3d "$model"))
    mapfile -t runs < <(sed -n 's/ *\*\/$//; s/^ \* Run: *//p' <<<"$header")
    for run in "${runs[@]:-}"; do
        read -ra options <<<"$run"
        explore "$model" ${options[@]+"${options[@]}"}
        judge 0 $? "$name $run: $(sed -n 's/ states, stored.*//p' "$work/log" | tr -d ' ') states"
    done
    read -ra options <<<"${runs[0]:-}"
    while read -r rule; do
        explore "$model" ${options[@]+"${options[@]}"} "-D$rule"
        judge 1 $? "$name without a rule: $rule"
    done < <(sed -n 's/^ \*     \([A-Z_][A-Z_]*\)  .*/\1/p' <<<"$header")
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed == 0 ]]
