#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# command_table.sh PROGRAM: what the command says of itself with --help, as lines with tabs:
#   command  NAME  ARGUMENTS  SUMMARY
#   detail   NAME  LINE                       of the text below the summary, as it stands there
#   option   NAME  OPTION  VALUE  SUMMARY     NAME is empty for options that all commands take
#   exit     CODE  WHAT IT MEANS
#   setting  KEY  TAKES  DEFAULT  AGGRESSIVE  CONSERVATIVE  MOBILE   its values
#   meaning  KEY  SUMMARY  VARIABLE                                  and what it does
# From it the page of the manual and the completions are made.

set -euo pipefail
program=${1:?command_table.sh PROGRAM}

# names: one or two words in small letters at the start of a line of "Commands:".
names() {
    awk '/^Commands:$/ { inside = 1; next }
         /^$/ { inside = 0 }
         inside && /^  [a-z]/ {
             left = substr($0, 3, 22)
             n = split(left, word, " ")
             name = word[1]
             if (n > 1 && left !~ /^[a-z-]+  / && word[2] ~ /^[a-z-]+$/) name = name " " word[2]
             print name
         }'
}

# options NAME: the lines of "Options:".
options() {
    awk -v name="$1" '/^Options:$/ { inside = 1; next }
         /^$/ { inside = 0 }
         inside && match($0, /^  --[a-z-]+( [A-Z][A-Z0-9_|-]*)?/) {
             n = split(substr($0, 3, RLENGTH - 2), word, " ")
             summary = substr($0, RLENGTH + 1)
             sub(/^ +/, "", summary)
             printf "option\t%s\t%s\t%s\t%s\n", name, word[1], (n > 1 ? word[2] : ""), summary
         }'
}

# about NAME: arguments from the line "Usage:", then the first paragraph, then the details.
about() {
    awk -v name="$1" '
        /^Usage: / {
            args = substr($0, index($0, "] " name) + 2 + length(name))
            sub(/^ /, "", args)
            sub(/(^| )\[?--.*/, "", args)
            next
        }
        /^Options:$/ { exit }
        !summary { if ($0 != "") { summary = $0; printf "command\t%s\t%s\t%s\n", name, args, $0 } next }
        { lines[++n] = $0 }
        END {
            while (n > 0 && lines[n] == "") n--
            for (i = lines[1] == "" ? 2 : 1; i <= n; i++) printf "detail\t%s\t%s\n", name, lines[i]
        }'
}

help=$("$program" --help)
common=$(options "" <<<"$help")
printf '%s\n' "$common"
while IFS= read -r name; do
    # shellcheck disable=SC2086
    said=$("$program" $name --help)
    about "$name" <<<"$said"
    # Its own options are those that are not everybody's.
    options "$name" <<<"$said" | awk -F '\t' -v common="$common" '
        BEGIN { n = split(common, line, "\n"); for (i = 1; i <= n; i++) { split(line[i], f, "\t"); everybody[f[3]] = 1 } }
        !($3 in everybody)'
done < <(names <<<"$help")

# "Exit codes: 0 this, 1 that."
tr '\n' ' ' <<<"$help" | sed -n 's/.*Exit codes: \(.*\)\..*/\1/p' |
    awk -v RS=', ' '{ code = $1; sub(/^[0-9]+ /, ""); sub(/\n$/, ""); printf "exit\t%s\t%s\n", code, $0 }'

# Settings have tables of their own, with columns between bars; the names stand in backquotes.
"$program" config list --markdown | awk '
    /^## / { kind = /Values/ ? "setting" : "meaning" }
    /^\| `/ {
        gsub(/`/, "")
        gsub(/^\| | \|$/, "")
        n = split($0, field, / *\| ?/)
        printf "%s", kind
        for (i = 1; i <= n; i++) printf "\t%s", field[i]
        print ""
    }'
