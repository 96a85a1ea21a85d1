#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# reported.sh TEXT PROGRAM [ARGUMENT]...: the program must fail and say TEXT. For programs with a planted error,
# so that a sanitizer that sees nothing is noticed.

set -uo pipefail
if output=$("${@:2}" 2>&1); then
    printf '%s\n%s ended well, although an error is planted in it\n' "$output" "${*:2}"
    exit 1
fi
if ! grep -qF -- "$1" <<<"$output"; then
    printf '%s\n%s failed without the words "%s"\n' "$output" "${*:2}" "$1"
    exit 1
fi
