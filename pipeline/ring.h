/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A bounded ring of pointers with one producer and one consumer at a time: the only file that calls
 * ck_ring.
 *
 * Push moves ownership: on success the item is the consumer's and must not be touched any more; on
 * failure (the ring is full) it is still the caller's. Neither call blocks.
 *
 * ThreadSanitizer models neither ck's volatile accesses nor its fences, so under it the hand-over
 * is annotated here: released on the item - not on the ring, which would merge the clocks of all
 * items and hide real races - before it is pushed, and acquired after it is popped. */

#ifndef SL_RING_H
#define SL_RING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include <ck_ring.h>

#if defined(__SANITIZE_THREAD__)
#define SL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SL_TSAN 1
#endif
#endif

#ifdef SL_TSAN
void __tsan_acquire(void *item);
void __tsan_release(void *item);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define SL_RING_RELEASE(item) __tsan_release(item)
#define SL_RING_ACQUIRE(item) __tsan_acquire(item)
#define SL_RING_IGNORE_BEGIN()                                                                     \
    (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define SL_RING_IGNORE_END()                                                                       \
    (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define SL_RING_RELEASE(item) ((void)(item))
#define SL_RING_ACQUIRE(item) ((void)(item))
#define SL_RING_IGNORE_BEGIN() ((void)0)
#define SL_RING_IGNORE_END() ((void)0)
#endif

#define SL_RING_SLOTS 128u /* a power of two, which ck_ring does not check; one stays empty */

struct sl_ring {
    ck_ring_t ring; /* head and tail, each on its own cache line, written by one side */
    ck_ring_buffer_t buffer[SL_RING_SLOTS];
};

_Static_assert((SL_RING_SLOTS & (SL_RING_SLOTS - 1)) == 0, "ck_ring wants a power of two");

static inline void sl_ring_init(struct sl_ring *ring)
{
    ck_ring_init(&ring->ring, SL_RING_SLOTS);
}

/* Called by the one producer. */
static inline __attribute__((warn_unused_result)) bool sl_ring_push(struct sl_ring *ring,
                                                                    void *item)
{
    assert(item != NULL);
    SL_RING_RELEASE(item);
    SL_RING_IGNORE_BEGIN();
    bool ok = ck_ring_enqueue_spsc(&ring->ring, ring->buffer, item);
    SL_RING_IGNORE_END();
    return ok;
}

/* Called by the one consumer. NULL: empty. */
static inline void *sl_ring_pop(struct sl_ring *ring)
{
    void *item = NULL;
    SL_RING_IGNORE_BEGIN();
    bool ok = ck_ring_dequeue_spsc(&ring->ring, ring->buffer, &item);
    SL_RING_IGNORE_END();
    if (!ok) {
        return NULL;
    }
    SL_RING_ACQUIRE(item);
    return item;
}

/* Free places, as the producer may count on: they can only become more until it pushes. To
 * others it is a hint. */
static inline unsigned sl_ring_room(struct sl_ring *ring)
{
    SL_RING_IGNORE_BEGIN();
    unsigned used = ck_ring_size(&ring->ring);
    SL_RING_IGNORE_END();
    return SL_RING_SLOTS - 1 - used;
}

#endif
