#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# completion.sh bash|zsh TABLE: prints the completion of the command in that shell, from what
# command_table.sh printed. Both shells get the same function _syncline_known, which is the table:
#   _syncline_known CONTEXT   words that may stand there, one a line, as WORD:SUMMARY
#   _syncline_value OPTION    what its value is: DIR, PATH, or another word for "anything"
#   _syncline_argument CONTEXT  the same for the arguments of a command; KEY is a setting
#   _syncline_known KEY  all settings
# CONTEXT is "", a group of commands, or a command.

set -euo pipefail
shell=${1:?completion.sh bash|zsh TABLE}
table=${2:?completion.sh bash|zsh TABLE}

table_functions() {
    awk -F '\t' '
        function quoted(text) {
            gsub(/\047/, "\047\\\047\047", text)
            return "\047" text "\047"
        }
        # A colon ends the word, so the word must not hold one; the summary may.
        function known(context, word, summary) {
            if ((context, word) in seen) return
            seen[context, word] = 1
            if (!(context in list)) order[++contexts] = context
            list[context] = list[context] " \\\n            " quoted(word ":" summary)
        }
        BEGIN { known("", "-L", "the directory of the library") }
        $1 == "option" && $2 == "" { common[++commons] = $3; about[commons] = $5; known("", $3, $5) }
        $1 == "command" {
            n = split($2, word, " ")
            if (n == 2) {
                known("", word[1], "commands: " word[1])
                known(word[1], word[2], $4)
            } else known("", word[1], $4)
            for (i = 1; i <= commons; i++) known($2, common[i], about[i])
            argument = $3 # the first one
            sub(/^[^A-Z]*/, "", argument)
            sub(/[^A-Z].*/, "", argument)
            if (argument != "") arguments[$2] = argument
        }
        $1 == "option" && $2 != "" { known($2, $3, $5) }
        $1 == "option" && $4 != "" { values[$3] = $4 }
        $1 == "meaning" { known("KEY", $2, $3) }
        END {
            print "_syncline_known() {\n    case $1 in"
            for (i = 1; i <= contexts; i++)
                print "    " quoted(order[i]) ")\n        printf \047%s\\n\047" list[order[i]] "\n        ;;"
            print "    esac\n}\n"
            print "_syncline_value() {\n    case $1 in\n    -L) echo DIR ;;"
            for (option in values) print "    " option ") echo " values[option] " ;;" | "sort"
            close("sort")
            print "    esac\n}\n"
            print "_syncline_argument() {\n    case $1 in"
            for (name in arguments) print "    " quoted(name) ") echo " arguments[name] " ;;" | "sort"
            close("sort")
            print "    esac\n}"
        }' "$table"
}

case $shell in
bash)
    cat <<'END'
# SPDX-License-Identifier: Apache-2.0
# bash completion for syncline(1)

END
    table_functions
    cat <<'END'

_syncline() {
    local word current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local context='' kind='' i commands=()
    COMPREPLY=()
    # The words before this one that name a command; values of options are stepped over.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $(_syncline_value "$word") ]]; then
            i=$((i + 1))
        elif [[ -n $(_syncline_known "${context:+$context }$word") ]]; then
            context=${context:+$context }$word
        fi
    done
    kind=$(_syncline_value "$previous")
    if [[ -z $kind && $current != -* ]]; then
        kind=$(_syncline_argument "$context")
    fi
    case $kind in
    '' | KEY)
        mapfile -t COMPREPLY < <(compgen -W "$(_syncline_known "${kind:-$context}" | sed 's/:.*//')" -- "$current")
        # Options only where there is nothing else, or a dash says so.
        if [[ $current != -* ]]; then
            for word in "${COMPREPLY[@]}"; do
                [[ $word == -* ]] || commands+=("$word")
            done
            [[ ${#commands[@]} == 0 ]] || COMPREPLY=("${commands[@]}")
        fi
        ;;
    DIR)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        ;;
    PATH | FILE)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    esac
}
complete -F _syncline syncline
END
    ;;
zsh)
    cat <<'END'
#compdef syncline
# SPDX-License-Identifier: Apache-2.0
# zsh completion for syncline(1)

END
    table_functions
    cat <<'END'

_syncline() {
    local word current=${words[CURRENT]} previous=${words[CURRENT-1]} context='' kind='' i
    local -a known
    # The words before this one that name a command; values of options are stepped over.
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        if [[ -n $(_syncline_value "$word") ]]; then
            i=$((i + 1))
        elif [[ -n $(_syncline_known "${context:+$context }$word") ]]; then
            context=${context:+$context }$word
        fi
    done
    kind=$(_syncline_value "$previous")
    if [[ -z $kind && $current != -* ]]; then
        kind=$(_syncline_argument "$context")
    fi
    case $kind in
    '' | KEY)
        known=("${(@f)$(_syncline_known "${kind:-$context}")}")
        [[ $current == -* || -z ${known:#-*} ]] || known=(${known:#-*})
        _describe 'syncline' known
        ;;
    DIR) _files -/ ;;
    PATH | FILE) _files ;;
    *) _message "$kind" ;;
    esac
}

# Loaded by compinit the file is the function's first call.
[[ $funcstack[1] != _syncline ]] || _syncline "$@"
END
    ;;
*)
    echo "completion.sh: bash or zsh, not $shell" >&2
    exit 2
    ;;
esac
