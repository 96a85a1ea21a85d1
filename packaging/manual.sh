#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# manual.sh PROGRAM VERSION FOLDER: makes what tells people how to use it, out of the command's own
# --help and the comments of the public header:
#   FOLDER/man1/syncline.1.gz       from man/syncline.1.in
#   FOLDER/man5/syncline.conf.5.gz  from man/syncline.conf.5.in
#   FOLDER/man3/syncline.3.gz       from man/syncline.3.in; a page that leads there for every call
#   FOLDER/bash/syncline, FOLDER/zsh/_syncline
# and FOLDER/made, when all of it is there.

set -euo pipefail
program=$(realpath "${1:?manual.sh PROGRAM VERSION FOLDER}")
version=${2:?manual.sh PROGRAM VERSION FOLDER}
folder=$(realpath -m "${3:?manual.sh PROGRAM VERSION FOLDER}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# fill TEMPLATE: the template with its version, and each line @NAME@ replaced by $scratch/NAME.
fill() {
    awk -v version="$version" -v folder="$scratch" '
        /^@[a-z]+@$/ {
            file = folder "/" substr($0, 2, length($0) - 2)
            while ((getline line < file) > 0) print line
            close(file)
            next
        }
        { gsub(/@VERSION@/, version); print }' "$1"
}

# commands: the section of the commands. Text from --help is plain: what roff would read as its own
# is escaped, and what stands in `quotes` there becomes bold.
commands() {
    awk -F '\t' '
        function plain(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            sub(/^[.\047]/, "\\\\\\&&", text)
            while (match(text, /`[^`]*`/))
                text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) \
                    "\\fR" substr(text, RSTART + RLENGTH)
            return text
        }
        function say(text) { print plain(text) }
        $1 == "command" {
            print ".SS syncline " plain($2) ($3 != "" ? " " plain($3) : "")
            text = $4
            say(toupper(substr(text, 1, 1)) substr(text, 2) (text ~ /[.!?]$/ ? "" : "."))
        }
        $1 == "detail" && $3 == "" { print ".PP" }
        $1 == "detail" && $3 != "" { say($3) }
        $1 == "option" && $2 != "" {
            print ".TP"
            print "\\fB" plain($3) "\\fR" ($4 != "" ? " \\fI" plain($4) "\\fR" : "")
            say($5)
        }' "$1"
}

# everybody: the options that all commands take.
everybody() {
    awk -F '\t' '$1 == "option" && $2 == ""' OFS='\t' "$1" |
        awk -F '\t' '{ print ".TP"
            option = $3; gsub(/-/, "\\-", option); gsub(/-/, "\\-", $5)
            print "\\fB" option "\\fR" ($4 != "" ? " \\fI" $4 "\\fR" : ""); print $5 }'
}

# codes: of the command's exits.
codes() {
    awk -F '\t' '$1 == "exit" {
        print ".TP\n\\fB" $2 "\\fR\n" toupper(substr($3, 1, 1)) substr($3, 2) "." }' "$1"
}

# settings: each with what it takes, and what the presets make of it where they do.
settings() {
    awk -F '\t' '
        function plain(text) { gsub(/\\/, "\\e", text); gsub(/-/, "\\-", text); return text }
        $1 == "setting" {
            order[++n] = $2
            takes[$2] = "Takes " $3 ". Default: " $4 "."
            if ($5 != "" && ($5 != $4 || $6 != $4 || $7 != $4))
                takes[$2] = takes[$2] " Presets: aggressive " $5 ", conservative " $6 ", mobile " $7 "."
        }
        $1 == "meaning" { meaning[$2] = $3; variable[$2] = $4 }
        END {
            for (i = 1; i <= n; i++) {
                key = order[i]
                text = meaning[key]
                print ".TP"
                print "\\fB" plain(key) "\\fR [" variable[key] "]"
                print plain(toupper(substr(text, 1, 1)) substr(text, 2) ".")
                print ".br"
                print plain(takes[key])
            }
        }' "$1"
}

packaging/command_table.sh "$program" >"$scratch/table"
codes "$scratch/table" >"$scratch/codes"
settings "$scratch/table" >"$scratch/settings"
commands "$scratch/table" >"$scratch/commands"
everybody "$scratch/table" >"$scratch/options"
awk -v part=names -f packaging/header.awk include/syncline.h >"$scratch/names"
awk -v part=reference -f packaging/header.awk include/syncline.h >"$scratch/reference"

rm -rf "$folder"
mkdir -p "$folder"/{man1,man3,man5,bash,zsh}
fill man/syncline.1.in | gzip -9n >"$folder/man1/syncline.1.gz"
fill man/syncline.conf.5.in | gzip -9n >"$folder/man5/syncline.conf.5.gz"
fill man/syncline.3.in | gzip -9n >"$folder/man3/syncline.3.gz"
while IFS= read -r name; do
    printf '.so man3/syncline.3\n' | gzip -9n >"$folder/man3/$name.3.gz"
done <"$scratch/names"
packaging/completion.sh bash "$scratch/table" >"$folder/bash/syncline"
packaging/completion.sh zsh "$scratch/table" >"$folder/zsh/_syncline"
touch "$folder/made"
