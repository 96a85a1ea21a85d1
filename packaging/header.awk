# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# header.awk -v part=names|reference: reads the public header as it is written, and prints the names
# of its calls, one a line, or the reference of the manual: the header's sections, each call with
# its comment, each type as it stands there.
#
# What it relies on: a section starts with a line "/* ---- Title ---- */"; a comment that belongs to
# something starts in the first column and ends right above it; several calls may share one; a call
# starts with SYNCLINE_API in the first column and ends with the first semicolon, or is static inline
# and has its braces in the first column; a type starts with struct or enum in the first column and
# ends with "};" there or on the same line.

function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    sub(/^[.\047]/, "\\\\\\&&", text)
    return text
}

# Prints the comment kept: paragraphs filled, what is indented by four or more as it stands.
function print_comment(    i, text, verbatim, n, line) {
    n = split(comment, line, "\n")
    for (i = 1; i <= n; i++) {
        text = line[i]
        if (text ~ /^    / && !verbatim) { print ".EX"; verbatim = 1 }
        if (text !~ /^    / && text != "" && verbatim) { print ".EE"; verbatim = 0 }
        if (text == "" && !verbatim) { print ".PP"; continue }
        if (text != "") print plain(text)
        else print ""
    }
    if (verbatim) print ".EE"
    comment = ""
}

# Ends a run of calls: their comment comes below them.
function end_calls() {
    if (!calls) return
    print ".PP"
    if (comment != "") print_comment()
    calls = 0
}

function end_comment(text) {
    sub(/ *\*\/ *$/, "", text)
    comment = comment (comment == "" ? "" : "\n") text
    in_comment = 0
}

function print_call(text,    name) {
    gsub(/SYNCLINE_(API|MUST_USE) ?/, "", text)
    gsub(/[ \t]+/, " ", text)
    sub(/^ ?(static inline )?/, "", text)
    match(text, /syncline_[a-z0-9_]+\(/)
    name = substr(text, RSTART, RLENGTH - 1)
    if (part == "names") { print name; return }
    if (!calls) print ".PP"
    else print ".br"
    print "\\fB" plain(text) "\\fR"
    calls = 1
}

BEGIN { quiet = part == "names" }

in_comment {
    text = $0
    sub(/^ \*( |$)/, "", text)
    if (text ~ /\*\/ *$/) end_comment(text)
    else comment = comment (comment == "" ? "" : "\n") text
    next
}
in_call {
    call = call " " $0
    if (/;/) { in_call = 0; print_call(call) }
    next
}
in_type {
    if (!quiet) print plain($0)
    if (/^};/) { in_type = 0; if (!quiet) print ".EE" }
    next
}
in_statuses {
    if (!quiet && match($0, /X\([A-Z0-9_]+, [0-9]+, "/)) {
        split(substr($0, RSTART + 2), field, ", ")
        text = substr($0, RSTART + RLENGTH)
        sub(/"\).*/, "", text)
        print ".TP"
        print "\\fBSYNCLINE_" field[1] "\\fR (" field[2] ")"
        print plain(text)
    }
    if ($0 !~ /\\$/) in_statuses = 0
    next
}
in_status_enum {
    if (/^};/) in_status_enum = 0
    next
}
in_macro {
    if ($0 !~ /\\$/) in_macro = 0
    next
}
/^\/\* ---- .* ---+ \*\/$/ {
    if (!quiet) {
        end_calls()
        title = $0
        gsub(/^\/\* ---- | -+ \*\/$/, "", title)
        print ".SH " toupper(title)
    }
    comment = ""
    next
}
/^\/\* / {
    if (!quiet) end_calls()
    comment = ""
    text = substr($0, 4)
    if (text ~ /\*\/ *$/) end_comment(text)
    else { comment = text; in_comment = 1 }
    next
}
/^SYNCLINE_API/ {
    call = $0
    if (/;/) print_call(call)
    else in_call = 1
    next
}
# The statuses are one table of macros, which the enum is made of.
/^#define SYNCLINE_STATUS_MAP/ { in_statuses = 1; comment = ""; next }
/^enum syncline_status \{/ { in_status_enum = 1; next }
/^(struct|enum) [a-z0-9_]+ \{/ {
    in_type = $0 !~ /};$/
    if (quiet) next
    end_calls()
    if (comment != "") { print ".PP"; print_comment() }
    print ".PP"
    print ".EX"
    print plain($0)
    if (!in_type) print ".EE"
    next
}
/^(struct|enum) [a-z0-9_]+;/ {
    if (quiet) next
    end_calls()
    comment = ""
    next
}
# A call that the header itself holds: up to its body, which ends with a brace in the first column.
/^static inline / {
    call = ""
    in_inline = 1
}
in_inline {
    if (/^\{/) { print_call(call ";"); in_body = 1 }
    if (!in_body) call = call " " $0
    if (/^\}/) in_inline = in_body = 0
    next
}
# A constant, with the comment above it.
/^#define SYNCLINE_[A-Z0-9_]+ +[0-9"(]/ && !/\\$/ {
    if (quiet) next
    end_calls()
    if (comment != "") { print ".PP"; print_comment() }
    print ".PP"
    print ".EX"
    print plain($0)
    print ".EE"
    next
}
/^#define .*\\$/ { in_macro = 1 }
/^#/ { if (!quiet) end_calls(); comment = ""; next }
/^$/ { if (!quiet) end_calls(); next }
END { if (!quiet) end_calls() }
