/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Segments of one author on their way to all members (docs/PROTOCOL.md, 2, 4, 6 and 16): streams per
 * link that begin where the receiver's vector says, segments that come twice, late, by another way
 * or not at all, gaps that are asked for again, acknowledgements that are state and that others pass
 * on. Device 0 is the author; with -DLINE it never meets device 2 (without, there are too many states
 * to go through). Links break and devices die at any moment, BREAKS and DEATHS times.
 *
 * Always: what a device believes of another one is durable there, and nobody holds what has a gap.
 * When nothing moves any more: everybody holds everything, and the author knows it.
 *
 * Each rule can be broken, -DNAME, and is then seen to be needed:
 *     ACK_BEFORE_COMMIT   what was received is acknowledged before it is durable
 *     GAP_ACCEPTED        a segment is taken whatever came before it
 *     GAP_NOT_ASKED       one behind a gap is dropped, and nobody is told
 *     STREAM_KEPT         a new link goes on where the broken one was
 *     ACK_ONCE            a vector is told when a segment comes, and not when devices meet
 *     ACK_FOR_OTHERS      a relay that has passed a segment on acknowledges it for the receiver
 *
 * Run: -DLINE */

#define DEVICES 3
#define SEGMENTS 2
#ifndef BREAKS
#define BREAKS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define AT(from, to) ((from) * DEVICES + (to))
#define PAIRS 9

byte held[DEVICES];     /* durable: segments without a gap */
byte received[DEVICES]; /* and those in memory */
bool has[DEVICES * (SEGMENTS + 1)]; /* at WHERE(device, segment) */

bool is_linked[PAIRS];
byte stream[PAIRS]; /* the last segment put on the link */
bool flies[PAIRS * (SEGMENTS + 1)]; /* at BIT(pair, segment) */
byte told[PAIRS];   /* AT(x, y): what x believes that y holds */
bool owes[PAIRS];   /* AT(x, y): y's vector is on its way to x */

byte breaks;
byte deaths;
bool is_calm; /* no faults any more */

#ifdef LINE
#define MAY_MEET(x, y) ((x) + (y) != 2)
#else
#define MAY_MEET(x, y) true
#endif

#define OTHER(x, y) (3 - (x) - (y))
#define WHERE(d, n) ((d) * (SEGMENTS + 1) + (n))
#define BIT(pair, n) WHERE(pair, n)

#ifdef ACK_BEFORE_COMMIT
#define MINE(d) received[d]
#else
#define MINE(d) held[d]
#endif

/* What is on its way one way is gone. */
inline lose(pair)
{
    is_linked[pair] = false; owes[pair] = false;
    k = 1;
    do
    :: k <= SEGMENTS -> flies[BIT(pair, k)] = false; k++
    :: else -> break
    od;
    k = 0
}

/* Segment n comes, and may come again. */
inline arrive(n)
{
    atomic { flies[BIT(pair, n)] ->
        if
        :: flies[BIT(pair, n)] = false
        :: skip
        fi;
        owes[pair] = true;
        if
#ifdef GAP_ACCEPTED
        :: n > received[y] -> received[y] = n; has[WHERE(y, n)] = true
#else
        :: n == received[y] + 1 -> received[y] = n; has[WHERE(y, n)] = true
#endif
        :: n <= received[y]
#ifndef GAP_NOT_ASKED
        :: n > received[y] + 1 -> stream[pair] = received[y] /* asked for again */
#else
        :: n > received[y] + 1
#endif
        fi }
}

/* One direction: segments from x to y, and what y says to x about them. */
proctype way(byte x, y)
{
    byte k, pair;
    pair = AT(x, y);
end:
    do
    /* Meet: the stream begins where the vector says. */
    :: atomic { MAY_MEET(x, y) && !is_linked[pair] && !is_linked[AT(y, x)] ->
        is_linked[pair] = true; is_linked[AT(y, x)] = true;
#ifndef STREAM_KEPT
        stream[pair] = held[y]; stream[AT(y, x)] = (x == 0 -> 0 : held[x]);
#endif
#ifndef ACK_ONCE
        owes[pair] = true; owes[AT(y, x)] = x != 0
#endif
        }
    :: atomic { is_linked[pair] && stream[pair] < held[x] ->
        stream[pair]++;
        flies[BIT(pair, stream[pair])] = true;
#ifdef ACK_FOR_OTHERS
        told[pair] = stream[pair]
#endif
        }
    :: arrive(1)
    :: arrive(2)
    /* The vector: state, told as it is. */
    :: atomic { is_linked[pair] && owes[pair] ->
        owes[pair] = false;
        if
        :: MINE(y) > told[pair] -> told[pair] = MINE(y)
        :: else
        fi }
    /* y passes on to x what it knows of the others, as they signed it. */
    :: atomic { is_linked[pair] && told[AT(y, OTHER(x, y))] > told[AT(x, OTHER(x, y))] ->
        told[AT(x, OTHER(x, y))] = told[AT(y, OTHER(x, y))] }
    :: atomic { is_linked[pair] && breaks < BREAKS && !is_calm ->
        breaks++; lose(pair); lose(AT(y, x)) }
    od
}

proctype device(byte d)
{
    byte k, e;
end:
    do
    :: atomic { d == 0 && held[0] < SEGMENTS -> /* made, and durable before anything else */
        held[0]++; received[0] = held[0]; has[held[0]] = true }
    :: atomic { received[d] > held[d] ->
        held[d] = received[d];
        e = 0;
        do
        :: e < DEVICES -> owes[AT(e, d)] = is_linked[AT(e, d)]; e++
        :: else -> break
        od;
        e = 0 }
    :: atomic { deaths < DEATHS && !is_calm ->
        deaths++;
        k = held[d] + 1;
        do
        :: k <= SEGMENTS -> has[WHERE(d, k)] = false; k++
        :: else -> break
        od;
        received[d] = held[d];
        e = 0;
        do
        :: e < DEVICES && e != d -> lose(AT(e, d)); lose(AT(d, e)); e++
        :: e < DEVICES && e == d -> e++
        :: else -> break
        od;
        e = 0; k = 0 }
    od
}

#define TRUE_OF(x, y) (told[AT(x, y)] <= held[y])
#define WHOLE(d, n) (held[d] < (n) || has[WHERE(d, n)])

#define BELIEFS_ARE_TRUE (TRUE_OF(0, 1) && TRUE_OF(0, 2) && TRUE_OF(1, 2) && TRUE_OF(2, 1))
#define NOBODY_HAS_A_GAP (WHOLE(1, 1) && WHOLE(1, 2) && WHOLE(2, 1) && WHOLE(2, 2))
#define IS_DONE \
    (held[1] == SEGMENTS && held[2] == SEGMENTS && told[AT(0, 1)] == SEGMENTS && \
     told[AT(0, 2)] == SEGMENTS)

proctype judge()
{
    do
    :: atomic { !BELIEFS_ARE_TRUE || !NOBODY_HAS_A_GAP -> assert(false) }
    :: atomic { !is_calm -> is_calm = true }
    :: timeout -> assert(IS_DONE); break
    od
}

init
{
    atomic {
        run device(0); run device(1); run device(2);
        run way(0, 1); run way(1, 2); run way(0, 2); run way(2, 1);
        run judge()
    }
}
