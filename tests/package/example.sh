#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# example.sh PROGRAM FOLDER: lives through what a user of the example does, in FOLDER, which must be
# empty: two devices, each served by a process of its own, joined over loopback; notes written,
# changed and deleted on both while they serve, and once while nobody does. At the end both list the
# same, which is what was written, and have the same digest.

set -euo pipefail
notes=$(realpath "${1:?example.sh PROGRAM FOLDER}")
cd "${2:?example.sh PROGRAM FOLDER}"
pids=()
trap '[[ ${#pids[@]} == 0 ]] || kill "${pids[@]}" 2>/dev/null || true' EXIT

# serve DIR [PEER]: starts to serve; the address is in $address.
serve() {
    local dir=$1 pid
    shift
    mkfifo "$dir.address"
    timeout 120 "$notes" "$dir" serve 127.0.0.1:0 "$@" >"$dir.address" &
    pid=$!
    pids+=("$pid")
    address=
    read -r address <"$dir.address" || true
    rm "$dir.address"
    [[ -n $address ]] || { echo "$dir does not serve"; exit 1; }
}

"$notes" one create Notes
serve one
first=$address
"$notes" two join "$first"
serve two "$first"

"$notes" one add Shopping milk
"$notes" one add Shopping bread
"$notes" one add Shopping eggs
"$notes" one wait
[[ $("$notes" two list) == $'Shopping: bread (edits: 0)\nShopping: eggs (edits: 0)\nShopping: milk (edits: 0)' ]] ||
    { echo "what was written on one is not on two:"; "$notes" two list; exit 1; }

# The other way, and in a notebook that came from the other device.
"$notes" two add Shopping tea
"$notes" two add Books 'Solaris, Lem'
"$notes" two edit milk 'oat milk'
"$notes" two wait
"$notes" one edit 'oat milk' 'two bottles of oat milk'
"$notes" one remove bread
"$notes" one wait

# Nobody serves two; what is written there is sent when somebody does again.
kill "${pids[1]}"
wait "${pids[1]}" || true
unset 'pids[1]'
"$notes" two add Books 'Beowulf'
serve two "$first"
"$notes" two wait

cat >expected <<'END'
Books: Beowulf (edits: 0)
Books: Solaris, Lem (edits: 0)
Shopping: eggs (edits: 0)
Shopping: tea (edits: 0)
Shopping: two bottles of oat milk (edits: 2)
END
"$notes" one list >one.list
"$notes" two list >two.list
diff -u expected one.list
diff -u expected two.list
"$notes" one digest >one.digest
"$notes" two digest >two.digest
diff -u one.digest two.digest

# What goes wrong is said, and by the exit code, too.
# refused TEXT ARGUMENT...: the call fails and says TEXT.
refused() {
    local said
    if said=$("$notes" "${@:2}" 2>&1) || [[ $said != *"$1"* ]]; then
        printf 'notes %s: expected to fail and say "%s":\n%s\n' "${*:2}" "$1" "$said"
        exit 1
    fi
}
refused "there is no note that says: bread" one remove bread
refused "notes: " one create Again
refused "nowhere/library.db" nowhere list
refused "usage: notes" one dance
echo "both devices have the same $(wc -l <expected) notes"
