#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# chart.sh FILE.svg JSON: draws what sl-bench --json JSON wrote. A figure that was not measured has
# no bar.

set -euo pipefail
svg=${1:?chart.sh FILE.svg JSON}
json=${2:?chart.sh FILE.svg JSON}
here=$(dirname "$0")
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# value NAME [ROWS]: the value of a figure, or of it at so many rows; nothing if it was not measured.
value() {
    sed -nE "s/^\{\"name\": \"$1\", \"value\": ([-+.0-9e]+),.*\"rows\": ${2:-[0-9]+},.*/\1/p" "$json" |
        head -n 1
}

# bar FILE LABEL VALUE OURS
bar() {
    [[ -z $3 ]] || printf '%s\t%s\t%s\n' "$2" "$3" "$4" >>"$data/$1"
}

# One more than a percentage over a plain insert.
whole() {
    [[ -z $1 ]] || awk -v "pct=$1" 'BEGIN { print 1 + pct / 100 }'
}

touch "$data"/{compare,stages,scale}
bar compare "insert with capture: Syncline" "$(whole "$(value capture_overhead_pct)")" 1
bar compare "session extension" "$(whole "$(value peer_session_capture_pct)")" 0
bar compare "apply: Syncline" "$(value apply_ratio)" 1
bar compare "session extension" "$(value peer_session_apply_ratio)" 0
bar compare "end to end: Syncline" "$(value e2e_100k_ratio)" 1
bar compare "session extension, no network" "$(value peer_session_e2e_ratio)" 0
bar compare "PostgreSQL, logical replication" "$(value peer_postgres_e2e_ratio)" 0

while read -r stage; do
    bar stages "$stage" "$(value "stage_${stage}_ns")" 1
done < <(sed -nE 's/^\{"name": "stage_([a-z_]+)_ns".*/\1/p' "$json")

printf 'rows\tplain insert\tcapture and send\tverify, hold and apply\n' >"$data/scale"
for rows in 10000 100000 1000000 10000000; do
    plain=$(value scale_plain_ns "$rows")
    [[ -z $plain ]] || printf '%s\t%s\t%s\t%s\n' "$rows" "$plain" \
        "$(value scale_send_ns "$rows")" "$(value scale_apply_ns "$rows")" >>"$data/scale"
done

for file in compare stages; do
    [[ -s $data/$file ]] || { echo "chart.sh: $json lacks the figures of '$file'" >&2; exit 1; }
done
[[ $(wc -l <"$data/scale") -gt 1 ]] || { echo "chart.sh: $json lacks the scale figures" >&2; exit 1; }
gnuplot -e "out='$svg'; data='$data'" "$here/chart.gp"
