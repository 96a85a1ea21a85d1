#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# symbols.sh BUILD_DIR: core objects ask the system for no clock, randomness, socket, file or
# thread by themselves, but take all of it from the environment they are given, so that the
# simulator owns the world; they take memory from the environment's allocator; they have no crash
# points; and the shared library exports nothing but its interface.
# symbols.sh --self-test: the check sees planted violations.

set -euo pipefail

# Files that own a piece of the real world, each with its reason.
declare -A excepted=(
    [base/env_posix.c]="is the real environment: clocks and randomness"
    [base/uuid_new.c]="the public call, which has the real environment as its own"
    [net/transport_tcp.c]="is the real network, on libuv"
    [net/tcp_link.c]="is one connection of it"
    [net/key_file.c]="reads and writes device.key"
    [storage/uuid_map.c]="makes the folder of a cache that is no SQLite file"
    [pipeline/api_open.c]="opens a library in the real world: folder, files, thread"
    [pipeline/api_remove.c]="removes the files of a library"
    [pipeline/conf_file.c]="reads and writes syncline.conf"
    [pipeline/api_events.c]="is the thread of subscribers, and waits"
    [pipeline/api_wait.c]="waits by the real clock"
    [pipeline/worker.c]="is the engine's threads, and waits"
    [pipeline/park.c]="is where they sleep"
    [pipeline/engine_lock.c]="is a lock on a file"
    [pipeline/whole_file.c]="is a file that is written whole"
    [pipeline/mark_file.c]="is a file outside the library"
    [pipeline/engine_socket.c]="is a socket for processes of this machine, with its thread"
)

# Extended regular expressions, each for a whole name.
forbidden=(
    'time|gettimeofday|clock|clock_gettime|clock_getres|timespec_get|ftime|localtime(_r)?|mktime'
    'nanosleep|clock_nanosleep|usleep|sleep|alarm|timer_.*|timerfd_.*|setitimer|sqlite3_sleep'
    's?rand|rand_r|s?random(_r)?|initstate(_r)?|[demnjl]rand48(_r)?|arc4random.*|getrandom|getentropy'
    'RAND_.*|uuid_generate(_random|_time|_time_safe)?|sqlite3_randomness|EVP_PKEY_keygen|EVP_PKEY_generate|EVP_PKEY_Q_keygen'
    'socket|socketpair|connect|bind|listen|accept4?|send(to|msg|mmsg)?|recv(from|msg|mmsg)?|shutdown'
    'getaddrinfo|gethostby.*|gethostname|p?poll|__poll_chk|p?select|epoll_.*|eventfd.*|uv_.*'
    'open(64|at|at64)?|__open(64|at|at64)?_2|creat(64)?|fopen(64)?|freopen(64)?|mkstemp.*|mkdtemp'
    'mkdir(at)?|unlink(at)?|rename(at2?)?|truncate(64)?|ftruncate(64)?|f?stat(at)?(64)?|opendir|flock|fcntl(64)?'
    'pthread_create|thrd_create|fork|vfork|exec.*|posix_spawnp?|system|popen|signal|sigaction|kill|raise'
    'abort|exit|_exit|_Exit|quick_exit'
    'printf|puts|putchar|perror|stdout|stderr|stdin'
)
pattern="^($(IFS='|' && echo "${forbidden[*]}"))\$"

# Memory, for every file but the one that makes an allocator of the C library's.
allocator=base/alloc.c
memory='^(malloc|calloc|realloc(array)?|free|(posix_)?memalign|aligned_alloc|p?valloc|(__)?strn?dup'
memory+='|v?asprintf|__v?asprintf_chk|getline|getdelim|open_memstream|realpath|__realpath_chk)$'

# check_objects FOLDER [ROOT]: every object below FOLDER/CMakeFiles/sl_LAYER.dir of a core layer;
# with ROOT, but for those whose source is not there any more.
check_objects() {
    local folder=$1 root=${2:-} bad=0 count=0 layer object file name names undefined
    for layer in base storage net stages pipeline; do
        while IFS= read -r -d '' object; do
            file=${object#"$folder/CMakeFiles/sl_$layer.dir/"}
            file=${file%.o}
            [[ -z $root || -f $root/$file ]] || continue
            count=$((count + 1))
            undefined=$(nm --undefined-only --format=posix "$object" |
                awk '{ sub(/@.*/, "", $1); print $1 }')
            if nm --format=posix "$object" | grep -q '^sl_crashpoint'; then
                echo "$file has crash points: they are for the objects of sl-crash alone"
                bad=1
            fi
            names=
            [[ $file == "$allocator" ]] || names=$(grep -E "$memory" <<<"$undefined" || true)
            for name in $names; do
                echo "$file takes memory of the C library's: $name; use base/alloc.h"
                bad=1
            done
            [[ ! -v excepted[$file] ]] || continue
            names=$(grep -E "$pattern" <<<"$undefined" || true)
            for name in $names; do
                echo "$file asks the system by itself: $name; take it from struct sl_env or the transport"
                bad=1
            done
        done < <(find "$folder/CMakeFiles/sl_$layer.dir" -name '*.c.o' -print0 2>/dev/null | sort -z)
    done
    if [[ $count == 0 ]]; then
        echo "no objects below $folder; build it first"
        bad=1
    fi
    return $bad
}

# check_exports LIBRARY: defines syncline_* and nothing else for others to link with.
check_exports() {
    local names defined
    defined=$(nm --dynamic --defined-only --format=posix "$1" | awk '{ print $1 }')
    names=$(grep -vE '^syncline_[a-z0-9_]+$' <<<"$defined" || true)
    if [[ -n $names ]]; then
        echo "$1 exports what is not its interface:" $names
        return 1
    fi
    if [[ -z $defined ]]; then
        echo "$1 exports nothing"
        return 1
    fi
    # The host and the library must use one copy of SQLite, the system's.
    if nm --defined-only "$1" 2>/dev/null | grep -qw sqlite3_open; then
        echo "$1 contains a copy of SQLite"
        return 1
    fi
}

self_test() {
    local scratch layer=storage name
    scratch=$(mktemp -d)
    trap "rm -rf '$scratch'" EXIT
    mkdir -p "$scratch/CMakeFiles/sl_$layer.dir/$layer"
    # plant CODE FILE: compiles CODE as an object of FILE.
    plant() {
        mkdir -p "$scratch/CMakeFiles/sl_${2%%/*}.dir/${2%%/*}"
        gcc -w -O0 -fPIC -x c -c -o "$scratch/CMakeFiles/sl_${2%%/*}.dir/$2.o" - <<<"$1"
    }
    plant 'int f(const char *s) { return s[0]; }' storage/a.c
    plant 'long time(long *); long f(void) { return time(0); }' base/env_posix.c
    plant 'void free(void *); void f(void *p) { free(p); }' base/alloc.c
    check_objects "$scratch" || { echo "clean objects were refused"; exit 1; }
    for name in time clock_gettime gettimeofday rand random getrandom getentropy RAND_bytes \
        uuid_generate_random socket connect accept4 uv_run sqlite3_randomness nanosleep usleep \
        open openat fopen pthread_create abort; do
        plant "int $name(void); int f(void) { return $name(); }" storage/a.c
        if check_objects "$scratch" >"$scratch/said"; then
            echo "not seen: a call of $name"
            exit 1
        fi
        grep -qE "storage/a.c .*: $name;" "$scratch/said" || { echo "not named: $name"; exit 1; }
    done
    # Memory is asked for in the same way in every file, whatever else that file is allowed.
    plant 'int f(const char *s) { return s[0]; }' storage/a.c
    for name in malloc calloc realloc free strdup aligned_alloc asprintf; do
        plant "int $name(void); int f(void) { return $name(); }" base/env_posix.c
        if check_objects "$scratch" >"$scratch/said"; then
            echo "not seen: a call of $name"
            exit 1
        fi
        grep -qE "base/env_posix.c .*: $name;" "$scratch/said" || { echo "not named: $name"; exit 1; }
    done
    plant 'int f(const char *s) { return s[0]; }' base/env_posix.c
    for name in 'void sl_crashpoint_pass(int, int); void f(void) { sl_crashpoint_pass(1, 0); }' \
        'void sl_crashpoint_arm(int a) { (void)a; }'; do
        plant "$name" storage/a.c
        if check_objects "$scratch" >"$scratch/said" || ! grep -q 'storage/a.c has crash points' "$scratch/said"; then
            echo "not seen: a crash point"
            exit 1
        fi
    done
    plant 'int syncline_f(void) { return 1; }' storage/a.c
    gcc -shared -o "$scratch/good.so" "$scratch/CMakeFiles/sl_storage.dir/storage/a.c.o"
    check_exports "$scratch/good.so" || { echo "a clean library was refused"; exit 1; }
    for name in sl_f helper sqlite3_open; do
        plant "int syncline_f(void) { return 1; } int $name(void) { return 2; }" storage/a.c
        gcc -shared -o "$scratch/bad.so" "$scratch/CMakeFiles/sl_storage.dir/storage/a.c.o"
        if check_exports "$scratch/bad.so" >/dev/null; then
            echo "not seen: an export of $name"
            exit 1
        fi
    done
    plant 'int syncline_f(void) { return 1; }
        __attribute__((visibility("hidden"))) int sqlite3_open(void) { return 2; }' storage/a.c
    gcc -shared -o "$scratch/bad.so" "$scratch/CMakeFiles/sl_storage.dir/storage/a.c.o"
    if check_exports "$scratch/bad.so" >/dev/null; then
        echo "not seen: a hidden copy of SQLite"
        exit 1
    fi
}

if [[ ${1:-} == --self-test ]]; then
    self_test
    exit 0
fi
build=${1:?symbols.sh BUILD_DIR}
status=0
for file in "${!excepted[@]}"; do
    [[ -f $build/CMakeFiles/sl_${file%%/*}.dir/$file.o ]] && continue
    echo "$file is excepted (it ${excepted[$file]}) but is not built; strike it out"
    status=1
done
check_objects "$build" "$(dirname "${BASH_SOURCE[0]}")/../.." || status=1
check_exports "$build/lib/libsyncline.so" || status=1
exit $status
