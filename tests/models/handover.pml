/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One device's hand-over between its two files, which never commit together (docs/PROTOCOL.md, 1 to
 * 3 and 5): the outbox in library.db, the log and the drained rows in sync.db, settling, and what
 * is done at open when library.db has lost commits that the log has. Every order of
 *
 *     the application    inserts and deletes, each with its outbox row in one commit
 *     the engine         appends, settles, opens again
 *     the machine        kills the process; puts library.db back to any state that it had - a power
 *                        cut under an application that does not sync, or an older copy
 *
 * must end with tables that are what the log says, and with no change twice in the log. sync.db
 * commits with FULL and loses nothing.
 *
 * Each rule can be broken, -DNAME, and is then seen to be needed:
 *     NO_DOUBT            nothing is looked for at open
 *     DRAINED_BY_ID       an outbox row counts as drained by its id alone, without its token
 *     PENDING_IGNORED     own changes are applied again as if nothing were in the outbox
 *     FORGET_FIRST        sync.db forgets drained rows before library.db is synced
 *     OWN_ENTRY_FIRST     the own vector entry moves in a commit before the births
 *     APPEND_FIRST        a change is in the log by a commit before its outbox row is drained
 *
 * Run: */

#define RECORDS 3
#define IDS 8        /* outbox ids, and no schedule needs more */
#define WRITES 4
#define LOSSES 2
#define KILLS 2

/* Writes 1, 3, 4 insert records 0, 1, 2; write 2 deletes record 0. The number is the token. */
#define RECORD(w) ((w) <= 2 -> 0 : (w) - 2)
#define IS_DELETE(w) ((w) == 2)

typedef library_db {
    bool row[RECORDS];
    bool born[RECORDS];
    byte outbox[IDS + 1]; /* token by id; 0: no such row */
    byte own;             /* own entry of the applied vector */
}

library_db now;
library_db before; /* what a loss brings back: moved on at any moment, to what is there then */

/* sync.db */
byte log[WRITES + 1];
byte head;
byte drained[IDS + 1]; /* token by id */

bool is_up;
bool is_over; /* the application has ended */
bool was_written[WRITES + 1];
byte losses;
byte kills;

inline copy(to, from)
{
    d_step {
        k = 0;
        do
        :: k < RECORDS -> to.row[k] = from.row[k]; to.born[k] = from.born[k]; k++
        :: else -> break
        od;
        k = 1;
        do
        :: k <= IDS -> to.outbox[k] = from.outbox[k]; k++
        :: else -> break
        od;
        to.own = from.own; k = 0
    }
}

#define FIND_NEWEST(id, tokens) \
    id = IDS; \
    do \
    :: id > 0 && tokens[id] == 0 -> id-- \
    :: else -> break \
    od

#ifdef DRAINED_BY_ID
#define IS_DRAINED(id) (drained[id] != 0)
#else
#define IS_DRAINED(id) (drained[id] != 0 && drained[id] == now.outbox[id])
#endif

/* The oldest outbox row that is not drained; past the end: none. */
inline find_pending(id)
{
    id = 1;
    do
    :: id <= IDS && (now.outbox[id] == 0 || IS_DRAINED(id)) -> id++
    :: else -> break
    od
}

/* Is a delete of the record pending? */
inline find_pending_delete(record, found)
{
    j = 1; found = false;
    do
    :: j > IDS -> break
    :: else ->
        if
        :: now.outbox[j] != 0 && !IS_DRAINED(j) && IS_DELETE(now.outbox[j]) &&
           RECORD(now.outbox[j]) == record -> found = true
        :: else
        fi;
        j++
    od;
    j = 0
}

active proctype application()
{
    byte w, id, k;
    do
    :: atomic { w = 1;
        do
        :: w < WRITES -> w++
        :: break
        od;
        if
        :: !was_written[w] && now.row[RECORD(w)] == IS_DELETE(w) && !(w == 1 && was_written[2]) ->
            FIND_NEWEST(id, now.outbox);
            assert(id < IDS);
            now.outbox[id + 1] = w;
            now.row[RECORD(w)] = !IS_DELETE(w);
            was_written[w] = true; id = 0
        :: else
        fi;
        w = 0 }
    :: atomic { losses < LOSSES -> copy(before, now) }
    :: atomic { losses < LOSSES -> copy(now, before); is_up = false; losses++ }
    :: atomic { is_up && kills < KILLS -> is_up = false; kills++ }
    :: is_over = true; break
    od
}

inline append()
{
    atomic { is_up ->
        find_pending(id);
        if
        :: id > IDS -> id = 0
        :: else ->
            w = now.outbox[id];
            k = 1;
            do
            :: k <= head -> assert(log[k] != w); k++ /* nothing is twice in the log */
            :: else -> break
            od;
            head++; log[head] = w; k = 0;
#ifndef APPEND_FIRST
            drained[id] = w; id = 0
#endif
        fi;
        w = 0 }
#ifdef APPEND_FIRST
    atomic {
        if
        :: is_up && id > 0 -> drained[id] = log[head]
        :: else
        fi;
        id = 0 }
#endif
}

inline write_births()
{
    k = from + 1;
    do
    :: k <= head -> now.born[RECORD(log[k])] = !IS_DELETE(log[k]); k++
    :: else -> break
    od
}

/* In one transaction: births, the own entry, and all drained rows but the newest. */
inline settle()
{
    atomic { (is_up && now.own < head) ->
        from = now.own;
#ifdef OWN_ENTRY_FIRST
        now.own = head; }
    atomic {
        if
        :: !is_up -> from = head
        :: else
        fi;
#endif
        write_births();
        now.own = head;
        FIND_NEWEST(id, now.outbox);
        k = 1;
        do
        :: k < id ->
            if
            :: now.outbox[k] != 0 && IS_DRAINED(k) -> now.outbox[k] = 0
            :: else
            fi;
            k++
        :: else -> break
        od;
        k = 0; id = 0; from = 0 }
}

/* The own change log[n] once more, like a stranger's. */
inline apply_own(n)
{
    w = log[n];
    if
    :: IS_DELETE(w) -> now.row[RECORD(w)] = false; now.born[RECORD(w)] = false
    :: else ->
        find_pending_delete(RECORD(w), is_deleted);
#ifdef PENDING_IGNORED
        is_deleted = false;
#endif
        if
        :: !is_deleted -> now.row[RECORD(w)] = true
        :: else
        fi;
        now.born[RECORD(w)] = true
    fi;
    w = 0
}

inline forget_drained()
{
    k = IDS;
    do
    :: k > 0 && drained[k] != now.outbox[k] -> drained[k] = 0; k--
    :: k > 0 && drained[k] == 0 -> k--
    :: else -> break
    od;
    k = 0
}

/* The newest drained row is not in library.db: its commits were lost. */
inline resolve()
{
#ifdef FORGET_FIRST
    atomic {
        if
        :: losses == seen_losses -> forget_drained()
        :: else
        fi }
#endif
    atomic {
        if
        :: losses == seen_losses ->
            n = now.own + 1;
            do
            :: n <= head -> apply_own(n); n++
            :: else -> break
            od;
            now.own = head; n = 0
        :: else
        fi }
    atomic {
        if
        :: losses == seen_losses -> copy(before, now) /* synced */
        :: else
        fi }
#ifndef FORGET_FIRST
    atomic {
        if
        :: losses == seen_losses -> forget_drained()
        :: else
        fi }
#endif
}

inline open()
{
    atomic { !is_up ->
        seen_losses = losses;
        FIND_NEWEST(id, drained);
        in_doubt = id > 0 && now.outbox[id] != drained[id];
#ifdef NO_DOUBT
        in_doubt = false;
#endif
        id = 0 }
    if
    :: in_doubt -> resolve()
    :: else
    fi;
    atomic { is_up = losses == seen_losses; in_doubt = false; seen_losses = 0 }
}

/* Births and rows as the log says. */
inline check()
{
    atomic {
        k = 0;
        do
        :: k < RECORDS ->
            is_deleted = true; j = 1;
            do
            :: j <= head ->
                if
                :: RECORD(log[j]) == k -> is_deleted = IS_DELETE(log[j])
                :: else
                fi;
                j++
            :: else -> break
            od;
            assert(now.row[k] == !is_deleted);
            assert(now.born[k] == !is_deleted);
            k++
        :: else -> break
        od }
}

active proctype engine()
{
    byte id, w, k, j, n, from, seen_losses;
    bool in_doubt, is_deleted;
    do
    :: append()
    :: settle()
    :: open()
    :: atomic { is_over && is_up && now.own == head ->
        find_pending(id);
        if
        :: id > IDS -> id = 0; break
        :: else -> id = 0
        fi }
    od;
    check()
}
