#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# page.sh PAGE FOLDER: does in FOLDER what docs/ADD_A_MODEL.md tells a reader to do, with the
# Syncline that pkg-config finds. A block "```LANGUAGE FILE" is a part of that file. The blocks
# "```sh" are run, from the first numbered heading on, and each must print what the block "```text"
# below it shows, and nothing without one. More than 60 lines of C are not five minutes.

set -euo pipefail
page=$(realpath "${1:?page.sh PAGE FOLDER}")
cd "${2:?page.sh PAGE FOLDER}"
export LC_ALL=C

# blocks: NUMBER.sh and NUMBER.text for each command block, and the files.
awk '
    /^## 1\./ { begun = 1 }
    /^```[a-z]+ [a-z.]+$/ { split($0, word, " "); file = word[2]; next }
    /^```sh$/ && begun { file = sprintf("%02d.sh", ++n); printf "" > file; next }
    /^```text$/ && n { file = sprintf("%02d.text", n); next }
    /^```/ { file = ""; next }
    file { print > file }' "$page"

lines=$(cat ./*.c | wc -l)
if [[ $lines -gt 60 ]]; then
    echo "the page has $lines lines of C, more than 60"
    exit 1
fi
count=0
for block in ??.sh; do
    expected=${block%.sh}.text
    [[ -f $expected ]] || : >"$expected"
    count=$((count + 1))
    # What a block ends with is for the reader to see: some end with the error they are there for.
    bash "$block" >said 2>&1 </dev/null || true
    if ! diff -u --label "the page" --label "what came" "$expected" said; then
        printf 'by these lines of the page:\n'
        cat "$block"
        exit 1
    fi
done
[[ $count -gt 3 ]] || { echo "only $count blocks of commands were found"; exit 1; }
echo "the page does what it says: $count blocks of commands, $lines lines of C"
