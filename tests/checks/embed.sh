#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# embed.sh [FILE]...: the C in the documents compiles against the public header alone. Takes every
# ```c block as a program of its own.

set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $# -gt 0 ]] || set -- README.md docs/*.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
count=0
for file in "$@"; do
    rm -f "$scratch"/*.c
    awk -v dir="$scratch" '/^```c$/ { inside = 1; n++; next }
         /^```$/ { inside = 0 }
         inside { print > (dir "/" n ".c") }' "$file"
    for source in "$scratch"/*.c; do
        [[ -f $source ]] || continue
        count=$((count + 1))
        gcc -std=c17 -Wall -Wextra -Wpedantic -Werror -Wno-unused-const-variable -Wno-unused-variable \
            -Iinclude -fsyntax-only "$source" || { echo "$file: its C does not compile"; exit 1; }
    done
done
[[ $count -gt 0 ]] || { echo "no C was found in $*"; exit 1; }
