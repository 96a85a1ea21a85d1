#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# layers.sh [ROOT]: the #include lines of every layer point the allowed way, by path from the root.
# layers.sh --self-test: the check sees violations planted in a scratch tree.

set -euo pipefail

# What a file may include, as folders. The public header stands alone in include/.
allowed() {
    case $1 in
    # The composition root: the files that put the engine together, and so see every layer.
    pipeline/library.c | pipeline/library_network.c | pipeline/library_parts.h | pipeline/library_view.[ch] | pipeline/library_members.c | pipeline/api_*.c | pipeline/handle.[ch]) echo "base include pipeline stages storage net" ;;
    include/*) echo "" ;;
    base/*) echo "base include" ;;
    storage/*) echo "storage base include" ;;
    net/*) echo "net base include" ;;
    stages/*) echo "stages pipeline storage net base include" ;;
    # library.h is the face of the composition root: it takes an identity and a transport.
    pipeline/library.h) echo "pipeline base include net" ;;
    pipeline/*) echo "pipeline base include" ;;
    indexer/*) echo "indexer include" ;;
    cli/*) echo "cli indexer include" ;;
    esac
}

check_tree() {
    local root=$1 bad=0 file line path folder
    cd "$root"
    while IFS= read -r line; do
        file=${line%%:*}
        path=${line#*\"}
        path=${path%%\"*}
        folder=${path%%/*}
        if [[ $path != */* || $path == *../* || $path == ./* ]]; then
            echo "$file includes \"$path\"; write the path from the root"
            bad=1
            continue
        fi
        if [[ " $(allowed "$file") " != *" $folder "* ]]; then
            echo "$file includes \"$path\"; its layer may include: $(allowed "$file")"
            bad=1
        fi
    done < <(find base cli include indexer net pipeline stages storage -name '*.[ch]' -print0 |
        sort -z | xargs -0 -r grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
    # Angle brackets would be a way around all of the above.
    if find base cli include indexer net pipeline stages storage -name '*.[ch]' -print0 |
        xargs -0 -r grep -HnE '#[[:space:]]*include[[:space:]]*<(base|cli|include|indexer|net|pipeline|stages|storage)/'; then
        echo "headers of the project are included with quotes"
        bad=1
    fi
    return $bad
}

self_test() {
    local root line file
    root=$(mktemp -d)
    trap "rm -rf '$root'" EXIT
    mkdir "$root"/{base,cli,include,indexer,net,pipeline,stages,storage}
    cat >"$root/pipeline/library.c" <<'END'
#include "stages/stamp.h"
#include "storage/peer_log.h"
#include <stdio.h>
END
    check_tree "$root" || { echo "a clean tree was refused"; exit 1; }
    while read -r file line; do
        echo "#$line" >"$root/$file"
        if (check_tree "$root" >"$root/said"); then
            echo "not seen: $file with #$line"
            exit 1
        fi
        grep -qF "$file" "$root/said" || { echo "not named: $file"; exit 1; }
        rm "$root/$file"
    done <<'END'
base/a.c include "storage/peer_log.h"
storage/a.h include "stages/stamp.h"
net/a.c include "pipeline/worker.h"
net/a.c   include "storage/peer_log.h"
pipeline/worker.c include "stages/stamp.h"
pipeline/worker.c include "net/transport.h"
stages/a.c include "indexer/walker.h"
indexer/a.c include "base/bytes.h"
cli/a.c include "pipeline/library.h"
cli/a.c  include "../base/bytes.h"
cli/a.c include "options.h"
cli/a.c include <base/bytes.h>
include/a.h include "base/bytes.h"
END
}

if [[ ${1:-} == --self-test ]]; then
    self_test
else
    check_tree "${1:-$(dirname "$0")/../..}"
fi
