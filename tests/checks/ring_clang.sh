#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# The ring and the park by the other compiler: ten million items as built for speed, fewer under
# ThreadSanitizer without a report, and the planted race reported.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# build NAME SOURCE FLAG...
build() {
    local name=$1 source=$2
    shift 2
    clang -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. "$@" -o "$scratch/$name" "$source" \
        pipeline/park.c -lck -pthread
}

build fast tests/race/ring_race_test.c -O2
"$scratch/fast"
build tsan tests/race/ring_race_test.c -O1 -g -fsanitize=thread
setarch -R "$scratch/tsan"
build planted tests/planted/ring_race.c -O1 -g -fsanitize=thread
tests/checks/reported.sh "ThreadSanitizer: data race" setarch -R "$scratch/planted"
echo "the ring holds under clang"
