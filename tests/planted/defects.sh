#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# defects.sh [--rotate K/N] [NAME]...: plants one defect after the other into a copy of the tree, and
#   proves that the test that is to see it fails. Without names all of them; with --rotate those whose
#   place in the list leaves the remainder K when divided by N, K a number or `day`, which goes on by
#   one a day. The last line is "N passed, N failed".
# defects.sh --check: every patch applies, has its header and its line in docs/TESTING.md, and no two
#   break the same rule.
# defects.sh --table: those lines.
#
# tests/planted/defects/NAME.patch breaks one rule. Its header, one line each:
#   Rule:   the rule, by its number in the design or in docs/PROTOCOL.md, and in words
#   Breaks: what the patch does
#   Build:  targets that are built with the defect in
#   Run:    the command that must fail, started in the build folder
#   Says:   a regular expression (grep -E) that its output must match: so it fails for this reason
# The copy is build/planted/tree, its build build/planted/build: both stay, so that a second run
# compiles what a patch touches and no more.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
folder=tests/planted/defects
tree=$PWD/build/planted/tree
build=$PWD/build/planted/build
log=$PWD/build/planted/log

# field PATCH NAME: one line of its header.
field() {
    sed -n "/^--- /q; s/^$2: *//p" "$1"
}

# table: a line for each defect, as in docs/TESTING.md.
table() {
    local patch
    for patch in "$folder"/*.patch; do
        printf '| `%s` | %s | `%s` |\n' "$(basename "$patch" .patch)" "$(field "$patch" Rule)" \
            "$(field "$patch" Run)"
    done
}

check_all() {
    local patch name bad=0 rules line
    for patch in "$folder"/*.patch; do
        for name in Rule Breaks Build Run Says; do
            [[ -n $(field "$patch" $name) ]] || { echo "$patch: has no line \"$name:\""; bad=1; }
        done
        patch -s -p1 --dry-run <"$patch" >/dev/null || { echo "$patch: does not apply any more"; bad=1; }
    done
    while IFS= read -r line; do
        grep -qxF -- "$line" docs/TESTING.md || { echo "docs/TESTING.md lacks: $line"; bad=1; }
    done < <(table)
    rules=$(for patch in "$folder"/*.patch; do field "$patch" Rule; done | sort | uniq -d)
    [[ -z $rules ]] || { echo "broken by more than one patch: $rules"; bad=1; }
    return $bad
}

# The copy is made the same as the tree; what is the same already keeps its time.
copy_tree() {
    local file
    mkdir -p "$tree"
    while IFS= read -r -d '' file; do
        [[ -f $file ]] || continue
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/$(dirname "$file")"
        cp -p "$file" "$tree/$file"
        touch "$tree/$file"
    done < <(git ls-files -z --cached --others --exclude-standard)
}

# plant PATCH: 0 if it is seen.
plant() {
    local patch=$1 targets command says
    read -ra targets <<<"$(field "$patch" Build)"
    command=$(field "$patch" Run)
    says=$(field "$patch" Says)
    if ! patch -s -p1 -d "$tree" <"$patch" >"$log" 2>&1; then
        cat "$log"
        echo "$patch does not apply"
        return 1
    fi
    if ! ninja -C "$build" --quiet "${targets[@]}" >"$log" 2>&1; then
        tail -n 20 "$log"
        echo "$patch: what it makes does not build"
        return 1
    fi
    # In a shell of its own, so that what it says of a test that dies is in the log, too.
    if (cd "$build" && SL_BIN_DIR=$build/bin timeout 300 bash -c "$command") >"$log" 2>&1; then
        tail -n 5 "$log"
        echo "$patch: not seen by: $command"
        return 1
    fi
    if ! grep -qE -- "$says" "$log"; then
        tail -n 20 "$log"
        echo "$patch: seen, but \"$says\" was not said by: $command"
        return 1
    fi
}

if [[ ${1:-} == --check ]]; then
    check_all
    exit
fi
if [[ ${1:-} == --table ]]; then
    table
    exit
fi
rotate="" patches=()
if [[ ${1:-} == --rotate ]]; then
    rotate=${2:-}
    shift 2
    [[ $rotate =~ ^([0-9]+|day)/[1-9][0-9]*$ ]] || { echo "--rotate takes K/N or day/N"; exit 2; }
fi
if [[ $# -gt 0 ]]; then
    for name in "$@"; do
        [[ -f $folder/$name.patch ]] || { echo "there is no $folder/$name.patch"; exit 2; }
        patches+=("$folder/$name.patch")
    done
else
    all=("$folder"/*.patch)
    of=${rotate#*/}
    at=${rotate%/*}
    [[ $at != day ]] || at=$(($(date -u +%s) / 86400 % of))
    for i in "${!all[@]}"; do
        [[ -z $rotate || $((i % of)) == "$at" ]] && patches+=("${all[i]}")
    done
    [[ -z $rotate ]] || echo "these are --rotate $at/$of"
fi

passed=0
failed=0
copy_tree
cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSL_TESTS=ON >"$log" 2>&1 || {
    tail -n 20 "$log"
    echo "0 passed, 1 failed"
    exit 1
}
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    started=$SECONDS
    if said=$(plant "$patch" 2>&1); then
        passed=$((passed + 1))
        echo "seen    $name: $(field "$patch" Rule) ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: %s (%s s)\n%s\n' "$name" "$(field "$patch" Rule)" $((SECONDS - started)) "$said"
    fi
    copy_tree
done
echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
