#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# document.sh JSON [DOCUMENT]: puts what sl-bench --json JSON wrote into the tables of the document
# (docs/PERFORMANCE.md): what stands between "<!-- begin NAME -->" and "<!-- end NAME -->" is
# replaced by the table NAME. A figure that was not measured has no row.

set -euo pipefail
json=${1:?document.sh JSON [DOCUMENT]}
document=${2:-$(dirname "$0")/../docs/PERFORMANCE.md}

# table NAME: the table as Markdown.
table() {
    awk -v "table=$1" '
        # The value of a key in the line; "" if it is not there.
        function field(key,    at) {
            if (!match($0, "\"" key "\": (\"[^\"]*\"|[^,}]*)")) return ""
            at = substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4)
            gsub(/"/, "", at)
            return at
        }
        function number(value,    size) {
            if (value == "") return "-"
            value += 0 # a number, not a text that looks like one
            size = value < 0 ? -value : value
            if (size >= 10000) return grouped(sprintf("%.0f", value))
            return sprintf(size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", value)
        }
        function grouped(text,    out) {
            while (length(text) > 3 && text ~ /[0-9][0-9][0-9][0-9]$/) {
                out = "," substr(text, length(text) - 2) out
                text = substr(text, 1, length(text) - 3)
            }
            return text out
        }
        function with_unit(value) { return number(value) " " unit }
        function head(columns) { if (!begun++) print columns }
        { name = field("name"); value = field("value"); unit = field("unit"); goal = field("goal") }
        /"skipped"/ { next }
        table == "goals" && goal != "" {
            head("| figure | measured | spread | goal | | plan | best other |\n|---|---|---|---|---|---|---|")
            more = name ~ /_per_s$/
            met = more ? value + 0 >= goal + 0 : value + 0 <= goal + 0
            plan = field("plan")
            peer = field("peer")
            printf "| `%s` | %s | %s | %s %s | %s | %s | %s |\n", name, with_unit(value),
                number(field("spread")), more ? ">=" : "<=", with_unit(goal),
                met ? "met" : "**not met**", plan == "" ? "-" : with_unit(plan),
                peer == "" ? "-" : peer
        }
        table == "plan" && name ~ /^plan_/ {
            head("| operation | measured | plan | |\n|---|---|---|---|")
            printf "| `%s` | %s | %s | %s times less |\n", name, with_unit(value),
                with_unit(field("plan")), number(field("plan") / value)
        }
        table == "peers" && name ~ /^peer_|^capture_overhead|^apply_ratio|^e2e_100k|^wire_|^send_per_s|^lag_100k/ {
            head("| figure | measured | spread | in plain inserts |\n|---|---|---|---|")
            printf "| `%s` | %s | %s | %s |\n", name, with_unit(value), number(field("spread")),
                number(field("ratio"))
        }
        table == "stages" && name ~ /^stage_/ {
            head("| stage | ns a record | spread | in plain inserts |\n|---|---|---|---|")
            printf "| %s | %s | %s | %.3f |\n", substr(name, 7, length(name) - 9), number(value),
                number(field("spread")), field("ratio")
        }
        table == "others" && name !~ /^(plan|peer|stage|scale)_/ && goal == "" {
            head("| figure | measured | spread | in plain inserts |\n|---|---|---|---|")
            printf "| `%s` | %s | %s | %s |\n", name, with_unit(value), number(field("spread")),
                number(field("ratio"))
        }
        table == "scale" && name ~ /^scale_/ {
            head("| records | figure | ns a record | in plain inserts |\n|---|---|---|---|")
            printf "| %s | `%s` | %s | %s |\n", grouped(field("rows")), name, number(value),
                field("ratio") == "" ? "1" : sprintf("%.2f", field("ratio"))
        }' "$json"
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
inside=""
while IFS= read -r line; do
    if [[ $line =~ ^'<!-- end '([a-z]+)' -->'$ ]]; then
        inside=""
    fi
    [[ -n $inside ]] || printf '%s\n' "$line"
    if [[ $line =~ ^'<!-- begin '([a-z]+)' -->'$ ]]; then
        inside=${BASH_REMATCH[1]}
        printf '\n'
        table "$inside"
        printf '\n'
    fi
done <"$document" >"$out"
[[ -z $inside ]] || { echo "document.sh: $document does not end the table $inside" >&2; exit 1; }
cat "$out" >"$document"
