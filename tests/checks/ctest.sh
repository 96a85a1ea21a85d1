#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# ctest.sh BUILD_DIR [CTEST_ARG]...: runs the test programs of a build and counts what really ran:
# a Criterion program counts as its test cases, any other program as one. The last line is
# "N passed, N failed"; the exit status says the same.

set -uo pipefail
build=$1
shift
log=$build/Testing/Temporary/LastTest.log
rm -f "$log"

# ThreadSanitizer needs addresses that it can place; where the kernel forbids asking for them, the
# programs run as they are.
runner=()
if grep -q '^SL_SANITIZE:STRING=thread' "$build/CMakeCache.txt" && setarch -R true 2>/dev/null; then
    runner=(setarch -R)
fi
"${runner[@]}" ctest --test-dir "$build" -j2 --output-on-failure "$@"
status=$?

# The log has a part for each program: "1/9 Testing: NAME", its output, "Test Passed." or "Test
# Failed.". Criterion's last line: "Synthesis: Tested: 10 | Passing: 10 | Failing: 0 | Crashing: 0".
# A program can fail without a failing case: killed, or a leak found after the last one.
counts=$(awk '
    function number(label) {
        if (!match($0, label ": *[0-9]+"))
            return 0
        return substr($0, RSTART + length(label) + 1, RLENGTH - length(label) - 1) + 0
    }
    function finish() {
        if (!open)
            return
        failed += bad > 0 ? bad : !ok
        passed += cases ? good : ok
        open = 0
    }
    /^[0-9]+\/[0-9]+ Testing: / { finish(); open = 1; ok = cases = good = bad = 0 }
    /Synthesis: .*Tested: / {
        cases = 1
        good = number("Passing")
        bad = number("Tested") - good # a crash is counted under Failing, too
    }
    /^Test Passed\.$/ { ok = 1 }
    END { finish(); print passed + 0, failed + 0 }' "$log" 2>/dev/null)
read -r passed failed <<<"${counts:-0 0}"
if [[ $failed == 0 && ($status != 0 || $passed == 0) ]]; then
    failed=1
fi
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed == 0 ]]
