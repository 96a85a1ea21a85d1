#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# manual.sh BUILD_DIR: the pages of the manual and the completions are whole. Every command of
# `syncline --help`, and every option of it, is in syncline(1); every setting of `syncline config list
# --help`, with its variable, in syncline.conf(5); every call of syncline.h, and every
# name the shared library exports, is in syncline(3) with its prototype, and has a page of its own
# that leads there; roff has nothing to warn of; both shells offer what --help lists.
# manual.sh --self-test: the check sees what is missing.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# page FILE: its text, without roff's marks.
page() {
    zcat "$1" | sed -E -e 's/\\f[BRIP]//g' -e 's/\\-/-/g' -e 's/\\&//g' -e 's/\\e/\\/g'
}

# These two read --help in a way of their own, so that the makers of the pages are checked, too.
help_commands() {
    "$1" --help | sed -n '/^Commands:$/,/^$/p' | grep -oE '^  [a-z-]+( [a-z-]+)?' | sed 's/^ *//'
}
help_options() {
    sed -n '/^Options:$/,/^$/p' | grep -oE '^  --[a-z-]+' | sed 's/^ *//'
}

# check_command_page PROGRAM FOLDER
check_command_page() {
    local program=$1 text section name option code bad=0 count=0
    text=$(page "$2/man1/syncline.1.gz")
    while IFS= read -r name; do
        count=$((count + 1))
        section=$(awk -v title=".SS syncline $name" '
            /^\.S[SH]/ { inside = $0 == title || index($0, title " ") == 1 }
            inside || common
            /^\.SH OPTIONS/ { common = 1 }
            /^\.SH COMMANDS/ { common = 0 }' <<<"$text")
        if ! grep -qE "^\.SS syncline $name( |\$)" <<<"$section"; then
            echo "syncline(1) does not have the command: $name"
            bad=1
        fi
        # shellcheck disable=SC2086
        for option in $("$program" $name --help | help_options); do
            grep -qE -- "^$option( |\$)" <<<"$section" && continue
            echo "syncline(1) does not have the option $option of: $name"
            bad=1
        done
    done < <(help_commands "$program")
    [[ $count -gt 0 ]] || { echo "no command was found in --help"; bad=1; }
    section=$(sed -n '/^\.SH EXIT STATUS/,/^\.SH ENVIRONMENT/p' <<<"$text")
    for code in $("$program" --help | sed -n '/Exit codes: /,$p' | sed 's/.*Exit codes: //' | grep -oE '\b[0-9]+\b'); do
        grep -qx "$code" <<<"$section" && continue
        echo "syncline(1) does not have the exit code $code"
        bad=1
    done
    return $bad
}

help_settings() {
    "$1" config list --help | sed -n '/^Settings:$/,/^$/p' | grep -oE '^  [a-z_]+ ' | tr -d ' '
}

# check_settings_page PROGRAM FOLDER
check_settings_page() {
    local text key bad=0 count=0
    text=$(page "$2/man5/syncline.conf.5.gz")
    for key in $(help_settings "$1"); do
        count=$((count + 1))
        grep -qxF "$key [SYNCLINE_${key^^}]" <<<"$text" && continue
        echo "syncline.conf(5) does not have the setting: $key"
        bad=1
    done
    [[ $count -gt 0 ]] || { echo "no setting was found in config list --help"; bad=1; }
    return $bad
}

# header_calls HEADER: the names declared, as the compiler sees them.
header_calls() {
    gcc -E -P "$1" | tr '\n' ' ' | tr ';' '\n' | grep -oE '\bsyncline_[a-z0-9_]+ ?\(' | tr -d ' (' |
        sort -u
}

# check_api_page NAMES FOLDER
check_api_page() {
    local text name bad=0
    text=$(page "$2/man3/syncline.3.gz")
    for name in $1; do
        if ! grep -qE "[ *]$name\(.*\);\$" <<<"$text"; then
            echo "syncline(3) does not have the call: $name"
            bad=1
        fi
        if [[ $(zcat "$2/man3/$name.3.gz" 2>/dev/null) != ".so man3/syncline.3" ]]; then
            echo "there is no page $name(3)"
            bad=1
        fi
    done
    [[ -n $1 ]] || { echo "no call was found"; bad=1; }
    return $bad
}

check_roff() {
    local page said
    command -v groff >/dev/null || return 0
    for page in "$1"/man1/syncline.1.gz "$1"/man3/syncline.3.gz "$1"/man5/syncline.conf.5.gz; do
        said=$(zcat "$page" | groff -man -Tutf8 -ww -rCHECKSTYLE=3 2>&1 >/dev/null)
        [[ -z $said ]] || { echo "${page##*/}: $said"; return 1; }
    done
}

# offered SHELL FOLDER WORD...: what the completion offers for the last word, in order.
offered_bash() {
    bash -c 'source "$1/bash/syncline"
        COMP_WORDS=(syncline "${@:2}")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _syncline
        printf "%s\n" "${COMPREPLY[@]}"' - "$@" | sort
}
# The stand-ins take what zsh would show and choose from it as zsh does.
offered_zsh() {
    zsh -f -c 'folder=$1; shift
        _describe() { local word; for word in "${(@P)2}"; do print -r -- ${word%%:*}; done }
        _files() { print -l -- ${words[CURRENT]}*(N) }
        _message() { }
        words=(syncline "$@")
        CURRENT=$#words
        source $folder/zsh/_syncline
        _syncline' - "$@" | grep -F -- "${*: -1}" | sort || true
}

# check_completion SHELL PROGRAM FOLDER
check_completion() {
    local shell=$1 program=$2 folder=$3 name option said bad=0
    while IFS= read -r name; do
        # shellcheck disable=SC2086
        said=$("offered_$shell" "$folder" $name)
        grep -qxF -- "${name##* }" <<<"$said" || { echo "$shell does not offer: $name"; bad=1; }
        # shellcheck disable=SC2086
        said=$("offered_$shell" "$folder" -L /tmp $name --)
        # shellcheck disable=SC2086
        for option in $("$program" $name --help | help_options); do
            grep -qxF -- "$option" <<<"$said" && continue
            echo "$shell does not offer $option for: $name"
            bad=1
        done
    done < <(help_commands "$program")
    said=$("offered_$shell" "$folder" config get l)
    for name in $(help_settings "$program" | grep '^l'); do
        grep -qxF -- "$name" <<<"$said" || { echo "$shell does not offer the setting $name"; bad=1; }
    done
    # A folder after -L, a file where a path stands, nothing after an option with a free value.
    [[ $("offered_$shell" "$folder" -L /us) == /usr* ]] || { echo "$shell offers no folder after -L"; bad=1; }
    [[ $("offered_$shell" "$folder" location add /us) == /usr* ]] || { echo "$shell offers no path"; bad=1; }
    [[ -z $("offered_$shell" "$folder" serve --listen s) ]] || { echo "$shell offers something as an address"; bad=1; }
    return $bad
}

check_all() {
    local program=$1 folder=$2 header=$3 status=0
    check_command_page "$program" "$folder" || status=1
    check_settings_page "$program" "$folder" || status=1
    check_api_page "$(header_calls "$header")" "$folder" || status=1
    check_roff "$folder" || status=1
    check_completion bash "$program" "$folder" || status=1
    ! command -v zsh >/dev/null || check_completion zsh "$program" "$folder" || status=1
    return $status
}

if [[ ${1:-} == --self-test ]]; then
    program=build/release/bin/syncline
    folder=build/release/manual
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    # expect TEXT COMMAND...: the command fails and names what is missing.
    expect() {
        if said=$("${@:2}") || ! grep -qF -- "$1" <<<"$said"; then
            echo "not seen: $1"
            exit 1
        fi
    }
    # Commands, options and more that came after the pages were made; few commands, to be quick.
    cat >"$scratch/newer" <<END
#!/usr/bin/env bash
[[ "\$*" != "library dance "* ]] || set -- library create --help
$PWD/$program "\$@" | sed -e 's/json\] library create NAME/json] library dance N/' -e 's/^  library info /  library dance N\n&/' -e 's/^  --version /  --dance\n&/' -e 's/4 interrupted/&, 5 danced/' \
    -e '/^  \(location\|tag\|entry\|demo\|digest\|status\|log\|library [jr]\|config [gsup]\)[ a-z]* /d' \
    -e 's/^  preset  /  lance_ms               default 1s\n&/'
END
    chmod +x "$scratch/newer"
    expect "the command: library dance" check_command_page "$scratch/newer" "$folder"
    expect "the option --dance of: serve" check_command_page "$scratch/newer" "$folder"
    expect "the exit code 5" check_command_page "$scratch/newer" "$folder"
    expect "bash does not offer: library dance" check_completion bash "$scratch/newer" "$folder"
    expect "bash does not offer --dance for: wait" check_completion bash "$scratch/newer" "$folder"
    ! command -v zsh >/dev/null ||
        expect "zsh does not offer: library dance" check_completion zsh "$scratch/newer" "$folder"
    expect "the setting: lance_ms" check_settings_page "$scratch/newer" "$folder"
    expect "bash does not offer the setting lance_ms" check_completion bash "$scratch/newer" "$folder"
    # Pages made from it have all of it.
    packaging/manual.sh "$scratch/newer" 0 "$scratch/manual"
    check_command_page "$scratch/newer" "$scratch/manual"
    # A call that came after them.
    sed 's/^SYNCLINE_API void syncline_close(/SYNCLINE_API void syncline_dance(int n);\n&/' \
        include/syncline.h >"$scratch/newer.h"
    expect "the call: syncline_dance" check_api_page "$(header_calls "$scratch/newer.h")" "$folder"
    exit 0
fi
build=${1:?manual.sh BUILD_DIR}
status=0
check_all "$build/bin/syncline" "$build/manual" include/syncline.h || status=1
check_api_page "$(nm --dynamic --defined-only --format=posix "$build/lib/libsyncline.so" |
    awk '{ print $1 }')" "$build/manual" || status=1
exit $status
