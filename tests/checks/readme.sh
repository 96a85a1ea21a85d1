#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# readme.sh BUILD_DIR [FILE]...: what the documents tell a reader to type exists. Takes the lines of
# every ```sh block that start with ./dev or build/: the verb must be one of dev's, the program
# must be built, the subcommand and each long option must be in the program's --help.
# readme.sh --self-test: the check sees commands that do not exist.

set -euo pipefail
cd "$(dirname "$0")/../.."

# The commands of a document, one a line: continued lines joined, comments cut.
commands() {
    awk '/^[[:space:]]*```sh[[:space:]]*$/ { inside = 1; next }
         /^[[:space:]]*```/ { inside = 0 }
         inside' "$1" |
        sed -e ':again' -e '/\\$/{N;s/\\\n[[:space:]]*/ /;b again' -e '}' \
            -e 's/^[[:space:]]*//' -e 's/[[:space:]]#.*$//' |
        grep -E '^(\./dev|\./\.ci/run|build/)' || true
}

# check_command BUILD_DIR COMMAND
check_command() {
    local build=$1 words program help command="" i word
    read -r -a words <<<"${2%%[|&>;]*}"
    program=${words[0]}
    if [[ $program == ./dev ]]; then
        ./dev help | grep -qE "^  ${words[1]:-help}( |\$)" || { echo "dev has no such verb"; return 1; }
        return 0
    fi
    # Every preset builds the same programs.
    [[ $program != build/* ]] || program=$build/${program#build/*/}
    [[ -x $program ]] || { echo "$program is not there"; return 1; }
    [[ $program == "$build"/bin/syncline ]] || return 0
    help=$("$program" --help)
    for ((i = 1; i < ${#words[@]}; i++)); do
        word=${words[i]}
        case $word in
        --*)
            grep -qE -- "^  ${word%%=*}( |\$)" <<<"$help" || { echo "no option ${word%%=*}"; return 1; }
            # An option with a value is followed by a name in capitals in the help.
            [[ $word == *=* ]] || ! grep -qE -- "^  $word [A-Z]" <<<"$help" || i=$((i + 1))
            ;;
        -L) i=$((i + 1)) ;;
        -*) echo "no option $word"; return 1 ;;
        *)
            [[ -z $command ]] || continue # an argument of the command
            command=$word
            if grep -qE "^  $word ${words[i + 1]:-none}( |\$)" <<<"$help"; then
                i=$((i + 1))
                command="$word ${words[i]}"
            elif ! grep -qE "^  $word( [ [A-Z]|\$)" <<<"$help"; then
                echo "no command $word"
                return 1
            fi
            # From here on, the options of the command.
            # shellcheck disable=SC2086
            help=$("$program" $command --help)
            ;;
        esac
    done
}

check_documents() {
    local build=$1 bad=0 count=0 file line said
    shift
    for file in "$@"; do
        [[ -f $file ]] || continue
        while IFS= read -r line; do
            count=$((count + 1))
            said=$(check_command "$build" "$line") || {
                echo "$file: $line: $said"
                bad=1
            }
        done < <(commands "$file")
    done
    return $bad
}

if [[ ${1:-} == --self-test ]]; then
    build=build/release
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    for line in './dev dance' 'build/release/bin/none' 'build/release/bin/syncline dance' \
        'build/release/bin/syncline -L /tmp/a library dance' 'build/release/bin/syncline -x info' \
        'build/release/bin/syncline demo --dance' 'build/release/bin/syncline -L a wait --listen b'; do
        printf '```sh\n%s\n```\n' "$line" >"$scratch/a.md"
        if check_documents "$build" "$scratch/a.md" >/dev/null; then
            echo "not seen: $line"
            exit 1
        fi
    done
    exit 0
fi
build=${1:?readme.sh BUILD_DIR [FILE]...}
shift
[[ $# -gt 0 ]] || set -- README.md docs/*.md
check_documents "$build" "$@"
