#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# cli_doc.sh BUILD_DIR: what docs/CLI.md and README.md show of the command is so.
#   docs/CLI.md: every `$ ` line of a ```console block is run, from the top to the end, in a home of
#     its own, and must print what stands below it, and end with code 0. Each command of
#     `syncline --help` has a section, and each section of a command an example of it. The keys that
#     --json prints are those that its section lists after "Keys:", no less and no more.
#   docs/RECOVERY.md: likewise, but for sections and keys.
#   README.md: every line of a ```sh block that runs the command is run, in their order.
# cli_doc.sh BUILD_DIR --update: writes into both what the commands print now, to be looked at.
# cli_doc.sh --self-test: the check sees what it is to see.
#
# To add a command: a section with its name and arguments as in --help, a console block with `$ ` lines
# only, and after "Keys:" what --json prints; --update fills in the answers.
#
# What differs from run to run may stand there as it was once: UUIDs and hashes (hex digits), times,
# durations, keys ending in _ns, _ms and _at, process ids, `own_seq`, `seq`, `birth_seq`,
# `wire_bytes_sent`; the ports 4400 to 4409, for which free ones
# are taken; the home folder, which is called /home/me. `...` stands for anything, lines included.
# A command that ends with ` &` goes on running until the end; its first line is waited for.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=$PWD

fail() {
    printf '%s\n' "$*"
    bad=1
}

# A port nobody listens on.
free_port() {
    local port
    for ((;;)); do
        port=$((20000 + RANDOM % 12000)) # below those that connections get
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

start_world() {
    world=$(mktemp -d)
    home=$world/home
    ports=()
    children=()
    bad=0
    mkdir "$home"
    local i
    while [[ ${#ports[@]} -lt 10 ]]; do
        i=$(free_port)
        [[ " ${ports[*]} " == *" $i "* ]] || ports+=("$i")
    done
}

end_world() {
    local child
    for child in "${children[@]}"; do kill "$child" 2>/dev/null; done
    for child in "${children[@]}"; do wait "$child" 2>/dev/null; done
    cd "$here" || exit 1
    rm -rf "$world"
}

# With the ports and the home folder that the document has.
as_shown() {
    local i script=""
    for ((i = 0; i < 10; i++)); do script+="s|127\\.0\\.0\\.1:${ports[i]}|127.0.0.1:440$i|g;"; done
    sed -E -e "$script" -e "s|$home|/home/me|g"
}

# What may differ from run to run, made the same.
plain() {
    as_shown | sed -E \
        -e 's/\b[0-9a-f]{64}\b/HASH/g' \
        -e 's/\b[0-9a-f]{32}\b/UUID/g' \
        -e 's/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/UUID/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/TIME/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z/TIME/g' \
        -e 's/\b[0-9a-f]{16}-UUID-[0-9a-f]{16}\b/HLC/g' \
        -e 's/("[a-z_]*(_ns|_ms|_at)":)-?[0-9.e+]+/\1N/g' \
        -e 's/("(pid|own_seq|seq|birth_seq|wire_bytes_sent)":)[0-9]+/\1N/g' \
        -e 's/\b(process|pid) [0-9]+/\1 N/g' \
        -e 's/\b[0-9]+(\.[0-9]+)? ms\b/N ms/g'
}

# run COMMAND: into $world/out, in this shell, so that `export` and `cd` last. Sets $code.
run() {
    local command=$1 i tries
    for ((i = 0; i < 10; i++)); do command=${command//127.0.0.1:440$i/127.0.0.1:${ports[i]}}; done
    : >"$world/out"
    if [[ $command == *' &' ]]; then
        eval "${command% &} >'$world/out' 2>&1 &"
        children+=($!)
        for ((tries = 0; tries < 6000; tries++)); do
            [[ ! -s $world/out ]] || break
            kill -0 "${children[-1]}" 2>/dev/null || break
            sleep 0.01
        done
        code=0
        kill -0 "${children[-1]}" 2>/dev/null || code=1
        return
    fi
    eval "$command" >"$world/out" 2>&1 </dev/null
    code=$?
}

# says_so EXPECTED ACTUAL: equal but for `...`.
says_so() {
    local pattern=$1
    pattern=${pattern//\\/\\\\}
    pattern=${pattern//\*/\\*}
    pattern=${pattern//\?/\\?}
    pattern=${pattern//\[/\\[}
    pattern=${pattern//.../*}
    # shellcheck disable=SC2053
    [[ $2 == $pattern ]]
}

json_keys() {
    grep -oE '"[a-z_]+":' | tr -d '":' | sort -u
}

# keys_of_section FILE TITLE: what stands in backticks after "Keys:", to the end of the paragraph.
keys_of_section() {
    awk -v title="### $2" '$0 == title { inside = 1; next }
        /^#/ { inside = 0 }
        inside && /^Keys:/ { keys = 1 }
        /^$/ { keys = 0 }
        inside && keys' "$1" | grep -oE '`[a-z_]+`' | tr -d '`' | sort -u
}

# Runs the document's commands; with update, writes it anew to $world/new.
run_document() {
    local file=$1 update=$2 line inside=0 section="" command="" expected="" count=0
    local -a lines
    mapfile -t lines <"$file"
    : >"$world/new"
    : >"$world/shown"
    cd "$home" || exit 1
    local -x HOME=$home TZ=UTC PATH=$bin:$PATH XDG_STATE_HOME=
    unset SYNCLINE_LIBRARY
    finish() {
        [[ -n $command ]] || return
        run "$command"
        count=$((count + 1))
        local actual
        actual=$(cat "$world/out"; printf x)
        actual=${actual%x}
        printf '%s\t%s\n' "$section" "$command" >>"$world/shown"
        [[ $code == 0 ]] || fail "$file: $command: ends with code $code: $actual"
        if [[ $update == 1 ]]; then
            # What is there stays if it is right: the values it shows are as good as new ones.
            if says_so "$(plain <<<"$expected")" "$(plain <<<"$actual")"; then
                printf '%s' "$expected" >>"$world/new"
            else
                printf '%s' "$actual" | as_shown >>"$world/new"
            fi
        elif ! says_so "$(printf %s "$expected" | plain)" "$(printf %s "$actual" | plain)"; then
            fail "$file: $command: prints"$'\n'"$actual""but the document says"$'\n'"$expected"
        fi
        if [[ $command == *--json* ]]; then
            local keys
            keys=$(keys_of_section "$file" "$section")
            said=$(json_keys <"$world/out")
            [[ $keys == "$said" ]] || fail "$file: $section: keys are listed that are not printed, or" \
                "printed that are not listed:" "$(comm -3 <(echo "$keys") <(echo "$said") | xargs)"
        fi
        command="" expected=""
    }
    for line in "${lines[@]}"; do
        if [[ $inside == 0 ]]; then
            [[ $line != '### '* ]] || section=${line#'### '}
            [[ $line != '```console' ]] || inside=1
        elif [[ $line == '```' ]]; then
            finish
            inside=0
        elif [[ $line == '$ '* ]]; then
            finish
            command=${line#'$ '}
        else
            expected+=$line$'\n'
            continue
        fi
        printf '%s\n' "$line" >>"$world/new"
    done
    cd "$here" || exit 1
    [[ $count -gt 0 ]] || fail "$file shows no command"
}

# Every command has its section, with an example of it.
check_sections() {
    local file=$1 command
    while IFS= read -r command; do
        grep -qE "^### \`$command( [^\`]*)?\`\$" "$file" || fail "$file: no section for $command"
        awk -F'\t' -v want="### \`$command" '
            index("### " $1, want) == 1 { print $2 }' "$world/shown" |
            grep -qE "syncline( -L [^ ]+| --json)* $command( |\$)" ||
            fail "$file: no example of $command in its section"
    done < <("$bin/syncline" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 }
        on { sub(/^  /, ""); split($0, part, /  +/); n = split(part[1], word, " ")
             print word[1] (n > 1 && word[2] ~ /^[a-z]+$/ ? " " word[2] : "") }')
}

# The README's commands, one after the other: what serves goes on until the end.
run_readme() {
    local file=$1 line
    while IFS= read -r line; do
        line=${line//\/tmp\//$home/}
        line=${line//build\/release\/bin\/syncline/$bin/syncline}
        [[ $line != *' serve '* ]] || line+=' &'
        run "$line"
        [[ $code == 0 ]] || fail "$file: $line: ends with code $code: $(cat "$world/out")"
    done < <(awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$file" |
        sed -E 's/[[:space:]]+#.*$//' | grep -E '^build/release/bin/syncline ')
}

check_all() {
    start_world
    run_document "$1" 0
    check_sections "$1"
    end_world
    [[ $bad == 0 ]]
}

# A short document that is right, to be spoiled by the self-test.
short_document() {
    cat <<'EOF'
### `library create NAME`

```console
$ syncline -L one library create Home --device-name laptop
library    Home (00000000000000000000000000000000)
device     laptop (...)
```

### `tag list`

```console
$ syncline -L one tag create red >/dev/null
$ syncline -L one tag list
UUID                              COLOR  NAME
00000000000000000000000000000000  -      red
$ syncline -L one --json tag list
{"tags":[{"uuid":"00000000000000000000000000000000","name":"red","color":null}]}
```

Keys: `tags`, `uuid`, `name`,
`color`.

### `digest`
EOF
}

if [[ ${1:-} == --self-test ]]; then
    bin=$here/build/release/bin
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    short_document >"$scratch/right.md"
    start_world
    said=$(run_document "$scratch/right.md" 0)
    [[ -z $said ]] || { echo "what is right is not: $said"; exit 1; }
    run_document "$scratch/right.md" 0 >"$scratch/said"
    check_sections "$scratch/right.md" >"$scratch/said"
    grep -q 'no section for serve' "$scratch/said" || { echo "a missing section is not seen"; exit 1; }
    grep -q 'no example of digest' "$scratch/said" || { echo "a missing example is not seen"; exit 1; }
    ! grep -q 'tag list' "$scratch/said" || { echo "an example is not seen"; exit 1; }
    end_world
    for spoil in 's/^(\$ syncline -L one) tag list$/\1 tag lost/' 's/-      red/-      blue/' \
        's/Home \(/Heim (/' 's/^device .*//' 's/`uuid`, //' 's/^`color`/`colour`, `color`/' \
        's/^(\$ syncline -L one --json) tag list/\1 tag list --frob/' 's/^UUID.*NAME$/&\nmore/'; do
        sed -E "$spoil" "$scratch/right.md" >"$scratch/wrong.md"
        ! cmp -s "$scratch/right.md" "$scratch/wrong.md" || { echo "spoils nothing: $spoil"; exit 1; }
        start_world
        said=$(run_document "$scratch/wrong.md" 0)
        end_world
        [[ -n $said ]] || { echo "not seen: $spoil"; exit 1; }
    done
    exit 0
fi

build=${1:?cli_doc.sh BUILD_DIR [--update]}
bin=$here/${build#"$here"/}/bin
[[ $build != /* ]] || bin=$build/bin
status=0
if [[ ${2:-} == --update ]]; then
    for document in CLI RECOVERY; do
        start_world
        run_document "$here/docs/$document.md" 1
        cp "$world/new" "docs/$document.md"
        end_world
        [[ $bad == 0 ]] || status=1
    done
    exit $status
fi
check_all "$here/docs/CLI.md" || status=1
start_world
run_document "$here/docs/RECOVERY.md" 0
end_world
[[ $bad == 0 ]] || status=1
start_world
run_readme "$here/README.md"
end_world
[[ $bad == 0 ]] || status=1
exit $status
